"""Explain one voxel: what the engine does there, step by step, with its own numbers.

For teaching. :func:`explain_voxel` gives the numbers, :func:`steps_of` puts them
into words, :mod:`~napari_mrisr.explain.draw` draws them, and :func:`save_lecture`
writes a page for a lecture.
"""

from napari_mrisr.explain.lecture import save_lecture
from napari_mrisr.explain.model import Explanation, StageTrace
from napari_mrisr.explain.steps import Step, steps_of
from napari_mrisr.explain.trace import check_truth, explain_voxel, truth_scale

__all__ = [
    "Explanation",
    "StageTrace",
    "Step",
    "check_truth",
    "explain_voxel",
    "save_lecture",
    "steps_of",
    "truth_scale",
]
