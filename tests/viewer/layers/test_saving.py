"""Layers to files: napari's writer, and the names and the work of Save…."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers.layers import SHAPE, open_layer, stored_affine, write_scan
from napari.components import ViewerModel
from napari.layers import Image
from napari.plugins import _npe2
from npe2 import PluginManager
from qtpy.QtWidgets import QFileDialog
from scipy.spatial.transform import Rotation

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import Cancelled, OutputError, VolumeError
from napari_mrisr.io import write as writing
from napari_mrisr.viewer.layers.convert import layer_data, snapshot
from napari_mrisr.viewer.layers.saving import save_snapshot, suggested_path, write_image

zarr = pytest.importorskip("zarr")

TIFF, MRI = "lossless", "MRI volume"


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mgz"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
@pytest.mark.parametrize("oblique", [False, True])
def test_written_as_read(tmp_path, rng, suffix, codes, oblique):
    turn = Rotation.from_euler("xz", (12, -7), degrees=True).as_matrix() if oblique else None
    affine = stored_affine(codes, turn)
    source = tmp_path / "in.nii.gz"
    data = write_scan(source, rng, affine)
    layer = open_layer(source)
    out = tmp_path / f"out{suffix}"
    shown, meta, _ = layer.as_layer_data_tuple()
    assert write_image(str(out), shown, meta) == [str(out)]
    image = nib.load(out)
    np.testing.assert_allclose(image.affine, affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(image.dataobj), data)
    # An existing file is replaced: napari's dialog has asked.
    write_image(str(out), shown, meta)


def read_ngff(path):
    """Return values, and index (z, y, x) to RAS+ mm by NGFF's metadata and by our exact affine."""
    group = json.loads((path / "zarr.json").read_text())["attributes"]
    image = group["ome"]["multiscales"][0]
    assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in image["axes"]} == {"millimeter"}
    scale, translation = image["datasets"][0]["coordinateTransformations"]
    plain = np.diag([*scale["scale"][::-1], 1.0])
    plain[:3, 3] = translation["translation"][::-1]
    values = zarr.open_array(str(path / image["datasets"][0]["path"]), mode="r")[:]
    return values, plain, np.array(group["napari-mrisr"]["affine_mm"]), group["napari-mrisr"]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
@pytest.mark.parametrize("oblique", [False, True])
def test_written_as_ome_zarr(tmp_path, rng, codes, oblique):
    turn = Rotation.from_euler("xz", (12, -7), degrees=True).as_matrix() if oblique else None
    affine = stored_affine(codes, turn)
    data = write_scan(tmp_path / "in.nii.gz", rng, affine)
    layer = open_layer(tmp_path / "in.nii.gz")
    layer.contrast_limits = (120, 3456)
    shown, meta, _ = layer.as_layer_data_tuple()
    out = tmp_path / "out.ome.zarr"
    assert write_image(str(out), shown, meta) == [str(out)]
    values, plain, exact, ours = read_ngff(out)
    assert values.dtype == np.float32
    # Every stored voxel, by its place in the world.
    index = np.indices(SHAPE).reshape(3, -1)
    world = affine[:3, :3] @ index + affine[:3, 3:]
    for to_world in [exact] if oblique else [exact, plain]:
        x, y, z = np.rint(np.linalg.solve(to_world[:3, :3], world - to_world[:3, 3:])).astype(int)
        np.testing.assert_allclose(
            to_world[:3, :3] @ [x, y, z] + to_world[:3, 3:], world, atol=1e-4
        )
        np.testing.assert_array_equal(values[z, y, x], data.reshape(-1))
    assert ours["display_limits"] == [120, 3456]
    assert ours["notice"] == "research use, not for diagnosis"
    # An existing one is replaced: napari's dialog has asked.
    write_image(str(out), shown, meta)
    assert {entry.name for entry in tmp_path.iterdir()} == {"in.nii.gz", "out.ome.zarr"}


