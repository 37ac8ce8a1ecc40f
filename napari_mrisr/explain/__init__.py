"""Explanation of one voxel, for teaching: every step of the engine with its numbers.

trace.py    choose a voxel on an edge, run the engine at it and record every step
network.py  the same for a network: its effective filter
model.py    the record: one explanation, one trace per stage
steps.py    the steps as text: title, sentence, equation, numbers
sheet.py    part of a figure, in inches, on which the pictures are drawn
patches.py  patches as squares
gauges.py   single numbers and the structure tensor as pictures
draw.py     the picture of each step
lecture.py  all steps as an HTML or PDF file
"""

from napari_mrisr.explain.lecture import save_lecture
from napari_mrisr.explain.model import (
    Explanation,
    NetworkExplanation,
    StageTrace,
    VoxelExplanation,
)
from napari_mrisr.explain.network import explain_network
from napari_mrisr.explain.steps import Step, steps_of
from napari_mrisr.explain.trace import explain_voxel, truth_scale

__all__ = [
    "Explanation",
    "NetworkExplanation",
    "StageTrace",
    "Step",
    "VoxelExplanation",
    "explain_network",
    "explain_voxel",
    "save_lecture",
    "steps_of",
    "truth_scale",
]
