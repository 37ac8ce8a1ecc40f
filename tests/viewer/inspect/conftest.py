"""Inspections of planted patterns."""

from __future__ import annotations

import pytest
from helpers import patterns

from napari_mrisr.core.progress import Progress
from napari_mrisr.viewer.inspect import controller
from napari_mrisr.viewer.layers.convert import layer_data, snapshot


@pytest.fixture
def bank(monkeypatch):
    """Replace the bundled banks by a planted bank."""
    planted = patterns.planted_bank()
    monkeypatch.setattr(controller, "bank_for", lambda scale, name: planted)
    return planted


@pytest.fixture
def inspect(bank):
    """Return a function that inspects a volume as the thread does."""
    from napari.layers import Image

    def run(volume, number=0):
        data, kwargs, _ = layer_data(volume, "scan")
        request = controller.MapRequest(snapshot(Image(data, **kwargs)), (2, 2, 2), None, number)
        return request.run(Progress())

    return run
