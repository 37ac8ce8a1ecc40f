from __future__ import annotations

import numpy as np

from napari_mrisr.bank.hashing import ELEMENTS, element_offsets
from napari_mrisr.explain.neighborhood import blank_outside, turned_filter


def test_turned_filter_is_the_engines_for_all_symmetries(rng):
    """The engine turns the patch; turning the filter instead gives the same sum."""
    patch = rng.random((5, 5, 5)).astype(np.float32)
    weights = rng.normal(size=125).astype(np.float32)
    offsets = element_offsets(5, (25, 5, 1))
    for element in range(len(ELEMENTS)):
        wanted = patch.reshape(-1)[62 + offsets[element]].astype(float) @ weights
        turned = turned_filter(weights, 5, element)
        np.testing.assert_allclose((patch.astype(float) * turned).sum(), wanted, rtol=1e-9)


def test_blank_outside_places_what_is_inside(rng):
    data = rng.random((4, 5, 6)).astype(np.float32)
    found = blank_outside(lambda box: data[box.slices], (-1, 2, 4), (3, 4, 8), data.shape)
    assert found.shape == (4, 2, 4)
    np.testing.assert_array_equal(found[1:, :, :2], data[0:3, 2:4, 4:6])
    assert np.isnan(found[0]).all()
    assert np.isnan(found[:, :, 2:]).all()
