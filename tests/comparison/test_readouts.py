"""Numbers of regions against scikit-image and numpy; every dash and its reason."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from helpers.scans import head
from nibabel.affines import apply_affine
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_mrisr.comparison import readouts
from napari_mrisr.comparison.measures import VolumeCache
from napari_mrisr.comparison.readouts import NumberBook
from napari_mrisr.comparison.roi import BoxRoi, LabelRoi
from napari_mrisr.comparison.state import RoiBox
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Grid, IntensityWindow, Volume
from napari_mrisr.errors import Cancelled, ParameterError
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.scan.masks import head_mask

SHAPE = (44, 38, 46)
TURN = Rotation.from_euler("xyz", [8, -12, 20], degrees=True).as_matrix()


def grid_of(matrix, shape=SHAPE):
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = -matrix @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


GRID = grid_of(np.diag([0.9, 1.4, 1.1]))
OBLIQUE = grid_of(TURN @ np.diag([0.9, 1.4, 1.1]))


def scans(grid=GRID):
    """A reference and two volumes that differ from it, off by a little everywhere."""
    rng = np.random.default_rng(3)
    truth = head(3, grid.shape) + rng.normal(0, 4, grid.shape).astype(np.float32)
    noisy = truth + rng.normal(2, 20, grid.shape).astype(np.float32)
    return {
        "truth": Volume(truth, grid),
        "noisy": Volume(noisy, grid),
        "bright": Volume(1.05 * truth, grid),
    }


def box(center, size, shape="box", turn=None, name="r"):
    turn = np.eye(3) if turn is None else turn
    axes = tuple(map(float, turn.ravel()))
    return BoxRoi(RoiBox(name, shape, tuple(map(float, center)), tuple(map(float, size)), axes))


def book(volumes, columns=None, **options):
    columns = tuple(columns or (key for key in volumes if key != "truth"))
    return NumberBook(volumes, columns, **{"truth": "truth", **options})


def similarity(truth, image, data_range, full=False):
    return structural_similarity(
        truth.astype(float),
        image.astype(float),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=data_range,
        full=full,
    )


def data_range_of(volume):
    window = IntensityWindow.of(volume.data)
    return window.high - window.low


def row_of(table, key):
    return next(row for row in table.rows if row.volume == key)


def number(table, key, name):
    return row_of(table, key).values[name].value


def check_moments(table, key, truth, image):
    """All but the SSIM, of the voxels given."""
    truth, image = truth.astype(float), image.astype(float)
    error = image - truth
    expected = {
        "rmse": math.sqrt((error**2).mean()),
        "mae": np.abs(error).mean(),
        "bias": error.mean(),
        "n": image.size,
        "mean": image.mean(),
        "sd": image.std(ddof=1),
    }
    for name, value in expected.items():
        assert number(table, key, name) == pytest.approx(value, rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("grid", [GRID, OBLIQUE], ids=["upright", "oblique"])
def test_boxes_have_scikit_image_s_numbers(rng, grid):
    """Random boxes of the grid's voxels, some over the edge."""
    volumes = scans(grid)
    numbers = book(volumes)
    data_range = data_range_of(volumes["truth"])
    clipped = 0
    for _ in range(12):
        start = rng.integers(-4, np.array(SHAPE) - 12)
        stop = start + rng.integers(16, 30, 3)
        middle = apply_affine(grid.affine, (start + stop - 1) / 2)
        turn = TURN if grid is OBLIQUE else np.eye(3)
        table = numbers.region(box(middle, (stop - start) * grid.voxel_size, "box", turn))
        inside = tuple(slice(max(0, a), b) for a, b in zip(start, stop, strict=True))
        truth = volumes["truth"].data[inside]
        clipped += "outside the field of view" in table.rows[0].basis.mask
        for key in ("noisy", "bright"):
            image = volumes[key].data[inside]
            check_moments(table, key, truth, image)
            psnr = peak_signal_noise_ratio(
                truth.astype(float), image.astype(float), data_range=data_range
            )
            assert number(table, key, "psnr") == pytest.approx(psnr, abs=1e-6)
            ssim = similarity(truth, image, data_range)
            assert number(table, key, "ssim") == pytest.approx(ssim, abs=1e-6)
    assert 0 < clipped < 12


