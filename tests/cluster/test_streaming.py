"""Blocks of a streamed volume on a cluster: the same file."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from helpers.scans import head

from napari_mrisr.cluster.streaming import stream_on
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.errors import Cancelled
from napari_mrisr.io import read_volume
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.streaming import StreamRequest, plan

SHAPE = (30, 34, 27)


@pytest.fixture
def request_(make_bank, tmp_path, monkeypatch):
    bank = tmp_path / "random.safetensors"
    make_bank().save(bank)
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(head(3, SHAPE), np.diag([1.0, 1.1, 1.2, 1.0])), scan)
    # Several blocks of a small volume.
    monkeypatch.setattr(plan, "block_for", lambda *args: (60, 68, 18))
    parameters = UpscaleParameters(bank=str(bank), device="cpu", threads=1)
    return StreamRequest(scan, tmp_path / "out.nii", parameters, 2_000_000_000)


def test_the_result_is_that_of_memory(cluster, request_):
    done = stream_on(cluster, request_)
    assert len(done.blocks) == 3
    expected = upscale(read_volume(request_.path), request_.parameters)
    np.testing.assert_array_equal(read_volume(request_.out).data, expected.data)
    assert not request_.folder.exists()


def test_cancel_leaves_nothing(cluster, request_):
    token = CancelToken()

    class AtOnce(Progress):
        def show(self, state):
            if "blocks" in state.task and state.done:
                token.cancel()

    with pytest.raises(Cancelled):
        stream_on(cluster, request_, AtOnce(token))
    assert not request_.out.exists()
    assert not request_.folder.exists()
