"""Streamed runs: same file as in memory, in any process and order; resumed after a kill."""

from __future__ import annotations

import errno
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from helpers.streams import OBLIQUE, SHAPE, TALL, save_scan, small_request

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import Cancelled, OutputError, VolumeError
from napari_mrisr.io import read_volume, write_volume
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.streaming import prepare, run_blocks, stream
from napari_mrisr.streaming.target import NiftiTarget


class Listen(Progress):
    def __init__(self):
        super().__init__()
        self.said = []

    def message(self, text):
        self.said.append(text)


def in_memory(path, parameters, out):
    write_volume(upscale(read_volume(path), parameters), out)
    return out.read_bytes()


@pytest.mark.parametrize("method", ["hashed", "tricubic", "nearest"])
def test_result_equals_the_run_in_memory(tmp_path, scan, bank, method):
    parameters = UpscaleParameters(
        method=method, bank=bank if method == "hashed" else None, threads=2
    )
    expected = in_memory(scan, parameters, tmp_path / "expected.nii")
    plan = prepare(small_request(scan, tmp_path / "out.nii", parameters))
    assert len(plan.blocks) == 3
    assert plan.finished() == set()
    # In another order, one of them twice, and as another process would get the plan.
    for number in (2, 0, 1, 0):
        pickle.loads(pickle.dumps(plan)).compute(number)  # noqa: S301
    assert plan.finished() == {0, 1, 2}
    plan.complete()
    assert (tmp_path / "out.nii").read_bytes() == expected
    assert not plan.request.folder.exists()


def test_two_processes_at_once(tmp_path, scan):
    expected = in_memory(scan, UpscaleParameters(method="tricubic"), tmp_path / "expected.nii")
    plan = prepare(small_request(scan, tmp_path / "out.nii"))
    code = "import pickle, sys; pickle.load(sys.stdin.buffer).compute(int(sys.argv[1]))"
    processes = []
    for number in ("0", "1"):
        command = [sys.executable, "-c", code, number]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd="/")
        process.stdin.write(pickle.dumps(plan))
        process.stdin.close()
        processes.append(process)
    plan.compute(1)
    plan.compute(2)
    assert [process.wait(120) for process in processes] == [0, 0]
    plan.complete()
    assert (tmp_path / "out.nii").read_bytes() == expected


KILL = """
import os, pickle, sys
from napari_mrisr.core.progress import Progress
from napari_mrisr.streaming import prepare, run_blocks
from napari_mrisr.streaming.compute import BlockRun

compute, count = BlockRun.compute, []

def compute_or_die(self, block, pool, ended):
    count.append(block)
    def count_and_die(number):
        ended(number)
        if len(count) == 2:
            os._exit(9)  # in the middle of the second block
    return compute(self, block, pool, count_and_die)

BlockRun.compute = compute_or_die
run_blocks(prepare(pickle.load(sys.stdin.buffer)), Progress())
"""


@pytest.mark.parametrize("suffix", [".nii", ".ome.zarr"])
def test_a_killed_run_is_resumed_without_redoing_blocks(tmp_path, suffix, monkeypatch):
    scan = save_scan(tmp_path / "scan.nii", shape=SHAPE if suffix == ".nii" else TALL)
    out = tmp_path / f"out{suffix}"
    request = small_request(scan, out, resume=True)
    done = subprocess.run(
        [sys.executable, "-c", KILL], input=pickle.dumps(request), check=False, timeout=120
    )
    assert done.returncode == 9
    assert request.folder.is_dir()
    assert not out.exists()
    progress = Listen()
    # With more memory the blocks stay those of the run before.
    plan = prepare(replace(request, memory=10**10), progress)
    assert progress.said == [f"{out.name}: resuming, 1 of 3 blocks are finished"]
    assert plan.finished() == {0}
    computed = []
    compute_with = type(plan).compute_with

    def count(self, run, number, pool, told):
        computed.append(number)
        compute_with(self, run, number, pool, told)

    monkeypatch.setattr(type(plan), "compute_with", count)
    run_blocks(plan, Progress())
    assert computed == [1, 2]
    plan.complete()
    expected = upscale(read_volume(scan), UpscaleParameters(method="tricubic")).data
    if suffix == ".nii":
        np.testing.assert_array_equal(read_volume(out).data, expected)
    else:
        import zarr

        array = zarr.open_array(str(out / "0"), mode="r")
        np.testing.assert_array_equal(array[:].transpose(2, 1, 0), expected)