def test_history_goes_on_into_ome_zarr(tmp_path, rng):
    grid = Grid((9, 11, 14), np.diag([0.5, 0.75, 2.0, 1.0]))
    made = {"method": "hashed", "scale": "2"}
    volume = Volume(rng.random(grid.shape, dtype=np.float32), grid, history=made)
    data, kwargs, _ = layer_data(volume, "result")
    layer_tuple = Image(data, **kwargs).as_layer_data_tuple()
    write_image(str(tmp_path / "a.ome.zarr"), *layer_tuple[:2])
    values, plain, exact, ours = read_ngff(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(values, volume.data.transpose(2, 1, 0))
    np.testing.assert_allclose(plain, grid.affine)
    np.testing.assert_allclose(exact, grid.affine)
    assert ours["history"] == made


def test_a_layer_on_disk_is_copied_piece_by_piece(tmp_path, rng, monkeypatch):
    """12 MiB of voxels in 12 blocks."""
    monkeypatch.setattr(writing, "_ZARR_BLOCK", (64, 64, 64))
    grid = Grid((65, 192, 256), np.diag([1.0, 1.5, 2.0, 1.0]))
    volume = Volume(np.arange(65 * 192 * 256, dtype=np.float32).reshape(grid.shape), grid)
    data, kwargs, _ = layer_data(volume, "a")
    write_image(str(tmp_path / "a.ome.zarr"), data, kwargs)
    lazy, meta, _ = open_layer(tmp_path / "a.ome.zarr").as_layer_data_tuple()
    tracemalloc.start()
    try:
        write_image(str(tmp_path / "b.ome.zarr"), lazy, meta)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < volume.data.nbytes * 0.6
    values, _, affine, _ = read_ngff(tmp_path / "b.ome.zarr")
    np.testing.assert_array_equal(values, volume.data.transpose(2, 1, 0))
    np.testing.assert_array_equal(affine, grid.affine)


def test_holes_are_not_written_to_ome_zarr(tmp_path, rng):
    data = rng.random((4, 5, 6))
    data[1, 2, 3] = np.inf
    layer = Image(data, name="holes", contrast_limits=(0, 1))
    with pytest.raises(VolumeError, match="holes: some voxels are NaN or infinite"):
        write_image(str(tmp_path / "a.ome.zarr"), *layer.as_layer_data_tuple()[:2])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mgz", "a.ome.zarr", "A.OME.ZARR"])
def test_napari_finds_the_writer(tmp_path, repository, name):
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager()
    manager.register(PluginManifest.from_file(repository / "napari.yaml"))
    writer, path = manager.get_writer(str(tmp_path / name), ["image"])
    assert writer is not None
    assert (writer.command, path) == ("napari-mrisr.write_image", str(tmp_path / name))


def test_a_plain_layer_is_written_by_its_scale(tmp_path, rng):
    layer = Image(rng.random((4, 5, 6)), scale=(3, 1, 2), translate=(10, 20, 30), units="mm")
    data, meta, _ = layer.as_layer_data_tuple()
    write_image(str(tmp_path / "x.nii"), data, meta)
    image = nib.load(tmp_path / "x.nii")
    assert image.shape == (6, 5, 4)
    np.testing.assert_allclose(image.header.get_zooms(), (2, 1, 3))
    np.testing.assert_allclose(image.affine @ [5, 4, 3, 1], (-30, -20, -10, 1))


def test_a_turned_layer_is_written_turned(tmp_path, rng):
    turn = Rotation.from_euler("y", 20, degrees=True).as_matrix()
    with pytest.warns(UserWarning, match="Non-orthogonal"):
        layer = Image(rng.random((4, 5, 6)), rotate=turn)
    data, meta, _ = layer.as_layer_data_tuple()
    write_image(str(tmp_path / "x.nii"), data, meta)
    affine = nib.load(tmp_path / "x.nii").affine
    assert abs(affine[0, 2]) == pytest.approx(np.sin(np.radians(20)), abs=1e-6)


def test_a_series_is_not_written(tmp_path, rng):
    layer = Image(rng.random((3, 4, 5, 6)), name="bold")
    data, meta, _ = layer.as_layer_data_tuple()
    with pytest.raises(VolumeError, match="bold: has 4 axes; split it"):
        write_image(str(tmp_path / "x.nii"), data, meta)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_says_so(tmp_path, rng):
    layer = Image(rng.random((4, 5, 6)))
    data, meta, _ = layer.as_layer_data_tuple()
    with pytest.raises(OutputError, match="create it first"):
        write_image(str(tmp_path / "no" / "x.nii"), data, meta)


@pytest.fixture
def save_layer(make_napari_viewer, volume: Volume, monkeypatch, tmp_path):
    """Save a layer by File > Save Selected Layers, with a file type shown and a name typed."""
    viewer = make_napari_viewer()
    PluginManager.instance().activate("napari-mrisr")

    def run(shown: str, name: str, *, ours: bool = True) -> None:
        data, kwargs, _ = layer_data(volume, "scan hashed 2.5x")
        layer = viewer.add_image(data, **kwargs if ours else {})
        viewer.layers.selection = {layer}

        def answer(*args: object, filter: str, **kwargs: object) -> tuple[str, str]:
            return str(tmp_path / name), next(f for f in filter.split(";;") if shown in f)

        monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
        viewer.window._qt_viewer._save_layers_dialog(selected=True)

    yield run
    PluginManager.instance().deactivate("napari-mrisr")


def test_the_first_type_on_show_may_be_another(make_napari_viewer):
    """The tests below rely on this."""
    layer = make_napari_viewer().add_image(np.zeros((3, 4, 5)))
    types, _ = _npe2.file_extensions_string_for_layers([layer])
    assert types is not None
    assert TIFF in types.split(";;")[0] or MRI in types.split(";;")[0]


@pytest.mark.parametrize("shown", [TIFF, MRI])
@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("res.nii.gz", "res.nii.gz"),
        ("res.nii", "res.nii"),
        ("res.MGZ", "res.MGZ"),
        ("res", "res.nii.gz"),
        ("scan hashed 2.5x", "scan hashed 2.5x.nii.gz"),
    ],
)
def test_names_of_ours_and_names_without_suffix(save_layer, tmp_path, volume, shown, name, written):
    save_layer(shown, name)
    assert {entry.name for entry in tmp_path.iterdir()} - {"res.mrisr.json"} == {written}
    image = nib.load(tmp_path / written)
    np.testing.assert_allclose(image.affine, volume.grid.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.data)


