"""Volumes of a series: order by position, voxels in their place, refusals by name."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from helpers import dicoms

import napari_mrisr as sr
from napari_mrisr.errors import GeometryError, VolumeError

PLANES = {
    "axial": dicoms.AXIAL,
    "coronal": dicoms.CORONAL,
    "sagittal": dicoms.SAGITTAL,
    "oblique": dicoms.OBLIQUE,
    "feet first": (-1, 0, 0, 0, 1, 0),
    "decubitus": (0, -1, 0, 1, 0, 0),
}


def index_of(volume, place):
    """Return the voxel at a world position."""
    index = np.linalg.solve(volume.grid.affine, [*place, 1.0])[:3]
    np.testing.assert_allclose(index, index.round(), atol=1e-6)
    return tuple(index.round().astype(int))


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("distance", [3.5, -3.5])
def test_every_voxel_lies_where_its_slice_says(tmp_path, plane, distance):
    data = dicoms.voxels()
    slices = dicoms.classic(data, orientation=PLANES[plane], distance=distance)
    volume = sr.read_volume(dicoms.save(slices, tmp_path))
    assert sorted(volume.grid.shape) == sorted(data.shape)
    for column, row, k in [(0, 0, 0), (13, 0, 0), (0, 11, 0), (0, 0, 9), (5, 7, 3), (13, 11, 9)]:
        place = dicoms.world(slices[k], column, row)
        assert volume.data[index_of(volume, place)] == data[column, row, k]


def test_order_comes_from_position_not_from_number_or_name(tmp_path):
    slices = dicoms.classic()
    for number, one in zip([7, 2, 9, 1, 4, 10, 3, 8, 5, 6], slices, strict=True):
        one.InstanceNumber = number
    volume = sr.read_volume(dicoms.save(slices, tmp_path))
    expected = sr.read_volume(dicoms.series(tmp_path / "ordered"))
    np.testing.assert_array_equal(volume.data, expected.data)


def test_thickness_and_distance_are_kept_apart(tmp_path):
    slices = dicoms.classic(distance=4.8, thickness=4)
    for one in slices:
        one.SpacingBetweenSlices = 4  # wrong, as some scanners write it
    volume = sr.read_volume(dicoms.save(slices, tmp_path))
    assert volume.grid.voxel_size == pytest.approx((0.5, 0.75, 4.8))
    assert volume.origin.slice_thickness == 4.0
    assert volume.origin.slice_source == "DICOM header"


def combined(*several):
    """Return the slices of several lists as one series."""
    uid = several[0][0].SeriesInstanceUID
    for slices in several:
        for one in slices:
            one.SeriesInstanceUID = uid
    return [one for slices in several for one in slices]


def changed(seed, **values):
    slices = dicoms.classic(dicoms.voxels(seed=seed), first=1 + 10 * seed)
    for one in slices:
        for keyword, value in values.items():
            setattr(one, keyword, value)
    return slices


VOLUMES = {
    "echoes": [{"EchoTime": 30, "EchoNumbers": 2}, {"EchoTime": 4.5, "EchoNumbers": 1}],
    "components": [
        {"ImageType": ["ORIGINAL", "PRIMARY", "P"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "M"]},
    ],
    "time points": [{"TemporalPositionIdentifier": 2}, {"TemporalPositionIdentifier": 1}],
    "acquisitions": [{"AcquisitionNumber": 2}, {"AcquisitionNumber": 1}],
    "b values": [{"DiffusionBValue": 1000.0}, {"DiffusionBValue": 0.0}],
    "nothing": [{"ContentTime": "101010"}, {"ContentTime": "090909"}],
}
NAMES = {
    "echoes": ("echo 1", "echo 2"),
    "components": ("magnitude", "phase"),
    "time points": ("time 1", "time 2"),
    "acquisitions": ("acquisition 1", "acquisition 2"),
    "b values": ("b 0", "b 1000"),
    "nothing": ("volume 1", "volume 2"),
}


@pytest.mark.parametrize("case", VOLUMES)
def test_volumes_of_a_series_are_told_apart_and_named(tmp_path, case):
    first, second = (changed(seed, **values) for seed, values in enumerate(VOLUMES[case]))
    (series,) = sr.list_series(dicoms.save(combined(first, second), tmp_path))
    assert series.frames == NAMES[case]
    # In all cases but the last the second was written with the lower value.
    seeds = (0, 1) if case == "nothing" else (1, 0)
    for frame, seed in enumerate(seeds):
        volume = sr.read_volume(series.path, frame=frame)
        alone = sr.read_volume(dicoms.save(changed(seed), tmp_path / f"alone{seed}"))
        np.testing.assert_array_equal(volume.data, alone.data)
    with pytest.raises(VolumeError, match=r"holds 2 volumes \(0: .*choose one with --frame"):
        sr.read_volume(series.path)


def test_two_echoes_with_phase_make_four_named_volumes(tmp_path):
    kinds = [(e, c) for e in (4.5, 30) for c in "MP"]
    lists = [
        changed(seed, EchoTime=echo, ImageType=["ORIGINAL", "PRIMARY", kind])
        for seed, (echo, kind) in enumerate(kinds)
    ]
    (series,) = sr.list_series(dicoms.save(combined(*lists), tmp_path))
    assert series.frames == (
        "echo 1, magnitude",
        "echo 2, magnitude",
        "echo 1, phase",
        "echo 2, phase",
    )


def test_diffusion_directions_are_told_apart(tmp_path):
    lists = [changed(0, DiffusionBValue=0.0)]
    for seed, direction in enumerate([[1, 0, 0], [0, 0.6, 0.8]], start=1):
        lists.append(changed(seed, DiffusionBValue=800.0, DiffusionGradientOrientation=direction))
    (series,) = sr.list_series(dicoms.save(combined(*lists), tmp_path))
    assert series.frames == ("b 0", "b 800, direction 1", "b 800, direction 2")


def refusal(slices, folder):
    (series,) = sr.list_series(dicoms.save(slices, folder))
    with pytest.raises(VolumeError) as caught:
        sr.read_volume(series.path)
    assert str(caught.value) == series.problem and "\n" not in series.problem
    return series.problem.removeprefix(f"{series.path}: ")


def test_a_missing_slice_is_refused_with_its_position(tmp_path):
    slices = dicoms.classic()
    del slices[6]  # -8 + 6 * 3.5
    assert refusal(slices, tmp_path / "a").startswith("a slice is missing at 13.00 mm;")
    del slices[6]
    found = refusal(slices, tmp_path / "b")
    assert found.startswith("2 slices are missing at 13.00 mm, 16.50 mm;")


@pytest.mark.parametrize(
    ("group", "creator", "element", "kind"),
    [(0x0021, "GEMS_RELA_01", 0x4F, "SS"), (0x2001, "Philips Imaging DD 001", 0x18, "SL")],
)
@pytest.mark.parametrize("implicit", [False, True])
def test_a_missing_end_is_a_caution_where_the_scanner_counts_slices(
    tmp_path, group, creator, element, kind, implicit
):
    slices = dicoms.classic()
    for one in slices:
        one.private_block(group, creator, create=True).add_new(element, kind, len(slices))
        if implicit:
            one.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    assert not sr.read_volume(dicoms.save(slices, tmp_path / "whole")).origin.cautions
    folder = dicoms.save(slices[:-1], tmp_path / "cut")
    (caution,) = sr.read_volume(folder).origin.cautions
    assert caution.kind == "missing slices" and "10 slices" in caution.text and "9" in caution.text


def test_a_missing_slice_of_one_echo_is_refused(tmp_path):
    slices = combined(changed(0, EchoTime=4.5), changed(1, EchoTime=30))
    del slices[13]
    assert refusal(slices, tmp_path).startswith("echo 2: a slice is missing at 2.50 mm;")


def test_a_missing_slice_of_a_repetition_is_refused(tmp_path):
    slices = combined(changed(0), changed(1))
    del slices[13]
    found = refusal(slices, tmp_path)
    assert found.startswith("only 1 of 2 images at 2.50 mm, and gaps at 1 of 10 positions;")


@pytest.mark.parametrize(("shift", "refused"), [(0.03, False), (0.05, True)])
def test_uneven_distances_beyond_one_percent_are_refused(tmp_path, shift, refused):
    slices = dicoms.classic()
    slices[4].ImagePositionPatient = [-31, 17, 6 + shift]
    if refused:
        found = refusal(slices, tmp_path)
        assert "slices 3.55 mm apart between 2.50 mm and 6.05 mm but 3.5 mm elsewhere" in found
    else:
        assert sr.read_volume(dicoms.save(slices, tmp_path)).grid.shape == dicoms.SHAPE


def test_gantry_tilt_is_refused(tmp_path):
    slices = dicoms.classic()
    for k, one in enumerate(slices):
        one.ImagePositionPatient = [-31, 17 + 0.5 * k, -8 + 3.5 * k]
    found = refusal(slices, tmp_path)
    assert "slices shifted against each other (gantry tilt 8.1°)" in found


def test_mixed_orientations_sizes_and_spacings_are_refused(tmp_path):
    slices = dicoms.classic()
    slices[2].ImageOrientationPatient = list(dicoms.SAGITTAL)
    assert "images of 2 orientations, as a localizer has" in refusal(slices, tmp_path / "a")
    slices = combined(dicoms.classic(), dicoms.classic(dicoms.voxels((20, 12, 3))))
    found = refusal(slices, tmp_path / "b")
    assert "images of different sizes (14 × 12, 20 × 12)" in found
    slices = dicoms.classic()
    slices[2].PixelSpacing = [0.75, 0.6]
    assert "different pixel spacing (0.5 to 0.75 mm)" in refusal(slices, tmp_path / "c")


def test_a_single_image_is_refused(tmp_path):
    assert refusal(dicoms.classic()[:1], tmp_path).startswith("holds a single image;")


def test_copies_are_left_out_but_different_images_at_one_place_are_refused(tmp_path):
    slices = dicoms.classic()
    folder = dicoms.save(slices, tmp_path / "a")
    expected = sr.read_volume(folder)
    dicoms.save(slices[3:6], folder)
    (series,) = sr.list_series(folder)
    assert len(series.files) == 13 and len(series.files_of()) == 10
    np.testing.assert_array_equal(sr.read_volume(folder).data, expected.data)
    dicoms.set_pixels(slices[4], 7 + dicoms.voxels()[..., 4].T)
    found = refusal(
        [*dicoms.classic(series_uid=slices[0].SeriesInstanceUID), slices[4]], tmp_path / "b"
    )
    assert found.startswith("two different images at 6.00 mm with the same number (IM")


def test_rounding_in_the_ninth_digit_is_no_error(tmp_path):
    slices = dicoms.classic(orientation=dicoms.OBLIQUE)
    for k, one in enumerate(slices):
        one.ImageOrientationPatient = [v + 1e-9 * (k % 3) for v in one.ImageOrientationPatient]
        one.ImagePositionPatient = [v + 1e-7 * (k % 2) for v in one.ImagePositionPatient]
    assert sr.read_volume(dicoms.save(slices, tmp_path)).grid.voxel_size[2] == pytest.approx(3.5)


def test_no_unit_vectors_are_refused(tmp_path):
    slices = dicoms.classic()
    for one in slices:
        one.ImageOrientationPatient = [2, 0, 0, 0, 1, 0]
    (series,) = sr.list_series(dicoms.save(slices, tmp_path))
    with pytest.raises(GeometryError, match="no unit vectors"):
        sr.read_volume(series.path)
