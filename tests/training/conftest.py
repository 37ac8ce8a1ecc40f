"""Fixtures of the training: phantom heads, and presets that train in seconds."""

from __future__ import annotations

import pytest
from helpers.scans import save_scans
from helpers.training import train_quickly


@pytest.fixture(scope="session")
def scans(tmp_path_factory):
    return save_scans(tmp_path_factory.mktemp("scans"))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    train_quickly(monkeypatch)
