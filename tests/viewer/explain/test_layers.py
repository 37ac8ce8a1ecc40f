from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.progress import Cancelled, CancelToken, Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import BankError
from napari_mrisr.viewer.explain.layers import (
    ExplainRequest,
    OutputGrid,
    choose_model,
    likely_roles,
    scale_between,
)
from napari_mrisr.viewer.layers.convert import (
    LayerSnapshot,
    layer_data,
    series_layer_data,
    snapshot,
)

LR = Grid((10, 12, 15), np.diag([2.0, 2.4, 3.0, 1.0]))
TRUTH = LR.upsampled((2, 2, 2))
OTHER = Grid((8, 8, 8), np.eye(4))

SCALE = (2, 1, 3)
VOXELS = [(0, 0, 0), (19, 11, 44), (7, 3, 22)]


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
    first = ExplainRequest(source, high, bank, (2, 2, 2), (3, 4, 5))(Progress())
    assert first.explanation.voxel == (3, 4, 5)
    again = ExplainRequest(source, high, bank, (2, 2, 2), (6, 4, 5), first.prepared)(Progress())
    assert again.prepared is first.prepared
    assert again.explanation.truth is not None


def test_cancelled_before_the_work(lr):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        ExplainRequest(snapshot_of(lr, "lr"), None, load_bank("default-2x"), (2, 2, 2), None)(
            Progress(token)
        )


def output_grid(layer):
    return OutputGrid.of(layer, snapshot(layer), SCALE)


@pytest.mark.parametrize("which", ["volume", "oblique"])
def test_own_layers(which, request):
    volume = request.getfixturevalue(which)
    data, kwargs, _ = layer_data(volume, "lr")
    grid = output_grid(Image(data, **kwargs))
    fine_grid = volume.grid.upsampled(SCALE)
    assert grid.shape == fine_grid.shape
    fine = np.arange(np.prod(fine_grid.shape), dtype=np.float32).reshape(fine_grid.shape)
    data, kwargs, _ = layer_data(Volume(fine, fine_grid), "result")
    result = Image(data, **kwargs)
    for voxel in VOXELS:
        world = grid.world_of(voxel)
        np.testing.assert_allclose(result.data_to_world(grid.index_of(voxel)), world, atol=1e-4)
        assert result.data[tuple(grid.index_of(voxel))] == fine[voxel]
        assert grid.voxel_at(world) == voxel
        # Anywhere within the voxel counts.
        assert grid.voxel_at(np.array(world) + 0.2) == voxel


def test_layers_of_other_plugins(rng):
    """The world is (slice, row, column); the snapshot defines the voxels."""
    layer = Image(rng.random((5, 6, 7)), scale=(1.5, 1.0, 2.0), translate=(3, -4, 5))
    grid = output_grid(layer)
    volume = snapshot(layer).to_volume()
    for voxel in [(0, 0, 0), (13, 5, 14), (4, 3, 8)]:
        cell = tuple(n // s for n, s in zip(voxel, SCALE, strict=True))
        index = np.round(np.array(layer.world_to_data(grid.world_of(voxel)))).astype(int)
        assert layer.data[tuple(index)] == pytest.approx(float(volume.data[cell]))
        assert grid.voxel_at(grid.world_of(voxel)) == voxel


def test_series(volume):
    frames = np.stack([volume.data, volume.data + 1])
    data, kwargs, _ = series_layer_data(frames, volume, "series")
    grid = output_grid(Image(data, **kwargs))
    world = grid.world_of((7, 3, 22))
    assert grid.voxel_at((1.0, *world)) == (7, 3, 22)


def test_no_voxel_outside(volume):
    data, kwargs, _ = layer_data(volume, "lr")
    grid = output_grid(Image(data, **kwargs))
    first = np.array(grid.world_of((19, 11, 44)))
    assert grid.voxel_at(first) == (19, 11, 44)
    for axis in range(3):
        assert grid.voxel_at(first - 1.6 * np.eye(3)[axis]) is None


def test_thick_slices_are_explained_by_the_network_that_super_resolve_uses():
    thick = Grid((40, 40, 8), np.diag([1.0, 1.0, 4.5, 1.0]))
    network, scale = choose_model(None, thick, None)
    assert (network.name, scale) == ("thick-slices", (1, 1, 4.5))
    bank, scale = choose_model(None, Grid((40, 40, 40), np.eye(4)), None)
    assert (bank.name, scale) == ("default-2x", (2, 2, 2))
    bank, scale = choose_model("thick-4x", thick, None)
    assert (bank.name, scale) == ("thick-4x", (1, 1, 4))


def test_a_reference_decides_the_scale():
    low = Grid((20, 10, 20), np.diag([1.0, 2.0, 1.0, 1.0]))
    network, scale = choose_model("thick-slices", low, low.upsampled((1, 2, 1)))
    assert (network.name, scale) == ("thick-slices", (1, 2, 1))
    with pytest.raises(BankError, match="choose a network"):
        choose_model("thick-slices", Grid((40, 40, 40), np.eye(4)), None)
