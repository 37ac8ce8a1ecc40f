"""Folder of compiled code: in a read-only install, and without any folder."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import napari_mrisr

DATA = np.arange(7 * 6 * 5, dtype=np.int16).reshape(7, 6, 5)

_FILES_ARE_NO_LIMIT = 1  # CAP_DAC_OVERRIDE: root may write to what is read-only


def _as_others() -> None:
    """Give up root's right to write everywhere; in the child, before it runs."""
    if os.getuid() == 0:
        ctypes.CDLL(None).prctl(24, _FILES_ARE_NO_LIMIT, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture
def install(tmp_path):
    """A copy of the package in folders that cannot be written to."""
    package = tmp_path / "site-packages" / "napari_mrisr"
    left_out = shutil.ignore_patterns("__pycache__", "banks", "viewer")
    shutil.copytree(Path(napari_mrisr.__file__).parent, package, ignore=left_out)
    folders = [package, *(path for path in package.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield package
    for folder in folders:
        folder.chmod(0o755)


def _upscale(install: Path, home: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    scan = tmp_path / "scan.nii"
    nib.save(nib.Nifti1Image(DATA, np.eye(4)), scan)
    elsewhere = ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    environment = {name: text for name, text in os.environ.items() if name not in elsewhere}
    environment |= {"HOME": str(home), "PYTHONPATH": str(install.parent)}
    code = (
        "import sys; from napari_mrisr import cli; from napari_mrisr.kernels import jit;"
        "code = cli.main(sys.argv[1:]); print(jit.__file__, jit.cache_folder()); sys.exit(code)"
    )
    words = ["upscale", scan, tmp_path / "out.nii", "--overwrite", "--method", "nearest", "-q"]
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        cwd=tmp_path,
        env=environment,
        preexec_fn=_as_others,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the user's cache folder is named")
def test_a_read_only_install_keeps_the_code_in_the_user_s_cache(install, tmp_path):
    (tmp_path / "home").mkdir()
    done = _upscale(install, tmp_path / "home", tmp_path)
    assert done.returncode == 0, done.stderr
    module, folder = done.stdout.split()
    assert module == str(install / "kernels" / "jit.py")
    assert Path(folder).is_relative_to(tmp_path / "home" / ".cache")
    assert list(Path(folder).glob("cpu_rows*.nbc"))
    assert not list(install.rglob("*.nbi"))


@pytest.mark.skipif(sys.platform == "win32", reason="folders there have no such permissions")
def test_without_any_folder_it_still_runs(install, tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    done = _upscale(install, home, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(install / "kernels" / "jit.py"), "None"]
    result = nib.load(tmp_path / "out.nii").get_fdata()
    wanted = DATA.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(result, wanted, atol=0.01)
    assert not list(home.rglob("*"))


def test_a_change_of_any_kernel_file_compiles_anew(tmp_path):
    """Also of files that a kernel only draws intrinsics or constants from."""
    package = tmp_path / "napari_mrisr"
    left_out = shutil.ignore_patterns("__pycache__", "banks", "viewer")
    shutil.copytree(Path(napari_mrisr.__file__).parent, package, ignore=left_out)
    code = (
        "import numpy as np; from napari_mrisr.kernels import cpu;"
        "cpu.gradient_products(np.ones((3, 4, 5), np.float32), (0,));"
        "print(cpu.__file__, sum(cpu._product.stats.cache_misses.values()))"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path)}

    def compiled() -> int:
        words = [sys.executable, "-c", code]
        found = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True)
        path, misses = found.stdout.split()
        assert Path(path).is_relative_to(package)
        return int(misses)

    assert compiled() == 1
    assert compiled() == 0
    with (package / "kernels" / "vector.py").open("a") as file:
        file.write("\n# changed\n")
    assert compiled() == 1


@pytest.mark.parametrize("value", ["0", "many", "", "-1"])
def test_an_impossible_numba_num_threads_does_not_end_the_program(value):
    code = "import napari_mrisr.kernels.jit"
    environment = {**os.environ, "NUMBA_NUM_THREADS": value}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
