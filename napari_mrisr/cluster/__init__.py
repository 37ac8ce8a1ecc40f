"""Cohorts on a Dask cluster: several worker processes, on this machine or on many.

What is distributed are pieces that need little to be told and give little back: a
file to evaluate, an image to super-resolve, a block of a streamed volume, a few
training volumes to sum up. A piece is a plain function of this package with paths
and frozen parameters; workers read and write files themselves, so they see the
same file system. Every worker computes with the same functions as a run without a
cluster, so the numbers are the same.

A worker that dies loses its pieces, and the scheduler gives them to another.

- :mod:`~napari_mrisr.cluster.connecting`: a local cluster, or one that runs already
- :mod:`~napari_mrisr.cluster.pieces`: hand out, wait, stop
- :mod:`~napari_mrisr.cluster.worker`: what a worker runs
- :mod:`~napari_mrisr.cluster.evaluating`, :mod:`~napari_mrisr.cluster.summing`,
  :mod:`~napari_mrisr.cluster.streaming`: evaluation, training, blocks of one volume
"""