@pytest.mark.parametrize("turn", [np.eye(3), TURN], ids=["upright", "oblique"])
@pytest.mark.parametrize("shape", ["ellipsoid", "box"])
def test_other_shapes_average_the_map_of_their_box(rng, shape, turn):
    volumes = scans()
    data_range = data_range_of(volumes["truth"])
    numbers = book(volumes)
    for _ in range(4):
        roi = box(rng.uniform(-8, 8, 3), rng.uniform(24, 36, 3), shape, turn)
        selection = roi.select(GRID)
        table = numbers.region(roi)
        truth = volumes["truth"].data[selection.region.slices]
        image = volumes["noisy"].data[selection.region.slices]
        check_moments(table, "noisy", truth[selection.mask], image[selection.mask])
        _, full = similarity(truth, image, data_range, full=True)
        inner = (slice(5, -5),) * 3
        expected = full[inner][selection.mask[inner]].mean()
        assert number(table, "noisy", "ssim") == pytest.approx(expected, abs=1e-6)


def test_numbers_of_a_box_do_not_depend_on_what_lies_outside(rng):
    volumes = scans()
    roi = box((1, 2, 3), (18, 21, 17))
    selection = roi.select(GRID)
    outside = np.ones(SHAPE, bool)
    outside[selection.region.slices] = False
    order = rng.permutation(int(outside.sum()))
    changed = {}
    for key, volume in volumes.items():
        data = volume.data.copy()
        data[outside] = data[outside][order]  # shuffled: the data range stays
        changed[key] = Volume(data, GRID)
    assert book(volumes).region(roi) == book(changed).region(roi)
    sharp = [book(v, truth=None).region(roi) for v in (volumes, changed)]
    assert sharp[0] == sharp[1]


def test_the_head_is_scikit_image_s_map_inside_the_mask():
    volumes = scans()
    data_range = data_range_of(volumes["truth"])
    table = book(volumes).head()
    mask = head_mask(volumes["truth"].data)
    assert table.rows[0].region == "head"
    truth, image = volumes["truth"].data, volumes["noisy"].data
    check_moments(table, "noisy", truth[mask], image[mask])
    _, full = similarity(truth, image, data_range, full=True)
    fits = np.zeros(SHAPE, bool)
    fits[5:-5, 5:-5, 5:-5] = True
    expected = full[mask & fits].mean()
    assert number(table, "noisy", "ssim") == pytest.approx(expected, abs=1e-6)
    assert "field of view" in row_of(table, "noisy").basis.ssim_window


@pytest.mark.parametrize("grid", [GRID.degraded((2, 2, 2)), OBLIQUE], ids=["coarse", "oblique"])
def test_a_volume_on_another_grid_is_interpolated_at_the_truth_s_voxels(rng, grid):
    volumes = scans()
    other = Volume(rng.normal(300, 40, grid.shape).astype(np.float32), grid)
    roi = box((2, -1, 1), (16, 20, 18))
    table = book({"truth": volumes["truth"], "lr": other}).region(roi)
    region = roi.select(GRID).region
    index = np.moveaxis(np.indices(SHAPE)[(slice(None), *region.slices)], 0, -1)
    world = apply_affine(GRID.affine, index)
    at = apply_affine(np.linalg.inv(grid.affine), world)
    image = map_coordinates(other.data.astype(float), np.moveaxis(at, -1, 0), order=1)
    truth = volumes["truth"].data[region.slices].astype(float)
    assert number(table, "lr", "rmse") == pytest.approx(math.sqrt(((image - truth) ** 2).mean()))
    ssim = similarity(truth, image, data_range_of(volumes["truth"]))
    assert number(table, "lr", "ssim") == pytest.approx(ssim, abs=1e-6)
    assert "trilinear" in row_of(table, "lr").values["psnr"].protocol
    assert "the same voxels" in row_of(table, "truth").values["mean"].protocol


