"""``napari-mrisr bench``."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from napari_mrisr.cli import main


def test_table_and_figure_are_written(tmp_path, rng, capsys):
    data = rng.integers(50, 900, (24, 28, 32)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "scan.nii.gz")
    out = tmp_path / "out"
    command = ["bench", str(tmp_path / "scan.nii.gz"), "--protocol", "thick-slices:4"]
    command += ["--axis", "S-I", "--methods", "tricubic,nearest", "--out", str(out), "-q"]
    assert main([*command, "--tasks", "all"]) == 0
    assert {p.name for p in out.iterdir()} == {
        "bench.csv", "bench.json", "bench.md", "bench.png", "rows.jsonl", "pictures",
    }  # fmt: skip
    table = capsys.readouterr().out
    assert "| nearest |" in table
    assert "| lesions: kept, radius 1 |" in table
