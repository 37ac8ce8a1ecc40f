"""Saving by napari's dialog, whatever file type it shows."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from napari.plugins import _npe2
from npe2 import PluginManager
from qtpy.QtWidgets import QFileDialog

from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import OutputError
from napari_mrisr.viewer.layers.convert import layer_data

TIFF, MRI = "lossless", "MRI volume"


@pytest.fixture
def save(make_napari_viewer, volume: Volume, monkeypatch, tmp_path):
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
def test_names_of_ours_and_names_without_suffix(save, tmp_path, volume, shown, name, written):
    save(shown, name)
    assert {entry.name for entry in tmp_path.iterdir()} - {"res.mrisr.json"} == {written}
    image = nib.load(tmp_path / written)
    np.testing.assert_allclose(image.affine, volume.grid.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.data)


@pytest.mark.parametrize("shown", [TIFF, MRI])
def test_names_of_others_go_to_their_writer(save, tmp_path, shown):
    save(shown, "res.tif")
    assert (tmp_path / "res.tif").read_bytes()[:2] in (b"II", b"MM")


def test_a_layer_of_another_program_without_suffix_is_left_to_napari(save, tmp_path):
    save(TIFF, "res", ours=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["res.tif"]
    save(TIFF, "res.nii.gz", ours=False)
    assert (tmp_path / "res.nii.gz").exists()


def test_a_file_that_the_dialog_did_not_name_is_not_replaced(save, tmp_path):
    (tmp_path / "res.nii.gz").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"res\.nii\.gz"):
        save(MRI, "res")
    assert (tmp_path / "res.nii.gz").read_bytes() == b"mine"
    save(MRI, "res.nii.gz")
    assert nib.load(tmp_path / "res.nii.gz").shape


def test_an_unknown_suffix_is_refused(save, tmp_path):
    with pytest.raises(OutputError, match=r"cannot write '\.xyz'"):
        save(MRI, "res.xyz")
    assert not list(Path(tmp_path).iterdir())