def test_the_truth_has_a_row_without_errors():
    volumes = scans()
    table = book(volumes).region(box((0, 0, 0), (20, 20, 20)))
    assert [row.volume for row in table.rows] == ["truth", "noisy", "bright"]
    assert [row.is_reference for row in table.rows] == [True, False, False]
    for name in ("psnr", "ssim", "rmse", "mae", "bias"):
        value = table.rows[0].values[name]
        assert (value.text, value.reason) == ("–", "this is the reference")
    shown = book(volumes, ("noisy", "truth")).region(box((0, 0, 0), (20, 20, 20)))
    assert [row.volume for row in shown.rows] == ["noisy", "truth"]
    mean = volumes["truth"].data[box((0, 0, 0), (20, 20, 20)).select(GRID).region.slices].mean()
    assert number(shown, "truth", "mean") == pytest.approx(float(mean), rel=1e-5)


def test_equal_images_are_infinitely_good_and_say_why():
    truth = scans()["truth"]
    row = row_of(book({"truth": truth, "same": truth}).region(box((0, 0, 0), (20, 20, 20))), "same")
    assert (row.values["psnr"].text, row.values["psnr"].reason) == (
        "∞",
        "the images are equal here",
    )
    assert row.values["ssim"].value == pytest.approx(1.0)
    assert row.values["rmse"].text == "0"


# Dashes: what is asked for, whose row, which quantities, and the reason.
def dash(table, key, names, why):
    row = row_of(table, key)
    for name in names:
        value = row.values[name]
        assert math.isnan(value.value), name
        assert value.text == "–"
        assert why in value.reason, name
    for name in set(row.values) - set(names):
        assert math.isfinite(row.values[name].value), name


ALL = ("psnr", "ssim", "rmse", "mae", "bias", "n", "mean", "sd")


def test_outside_the_field_of_view_all_is_undefined():
    table = book(scans()).region(box((300, 0, 0), (20, 20, 20)))
    dash(table, "noisy", ALL, "outside the field of view")
    dash(table, "truth", ALL, "")


def test_a_region_without_a_voxel_center_has_none():
    table = book(scans()).region(box(apply_affine(GRID.affine, (9, 9, 9.5)), (9, 9, 0.4)))
    dash(table, "noisy", [name for name in ALL if name != "n"], "no voxel's center")
    assert row_of(table, "noisy").values["n"].text == "0"


def test_one_voxel_has_no_sd_and_no_ssim():
    table = book(scans()).region(box(apply_affine(GRID.affine, (9, 9, 9)), (0.8, 1.3, 1.0)))
    assert row_of(table, "noisy").values["n"].text == "1"
    assert row_of(table, "noisy").values["sd"].reason == "one voxel has no SD"
    assert row_of(table, "noisy").values["rmse"].value > 0
    assert row_of(table, "noisy").values["ssim"].reason == "needs 11 voxels per axis, has 1"
    dash(table, "noisy", ["sd", "ssim"], "")


def test_ssim_needs_its_window():
    table = book(scans()).region(box((0, 0, 0), (7 * 0.9, 30, 30)))
    dash(table, "noisy", ["ssim"], "needs 11 voxels per axis, has 7")


def test_ssim_needs_a_voxel_whose_window_fits():
    mask = np.zeros(SHAPE, bool)
    mask[10, 10, 10], mask[22, 22, 22] = True, True
    table = book(scans()).region(LabelRoi("two", mask, GRID))
    dash(table, "noisy", ["ssim"], "no window of 11 voxels")


def test_ssim_against_a_constant_truth_is_undefined():
    volumes = scans()
    data = volumes["truth"].data.copy()
    data[5:25, 5:25, 5:25] = 123.4
    volumes["truth"] = Volume(data, GRID)
    middle = apply_affine(GRID.affine, (14, 14, 14))
    table = book(volumes).region(box(middle, np.array(GRID.voxel_size) * 15))
    dash(table, "noisy", ["ssim"], "the reference is constant here")
    assert row_of(table, "truth").values["sd"].value == 0.0


