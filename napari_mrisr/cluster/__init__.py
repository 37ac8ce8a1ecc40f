"""Cohorts on a Dask cluster: several worker processes, on this machine or on many.

A task needs small inputs and returns a small result: a file to evaluate, an image to
super-resolve, a block of a streamed volume, a few training volumes to add. It is a plain
function of this package with paths and frozen parameters. Workers read and write files
themselves, so they must share the file system. Every worker computes with the functions
of a run without a cluster, so the numbers are the same. If a worker dies, the scheduler
gives its tasks to another.

- ``connect``: start a local cluster, or connect to a running one
- ``tasks``: submit, wait, cancel; what workers run
- ``runs``: evaluation, streaming and training
"""
