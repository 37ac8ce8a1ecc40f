"""The numeric kernels: ``reference`` (slow and obvious, the oracle) and ``cpu`` (numba).

Kernels are serial and release the GIL; threads come from running several
regions at once (:mod:`napari_mrisr.run.upscale`). So every layer of numba's
threading stays out of it, two runs may overlap, and a run can stop between
regions. No kernel reorders a sum, so a voxel's bits do not depend on the
region it is computed in.
"""
