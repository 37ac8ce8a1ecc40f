"""Metrics against scikit-image, and what they say where they are undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_mrisr.errors import ParameterError
from napari_mrisr.evaluation import metrics
from napari_mrisr.evaluation.metrics import MetricSettings, mae, measure, psnr, rmse, ssim

SHAPE = (71, 23, 17)  # several slabs along x


@pytest.fixture
def pair(rng):
    truth = rng.random(SHAPE)
    image = np.clip(truth + 0.1 * rng.standard_normal(SHAPE), 0, 1)
    return truth.astype(np.float32), image.astype(np.float32)


@pytest.fixture
def mask(rng):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[0:40, 3:20, 2:17] = True  # touches two faces
    return mask & (rng.random(SHAPE) > 0.1)


def test_psnr_is_scikit_image_s(pair):
    truth, image = pair
    expected = peak_signal_noise_ratio(truth, image, data_range=1.0)
    assert psnr(truth, image, data_range=1.0) == pytest.approx(expected, abs=1e-6)


def test_psnr_of_a_known_error():
    truth = np.zeros((3, 4, 5))
    assert psnr(truth, truth + 0.1, data_range=1.0) == pytest.approx(20.0)
    assert psnr(truth, truth + 0.1, data_range=2.0) == pytest.approx(20.0 + 20 * math.log10(2))


def test_rmse_and_mae_of_a_known_error():
    truth = np.zeros((2, 3, 4))
    image = truth.copy()
    image[0] = 2.0  # half of the voxels
    image[0, 0] = -2.0
    assert rmse(truth, image) == pytest.approx(math.sqrt(2.0))
    assert mae(truth, image) == pytest.approx(1.0)


def test_only_masked_voxels_count(pair, mask):
    truth, image = pair
    worse = np.where(mask, image, 5.0).astype(np.float32)
    expected = peak_signal_noise_ratio(truth[mask], image[mask], data_range=1.0)
    assert psnr(truth, worse, mask=mask, data_range=1.0) == pytest.approx(expected, abs=1e-6)
    assert rmse(truth, worse, mask=mask) == pytest.approx(rmse(truth[mask], image[mask]))


@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_ssim_is_scikit_image_s_with_wang_s_settings(pair, data_range):
    truth, image = pair
    expected = structural_similarity(
        truth.astype(float),
        image.astype(float),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=data_range,
    )
    assert ssim(truth, image, data_range=data_range) == pytest.approx(expected, abs=1e-9)


def test_ssim_with_the_uniform_window_is_scikit_image_s_default(pair):
    truth, image = pair
    expected = structural_similarity(truth.astype(float), image.astype(float), data_range=2.0)
    found = ssim(truth, image, data_range=2.0, window="uniform")
    assert found == pytest.approx(expected, abs=1e-9)


def test_ssim_inside_a_mask_is_the_mean_of_scikit_image_s_map(pair, mask):
    truth, image = pair
    _, full = structural_similarity(
        truth.astype(float),
        image.astype(float),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )
    assert ssim(truth, image, mask=mask, data_range=1.0) == pytest.approx(
        full[mask].mean(), abs=1e-9
    )


def test_slabs_do_not_change_ssim(pair, mask, monkeypatch):
    truth, image = pair
    sliced = ssim(truth, image, mask=mask, data_range=1.0)
    monkeypatch.setattr(metrics, "_SLAB_PLANES", 1000)
    assert ssim(truth, image, mask=mask, data_range=1.0) == pytest.approx(sliced, abs=1e-12)


def test_measure_agrees_with_the_single_metrics(pair, mask):
    truth, image = pair
    settings = MetricSettings(ssim_range=2.0, ssim_window="uniform")
    found = measure(truth, image, {"full": None, "head": mask}, settings)
    assert found["full"].psnr_db == psnr(truth, image, data_range=1.0)
    assert found["head"].psnr_db == psnr(truth, image, mask=mask, data_range=1.0)
    for name, where in (("full", None), ("head", mask)):
        alone = ssim(truth, image, mask=where, data_range=2.0, window="uniform")
        assert found[name].ssim == pytest.approx(alone, abs=1e-12)
        assert found[name].note == ""


def test_equal_images_are_infinitely_good():
    constant = np.full((12, 13, 14), 0.5)
    found = measure(constant, constant, {"full": None})["full"]
    assert found.psnr_db == math.inf
    assert found.ssim == pytest.approx(1.0)
    assert "equal" in found.note


def test_an_empty_mask_is_undefined_and_says_so(pair):
    truth, image = pair
    empty = np.zeros(SHAPE, dtype=bool)
    assert math.isnan(psnr(truth, image, mask=empty, data_range=1.0))
    assert math.isnan(rmse(truth, image, mask=empty))
    assert math.isnan(mae(truth, image, mask=empty))
    found = measure(truth, image, {"head": empty})["head"]
    assert math.isnan(found.psnr_db)
    assert math.isnan(found.ssim)
    assert found.note == "the mask is empty"


def test_a_volume_thinner_than_the_window_has_a_psnr_but_no_ssim(rng):
    truth, image = rng.random((2, 20, 30, 10))
    found = measure(truth, image, {"full": None})["full"]
    assert math.isfinite(found.psnr_db)
    assert math.isnan(found.ssim)
    assert "11 voxels" in found.note
    assert math.isfinite(ssim(truth, image, window="uniform", data_range=1.0))


def test_not_finite_values_are_undefined(pair):
    truth, image = pair
    image = image.copy()
    image[3, 4, 5] = np.nan
    found = measure(truth, image, {"full": None})["full"]
    assert math.isnan(found.psnr_db)
    assert "not finite" in found.note


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"data_range": 0.0}, "0.0"),
        ({"data_range": -2.0}, "-2.0"),
        ({"data_range": math.inf}, "inf"),
        ({"window": "box"}, "'box'"),
        ({"mask": np.ones((3, 4, 5), dtype=bool)}, "(3, 4, 5)"),
        ({"mask": np.ones(SHAPE, dtype=np.uint8)}, "uint8"),
    ],
)
def test_impossible_arguments_are_named(pair, arguments, value):
    with pytest.raises(ParameterError) as caught:
        ssim(*pair, **{"data_range": 1.0, **arguments})
    assert value in str(caught.value)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_the_data_range_must_be_given(pair, metric):
    with pytest.raises(TypeError, match="data_range"):
        metric(*pair)


def test_shapes_must_agree():
    with pytest.raises(ParameterError, match=r"\(3, 4, 6\).*\(3, 4, 5\)"):
        psnr(np.zeros((3, 4, 5)), np.zeros((3, 4, 6)), data_range=1.0)


def test_settings_describe_themselves():
    words = MetricSettings(ssim_range=2.0, ssim_window="uniform").describe()
    assert words == "PSNR range 1; SSIM range 2, window uniform 7³"
    with pytest.raises(ParameterError, match="SSIM window"):
        MetricSettings(ssim_window="box")
