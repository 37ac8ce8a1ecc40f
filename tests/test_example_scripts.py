"""The scripts of ``examples/`` run on a small scan."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.fixture
def scan(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A smooth blob with noise, 44 × 40 × 36 voxels of 1 mm."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (44, 40, 36)), indexing="ij")
    data = 900 * (x**2 + y**2 + z**2 < 0.7) + rng.normal(100, 10, x.shape)
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(data.astype(np.float32), np.eye(4)), path)
    return path


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(script, scan, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script), str(scan)])
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out


def test_five_examples_are_listed_in_their_readme():
    listed = (EXAMPLES[0].parent / "README.md").read_text("utf-8")
    assert len(EXAMPLES) == 5
    assert all(f"`{path.name}`" in listed for path in EXAMPLES)
