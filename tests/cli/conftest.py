"""Scans on disk and a way to run commands."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers.training import train_quickly
from scipy import ndimage

from napari_mrisr.cli import main
from napari_mrisr.cli.session import TerminalProgress
from napari_mrisr.core.progress import ProgressState

SHAPE = (18, 22, 15)
ZOOMS = (1.0, 1.1, 1.2)


def make_scan(path: Path, seed: int = 1, shape=SHAPE, affine=None) -> Path:
    """Write a textured ball, stored as RAS unless an affine says otherwise."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    texture = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.0)
    data = np.where(sum(a**2 for a in axes) < 0.6, 300 + 400 * texture, 0).clip(0).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([*ZOOMS, 1.0]) if affine is None else affine), path)
    return path


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return make_scan(tmp_path / "sub-01_T1w.nii.gz")


@pytest.fixture
def small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make trainings take a second: two stages, few buckets."""
    train_quickly(monkeypatch)


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filter bank for 2x, trained on two small volumes."""
    folder = tmp_path_factory.mktemp("bank")
    paths = [make_scan(folder / f"{seed}.nii", seed, (29, 34, 25)) for seed in (2, 3)]
    out = folder / "small.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        train_quickly(patch)
        assert main(["train", *map(str, paths), "--scale", "2", "--out", str(out), "-q"]) == 0
    return out


def interrupt_at(
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    number: signal.Signals = signal.SIGINT,
    done: int = 0,
) -> None:
    """Send a signal, Ctrl-C by default, when progress shows a number of steps of a task."""
    show = TerminalProgress.show

    def show_and_interrupt(self: TerminalProgress, state: ProgressState) -> None:
        show(self, state)
        if task in state.task and state.done >= done and not self.token.cancelled:
            signal.raise_signal(number)

    monkeypatch.setattr(TerminalProgress, "show", show_and_interrupt)


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one error line there must be."""
        lines = [line for line in self.err.splitlines() if line.startswith("napari-mrisr: error: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("napari-mrisr: error: ")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command line in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], set[str]]:
    """Names of all files below the temporary folder."""
    return lambda: {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
