"""The method network with files of other programs, by tiny networks with known results."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import copy_model, filter_model, plain_model, save_model
from onnx import helper
from scipy import ndimage

import napari_mrisr as sr
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import BankError, ParameterError, ScaleError
from napari_mrisr.methods import foreign, get_method
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.foreign import make_foreign
from napari_mrisr.networks.needs import PLANES
from napari_mrisr.operators.slices import slice_operator
from napari_mrisr.run.upscale import run_method
from napari_mrisr.streaming import StreamRequest, stream

BLUR = np.einsum("i,j,k->ijk", [0.2, 0.5, 0.3], [0.1, 0.6, 0.3], [0.25, 0.5, 0.25])


@pytest.fixture
def scan(rng) -> Volume:
    """A noisy slope far from zero, another size on every axis."""
    x, y, z = np.indices((13, 11, 9)) / 10.0
    data = 500 + 100 * (x + 2 * y + np.sin(3 * z)) + rng.normal(0, 5, x.shape)
    return Volume(data.astype(np.float32), Grid((13, 11, 9), np.diag([1.0, 1.0, 4.0, 1.0])))


@pytest.fixture
def saved(tmp_path):
    """Function that saves a network and returns its path."""
    return lambda model, name="mine.onnx": str(save_model(model, tmp_path / name))


def whole(method, volume):
    lr = volume.normalized()
    return method.compute(lr, Region.whole(lr.grid.upsampled(method.scale).shape))


def small_tiles(monkeypatch, core=8):
    monkeypatch.setattr(foreign, "_CORE", {2: core, 3: core})


@pytest.mark.parametrize("scale", [(1, 1, 4), (4, 1, 1), (1, 4, 1)])
def test_a_network_of_volumes_finds_the_thick_axis(scan, saved, scale):
    found = run_method(make_foreign(scale, saved(copy_model(4, 1, 1))), scan)
    expected = run_method(get_method("nearest", scale), scan)
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-5)


def test_axes_are_in_the_order_declared(scan, saved):
    """Along z, y, x the kernel differs; the oracle applies it to the transposed volume."""
    path = saved(filter_model(BLUR))
    method = make_foreign((1, 1, 2), f"{path}:axes=zyx:normalization=window:output=image")
    cubic = whole(get_method("tricubic", (1, 1, 2)), scan)
    expected = ndimage.correlate(cubic.transpose(2, 1, 0), BLUR, mode="mirror").transpose(2, 1, 0)
    np.testing.assert_allclose(whole(method, scan), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("plane", "axes"), [("axial", "yx"), ("coronal", "zx"), ("sagittal", "zy")]
)
def test_slices_lie_in_the_plane_chosen(scan, saved, plane, axes):
    kernel = BLUR[:, :, 1] / BLUR[:, :, 1].sum()
    method = make_foreign((2, 2, 2), f"{saved(filter_model(kernel))}:plane={plane}")
    cubic = whole(get_method("tricubic", (2, 2, 2)), scan)
    order = ["xyz".index(letter) for letter in PLANES[plane]]
    full = np.moveaxis(cubic, order, [0, 1])
    full = ndimage.correlate(full, kernel[:, :, None], mode="mirror")
    np.testing.assert_allclose(whole(method, scan), np.moveaxis(full, [0, 1], order), rtol=1e-4)
    assert method.provenance()["network_plane"] == plane


def test_slices_of_thick_slices_show_the_thick_axis_by_default(scan, saved):
    method = make_foreign((1, 1, 3), saved(filter_model(np.ones((3, 3)) / 9)))
    assert method.provenance()["network_plane"] == "coronal"


def test_axes_without_a_factor_of_the_network_are_interpolated(scan, saved):
    found = run_method(make_foreign((2, 2, 2), saved(copy_model(2, 2))), scan)
    in_plane = run_method(get_method("nearest", (2, 2, 1)), scan)
    expected = run_method(get_method("tricubic", (1, 1, 2)), in_plane)
    # Method tricubic is clipped to the scan's range.
    clipped = np.clip(found.data, scan.data.min(), scan.data.max())
    np.testing.assert_allclose(clipped, expected.data, rtol=1e-5)


@pytest.mark.parametrize("factor", [3, 3.7, 6])
def test_other_factors_are_resampled(scan, saved, factor):
    method = make_foreign((1, 1, factor), saved(copy_model(4, 1, 1)))
    found = run_method(method, scan)
    assert found.grid.shape == (13, 11, round(9 * factor))
    np.testing.assert_allclose(found.grid.corners(), scan.grid.corners(), atol=1e-6)


def test_a_network_of_another_shape_of_voxels_is_refused(saved):
    with pytest.raises(ScaleError, match="1x1x2 for a network of 2"):
        make_foreign((1, 1, 2), saved(copy_model(2, 2, 2)))


def needs_multiples(multiple: int):
    """A pyramid that adds its upsampled mean to the input, halved."""
    size = [multiple] * 3
    nodes = [
        helper.make_node("AveragePool", ["image"], ["low"], kernel_shape=size, strides=size),
        helper.make_node("Resize", ["low", "", "factors"], ["up"], mode="nearest"),
        helper.make_node("Add", ["image", "up"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["result"]),
    ]
    return plain_model(nodes, {"factors": np.array([1.0, 1, *size]), "half": np.array(0.5)})


FILES = {
    "volumes": (lambda: copy_model(3, 1, 1), ""),
    "slices": (lambda: copy_model(3, 1), ":plane=coronal"),
    "interpolated": (lambda: filter_model(BLUR), ""),
    "valid": (lambda: filter_model(BLUR, valid=True), ""),
    "multiples": (lambda: needs_multiples(4), ""),
    "fixed": (lambda: filter_model(BLUR, shape=(1, 1, 12, 14, 16)), ""),
    "z-score": (lambda: filter_model(BLUR), ":normalization=z-score"),
    "correction": (lambda: filter_model(0.0 * BLUR), ""),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_region_is_that_of_the_whole(rng, saved, kind, monkeypatch):
    small_tiles(monkeypatch)
    make, options = FILES[kind]
    spec = saved(make()) + options
    data = rng.random((21, 19, 11), dtype=np.float32) + 1.0
    lr = Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 3.0, 1.0]))).normalized()
    expected = whole(make_foreign((1, 1, 3), spec), lr)
    out = expected.shape
    for _ in range(4):
        start = [int(rng.integers(0, n)) for n in out]
        stop = [int(rng.integers(a + 1, n + 1)) for a, n in zip(start, out, strict=True)]
        region = Region(tuple(start), tuple(stop))
        found = make_foreign((1, 1, 3), spec).compute(replace(lr), region)
        np.testing.assert_array_equal(found, expected[region.slices])


@pytest.mark.parametrize("kind", ["interpolated", "valid", "fixed"])
def test_tiles_leave_no_seams(rng, saved, kind, monkeypatch):
    make, options = FILES[kind]
    spec = saved(make()) + options
    data = rng.random((21, 19, 11), dtype=np.float32) + 1.0
    lr = Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 3.0, 1.0]))).normalized()
    one = whole(make_foreign((1, 1, 3), spec), lr)
    small_tiles(monkeypatch)
    np.testing.assert_allclose(whole(make_foreign((1, 1, 3), spec), lr), one, atol=1e-6)


def test_threads_and_blocks_do_not_matter(scan, saved):
    method = make_foreign((1, 1, 4), saved(copy_model(4, 1, 1)))
    one, two = (run_method(method, scan, threads=n).data for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "text", ["window", "symmetric", "bytes", "scan", "minmax", "z-score", "percentiles 5 95"]
)
def test_every_normalization_is_undone(scan, saved, text):
    """A network that returns its input gives the interpolated scan, whatever its units."""
    unit = np.zeros((3, 3, 3))
    unit[1, 1, 1] = 1
    method = make_foreign((1, 1, 2), f"{saved(filter_model(unit))}:normalization={text}")
    expected = run_method(get_method("tricubic", (1, 1, 2)), scan).data
    np.testing.assert_allclose(run_method(method, scan).data, expected, rtol=1e-4)


def test_a_correction_is_added_to_cubic_interpolation(scan, saved):
    method = make_foreign((1, 1, 2), saved(filter_model(0.0 * BLUR)))
    np.testing.assert_array_equal(
        whole(method, scan), whole(get_method("tricubic", (1, 1, 2)), scan)
    )
    assert "output correction (found by probing)" in method.provenance()["network_needs"]


def test_a_declared_slice_profile_makes_the_result_consistent(scan, saved):
    declared = {"degradation": "slice-profile:boxcar:1"}
    path = saved(copy_model(4, 1, 1, metadata=declared))
    method = make_foreign((1, 1, 4), path)
    assert isinstance(method, Consistent)
    again = slice_operator(36, 9, "boxcar", 1.0).apply(run_method(method, scan).data, 2)
    np.testing.assert_allclose(again, scan.data, rtol=1e-5)
    plain = make_foreign((1, 1, 4), f"{path}:consistency=off")
    assert not isinstance(plain, Consistent)


def test_consistency_may_be_asked_for(scan, saved):
    path = saved(copy_model(4, 1, 1))
    assert isinstance(make_foreign((1, 1, 4), f"{path}:consistency=on"), Consistent)
    with pytest.raises(ParameterError, match=r"consistency.*one thick axis"):
        make_foreign((2, 2, 2), f"{saved(copy_model(2, 2, 2))}:consistency=on")


def test_a_halo_that_fills_the_tile_is_refused(saved):
    with pytest.raises(BankError, match="halo"):
        make_foreign((1, 1, 2), f"{saved(filter_model(BLUR))}:tile=16:halo=8")


def test_axes_that_do_not_fit_are_refused(saved):
    with pytest.raises(BankError, match=r"axes 'zx'.*volumes"):
        make_foreign((1, 1, 2), f"{saved(filter_model(BLUR))}:plane=coronal")


def test_a_run_from_disk_to_disk_is_that_in_memory(scan, saved, tmp_path):
    path = saved(copy_model(4, 1, 1))
    sr.write_volume(scan, tmp_path / "scan.nii")
    parameters = sr.UpscaleParameters((1, 1, 4), "network", path, threads=2)
    stream(StreamRequest(tmp_path / "scan.nii", tmp_path / "out.nii", parameters, memory=10**9))
    expected = sr.upscale(sr.read_volume(tmp_path / "scan.nii"), parameters)
    np.testing.assert_array_equal(sr.read_volume(tmp_path / "out.nii").data, expected.data)


def test_python_takes_a_model(scan, saved):
    path = saved(copy_model(4, 1, 1))
    found = sr.upscale(scan, (1, 1, 4), model=path)
    assert found.history["network"] == "mine.onnx"
    assert len(found.history["network_sha256"]) == 64
    with pytest.raises(ParameterError, match=r"model.*bank"):
        sr.upscale(scan, (1, 1, 4), model=path, bank="default-2x")


def test_a_changed_file_is_read_again(scan, tmp_path):
    path = save_model(copy_model(4, 1, 1), tmp_path / "mine.onnx")
    assert make_foreign((1, 1, 4), str(path)).scale == (1, 1, 4)
    path.with_suffix(".json").write_text(json.dumps({"scale": [2, 1, 1]}), "utf-8")
    with pytest.raises(BankError, match="declares the scale"):
        make_foreign((1, 1, 4), str(path))


def complex_scan(rng):
    """A noisy wave whose phase wraps, another size on every axis."""
    x, y, z = np.indices((13, 11, 9))
    data = (300 + 20 * y + rng.normal(0, 5, x.shape)) * np.exp(1j * (0.8 * x + 0.3 * z))
    grid = Grid((13, 11, 9), np.diag([1.0, 1.0, 4.0, 1.0]))
    return sr.ComplexVolume.of(data.astype(np.complex64), grid)


def complex_model(kernel, **declared):
    """A network that multiplies both parts by complex weights and adds them up."""
    weights = np.array([[kernel.real, -kernel.imag], [kernel.imag, kernel.real]])
    pads = [n // 2 for n in kernel.shape] * 2
    node = helper.make_node("Conv", ["image", "kernel"], ["result"], pads=pads)
    needs = {"channels": "complex", "output": "image", "normalization": "window", **declared}
    shape = (1, 2, *(f"n{axis}" for axis in range(kernel.ndim)))
    return plain_model([node], {"kernel": weights}, shape=shape, metadata=needs)


def test_a_complex_network_computes_both_parts_from_both(saved, rng, monkeypatch):
    small_tiles(monkeypatch)
    scan = complex_scan(rng)
    kernel = BLUR * np.exp(1j * rng.uniform(-np.pi, np.pi, BLUR.shape))
    path = saved(complex_model(kernel))
    found = sr.upscale_complex(scan, (1, 1, 2), method="network", bank=path)
    high = sr.upscale_complex(scan, (1, 1, 2), method="tricubic").data
    # The network's axes are z, y and x; SciPy conjugates the weights.
    expected = ndimage.correlate(high, kernel.transpose(2, 1, 0).conj(), mode="mirror")
    inner = np.s_[1:-1, 1:-1, 1:-1]
    np.testing.assert_allclose(found.data[inner], expected[inner], atol=0.05)
    assert "channels complex (metadata)" in found.magnitude.history["network_needs"]
    assert found.magnitude.history["complex"] == "real and imaginary part, computed together"


def test_a_complex_network_of_slices_makes_thick_slices_thin(saved, rng):
    """It copies every slice four times and turns the phase by 90°."""
    scan = complex_scan(rng)
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])[:, :, None, None]  # from part, to part
    kernel = np.broadcast_to(turn, (2, 2, 4, 1))
    node = helper.make_node("ConvTranspose", ["image", "kernel"], ["result"], strides=[4, 1])
    needs = {"channels": "complex", "output": "image", "normalization": "window"}
    model = plain_model([node], {"kernel": kernel}, (1, 2, "z", "x"), {**needs, "plane": "coronal"})
    method = make_foreign((1, 1, 4), saved(model))
    found = sr.upscale_complex(scan, (1, 1, 4), method="network", bank=saved(model))
    np.testing.assert_allclose(found.data, 1j * scan.data.repeat(4, axis=2), rtol=1e-4, atol=0.02)
    region = Region((3, 2, 5), (11, 9, 22))
    for part in scan.parts():
        everything = method.compute(part, Region.whole((13, 11, 36)))
        np.testing.assert_array_equal(method.compute(part, region), everything[region.slices])


def test_a_complex_correction_of_zero_is_the_interpolation(saved, rng):
    scan = complex_scan(rng)
    path = saved(complex_model(np.zeros((3, 3, 3), np.complex64), output="correction"))
    found = sr.upscale_complex(scan, 2, method="network", bank=path)
    expected = sr.upscale_complex(scan, 2, method="tricubic")
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-5, atol=1e-3)


def test_what_a_complex_network_sees_is_scaled_but_not_shifted(saved, rng):
    """``symmetric`` is 2 x − 1 for magnitudes; a phase of a shifted wave would be another one."""
    scan = complex_scan(rng)
    path = saved(complex_model(np.ones((1, 1, 1), np.complex64), normalization="symmetric"))
    found = sr.upscale_complex(scan, 2, method="network", bank=path)
    expected = sr.upscale_complex(scan, 2, method="tricubic")
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-4, atol=0.02)


def test_a_complex_network_refuses_a_magnitude_alone(saved, scan):
    path = saved(complex_model(np.ones((1, 1, 1), np.complex64)))
    with pytest.raises(BankError, match=r"mine\.onnx.*real and the imaginary part.*its phase"):
        sr.upscale(scan, 2, model=path)


def test_one_phase_of_the_trials_finds_the_halo_of_mixed_parts(saved):
    kernel = np.zeros((1, 1, 5), np.complex64)
    kernel[0, 0, 2], kernel[0, 0, 4] = 1, 0.5j  # two voxels away, in the other part
    _, needs, _, _ = foreign.inspect_network(saved(complex_model(kernel)))
    assert needs.halo == (0, 0, 2)


@pytest.mark.parametrize("normalization", ["window", "minmax", "z-score", "percentiles 1 99"])
def test_an_ordinary_network_sees_both_parts_as_scans(saved, rng, normalization):
    scan = complex_scan(rng)
    model = filter_model(np.ones((1, 1, 1)), metadata={"output": "image"})
    spec = f"{saved(model)}:normalization={normalization}"
    lr, _ = scan.parts()
    found = make_foreign((1, 1, 2), spec).compute(lr, Region.whole((13, 11, 18)))
    expected = get_method("tricubic", (1, 1, 2)).compute(lr, Region.whole((13, 11, 18)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
