"""Contents of an install: wheel, sdist and editable install, really built."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import napari_mrisr

DATA = [
    "napari_mrisr/kernels/cuda/filter.cu",
    "napari_mrisr/kernels/cuda/hash.cu",
    "napari_mrisr/kernels/cuda/rows.cu",
    "napari_mrisr/napari.yaml",
    "napari_mrisr/py.typed",
    "napari_mrisr/sample_data/README.md",
    "napari_mrisr/sample_data/make_phantom.py",
    "napari_mrisr/sample_data/phantom_T1w.nii.gz",
    "napari_mrisr/sample_data/phantom_lesion.nii.gz",
]


@pytest.fixture(scope="module")
def sources(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build from, so that builds leave nothing behind."""
    copy = tmp_path_factory.mktemp("sources") / "napari-mrisr"
    skip = shutil.ignore_patterns(
        ".*_cache", ".venv", ".git", ".hypothesis", "__pycache__", "*.nb?"
    )
    shutil.copytree(repository, copy, ignore=skip, symlinks=True)
    return copy


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = str(tmp_path_factory.mktemp("wheel"))
    return Path(next(WheelBuilder(str(sources)).build(directory=folder, versions=["standard"])))


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_wheel_has_every_file_of_the_package(wheel: Path, repository: Path) -> None:
    package = repository / "napari_mrisr"
    files = {
        str(path.relative_to(repository).as_posix())
        for path in package.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.suffix not in (".nbi", ".nbc")
    }
    assert (files | set(DATA)) - names(wheel) == set()


def test_wheel_has_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names(wheel)}
    assert tops == {"napari_mrisr", f"napari_mrisr-{napari_mrisr.__version__}.dist-info"}
    assert not [name for name in names(wheel) if "__pycache__" in name or name.endswith(".pyc")]


def test_wheel_has_the_whole_sample(wheel: Path, repository: Path) -> None:
    name = "sample_data/phantom_T1w.nii.gz"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"napari_mrisr/{name}") == (repository / name).read_bytes()
        assert archive.read("napari_mrisr/napari.yaml") == (repository / "napari.yaml").read_bytes()


def test_sdist_builds_the_same_wheel(sources: Path, wheel: Path, tmp_path: Path) -> None:
    sdist = next(SdistBuilder(str(sources)).build(directory=str(tmp_path), versions=["standard"]))
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / f"napari_mrisr-{napari_mrisr.__version__}"
    assert (unpacked / "napari.yaml").is_file()
    assert not (unpacked / "napari_mrisr" / "napari.yaml").exists()
    again = next(WheelBuilder(str(unpacked)).build(directory=str(tmp_path), versions=["standard"]))
    assert names(Path(again)) == names(wheel)


def test_editable_install_links_the_manifest(sources: Path, tmp_path: Path) -> None:
    link = sources / "napari_mrisr" / "napari.yaml"
    link.unlink(missing_ok=True)
    editable = next(
        WheelBuilder(str(sources)).build(directory=str(tmp_path), versions=["editable"])
    )
    assert link.read_bytes() == (sources / "napari.yaml").read_bytes()
    # A second copy in site-packages would go stale.
    assert not [name for name in names(Path(editable)) if name.startswith("napari_mrisr/")]


def test_declared_metadata(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    core = " ".join(project["dependencies"]).lower()
    assert not any(name in core for name in ("napari", "qt", "magicgui", "cupy"))
    extras = project["optional-dependencies"]
    assert {"gui", "gpu", "all", "dev"} <= set(extras)
    assert any(line.startswith("napari>=0.9,<0.10") for line in extras["gui"])
    assert any(line.startswith("PyQt6") for line in extras["gui"])
    assert project["entry-points"]["napari.manifest"] == {
        "napari-mrisr": "napari_mrisr:napari.yaml"
    }
    assert project["scripts"] == {"napari-mrisr": "napari_mrisr.cli:main"}


@pytest.fixture(scope="module")
def manifest(repository: Path) -> Any:
    npe2 = pytest.importorskip("npe2")
    return npe2.PluginManifest.from_file(repository / "napari.yaml")


def test_manifest_names_exist(manifest: Any) -> None:
    """All ``python_name`` entries can be imported."""
    manifest.validate_imports()


def test_manifest_offers_what_the_readme_says(manifest: Any) -> None:
    found = manifest.contributions
    assert manifest.name == "napari-mrisr"
    offered = [widget.display_name for widget in found.widgets]
    assert offered[:2] == ["Super-resolve", "Compare"]
    assert {sample.key for sample in found.sample_data} == {"phantom", "mni152", "ds000011"}
    assert found.writers[0].filename_extensions[0] == ".nii.gz"
    commands = {command.id for command in found.commands}
    used = [*found.widgets, *found.readers, *found.writers, *found.sample_data]
    assert {item.command for item in used} == commands


def test_manifest_reads_what_the_engine_reads(manifest: Any) -> None:
    from napari_mrisr.io.formats import READABLE, ZARR

    patterns = set(manifest.contributions.readers[0].filename_patterns)
    expected = {f"*{suffix}" for suffix in READABLE + ZARR}
    assert patterns == expected | {pattern.upper() for pattern in expected}


def test_targets_are_thin_and_ci_calls_one(repository: Path) -> None:
    script = repository / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text("utf-8").splitlines()
    assert [line for line in lines if "exec" in line] == ["exec make test"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_build_products_are_ignored(repository: Path) -> None:
    if not (repository / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard"],
        cwd=repository, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert listed.stdout == ""
    products = [".venv/x", "dist/x.whl", "napari_mrisr/napari.yaml", "napari_mrisr/a.nbi"]
    ignored = subprocess.run(
        ["git", "check-ignore", *products],
        cwd=repository, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ignored.stdout.split() == products
