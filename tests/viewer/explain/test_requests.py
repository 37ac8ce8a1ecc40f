from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.progress import Cancelled, CancelToken, Progress
from napari_mrisr.core.volume import Grid
from napari_mrisr.viewer.explain.requests import ExplainRequest, likely_roles, scale_between
from napari_mrisr.viewer.layers.convert import LayerSnapshot

LR = Grid((10, 12, 15), np.diag([2.0, 2.4, 3.0, 1.0]))
TRUTH = LR.upsampled((2, 2, 2))
OTHER = Grid((8, 8, 8), np.eye(4))


@pytest.mark.parametrize(
    ("layers", "roles"),
    [
        ([], (None, None)),
        ([("scan", OTHER, {})], (0, None)),
        ([("head", TRUTH, {}), ("head LR", LR, {"degraded_by": "2"})], (1, 0)),
        ([("head LR", LR, {}), ("other", OTHER, {}), ("head", TRUTH, {})], (0, 2)),
        ([("head LR", LR, {"degraded_by": "2"}), ("r", TRUTH, {"method": "hashed"})], (0, None)),
        ([("r", TRUTH, {"method": "hashed"})], (0, None)),
    ],
)
def test_likely_roles(layers, roles):
    assert likely_roles(layers) == roles


def test_scale_between():
    assert scale_between(LR.upsampled((3, 1, 2)), LR) == (3, 1, 2)
    assert scale_between(OTHER, LR) is None


def snapshot_of(volume, name):
    return LayerSnapshot(
        name, volume.data, volume.grid, np.array([[0, 1], [1, 1], [2, 1]]), None, {}
    )


def test_prepared_volumes_are_reused(truth, lr):
    bank = load_bank("default-2x")
    source, high = snapshot_of(lr, "lr"), snapshot_of(truth, "truth")
    first = ExplainRequest(source, high, bank, (3, 4, 5))(Progress())
    assert first.explanation.voxel == (3, 4, 5)
    again = ExplainRequest(source, high, bank, (6, 4, 5), first.prepared)(Progress())
    assert again.prepared is first.prepared
    assert again.explanation.truth is not None


def test_cancelled_before_the_work(lr):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        ExplainRequest(snapshot_of(lr, "lr"), None, load_bank("default-2x"), None)(Progress(token))
