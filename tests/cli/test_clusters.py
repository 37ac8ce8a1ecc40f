"""Plans on a cluster whose workers are this process."""

from __future__ import annotations

import contextlib
import copy
import pickle
from pathlib import Path

import pytest

from napari_mrisr.cli import clusters
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import MrisrError, VolumeError

from .conftest import make_scan

FAST = ("--method", "tricubic")


class InProcessCluster:
    """A cluster that carries tasks out here."""

    slots = 1

    def each(self, task, items, progress, *shared):
        for item in items:
            pickle.dumps((task, shared, item))  # as they would be sent
            try:
                yield task(*copy.deepcopy(shared), item, ThreadPool())
            except MrisrError as error:
                yield error
            progress.advance()

    def stop(self):
        pass


@pytest.fixture
def cluster(monkeypatch):
    """Let ``--dask`` connect to a cluster in this process."""

    @contextlib.contextmanager
    def connect(address, threads):
        yield InProcessCluster(), "no dashboard"

    monkeypatch.setattr("napari_mrisr.cluster.connect.connect", connect)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in (1, 2, 3):
        make_scan(folder / f"sub-0{number}_T1w.nii", number, (29, 34, 25))
    return folder


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ZeroDivisionError("a fault of ours"), 1, "ZeroDivisionError: a fault of ours"),
        (MemoryError(), 2, "not enough memory on a worker"),
        (VolumeError("sub-02_T1w.nii: is damaged; copy it again"), 2, "is damaged"),
    ],
)
def test_a_file_that_fails_on_a_worker_does_not_stop_the_others(
    run, cluster, folder, tmp_path, files, monkeypatch, error, code, words
):
    from napari_mrisr import io

    read = io.read_volume

    def fail(path, **options):
        if Path(path).name == "sub-02_T1w.nii":
            raise error
        return read(path, **options)

    monkeypatch.setattr(io, "read_volume", fail)
    found = run("upscale", folder, tmp_path / "out", *FAST, "--dask", "here")
    assert found.code == code
    failed, summary = found.err.splitlines()[-2:]
    assert words in failed
    assert "sub-02_T1w.nii" in failed
    assert summary == "napari-mrisr: error: 1 failed, 2 done"
    assert "out/sub-03_desc-sr2x_T1w.nii" in files()


def test_cautions_of_workers_are_shown_and_summed_up(run, cluster, folder, bank, tmp_path):
    found = run("upscale", folder, tmp_path / "out", "--bank", bank, "--dask", "here")
    assert found.code == 0, found.err
    lines = [line for line in found.err.splitlines() if ": caution: " in line]
    assert lines
    assert lines[0].startswith("sub-01_T1w.nii: caution: ")
    assert "cautions in 3 scans: " in found.err


def test_a_plan_is_sent_without_its_method(folder, tmp_path):
    from napari_mrisr.cli.jobs import FilePlan, read_scan
    from napari_mrisr.methods import get_method

    scan = read_scan(folder / "sub-01_T1w.nii", None)
    plan = FilePlan(scan, Path("o.nii"), (2, 2, 2), get_method("hashed", (2, 2, 2)))
    sent = clusters._for_worker(plan)
    assert sent.method is None
    assert sent.out == Path.cwd() / "o.nii"
    assert len(pickle.dumps(sent)) < 10_000
