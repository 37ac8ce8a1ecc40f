"""Sample loaders, with a local server."""

from __future__ import annotations

import functools
import gc
import hashlib
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_mrisr.errors import MrisrError, VolumeError
from napari_mrisr.io import samples


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder instead of OpenNeuro, with an empty cache."""
    folder = tmp_path / "served"
    (folder / samples.DS000011_FILE).parent.mkdir(parents=True)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setattr(samples, "DS000011_BASE", f"http://127.0.0.1:{httpd.server_port}/")
        monkeypatch.setenv(samples.CACHE_VARIABLE, str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield folder
        httpd.shutdown()
        thread.join()


def test_phantom_is_found_and_read() -> None:
    volume = samples.phantom()
    assert volume.grid.shape == (146, 206, 174)
    np.testing.assert_allclose(volume.grid.voxel_size, (1.2, 1.1, 1.1), rtol=1e-6)
    assert volume.origin is not None
    assert volume.origin.axis_codes == ("L", "A", "S")


def test_missing_sample_is_named() -> None:
    with pytest.raises(VolumeError, match=r"^no_such\.nii: not among the sample files; install"):
        samples.sample_path("no_such.nii")


def test_scan_is_fetched_once(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = server / samples.DS000011_FILE
    shutil.copyfile(samples.sample_path(samples.PHANTOM_LESION), served)
    monkeypatch.setattr(samples, "DS000011_SHA256", hashlib.sha256(served.read_bytes()).hexdigest())
    first = samples.openneuro_ds000011()
    served.unlink()  # the second time must come from the cache
    second = samples.openneuro_ds000011()
    np.testing.assert_array_equal(first.data, second.data)
    assert first.data.max() == 1


def test_another_file_is_refused(server: Path) -> None:
    (server / samples.DS000011_FILE).write_bytes(b"not the scan")
    with pytest.raises(MrisrError, match=r"sub-11_T1w\.nii\.gz: the download is damaged"):
        samples.openneuro_ds000011()


# pooch leaves the answer of a failed request to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_absent_file_is_one_line(server: Path) -> None:
    with pytest.raises(MrisrError, match=r"cannot be fetched \(HTTPError\); connect") as caught:
        samples.openneuro_ds000011()
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()


def test_offline_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Port 9 discards; nothing listens there.
    monkeypatch.setattr(samples, "DS000011_BASE", "http://127.0.0.1:9/")
    monkeypatch.setenv(samples.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(MrisrError, match=r"127\.0\.0\.1:9.*cannot be fetched.*phantom"):
        samples.openneuro_ds000011()


def test_template_without_nilearn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nilearn", None)
    monkeypatch.setitem(sys.modules, "nilearn.datasets", None)
    with pytest.raises(MrisrError, match=r"nilearn is not installed; pip install"):
        samples.mni152()


def test_template_of_nilearn() -> None:
    pytest.importorskip("nilearn")
    volume = samples.mni152()
    np.testing.assert_allclose(volume.grid.voxel_size, (1, 1, 1))
    assert min(volume.grid.shape) > 180
