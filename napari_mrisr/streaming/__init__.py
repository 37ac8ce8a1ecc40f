"""Volumes larger than memory: read, super-resolved and written block by block.

Methods compute any region on its own. The properties of the whole volume that they need
(intensity window, lowest and highest value) are found in two passes over the file. So a
:class:`~napari_mrisr.streaming.source.Source` that reads boxes and a
:class:`~napari_mrisr.streaming.target.Target` that writes them give the same bits as a run in
memory, with one block in memory at a time. See docs/how-to/large-volumes.md.

source   inputs that are read box by box
survey   intensities and traits of the whole volume
compute  one block
target   outputs that take boxes in any order
request  input, output and parameters; memory budget; checks
plan     a run that can be resumed
"""

from __future__ import annotations

from napari_mrisr.streaming.plan import StreamPlan, prepare, run_blocks, stream
from napari_mrisr.streaming.request import STREAMED, StreamRequest, check, parse_memory

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
