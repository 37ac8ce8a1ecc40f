"""Numeric kernels: ``reference`` (slow and simple, for the tests) and ``cpu`` (numba).

Kernels are serial and release the GIL; threads come from running several
regions at once (:mod:`napari_mrisr.run.upscale`), not from numba. So two runs may overlap,
and a run can stop between regions. No kernel reorders a sum, so a voxel's bits do not
depend on the region in which it is computed.
"""