def begun(scan, out, **options):
    plan = prepare(small_request(scan, out, **options))
    plan.compute(0)
    return plan.request


@pytest.mark.parametrize("change", ["method", "input", "fill", "bank", "journal"])
def test_another_run_starts_again_with_a_message(tmp_path, scan, make_bank, bank, change):
    out = tmp_path / "out.nii"
    parameters = UpscaleParameters(bank=bank, threads=1)
    request = begun(scan, out, parameters=parameters)
    if change == "method":
        request = replace(request, parameters=replace(parameters, method="nearest", bank=None))
    if change == "input":
        save_scan(scan, slope=(0.38, -12.5))
    if change == "fill":
        request = replace(request, fill_nonfinite=0.0)
    if change == "bank":
        make_bank((2, 2, 2), ("cell", "voxel", "voxel"), seed=1).save(bank)
    if change == "journal":
        (request.folder / "plan.json").write_text("{}")
    progress = Listen()
    plan = prepare(replace(request, resume=True), progress)
    assert plan.finished() == set()
    assert len(progress.said) == 1
    assert "starting again" in progress.said[0]


def test_run_is_resumed_with_other_threads(tmp_path, scan):
    request = begun(scan, tmp_path / "out.nii")
    threads = replace(request.parameters, threads=1)
    plan = prepare(replace(request, resume=True, parameters=threads))
    assert plan.finished() == {0}


def test_blocks_too_large_for_less_memory_start_again(tmp_path, scan):
    request = begun(scan, tmp_path / "out.nii", planes=128)
    smaller = small_request(scan, tmp_path / "out.nii").memory
    progress = Listen()
    plan = prepare(replace(request, resume=True, memory=smaller), progress)
    assert plan.finished() == set()
    assert "too large for --memory; starting again" in progress.said[0]


def test_unfinished_run_is_kept_without_overwrite(tmp_path, scan):
    request = begun(scan, tmp_path / "out.nii")
    with pytest.raises(OutputError, match="unfinished run exists; continue it with --resume"):
        prepare(request)
    assert prepare(replace(request, overwrite=True)).finished() == set()


def test_missing_blocks_are_an_error(tmp_path, scan):
    plan = prepare(small_request(scan, tmp_path / "out.nii"))
    plan.compute(1)
    with pytest.raises(OutputError, match="2 of 3 blocks are not computed"):
        plan.complete()
    assert not (tmp_path / "out.nii").exists()


def test_file_created_during_the_run_is_kept(tmp_path, scan):
    plan = prepare(small_request(scan, tmp_path / "out.nii"))
    for number in range(3):
        plan.compute(number)
    (tmp_path / "out.nii").write_bytes(b"somebody's")
    with pytest.raises(OutputError, match="exists already"):
        plan.complete()
    assert (tmp_path / "out.nii").read_bytes() == b"somebody's"


def test_partial_result_is_private(tmp_path, scan):
    plan = prepare(small_request(scan, tmp_path / "out.nii"))
    assert plan.request.folder.stat().st_mode & 0o077 == 0
    assert str(tmp_path) not in (plan.request.folder / "plan.json").read_text()


def test_without_indexed_gzip_the_input_is_unpacked_once(tmp_path, monkeypatch):
    from napari_mrisr.streaming import request as requests
    from napari_mrisr.streaming import source

    for module in (source, requests):
        monkeypatch.setattr(module, "has_indexed_gzip", lambda: False)
    path = save_scan(tmp_path / "scan.nii.gz")
    progress = Listen()
    plan = prepare(small_request(path, tmp_path / "out.nii"), progress)
    assert "unpacked into a private file" in progress.said[0]
    assert plan.aid.parent == plan.request.folder
    run_blocks(plan, progress)
    plan.complete()
    expected = upscale(read_volume(path), UpscaleParameters(method="tricubic")).data
    np.testing.assert_array_equal(read_volume(tmp_path / "out.nii").data, expected)
    assert {p.name for p in tmp_path.iterdir()} == {"scan.nii.gz", "out.nii"}


def test_nifti_from_a_frame_and_two_files(tmp_path):
    path = save_scan(tmp_path / "a.hdr", shape=(9, 8, 7), image_class=nib.Nifti1Pair)
    series = save_scan(tmp_path / "b.nii", shape=(9, 8, 7, 2), affine=OBLIQUE)
    for scan, frame in ((path, None), (series, 1)):
        out = tmp_path / f"{scan.stem}-out.nii"
        plan = prepare(small_request(scan, out, frame=frame))
        run_blocks(plan, Progress())
        plan.complete()
        expected = upscale(read_volume(scan, frame=frame), UpscaleParameters(method="tricubic"))
        np.testing.assert_array_equal(read_volume(out).data, expected.data)


