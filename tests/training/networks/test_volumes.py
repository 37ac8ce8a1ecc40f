"""Volumes of a network's training: a stop does not wait for the file that is being read."""

from __future__ import annotations

import threading

import pytest
from helpers.scans import save_scans

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import Cancelled
from napari_mrisr.training.networks.run import NetworkParameters
from napari_mrisr.training.networks.volumes import read_held_out, read_images
from napari_mrisr.training.sources import TrainingFile


class Endless(TrainingFile):
    """A file whose reading ends when the test does."""

    def volume(self):
        reading.set()
        assert ended.wait(60)
        return super().volume()


reading, ended = threading.Event(), threading.Event()


def check():
    """Stop once the file is being read."""
    if reading.is_set():
        raise Cancelled("stopped")


@pytest.mark.parametrize("use", ["train", "validate"])
def test_a_stop_does_not_wait_for_a_volume(tmp_path, use):
    source = Endless(save_scans(tmp_path)[0])
    reading.clear()
    ended.clear()
    try:
        with pytest.raises(Cancelled):
            if use == "train":
                read_images([source], NetworkParameters(1), Progress(), check)
            else:
                read_held_out([source], NetworkParameters(1), check)
        assert not ended.is_set()
    finally:
        ended.set()
