"""What the explainer asks its thread for, frozen. No Qt."""

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
    """Volumes checked and normalized, kept for the next voxel."""

    lr: Volume
    truth: Volume | None


@dataclass(frozen=True, eq=False)
class Explained:
    """What comes back."""

    prepared: Prepared
    explanation: Explanation


@dataclass(frozen=True, eq=False)
class ExplainRequest:
    """Explain a voxel of a layer.

    Attributes
    ----------
    source : LayerSnapshot
        Low resolution.
    truth : LayerSnapshot or None
    bank : FilterBank
    voxel : tuple of int or None
        In the output grid; None for one on a clear edge.
    prepared : Prepared or None
        Of an earlier request for the same layers.
    """

    source: LayerSnapshot
    truth: LayerSnapshot | None
    bank: FilterBank
    voxel: Shape | None
    prepared: Prepared | None = None

    def __call__(self, progress: Progress) -> Explained:
        """Do the work; for a background thread."""
        prepared = self.prepared or self._prepare(progress)
        voxel = self.voxel or find_edge(prepared.lr, self.bank.scale, progress=progress)
        progress.token.check()
        return Explained(prepared, explain_voxel(prepared.lr, self.bank, voxel, prepared.truth))

    def _prepare(self, progress: Progress) -> Prepared:
        volume = self.source.to_volume()
        progress.token.check()
        lr = volume.normalized(check=progress.token.check)
        progress.token.check()
        truth = self.truth.to_volume() if self.truth is not None else None
        progress.token.check()
        return Prepared(lr, truth)


def likely_roles(
    layers: list[tuple[str, Grid, dict[str, str]]],
) -> tuple[int | None, int | None]:
    """Which layer is the low-resolution one, and which its truth; by name, grid and history.

    Parameters
    ----------
    layers : list of (name, grid, history)
        The newest last.

    Returns
    -------
    lr, truth : int or None
        Positions in the list.
    """
    kinds = [role(name, history)[0] for name, _, history in layers]
    numbers = range(len(layers) - 1, -1, -1)
    lr = next((i for i in numbers if kinds[i] == MEASURED), None)
    if lr is None:
        # Without any hint: the newest that no method made.
        lr = next((i for i in numbers if kinds[i] == ORIGINAL), None)
    if lr is None:
        return (len(layers) - 1 if layers else None), None
    grid = layers[lr][1]
    originals = [i for i in numbers if i != lr and kinds[i] == ORIGINAL]
    truth = next((i for i in originals if fits(layers[i][1], grid)), None)
    return lr, truth


def fits(truth: Grid, lr: Grid) -> bool:
    """Whether a grid is that of a truth at any scale."""
    return scale_between(truth, lr) is not None


def scale_between(truth: Grid, lr: Grid) -> Scale | None:
    """The scale from one to the other; None where there is none."""
    try:
        return truth_scale(truth, lr)
    except GeometryError:
        return None


def history_of(layer: object) -> dict[str, str]:
    """How a layer of ours was made."""
    record = getattr(layer, "metadata", {}).get(METADATA_KEY)
    return dict(record.history) if isinstance(record, ScanRecord) else {}
