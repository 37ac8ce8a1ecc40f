"""What the tour computes before it starts, on its own sample. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.bank.model import bank_for
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import Volume
from napari_mrisr.explain import Explanation, explain_voxel
from napari_mrisr.explain.edge import find_edge
from napari_mrisr.io import samples
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import run_method
from napari_mrisr.scan.masks import head_mask

SCALE: Scale = (2, 2, 2)

TRUTH, LR, TRICUBIC, RESULT = "tour: truth", "tour: scan", "tour: smooth guess", "tour: result"
"""Names of the layers, the undermost first."""


@dataclass(frozen=True, eq=False)
class Material:
    """All that the tour shows.

    Attributes
    ----------
    volumes : dict of str to Volume
        By layer name.
    explanation : Explanation
        Of the voxel it leads to.
    errors : dict of str to float
        Root mean squared error in the head of :data:`TRICUBIC` and :data:`RESULT`,
        engine units.
    """

    volumes: dict[str, Volume]
    explanation: Explanation
    errors: dict[str, float]


def prepare(progress: Progress) -> Material:
    """Sample, simulated scan, guess and result; a voxel on an edge; for a background thread."""
    truth = samples.phantom().cropped_to_multiple(SCALE)
    progress.token.check()
    lr = degrade(truth, SCALE)
    bank = bank_for(SCALE)
    threads = processors()
    guess = run_method(get_method("tricubic", SCALE), lr, threads=threads, progress=progress)
    result = run_method(Hashed(bank), lr, threads=threads, progress=progress)
    normalized = lr.normalized()
    unit = {
        name: normalized.window.to_unit(volume.data)
        for name, volume in ((TRUTH, truth), (TRICUBIC, guess), (RESULT, result))
    }
    progress.token.check()
    voxel = find_edge(normalized, SCALE, unit[TRUTH], unit[TRICUBIC], progress=progress)
    head = head_mask(truth.data, progress)
    progress.token.check()
    errors = {
        name: float(np.sqrt(np.mean((unit[name][head] - unit[TRUTH][head]) ** 2)))
        for name in (TRICUBIC, RESULT)
    }
    return Material(
        {TRUTH: truth, LR: lr, TRICUBIC: guess, RESULT: result},
        explain_voxel(normalized, bank, voxel, truth),
        errors,
    )
