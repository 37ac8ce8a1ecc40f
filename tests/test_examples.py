"""The examples in the docstrings of all public names run, as a reader would run them."""

from __future__ import annotations

import doctest
import inspect

import numpy as np
import pytest
from helpers.scans import head

import napari_mrisr as sr

PUBLIC = [name for name in sr.__all__ if name != "__version__"]
FUNCTIONS = [name for name in PUBLIC if inspect.isfunction(getattr(sr, name))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with ``scan.nii.gz``, a small head of 2 mm voxels."""
    monkeypatch.chdir(tmp_path)
    data = head(0, (24, 28, 26))
    grid = sr.Grid(data.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    sr.write_volume(sr.Volume(data, grid), "scan.nii.gz")


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