@pytest.mark.parametrize("shown", [TIFF, MRI])
def test_names_of_others_go_to_their_writer(save_layer, tmp_path, shown):
    save_layer(shown, "res.tif")
    assert (tmp_path / "res.tif").read_bytes()[:2] in (b"II", b"MM")


def test_a_layer_of_another_program_without_suffix_is_left_to_napari(save_layer, tmp_path):
    save_layer(TIFF, "res", ours=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["res.tif"]
    save_layer(TIFF, "res.nii.gz", ours=False)
    assert (tmp_path / "res.nii.gz").exists()


def test_a_file_that_the_dialog_did_not_name_is_not_replaced(save_layer, tmp_path):
    (tmp_path / "res.nii.gz").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"res\.nii\.gz"):
        save_layer(MRI, "res")
    assert (tmp_path / "res.nii.gz").read_bytes() == b"mine"
    save_layer(MRI, "res.nii.gz")
    assert nib.load(tmp_path / "res.nii.gz").shape


def test_an_unknown_suffix_is_refused(save_layer, tmp_path):
    with pytest.raises(OutputError, match=r"cannot write '\.xyz'"):
        save_layer(MRI, "res.xyz")
    assert not list(Path(tmp_path).iterdir())


def made_from(scan, history, name="x"):
    """A layer that was made from another one."""
    taken = snapshot(scan)
    volume = Volume(taken.to_volume().data, taken.grid, history=history)
    data, kwargs, _ = layer_data(volume, name, source_id=taken.layer_id)
    return Image(data, **kwargs)


