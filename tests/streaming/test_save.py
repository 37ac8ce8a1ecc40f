"""A volume saved as OME-Zarr: whole or not at all, a box at a time."""

from __future__ import annotations

import errno
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import OutputError
from napari_mrisr.streaming import save
from napari_mrisr.streaming.ngff import open_ngff
from napari_mrisr.streaming.save import save_zarr
from napari_mrisr.streaming.zarr_files import ZarrTarget

pytest.importorskip("zarr")

GRID = Grid((70, 66, 131), np.diag([0.5, 0.75, 1.25, 1.0]))


@pytest.fixture
def data(rng):
    return rng.random(GRID.shape, dtype=np.float32)


def put(data, out, **options):
    boxes = []

    def take(region):
        boxes.append(region.shape)
        return data[region.slices]

    save_zarr(take, GRID, out, history={"method": "m"}, limits=(0.1, 0.9), **options)
    return boxes


@pytest.mark.parametrize("threads", [1, 3])
def test_boxes_make_up_the_volume(tmp_path, data, monkeypatch, threads):
    monkeypatch.setattr(save, "_BLOCK", (64, 64, 64))
    boxes = put(data, tmp_path / "a.ome.zarr", threads=threads)
    assert len(boxes) == 2 * 2 * 3
    image = open_ngff(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(image.levels[0][:], data.transpose(2, 1, 0))
    np.testing.assert_array_equal(image.affine, GRID.affine)
    assert (image.limits, image.history) == ((0.1, 0.9), {"method": "m"})
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_an_older_one_is_replaced_when_asked(tmp_path, data):
    out = tmp_path / "a.ome.zarr"
    put(data, out)
    with pytest.raises(OutputError, match=r"a\.ome\.zarr: exists already"):
        put(1 - data, out)
    (out / "stale").touch()
    put(1 - data, out, overwrite=True)
    assert not (out / "stale").exists()
    np.testing.assert_array_equal(open_ngff(out).levels[0][:], 1 - data.transpose(2, 1, 0))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_a_strange_folder_stays(tmp_path, data):
    out = tmp_path / "a.ome.zarr"
    out.mkdir()
    (out / "thesis.txt").touch()
    with pytest.raises(OutputError, match="is a folder"):
        put(data, out, overwrite=True)
    assert (out / "thesis.txt").exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(tmp_path, data, monkeypatch, error):
    out = tmp_path / "a.ome.zarr"
    put(data, out)

    def fail(self, progress):
        raise error

    monkeypatch.setattr(ZarrTarget, "finish", fail)
    with pytest.raises((OutputError, KeyboardInterrupt), match=r"the disk is full|^$"):
        put(1 - data, out, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.zarr"]
    np.testing.assert_array_equal(open_ngff(out).levels[0][:], data.transpose(2, 1, 0))


def test_room_is_asked_for_first(tmp_path, data, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1 << 20))
    with pytest.raises(OutputError, match="needs 2 MiB and the disk has 1"):
        put(data, tmp_path / "a.ome.zarr")
    assert not list(tmp_path.iterdir())
