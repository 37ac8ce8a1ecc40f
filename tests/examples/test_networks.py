"""The gallery of networks: their numbers, and that the product opens every family."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import napari_mrisr as sr
from napari_mrisr.core.volume import Region

FOLDER = Path(__file__).parents[2] / "examples" / "networks"


@pytest.fixture
def gallery(monkeypatch):
    """Function that imports a file of the gallery."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in ("task", "train", "architectures", "compare"):
        sys.modules.pop(name, None)


def test_halves_do_not_overlap_and_the_lesion_is_in_the_left_one(gallery):
    task = gallery("task")
    left, right = task.halves()
    assert left.grid.corners()[:, 0].max() == pytest.approx(right.grid.corners()[:, 0].min())
    lesions = task.halves("phantom_lesion.nii.gz")
    assert lesions[0].data.any()
    assert not lesions[1].data.any()


def test_the_numbers_of_truth_and_of_interpolation(gallery, monkeypatch):
    compare = gallery("compare")
    whole = compare.halves

    def small(*names):
        return tuple(v.cropped((0, 100, 60), (72, 40, 80)) for v in whole(*names))

    monkeypatch.setattr(compare, "halves", small)
    task = compare.Task()
    cubic = task.run("cubic", "", method="tricubic")
    zero = np.zeros_like(cubic.inconsistency)
    truth = compare.Result("truth", task.image, "", 0.0, zero)
    _, wrong, detail, right, kept = map(float, task.numbers(truth, cubic))
    assert (wrong, detail, right, kept) == (0.0, 1.0, 1.0, 1.0)
    gain, wrong, detail, _, kept = map(float, task.numbers(cubic, cubic))
    assert gain == 0.0
    assert wrong > 0.5
    assert detail < 0.1
    assert kept < 0.9


@pytest.mark.parametrize("name", ["unet", "edsr", "rdn", "swinir", "srgan"])
def test_every_family_is_opened(gallery, tmp_path, rng, name):
    pytest.importorskip("torch", reason="networks are defined in PyTorch, an extra")
    train = gallery("train")
    from napari_mrisr.methods.foreign import inspect_network

    path = tmp_path / f"{name}.onnx"
    network = train.GALLERY[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's exporter
        train.export(network, path, "not trained")
    _, needs, _, _ = inspect_network(str(path))
    assert needs.output == network.NEEDS["output"]
    assert needs.degradation == train.DEGRADATION
    data = rng.random((21, 18, 13), dtype=np.float32)
    scan = sr.Volume(data, sr.Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0]))).normalized()
    method = sr.get_method("network", (1, 1, 4), str(path))
    found = method.compute(scan, Region.whole((21, 18, 52)))
    part = Region((3, 2, 11), (17, 9, 30))
    np.testing.assert_array_equal(method.compute(scan, part), found[part.slices])
