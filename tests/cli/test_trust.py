"""upscale --maps, --report and the cautions before a run."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from scipy import signal

from napari_mrisr.streaming import survey

from .conftest import make_scan


@pytest.fixture
def low(tmp_path):
    return make_scan(tmp_path / "sub-01_T1w.nii.gz", 5, (29, 34, 25))


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_maps_are_written_next_to_the_result(run, low, bank, tmp_path):
    out = tmp_path / "out"
    found = run("upscale", low, out, "--bank", bank, "--maps")
    assert found.code == 0
    names = ["desc-sr2x", "desc-sr2xconsistency", "desc-sr2xexperr", "desc-sr2xsupport"]
    assert files(out) == [f"sub-01_{name}_T1w.nii.gz" for name in names]
    high, consistency, error, support = (nib.load(out / name) for name in files(out))
    assert high.shape == error.shape == support.shape == (58, 68, 50)
    assert consistency.shape == (29, 34, 25)
    np.testing.assert_allclose(error.affine, high.affine)
    assert error.get_fdata().min() >= 0
    assert set(np.unique(support.get_fdata())) <= {0, 1, 2, 3}
    note = json.loads(error.header.extensions[0].get_content())
    assert note["map"] == "expected RMSE, scan's intensities"
    assert note["notice"] == "research use, not for diagnosis"
    assert "consistency" in found.out


def test_maps_equal_those_of_the_api(run, low, bank, tmp_path):
    from napari_mrisr import UpscaleParameters, load_bank, read_volume, trust_maps, upscale

    run("upscale", low, tmp_path / "high.nii", "--bank", bank, "--maps")
    volume = read_volume(low)
    maps = trust_maps(volume, upscale(volume, UpscaleParameters(bank=str(bank))), load_bank(bank))
    for name, expected in (
        ("experr", maps.expected_error),
        ("support", maps.support),
        ("consistency", maps.consistency),
    ):
        found = nib.load(tmp_path / f"high_desc-{name}.nii").get_fdata()
        np.testing.assert_allclose(found, expected.data, rtol=1e-5, atol=1e-5)


def test_the_report_is_written_next_to_the_result(run, low, bank, tmp_path):
    found = run("upscale", low, tmp_path / "high.nii.gz", "--bank", bank, "--report")
    assert found.code == 0
    text = (tmp_path / "high.html").read_text()
    assert "data:image/png;base64," in text
    assert "sub-01" not in text
    assert not list(tmp_path.glob("*experr*"))


def test_maps_need_a_bank(run, low, tmp_path):
    found = run("upscale", low, tmp_path / "o.nii", "--method", "tricubic", "--maps")
    assert found.code == 2
    assert found.error == (
        "--maps: the method tricubic has no filters to make them from; "
        "use --method hashed or network"
    )
    assert not (tmp_path / "o.nii").exists()


@pytest.mark.parametrize(
    ("taken", "option"),
    [("high_desc-experr.nii", "--maps"), ("high.html", "--report")],
)
def test_existing_files_are_kept(run, low, bank, tmp_path, taken, option):
    (tmp_path / taken).write_text("mine")
    out = tmp_path / "high.nii"
    found = run("upscale", low, out, "--bank", bank, option)
    assert found.code == 2
    assert taken in found.error
    assert not out.exists()
    assert (tmp_path / taken).read_text() == "mine"
    assert run("upscale", low, out, "--bank", bank, option, "--overwrite").code == 0
    assert (tmp_path / taken).read_bytes()[:4] != b"mine"


@pytest.fixture
def soft(low, tmp_path):
    """Interpolated from head to foot."""
    image = nib.load(low)
    data = signal.resample(image.get_fdata(), 50, axis=2).astype(np.float32)
    nib.save(nib.Nifti1Image(data, np.diag([1.0, 1.1, 0.6, 1.0])), tmp_path / "soft.nii")
    return tmp_path / "soft.nii"


def test_a_caution_is_a_headline_that_verbose_explains(run, soft, bank, tmp_path):
    found = run("upscale", soft, tmp_path / "o.nii", "--bank", bank)
    assert found.code == 0
    assert "caution: interpolated axis" in found.err
    assert "S–I" not in found.err
    found = run("upscale", soft, tmp_path / "v.nii", "--bank", bank, "--verbose")
    assert "caution: interpolated axis. Only" in found.err
    assert "along S–I" in found.err
    quiet = run("upscale", soft, tmp_path / "p.nii", "--bank", bank, "-q")
    assert quiet.err == ""


def cautions(outcome):
    assert outcome.code == 0, outcome.err
    return [line for line in outcome.err.splitlines() if "caution: " in line]


def test_a_run_from_disk_shows_the_same_cautions(run, soft, bank, tmp_path):
    whole = cautions(run("upscale", soft, tmp_path / "o.nii", "--bank", bank))
    assert len(whole) == 1
    streamed = run("upscale", soft, tmp_path / "p.nii", "--bank", bank, "--memory", "2GB")
    assert cautions(streamed) == whole
    assert "too large" not in streamed.err
    # Before the first block.
    assert streamed.err.index("caution: ") < streamed.err.index("hashed 2x")
    without = run("upscale", soft, tmp_path / "q.nii", "--method", "tricubic", "--memory", "2GB")
    assert cautions(without) == []


def test_cautions_about_a_part_of_a_large_scan_say_so(run, soft, bank, tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "_MOST_MEASURED", 25_000)
    found = run("upscale", soft, tmp_path / "o.nii", "--bank", bank, "--memory", "2GB")
    assert "soft.nii: too large to be examined whole; cautions are about its middle" in found.err
    assert "interpolated axis" in cautions(found)[0]


@pytest.mark.parametrize("options", [(), ("--memory", "2GB")])
def test_cautions_of_a_batch_name_the_scan_and_are_summed_up(run, soft, bank, tmp_path, options):
    other = soft.rename(tmp_path / "other.nii")
    again = tmp_path / "again.nii"
    again.write_bytes(other.read_bytes())
    found = run("upscale", other, again, tmp_path / "out", "--bank", bank, *options)
    interpolated = [line for line in cautions(found) if "interpolated axis" in line]
    assert [line.partition(": caution")[0] for line in interpolated] == [
        "[1/2] other.nii",
        "[2/2] again.nii",
    ]
    assert "cautions in 2 scans: interpolated axis (2)" in found.err


def test_a_bank_without_calibration_gives_no_expected_error(run, low, bank, tmp_path):
    from dataclasses import replace

    from napari_mrisr import load_bank

    old = tmp_path / "old.safetensors"
    replace(load_bank(bank), calibration=None).save(old)
    found = run("upscale", low, tmp_path / "high.nii", "--bank", old, "--maps")
    assert found.code == 0
    assert "no calibration: train the bank again" in found.out
    assert not (tmp_path / "high_desc-experr.nii").exists()
    assert (tmp_path / "high_desc-support.nii").exists()


def test_a_folder_run_skips_maps_of_earlier_runs(run, low, bank, tmp_path):
    run("upscale", low, tmp_path / "high.nii", "--bank", bank, "--maps")
    (tmp_path / "high.nii").unlink()
    found = run("upscale", tmp_path, tmp_path / "all", "--bank", bank)
    assert found.code == 0
    assert files(tmp_path / "all") == ["sub-01_desc-sr2x_T1w.nii.gz"]
