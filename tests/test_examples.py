"""The examples in the docstrings of all public names run, as a reader would run them."""

from __future__ import annotations

import doctest
import inspect
import runpy
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers import dicoms
from helpers.scans import head

import napari_mrisr as sr

PUBLIC = [name for name in sr.__all__ if name != "__version__"]
FUNCTIONS = [name for name in PUBLIC if inspect.isfunction(getattr(sr, name))]

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a small head of 2 mm voxels, real and complex, and a DICOM study."""
    monkeypatch.chdir(tmp_path)
    data = head(0, (24, 28, 26))
    grid = sr.Grid(data.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    sr.write_volume(sr.Volume(data, grid), "scan.nii.gz")
    turned = (data * np.exp(0.5j)).astype(np.complex64)
    nib.save(nib.Nifti1Image(turned, grid.affine), "complex.nii.gz")
    dicoms.series("study")


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(name, folder):
    found = getattr(sr, name)
    tests = doctest.DocTestFinder().find(found, name, module=inspect.getmodule(found))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    lines = []
    for test in tests:
        runner.run(test, out=lines.append)
    assert not lines, "".join(lines)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_has_an_example(name):
    tests = doctest.DocTestFinder(recurse=False).find(getattr(sr, name), name)
    assert any(test.examples for test in tests)


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
