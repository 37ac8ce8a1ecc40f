"""A run in this process: progress, cancel, a full disk, nothing left behind."""

from __future__ import annotations

import errno
import threading
import time

import numpy as np
import pytest
from helpers.streams import save_scan, small_request

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import Cancelled, OutputError
from napari_mrisr.io import read_volume
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.streaming import stream
from napari_mrisr.streaming.target import NiftiTarget


class Watch(Progress):
    """Remember what was shown; cancel at a task, after so many steps."""

    def __init__(self, task="nothing", at=0):
        super().__init__()
        self.task, self.at, self.seen, self.cancelled = task, at, [], None

    def show(self, state):
        self.seen.append((state.task, state.done, state.total))
        if self.task in state.task and state.done >= self.at and self.cancelled is None:
            self.cancelled = time.monotonic()
            self.token.cancel()


def ours():
    return [t for t in threading.enumerate() if t.name.startswith("mrisr")]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_every_step_is_shown(tmp_path, scan, suffix):
    progress = Watch()
    plan = stream(small_request(scan, tmp_path / f"out{suffix}"), progress)
    assert [entry.name for entry in tmp_path.iterdir() if entry != scan] == [f"out{suffix}"]
    tasks = list(dict.fromkeys(task for task, _, _ in progress.seen))
    expected = ["reading scan.nii", "looking at the intensities", "tricubic 2x, 3 blocks"]
    assert tasks == expected + (["compressing"] if suffix == ".nii.gz" else [])
    for task in tasks[1:]:
        shown = [(done, total) for name, done, total in progress.seen if name == task]
        assert shown[-1][0] == shown[-1][1] > 0
        assert shown == sorted(shown)
    assert len(plan.blocks) == 3
    expected = upscale(read_volume(scan), UpscaleParameters(method="tricubic")).data
    np.testing.assert_array_equal(read_volume(plan.request.out).data, expected)
    assert ours() == []


@pytest.mark.parametrize(
    ("task", "at"),
    [("looking", 3), ("looking", 70), ("hashed", 0), ("hashed", 5), ("compressing", 0)],
)
@pytest.mark.parametrize("resume", [False, True])
def test_cancel(tmp_path, scan, bank, task, at, resume):
    parameters = UpscaleParameters(bank=bank, threads=2)
    request = small_request(scan, tmp_path / "out.nii.gz", parameters, resume=resume)
    progress = Watch(task, at)
    with pytest.raises(Cancelled):
        stream(request, progress)
    # A piece of this size takes some 20 ms on a quiet machine.
    assert time.monotonic() - progress.cancelled < 2.0
    # A thread that compiles, on a machine that never did, cannot be stopped.
    deadline = time.monotonic() + 30.0
    while ours() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ours() == []
    kept = {entry.name for entry in tmp_path.iterdir()} - {"scan.nii", "bank.safetensors"}
    assert kept == ({".out.nii.gz.part"} if resume and task != "looking" else set())
    if resume:
        stream(request)
        expected = upscale(read_volume(scan), parameters).data
        np.testing.assert_array_equal(read_volume(request.out).data, expected)


@pytest.mark.parametrize("resume", [False, True])
def test_a_full_disk(tmp_path, scan, monkeypatch, resume):
    request = small_request(scan, tmp_path / "out.nii", resume=resume)
    write, count = NiftiTarget.write, []

    def full(self, region, data, pool):
        count.append(region)
        if len(count) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, region, data, pool)

    with monkeypatch.context() as patch:
        patch.setattr(NiftiTarget, "write", full)
        with pytest.raises(OutputError, match=r"out.nii: the disk is full"):
            stream(request)
    assert request.folder.exists() == resume
    assert not request.out.exists()
    if resume:
        stream(request)
        assert request.out.exists()


def test_voxels_that_cannot_be_used_leave_nothing(tmp_path):
    path = save_scan(tmp_path / "scan.nii", dtype="<f4", slope=None)
    content = bytearray(path.read_bytes())
    content[-4:] = np.array([np.nan], "<f4").tobytes()
    path.write_bytes(content)
    with pytest.raises(ValueError, match="1 NaN"):
        stream(small_request(path, tmp_path / "out.nii", resume=True))
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_result_stays_until_the_new_one_is_there(tmp_path, scan):
    out = tmp_path / "out.nii"
    out.write_bytes(b"old")
    request = small_request(scan, out, overwrite=True)
    with pytest.raises(Cancelled):
        stream(request, Watch("tricubic"))
    assert out.read_bytes() == b"old"
    stream(request)
    assert len(out.read_bytes()) > 4 * 8 * 19 * 23 * 66
