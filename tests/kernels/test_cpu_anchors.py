"""The nearest anchor: the fast kernel equals the reference."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.kernels import cpu_anchors, reference


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize(("inputs", "dimensions", "anchors"), [(7, 3, 5), (27, 9, 33), (1, 1, 1)])
def test_the_kernel_equals_the_reference(inputs, dimensions, anchors, mirrored, rng):
    rows, projection, points = (
        rng.normal(size=shape).astype(np.float32)
        for shape in ((41, inputs), (inputs, dimensions), (dimensions, anchors))
    )
    offsets = (-0.5 * np.square(points).sum(axis=0)).astype(np.float32)
    arguments = (rows, projection, points, offsets, mirrored)
    found = cpu_anchors.nearest_anchor(*arguments)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, reference.nearest_anchor(*arguments))


@pytest.mark.parametrize("nearest", [cpu_anchors.nearest_anchor, reference.nearest_anchor])
def test_of_equal_anchors_the_first_wins_and_mirrored_ones_serve_their_negative(nearest):
    rows = np.array([[0, 0], [1, 0.1], [-1, -0.1], [0.1, 2]], np.float32)
    points = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    one, none = np.eye(2, dtype=np.float32), np.zeros(3, np.float32)
    assert nearest(rows, one, points, none, True).tolist() == [0, 0, 0, 1]
    assert nearest(rows, one, points, none, False).tolist() == [0, 0, 1, 1]