def test_a_truth_that_is_constant_everywhere_has_no_data_range():
    volumes = scans() | {"truth": Volume(np.full(SHAPE, 5.0, np.float32), GRID)}
    table = book(volumes).region(box((0, 0, 0), (20, 20, 20)))
    dash(table, "noisy", ["psnr", "ssim"], "the reference is constant")
    equal = book({"truth": volumes["truth"], "same": volumes["truth"]})
    dash(equal.region(box((0, 0, 0), (20, 20, 20))), "same", ["psnr", "ssim"], "constant")


def test_a_few_missing_values_are_left_out_and_counted():
    volumes = scans()
    data = volumes["noisy"].data.copy()
    data[20, 20, 20:23] = np.nan, np.inf, -np.inf
    table = book(volumes | {"noisy": Volume(data, GRID)}).region(box((0, 0, 0), (20, 20, 20)))
    region = box((0, 0, 0), (20, 20, 20)).select(GRID).region
    known = np.isfinite(data[region.slices])
    truth = volumes["truth"].data[region.slices]
    check_moments(table, "noisy", truth[known], data[region.slices][known])
    assert "3 without a value not counted" in row_of(table, "noisy").values["rmse"].protocol
    assert math.isfinite(number(table, "noisy", "ssim"))
    assert "left out" not in row_of(table, "bright").values["rmse"].protocol


def test_a_volume_that_covers_only_part_of_the_region_has_no_numbers():
    volumes = scans()
    half = volumes["noisy"].cropped((0, 0, 0), (22, 38, 46))
    table = book(volumes | {"noisy": half}).region(box((0, 0, 0), (20, 20, 20)))
    errors = [name for name in ALL if name != "n"]
    dash(table, "noisy", errors, "outside its field of view")
    whole = row_of(table, "truth").values["n"].value
    assert number(table, "noisy", "n") == pytest.approx(whole / 2, rel=0.05)
    percent = 100 * (1 - number(table, "noisy", "n") / whole)
    dash(table, "noisy", errors, f"no value in {percent:.3g} % of the region")


def test_without_a_truth_each_volume_is_measured_on_its_own_voxels():
    volumes = scans()
    lr = degrade(volumes["truth"], (2, 2, 2))
    roi = box((0, 0, 0), (21, 22, 23))
    table = NumberBook({**volumes, "lr": lr}, ("noisy", "lr")).region(roi)
    for key, volume in (("noisy", volumes["noisy"]), ("lr", lr)):
        part = volume.data[roi.select(volume.grid).region.slices].astype(float)
        assert number(table, key, "n") == part.size
        assert number(table, key, "sd") == pytest.approx(part.std(ddof=1))
        inner = (slice(1, -1),) * 3
        slopes = np.gradient(part, *volume.grid.voxel_size)
        size = np.sqrt(sum(slope**2 for slope in slopes))[inner]
        expected = 100 * size.sum() / part[inner].sum()
        assert number(table, key, "sharpness") == pytest.approx(expected)
        assert row_of(table, key).values["consistency"].reason == "given for the head"
        assert "its own" in row_of(table, key).basis.grid


def test_sharpness_is_undefined_in_thin_regions_and_around_zero():
    volumes = scans()
    thin = NumberBook(volumes, ("noisy",)).region(box((0, 0, 0), (1.8, 20, 20)))
    assert row_of(thin, "noisy").values["sharpness"].reason == "needs 3 voxels per axis"
    dark = {"noisy": Volume(-volumes["noisy"].data, GRID)}
    table = NumberBook(dark, ("noisy",)).region(box((0, 0, 0), (20, 20, 20)))
    assert "not positive" in row_of(table, "noisy").values["sharpness"].reason


