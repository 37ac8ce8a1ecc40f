"""Frozen requests for the explainer's thread, and the choice of layers. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.comparison.opening import MEASURED, ORIGINAL, role
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Grid, Shape, Volume
from napari_mrisr.errors import GeometryError
from napari_mrisr.explain import Explanation, explain_voxel, truth_scale
from napari_mrisr.explain.edge import find_edge
from napari_mrisr.viewer.layers.convert import METADATA_KEY, LayerSnapshot, ScanRecord

DEFAULT_SCALE: Scale = (2, 2, 2)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Checked and normalized volumes, kept for the next voxel."""

    lr: Volume
    reference: Volume | None


@dataclass(frozen=True, eq=False)
class Explained:
    """Result of a request."""

    prepared: Prepared
    explanation: Explanation


@dataclass(frozen=True, eq=False)
class ExplainRequest:
    """Explain a voxel of a layer.

    Attributes
    ----------
    source : LayerSnapshot
        Low-resolution scan.
    reference : LayerSnapshot or None
    bank : FilterBank
    voxel : tuple of int or None
        Index in the output grid; None for a voxel on a clear edge.
    prepared : Prepared or None
        Result of an earlier request for the same layers.
    """

    source: LayerSnapshot
    reference: LayerSnapshot | None
    bank: FilterBank
    voxel: Shape | None
    prepared: Prepared | None = None

    def __call__(self, progress: Progress) -> Explained:
        """Compute the explanation on a background thread."""
        prepared = self.prepared or self._prepare(progress)
        voxel = self.voxel or find_edge(prepared.lr, self.bank.scale, progress=progress)
        progress.token.check()
        explanation = explain_voxel(prepared.lr, self.bank, voxel, prepared.reference)
        return Explained(prepared, explanation)

    def _prepare(self, progress: Progress) -> Prepared:
        volume = self.source.to_volume()
        progress.token.check()
        lr = volume.normalized(check=progress.token.check)
        progress.token.check()
        reference = self.reference.to_volume() if self.reference is not None else None
        progress.token.check()
        return Prepared(lr, reference)


def likely_roles(
    layers: list[tuple[str, Grid, dict[str, str]]],
) -> tuple[int | None, int | None]:
    """Guess the low-resolution scan and its reference from names, grids and histories.

    Parameters
    ----------
    layers : list of (name, grid, history)
        Layers, the newest last.

    Returns
    -------
    lr, reference : int or None
        Positions in the list.
    """
    kinds = [role(name, history)[0] for name, _, history in layers]
    numbers = range(len(layers) - 1, -1, -1)
    lr = next((i for i in numbers if kinds[i] == MEASURED), None)
    if lr is None:
        # Otherwise the newest layer that is no result.
        lr = next((i for i in numbers if kinds[i] == ORIGINAL), None)
    if lr is None:
        return (len(layers) - 1 if layers else None), None
    grid = layers[lr][1]
    originals = [i for i in numbers if i != lr and kinds[i] == ORIGINAL]
    return lr, next((i for i in originals if scale_between(layers[i][1], grid)), None)


def scale_between(reference: Grid, lr: Grid) -> Scale | None:
    """Return the scale at which a reference fits a scan; None if it does not fit."""
    try:
        return truth_scale(reference, lr)
    except GeometryError:
        return None


def history_of(layer: object) -> dict[str, str]:
    """Return the processing history of a layer, empty if unknown."""
    record = getattr(layer, "metadata", {}).get(METADATA_KEY)
    return dict(record.history) if isinstance(record, ScanRecord) else {}
