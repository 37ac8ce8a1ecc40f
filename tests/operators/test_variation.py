"""Total variation: closed forms, scikit-image's solver."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.restoration import denoise_tv_chambolle

from napari_mrisr.errors import Cancelled
from napari_mrisr.operators.variation import VariationProx, total_variation


def test_a_box_has_its_surface_and_a_ramp_its_slope():
    box = np.zeros((9, 11, 13), np.float32)
    box[2:5, 3:7, 4:9] = 1.0
    # Each face counts once; at the three low edges and the corner two or three differences meet.
    faces = 2 * (3 * 4 + 4 * 5 + 3 * 5)
    edges = (3 + 4 + 5 - 3) * (2 - np.sqrt(2)) + (3 - np.sqrt(3))
    assert total_variation(box, (1.0, 1.0, 1.0)) == pytest.approx(faces - edges, rel=1e-5)
    ramp = np.broadcast_to(np.arange(13, dtype=np.float32), (3, 4, 13))
    assert total_variation(ramp, (1.0, 1.0, 2.0)) == pytest.approx(3 * 4 * 12 / 2.0)


@pytest.mark.parametrize("weight", [0.02, 0.3])
def test_the_minimizer_is_that_of_scikit_image(weight):
    image = np.random.default_rng(0).random((7, 9, 8), np.float32)
    expected = denoise_tv_chambolle(
        image.astype(np.float64), weight=weight, eps=1e-12, max_num_iter=20_000
    )
    found = VariationProx((1.0, 1.0, 1.0), rounds=2_000)(image, weight)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_voxels_count_by_their_size():
    """Along one axis alone, a voxel of 2 mm is a voxel of 1 mm of half the weight."""
    line = np.random.default_rng(0).random((1, 1, 30), np.float32)
    thick = VariationProx((1.0, 1.0, 2.0), rounds=3_000)(line, 0.2)
    thin = VariationProx((1.0, 1.0, 1.0), rounds=3_000)(line, 0.1)
    np.testing.assert_allclose(thick, thin, atol=1e-4)


def test_no_weight_changes_nothing_and_a_cancel_raises():
    image = np.random.default_rng(0).random((3, 4, 5), np.float32)
    assert VariationProx((1.0,) * 3)(image, 0.0) is image

    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        VariationProx((1.0,) * 3)(image, 0.1, cancel)
