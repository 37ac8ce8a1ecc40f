"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from napari_mrisr.bank.model import FilterBank
    from napari_mrisr.kernels.machine import Machine

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, visibly, what needs a GPU where there is none."""
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if gpu_tests and not _has_gpu():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason="no CUDA device, or no cupy"))


def _has_gpu() -> bool:
    try:
        import cupy
    except ImportError:
        return False
    try:
        return bool(cupy.cuda.runtime.getDeviceCount() > 0)
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the repository."""
    return ROOT


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20210202)


@pytest.fixture(scope="session", params=["host", pytest.param("gpu", marks=pytest.mark.gpu)])
def machine(request: pytest.FixtureRequest) -> Machine:
    """What runs the CUDA kernels: this processor, then a GPU."""
    if request.param == "gpu":
        from napari_mrisr.kernels.gpu import Gpu

        return Gpu()
    from host_machine import COMPILER, HostMachine

    if COMPILER is None:
        pytest.skip("no C++ compiler to try the CUDA kernels with")
    return HostMachine()


@pytest.fixture
def make_bank() -> Callable[..., FilterBank]:
    """Make a filter bank with random weights; nothing about it is symmetric."""
    return _random_bank


def _random_bank(
    scale: tuple[int, int, int] = (2, 2, 2),
    grids: tuple[str, ...] = ("cell", "voxel"),
    *,
    width: int = 3,
    symmetry: str | None = None,
    size: float = 0.3,
    start: str = "tricubic",
    residual: bool = True,
    seed: int = 0,
) -> FilterBank:
    """Random weights, of which a filter's length is ``size``."""
    from napari_mrisr.bank.hashing import HashSpec
    from napari_mrisr.bank.model import FilterBank, Stage, StageSpec
    from napari_mrisr.operators.gradients import Window

    rng = np.random.default_rng(seed)
    if symmetry is None:
        symmetry = "cube" if len(set(scale)) == 1 else "flips"
    stages = []
    for grid in grids:
        cuts = {"elevation": (20.0,), "azimuth": (22.5,), "coherence": (0.1,), "curvature": (0.0,)}
        phases = scale if grid == "voxel" else (1, 1, 1)
        flat = 0.01 if residual else 0.0
        spec = StageSpec(
            grid, HashSpec(Window(1.0, 2), cuts, symmetry, phases, flat), width, residual
        )
        filters, buckets = spec.hash.filter_count, spec.hash.bucket_count
        weights = rng.normal(0, size / spec.taps**0.5, (filters, spec.taps, spec.outputs(scale)))
        if not residual:
            weights[:, spec.taps // 2] += 1.0
        support = rng.integers(0, 900, buckets)
        errors = rng.random((2, buckets)).astype(np.float32)
        stages.append(Stage(spec, weights.astype(np.float32), support, errors[0] / 2, errors[1]))
    volumes = [{"name": "a.nii.gz", "license": "CC0", "sha256": "0123456789abcdef" * 4}]
    provenance = {"preset": "default", "volumes": volumes, "created": "2021-02-02"}
    return FilterBank(scale, "standard", start, tuple(stages), provenance, "random")


@pytest.fixture(autouse=True)
def _no_banks_of_ones_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own banks must not be seen, nor added to."""
    monkeypatch.setenv("NAPARI_MRISR_BANKS", str(tmp_path_factory.getbasetemp() / "no-banks"))


@pytest.fixture(autouse=True)
def _on_the_cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested is the same on every machine: only tests marked so see a GPU."""
    if request.node.get_closest_marker("gpu") is None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        monkeypatch.setattr(
            "napari_mrisr.methods.devices._find", lambda: (None, "hidden from this test")
        )
        monkeypatch.setattr("napari_mrisr.methods.devices._said", set())


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    """A figure that stays open warns after the twentieth, far from its cause."""
    yield
    import sys

    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