class Watch(Progress):
    """Progress that records its tasks, and cancels after a number of steps of one."""

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
def test_progress_shows_every_step(tmp_path, scan, suffix):
    progress = Watch()
    plan = stream(small_request(scan, tmp_path / f"out{suffix}"), progress)
    assert [entry.name for entry in tmp_path.iterdir() if entry != scan] == [f"out{suffix}"]
    tasks = list(dict.fromkeys(task for task, _, _ in progress.seen))
    expected = ["reading scan.nii", "measuring the intensities", "tricubic 2x, 3 blocks"]
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
    [("intensities", 3), ("intensities", 70), ("hashed", 0), ("hashed", 5), ("compressing", 0)],
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
    assert kept == ({".out.nii.gz.part"} if resume and task != "intensities" else set())
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


def test_unusable_voxels_leave_no_file(tmp_path):
    path = save_scan(tmp_path / "scan.nii", dtype="<f4", slope=None)
    content = bytearray(path.read_bytes())
    content[-4:] = np.array([np.nan], "<f4").tobytes()
    path.write_bytes(content)
    with pytest.raises(ValueError, match="1 NaN"):
        stream(small_request(path, tmp_path / "out.nii", resume=True))
    assert list(tmp_path.iterdir()) == [path]


def test_older_result_stays_until_the_new_one_is_complete(tmp_path, scan):
    out = tmp_path / "out.nii"
    out.write_bytes(b"old")
    request = small_request(scan, out, overwrite=True)
    with pytest.raises(Cancelled):
        stream(request, Watch("tricubic"))
    assert out.read_bytes() == b"old"
    stream(request)
    assert len(out.read_bytes()) > 4 * 8 * 19 * 23 * 66


def test_a_second_run_of_the_same_output_is_refused(tmp_path, scan):
    request = small_request(scan, tmp_path / "out.nii")

    def second(plan):
        with pytest.raises(OutputError, match=r"out\.nii: another run is writing it"):
            stream(replace(request, overwrite=True))
        # And a third, which may resume.
        with pytest.raises(OutputError, match="another run"):
            stream(replace(request, resume=True))

    stream(request, prepared=second)
    assert {entry.name for entry in tmp_path.iterdir()} == {"scan.nii", "out.nii"}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_the_mean_fills_as_in_memory_also_after_a_resume(tmp_path, scan, suffix):
    data = nib.load(scan).get_fdata(dtype=np.float32)
    data[2:5, 3, 7] = np.nan
    path = tmp_path / f"nan{suffix}"
    nib.save(nib.Nifti1Image(data, nib.load(scan).affine), path)
    parameters = UpscaleParameters(method="tricubic", threads=1)
    expected = upscale(read_volume(path, fill_nonfinite="mean"), parameters)
    out = tmp_path / "out.nii"
    request = small_request(path, out, parameters, resume=True, fill_nonfinite="mean")
    plan = prepare(request)
    plan.compute(1)
    assert prepare(request) == plan
    stream(request)
    np.testing.assert_array_equal(read_volume(out).data, expected.data)


@pytest.mark.parametrize("name", ["labels_dseg.nii.gz", "unnamed.nii"])
def test_labels_are_refused_by_splines(tmp_path, name):
    labels = np.zeros((40, 40, 40), np.int16)
    labels[10:30, 8:20, 5:35], labels[15:25, 22:34, 9:30] = 2, 1035
    nib.save(nib.Nifti1Image(labels, np.eye(4)), tmp_path / name)
    before = set(tmp_path.iterdir())
    for method in ("tricubic", "hashed"):
        request = small_request(
            tmp_path / name, tmp_path / "out.nii", UpscaleParameters(method=method, threads=1)
        )
        with pytest.raises(VolumeError, match=f"{name}: holds labels .* use method nearest"):
            stream(request)
    assert set(tmp_path.iterdir()) == before
    parameters = UpscaleParameters(method="nearest", threads=1)
    stream(small_request(tmp_path / name, tmp_path / "out.nii", parameters))
    assert set(np.unique(read_volume(tmp_path / "out.nii").data)) == {0, 2, 1035}
