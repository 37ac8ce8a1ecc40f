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
    """Machine that runs the CUDA kernels: this processor, then a GPU."""
    if request.param == "gpu":
        from napari_mrisr.kernels.gpu import Gpu

        return Gpu()
    from helpers.host_machine import COMPILER, HostMachine

    if COMPILER is None:
        pytest.skip("no C++ compiler to try the CUDA kernels with")
    return HostMachine()


@pytest.fixture
def make_bank() -> Callable[..., FilterBank]:
    """Make a filter bank with random weights; nothing about it is symmetric."""
    from helpers.banks import random_bank

    return random_bank


@pytest.fixture(autouse=True)
def _no_banks_of_ones_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own banks must not be seen, nor added to."""
    monkeypatch.setenv("NAPARI_MRISR_BANKS", str(tmp_path_factory.getbasetemp() / "no-banks"))


@pytest.fixture(autouse=True)
def _on_the_cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the GPU from tests that are not marked for it."""
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