def test_consistency_is_the_rmse_of_the_degraded_volume():
    volumes = scans()
    lr = degrade(volumes["truth"], (2, 1, 2))
    numbers = NumberBook({**volumes, "lr": lr}, ("noisy", "truth", "lr"), measured="lr")
    table = numbers.head()
    mask = head_mask(volumes["noisy"].data)
    # Each low-resolution voxel's center lies on a border of fine ones: the upper belongs.
    mask = mask[1::2, :, 1::2]
    error = (degrade(volumes["noisy"], (2, 1, 2)).data - lr.data)[mask].astype(float)
    percent = 100 * math.sqrt((error**2).mean()) / data_range_of(lr)
    assert number(table, "noisy", "consistency") == pytest.approx(percent)
    protocol = row_of(table, "noisy").values["consistency"].protocol
    for text in (protocol, table.csv({})):
        assert "degradation: standard, 2x1x2; the scan's data range: " in text
    assert number(table, "truth", "consistency") == pytest.approx(0.0, abs=1e-4)
    assert row_of(table, "lr").values["consistency"].reason == "this is the measured scan"


def test_a_volume_that_degrades_to_the_measured_one_exactly():
    """Constant in cells of two voxels cubed: the mean of each is its value, exactly."""
    rng = np.random.default_rng(1)
    lr = Volume(rng.integers(1, 200, (22, 19, 23)).astype(np.float32), GRID.degraded((2, 2, 2)))
    fine = Volume(lr.data.repeat(2, 0).repeat(2, 1).repeat(2, 2), GRID)
    numbers = NumberBook(
        {"fine": fine, "lr": lr}, ("fine",), None, "lr", VolumeCache(), "slice-profile"
    )
    value = row_of(numbers.head(), "fine").values["consistency"]
    assert (value.text, value.reason) == ("0", "")


def test_consistency_is_a_dash_where_there_is_nothing_to_compare():
    volumes = scans()
    roomy = grid_of(np.diag([2.0, 2.0, 2.0]), (19, 26, 25))
    other = Volume(np.ones(roomy.shape, np.float32), roomy)

    def why(measured):
        numbers = NumberBook({**volumes, "lr": other}, ("noisy",), measured=measured)
        value = row_of(numbers.head(), "noisy").values["consistency"]
        assert value.text == "–"
        return value.reason

    assert "no measured" in why(None)
    assert "do not nest" in why("lr")
    assert "own grid" in why("bright")


THICK = grid_of(np.diag([0.9, 1.4, 4.6]), (44, 38, 11))
ISOTROPIC = grid_of(np.diag([0.9, 1.4, 50.6 / 47]), (44, 38, 47))


def test_consistency_of_thick_slices_is_with_the_mean_over_a_slice():
    """At a factor that is not whole, 47 / 11; the oracle integrates over each slice's extent."""
    volumes = {"fine": Volume(head(3, ISOTROPIC.shape) + 40.0, ISOTROPIC)}
    data = volumes["fine"].data.astype(float)
    edges = np.linspace(0, 47, 48)
    slices = []
    for i in range(11):
        low, high = i * 47 / 11, (i + 1) * 47 / 11
        part = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)
        slices.append((data * part).sum(axis=2) / part.sum())
    scan = Volume(np.stack(slices, axis=2).astype(np.float32), THICK)
    equal = NumberBook({**volumes, "scan": scan}, ("fine",), measured="scan").head()
    assert number(equal, "fine", "consistency") < 1e-3
    protocol = row_of(equal, "fine").values["consistency"].protocol
    assert "degradation: slices 4.6 mm thick (assumed from their distance)" in protocol
    more = Volume(scan.data + 10, THICK)
    off = NumberBook({**volumes, "scan": more}, ("fine",), measured="scan").head()
    percent = 100 * 10 / data_range_of(more)
    assert number(off, "fine", "consistency") == pytest.approx(percent, rel=1e-3)


def test_a_simulated_scan_is_compared_by_its_own_degradation():
    fine = scans()["truth"]
    scan = degrade(fine, (2, 1, 2), "kspace:hann")
    table = NumberBook({"fine": fine, "lr": scan}, ("fine",), measured="lr").head()
    assert number(table, "fine", "consistency") == pytest.approx(0.0, abs=1e-4)
    assert "degradation: kspace:hann, 2x1x2" in row_of(table, "fine").values["consistency"].protocol


