"""Volumes larger than memory: read, super-resolved and written block by block.

Methods are region-addressable, and what they need of the whole volume (intensity
window, lowest and highest value) two passes over the file tell. So a
:class:`~napari_mrisr.streaming.source.Source` that reads boxes and a
:class:`~napari_mrisr.streaming.target.Target` that takes them give the bits of
the run in memory, with a block in memory at a time. See docs/large-volumes.md.
"""

from __future__ import annotations

from napari_mrisr.streaming.memory import parse_memory
from napari_mrisr.streaming.plan import StreamPlan, prepare
from napari_mrisr.streaming.request import STREAMED, StreamRequest, check
from napari_mrisr.streaming.run import run_blocks, stream

__all__ = [
    "STREAMED",
    "StreamPlan",
    "StreamRequest",
    "check",
    "parse_memory",
    "prepare",
    "run_blocks",
    "stream",
]
