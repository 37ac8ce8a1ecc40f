"""Networks of several input channels over the tiles of a whole image."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.networks import convolution_model
from scipy import ndimage

from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import Cancelled
from napari_mrisr.networks import tiles
from napari_mrisr.networks.file import parse_network
from napari_mrisr.networks.tiles import over_tiles, tile_boxes

TOLD = [0.25, 0.5, 0.0]


@pytest.fixture
def kernel(rng):
    return rng.normal(0, 0.1, (2, 3, 3, 3, 3)).astype(np.float32)


@pytest.fixture
def network(kernel):
    return parse_network(convolution_model(kernel).SerializeToString(), "mine")


def test_tiles_join_to_a_convolution_of_the_whole(kernel, network, rng, monkeypatch):
    """By scipy, with zeros beyond the image; the bits are the same for any threads."""
    monkeypatch.setattr(tiles, "ACROSS", 7)
    monkeypatch.setattr(tiles, "ALONG", 5)
    image = rng.random((3, 15, 13, 11), dtype=np.float32)
    found = over_tiles(network, image, TOLD, ThreadPool(1))
    turned = kernel.transpose(0, 1, 3, 4, 2)
    for output in range(2):
        expected = sum(
            ndimage.correlate(image[channel], turned[output, channel], mode="constant")
            for channel in range(3)
        )
        np.testing.assert_allclose(found[..., output], expected, atol=1e-5)
    np.testing.assert_array_equal(found, over_tiles(network, image, TOLD, ThreadPool(3)))


def test_tiles_cover_every_voxel_once_and_are_counted(network, rng, monkeypatch):
    monkeypatch.setattr(tiles, "ACROSS", 7)
    shape, seen, ended = (15, 13, 70), np.zeros((15, 13, 70), int), []
    for box in tile_boxes(shape):
        seen[box.slices] += 1
    np.testing.assert_array_equal(seen, 1)
    part = tile_boxes(shape, Region((8, 0, 0), (9, 1, 70)))
    assert len(part) == 2 and all(box.start[:2] == (5, 0) for box in part)
    image = rng.random((3, *shape), dtype=np.float32)
    over_tiles(network, image, TOLD, ThreadPool(2), ended.append)
    assert sum(ended) == len(tile_boxes(shape)) == 3 * 2 * 2


def test_a_cancel_ends_between_tiles(network):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        over_tiles(network, np.ones((3, 4, 5, 6), np.float32), TOLD, ThreadPool(1, token))
