"""The engine: one volume in memory, one on disk, the start of a command, and cancel."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from inputs import cube

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.io import write_volume
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.scan.traits import measure_traits
from napari_mrisr.streaming import StreamRequest, stream

SIZE = 64
"""Voxels per axis of the low-resolution input."""


class Upscale:
    """One volume in memory; the first setup compiles the kernels."""

    params = (["hashed", "tricubic"], [(2, 2, 2), (3, 3, 3)])
    param_names = ("method", "scale")
    timeout = 600

    def setup(self, method: str, scale: Scale) -> None:
        self.volume = cube("crop", SIZE)
        self.parameters = UpscaleParameters(scale, method, device="cpu", threads=1)
        upscale(cube("crop", 16), self.parameters)

    def time_upscale(self, method: str, scale: Scale) -> None:
        upscale(self.volume, self.parameters)

    def peakmem_upscale(self, method: str, scale: Scale) -> None:
        upscale(self.volume, self.parameters)


class Stream:
    """One volume from disk to disk within 1 GB."""

    timeout = 600

    def setup(self) -> None:
        self.folder = TemporaryDirectory()
        source, out = Path(self.folder.name, "in.nii"), Path(self.folder.name, "out.nii")
        write_volume(cube("crop", 2 * SIZE), source)
        parameters = UpscaleParameters(device="cpu", threads=1)
        self.request = StreamRequest(source, out, parameters, 10**9, overwrite=True)

    def teardown(self) -> None:
        self.folder.cleanup()

    def time_stream(self) -> None:
        stream(self.request)

    def peakmem_stream(self) -> None:
        stream(self.request)


class Command:
    """``napari-mrisr upscale`` on a small file, from its start to its exit."""

    def setup(self) -> None:
        self.folder = TemporaryDirectory()
        source, out = Path(self.folder.name, "in.nii.gz"), Path(self.folder.name, "out.nii.gz")
        write_volume(cube("head", SIZE // 4), source)
        self.words = ["upscale", str(source), str(out), "--overwrite", "-q"]

    def teardown(self) -> None:
        self.folder.cleanup()

    def time_upscale(self) -> None:
        subprocess.run([sys.executable, "-m", "napari_mrisr", *self.words], check=True)

    def timeraw_import(self) -> str:
        return "import napari_mrisr"


class Cancel:
    """The longest time between two checks of the token, which a cancel may have to wait."""

    unit = "ms"
    timeout = 600

    def setup(self) -> None:
        self.volume = cube("head", SIZE)
        self.track_longest_wait()

    def track_longest_wait(self) -> float:
        token = Stopwatch()
        upscale(self.volume, UpscaleParameters(device="cpu", threads=1), progress=Progress(token))
        measure_traits(self.volume, Progress(token))
        return 1e3 * token.longest


class Stopwatch(CancelToken):
    """A token that measures the processor time between its checks."""

    def __init__(self) -> None:
        super().__init__()
        self.longest, self._last = 0.0, time.process_time()

    def check(self) -> None:
        now = time.process_time()
        self.longest, self._last = max(self.longest, now - self._last), now