@pytest.mark.parametrize(
    ("history", "name"),
    [
        ({"method": "hashed", "scale": "2"}, "sub-01_ses-2_desc-sr2xhashed_T1w.nii.gz"),
        (
            {"method": "net", "scale": "1x1x4.8"},
            "sub-01_ses-2_desc-sr1x1x4p8net_T1w.nii.gz",
        ),
        ({"degraded_by": "2x2x3"}, "sub-01_ses-2_desc-lr2x2x3_T1w.nii.gz"),
        ({"map": "expected RMSE, scan's intensities"}, "sub-01_ses-2_desc-experr_T1w.nii.gz"),
        ({"map": "support: 0 enough"}, "sub-01_ses-2_desc-support_T1w.nii.gz"),
        ({"map": "result degraded again minus"}, "sub-01_ses-2_desc-consistency_T1w.nii.gz"),
    ],
)
def test_a_result_is_saved_beside_its_scan_with_a_bids_name(tmp_path, rng, history, name):
    path = tmp_path / "sub-01_ses-2_T1w.nii"
    write_scan(path, rng, stored_affine("LPS"))
    viewer = ViewerModel()
    (scan,) = viewer.open(path, plugin="napari-mrisr")
    result = viewer.add_layer(made_from(scan, history))
    assert suggested_path(result, viewer.layers, Path("/elsewhere")) == tmp_path / name
    if "method" in history:
        again = viewer.add_layer(made_from(result, {"method": "tricubic", "scale": "2"}))
        found = suggested_path(again, viewer.layers, Path("/elsewhere"))
        assert found == tmp_path / "sub-01_ses-2_desc-sr2xtricubic_T1w.nii.gz"


def test_the_file_of_a_layer_itself_is_not_suggested(tmp_path, rng):
    path = tmp_path / "sub-01_desc-sr2x_T1w.nii.gz"
    write_scan(path, rng, stored_affine("LPS"))
    viewer = ViewerModel()
    (scan,) = viewer.open(path, plugin="napari-mrisr")
    found = suggested_path(scan, viewer.layers, Path("/elsewhere"))
    assert found == tmp_path / "sub-01_desc-sr2xcopy_T1w.nii.gz"


def test_a_layer_of_another_program_is_saved_under_its_name(tmp_path):
    layer = Image(np.zeros((3, 4, 5)), name='ca/t: "a" ')
    assert suggested_path(layer, [layer], tmp_path) == tmp_path / "ca-t- -a.nii.gz"


def test_saving_reports_slices_and_a_cancelled_one_leaves_no_file(tmp_path, volume):
    data, kwargs, _ = layer_data(volume, "scan")
    taken = snapshot(Image(data, **kwargs))

    class Counting(Progress):
        def __init__(self, stop):
            super().__init__(CancelToken())
            self.seen, self.stop = [], stop

        def show(self, state):
            self.seen.append((state.done, state.total))
            if state.done == self.stop:
                self.token.cancel()

    progress = Counting(stop=99)
    assert save_snapshot(taken, tmp_path / "a 2.5", progress) == tmp_path / "a 2.5.nii.gz"
    assert progress.seen == [(n, 15) for n in range(16)]
    for name in ("b.nii.gz", "b.nii", "b.mgz"):
        with pytest.raises(Cancelled):
            save_snapshot(taken, tmp_path / name, Counting(stop=7))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a 2.5.nii.gz"]


def test_a_map_of_zeros_is_saved(tmp_path):
    layer = Image(np.zeros((3, 4, 5), np.float32), contrast_limits=(0, 1))
    save_snapshot(snapshot(layer), tmp_path / "zeros.nii")
    assert nib.load(tmp_path / "zeros.nii").shape == (5, 4, 3)


def test_several_layers_do_not_fit_into_one_file(make_napari_viewer, tmp_path, monkeypatch):
    viewer = make_napari_viewer()
    PluginManager.instance().activate("napari-mrisr")
    for _ in range(2):
        viewer.add_image(np.zeros((3, 4, 5)))

    def answer(name: str) -> None:
        def chosen(*_: object, filter: str, **more: object) -> tuple[str, str]:
            return str(tmp_path / name), next(f for f in filter.split(";;") if "older" in f)

        monkeypatch.setattr(QFileDialog, "getSaveFileName", chosen)
        viewer.window._qt_viewer._save_layers_dialog(selected=False)

    with pytest.raises(OutputError, match="holds one volume; select one layer"):
        answer("res.nii.gz")
    assert not list(tmp_path.iterdir())
    answer("folder")
    assert len(list((tmp_path / "folder").iterdir())) == 2
    PluginManager.instance().deactivate("napari-mrisr")
