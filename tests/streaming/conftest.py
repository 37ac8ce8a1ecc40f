"""Scan file, small filter bank, and request for small blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.streams import save_scan, small_request

from napari_mrisr.streaming import StreamRequest


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return save_scan(tmp_path / "scan.nii")


@pytest.fixture
def bank(make_bank: Callable, tmp_path: Path) -> str:
    path = tmp_path / "bank.safetensors"
    make_bank((2, 2, 2), ("cell", "voxel", "voxel")).save(path)
    return str(path)


@pytest.fixture
def ask() -> Callable[..., StreamRequest]:
    """Return a request whose memory allows blocks of 64 planes and no more."""
    return small_request