def test_noise_is_that_which_was_added(rng):
    ramp = np.add.outer(np.add.outer(np.arange(30.0), 2 * np.arange(31.0)), 3 * np.arange(32.0))
    data = 200 + ramp + rng.normal(0, 7, ramp.shape)
    volume = Volume(data.astype(np.float32), grid_of(np.diag([1.0, 1.2, 0.8]), ramp.shape))
    table = NumberBook({"a": volume}, ("a",)).region(box((0, 0, 0), (22, 22, 22)))
    assert number(table, "a", "noise") == pytest.approx(7.0, rel=0.1)
    thin = NumberBook({"a": volume}, ("a",)).region(box((0, 0, 0), (22, 22, 0.9)))
    assert row_of(thin, "a").values["noise"].reason == "needs 3 voxels per axis"


def test_noise_of_thick_slices_is_that_in_plane(rng):
    """Interpolation across the slices takes nothing from it."""
    data = 300 + rng.normal(0, 6, THICK.shape)
    scan = Volume(data.astype(np.float32), THICK)
    fine = Grid((44, 38, 44), grid_of(np.diag([0.9, 1.4, 1.15])).affine)
    repeated = Volume(scan.data.repeat(4, axis=2), fine)
    volumes = {"scan": scan, "fine": repeated}
    table = NumberBook(volumes, ("scan", "fine"), measured="scan").region(box((0, 0, 0), (35,) * 3))
    for key in volumes:
        assert number(table, key, "noise") == pytest.approx(6.0, rel=0.1), key


def test_no_number_compares_a_scan_with_what_was_made_from_it():
    """Without a reference the table, its text and its file hold no PSNR."""
    volumes = scans()
    lr = degrade(volumes["truth"], (2, 2, 2))
    numbers = NumberBook({**volumes, "lr": lr}, ("lr", "noisy"), measured="lr")
    table = numbers.region(box((0, 0, 0), (20, 20, 20))) + numbers.head()
    assert not {q.name for q in table.quantities} & {"psnr", "ssim", "rmse", "mae", "bias"}
    assert "PSNR" not in table.text({}) + table.csv({})


def test_a_trust_map_is_no_image_to_compare():
    volumes = scans()
    support = replace(volumes["noisy"], history={"map": "support"})
    roi = box((0, 0, 0), (20, 20, 20))
    table = book({**volumes, "support": support}).region(roi)
    dash(table, "support", ["psnr", "ssim", "rmse", "mae", "bias"], "this is a trust map")
    assert math.isfinite(number(table, "support", "mean"))
    lr = degrade(volumes["truth"], (2, 2, 2))
    alone = NumberBook({"support": support, "lr": lr}, ("support",), measured="lr").head()
    dash(alone, "support", ["consistency", "sharpness", "noise"], "this is a trust map")


def test_contrast_to_noise_of_two_regions():
    volumes = scans()
    first, second = box((-6, 0, 0), (8, 9, 9), name="a"), box((8, 3, 0), (7, 8, 9), name="b")
    for options in ({"truth": None}, {}):
        table = book(volumes, **options).contrast_to_noise(first, second)
        a, b = (
            volumes["noisy"].data[roi.select(GRID).region.slices].astype(float)
            for roi in (first, second)
        )
        noise = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
        assert number(table, "noisy", "cnr") == pytest.approx(abs(a.mean() - b.mean()) / noise)
        assert row_of(table, "noisy").region == "a | b"
        assert "√((SD₁² + SD₂²) / 2)" in row_of(table, "noisy").values["cnr"].protocol


@pytest.mark.parametrize(
    ("center", "size", "why"),
    [
        ((300, 0, 0), (9, 9, 9), "outside the field of view"),
        (tuple(apply_affine(GRID.affine, (9, 9, 9))), (0.8, 1.3, 1.0), "one voxel"),
        ((-12, -12, -12), (9, 9, 9), "constant"),
    ],
)
def test_contrast_to_noise_is_a_dash_without_noise(center, size, why):
    data = scans()["noisy"].data.copy()
    data[:16, :16, :20] = 7.0
    volumes = {"noisy": Volume(data, GRID)}
    numbers = NumberBook(volumes, ("noisy",))
    pair = box((5, 5, 5), (9, 9, 9)), box(center, size)
    for regions in (pair, pair[::-1]):
        value = row_of(numbers.contrast_to_noise(*regions), "noisy").values["cnr"]
        assert value.text == "–"
        assert why in value.reason


def test_protocols_say_what_decides_a_number():
    volumes = scans()
    window = IntensityWindow.of(volumes["truth"].data)
    values = row_of(book(volumes).region(box((0, 0, 0), (20, 21, 22))), "noisy").values
    assert f"data range: {window.high - window.low:.6g}" in values["psnr"].protocol
    assert "Gaussian σ 1.5, 11³ voxels" in values["ssim"].protocol
    assert "box, 20 × 21 × 22 mm" in values["mean"].protocol
    assert "data range" not in values["mean"].protocol
    assert "0.9 × 1.4 × 1.1 mm" in values["rmse"].protocol


def test_what_is_known_of_a_volume_is_shared_and_goes_with_it():
    volumes, cache = scans(), VolumeCache()
    first = book(volumes, cache=cache)
    assert not first.ready
    first.prepare()
    assert first.ready
    assert book(volumes, ("bright",), cache=cache).ready
    assert cache.head(volumes["truth"]) is cache.head(volumes["truth"])
    del first
    volumes.clear()
    assert len(cache._windows) == len(cache._heads) == 0


def test_values_that_are_not_finite_do_not_spoil_the_data_range():
    truth = scans()["truth"]
    data = truth.data.copy()
    data[0, 0, :2] = np.nan, np.inf
    window = VolumeCache().window(Volume(data, GRID))
    assert window.high == pytest.approx(IntensityWindow.of(truth.data).high, rel=1e-3)
    assert VolumeCache().head(Volume(data, GRID)).mask.any()
    assert VolumeCache().window(Volume(np.full(SHAPE, np.nan, np.float32), GRID)) is None


class StopAt(Progress):
    """Cancels itself at a step of a task."""

    def __init__(self, task):
        super().__init__(CancelToken())
        self._wanted = task

    def show(self, state):
        if state.task == self._wanted:
            self.token.cancel()


@pytest.mark.parametrize("task", ["finding the head", "measuring", "measuring sharpness"])
def test_the_head_can_be_cancelled(task):
    truth = None if "sharp" in task else "truth"
    with pytest.raises(Cancelled):
        book(scans(), truth=truth).head(StopAt(task))


def test_a_large_head_stops_soon(rng):
    """Within 200 ms; several times that here, for a machine that does other things too."""
    grid = Grid((160, 161, 162), np.eye(4))
    volume = Volume(rng.normal(100, 5, grid.shape).astype(np.float32), grid)
    numbers = book({"truth": volume, "a": volume, "b": volume})
    numbers.prepare()
    progress = Progress()
    stopped = []

    def work():
        with pytest.raises(Cancelled):
            numbers.head(progress)
        stopped.append(time.perf_counter())

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    asked = time.perf_counter()
    progress.token.cancel()
    thread.join()
    assert stopped[0] - asked < 1.0


def test_nothing_to_measure_is_an_empty_table():
    assert NumberBook({}, ()).head().rows == ()
    assert NumberBook({}, ()).region(box((0, 0, 0), (9, 9, 9))).rows == ()


def test_kernels_that_are_not_loaded_are_no_readiness():
    readouts._warm_up.cache_clear()
    numbers = NumberBook({}, ())
    assert not numbers.ready
    numbers.prepare()
    assert numbers.ready


def test_an_unknown_degradation_is_refused_at_once():
    with pytest.raises(ParameterError, match="blur"):
        NumberBook({}, (), degradation="blur")
