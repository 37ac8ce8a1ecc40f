"""Columns of the reading room that are computed while they are looked at.

A live column is a layer of the viewer, as every column is, whose array is whole
from the beginning: measured voxels, each repeated, which are replaced plane by
plane where the crosshair is and, as soon as nobody moves it, outward from there.
Once all are, the layer is a result like any other. One that is taken out of the
columns before goes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_mrisr.comparison.slices import nearest_index
from napari_mrisr.comparison.state import MAX_COLUMNS
from napari_mrisr.core.frames import PLANES
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import MrisrError
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.common.jobs import PostedProgress
from napari_mrisr.viewer.common.latest import Latest
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.layers.convert import LayerData, layer_data, snapshot
from napari_mrisr.viewer.preview.array import PlaneName
from napari_mrisr.viewer.preview.compute import MOST_LAID, Subject, Workshop, give_way
from napari_mrisr.viewer.preview.layer import LiveLayer
from napari_mrisr.viewer.super_resolve.requests import UpscaleRequest

# Planes come first; a crosshair that rests so long is not being dragged.
_FILL_AFTER_MS = 300

# Planes come soon where the last ones came in so many seconds.
_SOON_S = 0.15

# What is foreseen is let go of when nobody has asked for it so long after.
_FORESEEN_MS = 10_000

SUFFIX = " (live)"


class LiveColumns(QObject):
    """The live columns of one reading room.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Gets their layers.
    controller : Controller
        Whose crosshair and columns they follow.

    Signals
    -------
    added : str
        The layer of that name has come, and wants to be a column.
    changed : str
        The layer of that name has new voxels.
    gone
        One is finished, or was taken away.
    failed : Exception
        One cannot be computed; it has gone.
    """

    added = Signal(str)
    changed = Signal(str)
    gone = Signal()
    failed = Signal(object)

    def __init__(self, viewer: Any, controller: Controller) -> None:
        super().__init__()
        self._viewer = viewer
        self._controller = controller
        self._workshop = Workshop(MAX_COLUMNS + 1)  # and what is foreseen
        self._columns: list[_Column] = []
        self._foreseen: _Column | None = None
        self._asked: float | None = None  # when what is awaited was asked for
        self._took = math.inf  # seconds, the last time
        self._until = QTimer(self)
        self._until.setSingleShot(True)
        self._until.timeout.connect(self._forget_foreseen)

    # What the person asks for.

    def toggle(self, layer: Any, parameters: UpscaleParameters) -> None:
        """Begin the result of a layer, or take it away."""
        subject = Subject(snapshot(layer), parameters)
        for column in tuple(self._columns):
            if subject.same(column.subject):
                self._drop(column)
                return
        made, self._foreseen = self._foreseen, None
        column = made or self._made_for(subject)
        column.begin(subject)
        column.arrived.connect(self._arrived)
        column.finished.connect(self._finish)
        column.failed.connect(self._fail)
        self._columns.append(column)
        column.release()

    def foresee(self, layer: Any, parameters: UpscaleParameters) -> None:
        """The result of a layer is likely to be asked for: begin, out of sight."""
        try:
            subject = Subject(snapshot(layer), parameters)
        except MrisrError:  # told to who asks for it
            return
        if math.prod(subject.source.grid.upsampled(parameters.scale).shape) > MOST_LAID:
            return
        if any(subject.same(column.subject) for column in self._columns):
            return
        if self._foreseen is None:
            self._foreseen = self._made_for(subject)
            self._foreseen.failed.connect(self._forget)
        self._foreseen.begin(subject)
        self._until.start(_FORESEEN_MS)

    def _made_for(self, subject: Subject) -> _Column:
        return _Column(self._viewer, self._workshop, subject, self._places)

    def _forget_foreseen(self) -> None:
        self._forget(self._foreseen)

    def _forget(self, column: _Column | None, error: Exception | None = None) -> None:
        """Let go of what was foreseen in vain."""
        if column is not None and column not in self._columns:
            self._foreseen = None if column is self._foreseen else self._foreseen
            column.close(remove=True)

    def is_on(self, layer: Any, parameters: UpscaleParameters) -> bool:
        """Whether that result is being computed."""
        subject = Subject(snapshot(layer), parameters)
        return any(subject.same(column.subject) for column in self._columns)

    # What the reading room says.

    def names(self) -> list[str]:
        """Names of the layers whose voxels are not all computed."""
        return [column.key for column in self._columns if column.key is not None]

    @property
    def busy(self) -> bool:
        """Whether planes at the crosshair are being computed."""
        return any(column.busy for column in self._columns)

    @property
    def soon(self) -> bool:
        """Whether they are likely to be there before a frame without them would help."""
        return self.busy and self._took < _SOON_S

    def share(self) -> float:
        """How much of what is begun is there, 0 to 1."""
        shares = [column.share for column in self._columns]
        return sum(shares) / len(shares) if shares else 1.0

    def look(self) -> None:
        """The crosshair may have moved: compute what it shows."""
        for column in self._columns:
            column.look()
        if not self.busy:
            self._asked = None
        elif self._asked is None:
            self._asked = time.monotonic()

    def prune(self) -> None:
        """Columns were chosen, or layers have gone: what is not shown is not computed."""
        shown = self._controller.state.columns
        for column in tuple(self._columns):
            if column.key in shown:
                column.was_shown = True
            elif column.was_shown or column.is_gone:
                self._drop(column)

    def close(self, *, remove: bool = True) -> None:
        """End all work; with ``remove``, take away what is not finished."""
        self._until.stop()
        self._forget_foreseen()
        columns, self._columns = self._columns, []
        for column in columns:
            column.close(remove=remove)

    # What comes.

    def _places(self, grid: Grid) -> list[PlaneName]:
        """The planes through the crosshair; none of a scan that is cut obliquely."""
        controller = self._controller
        frame = controller.frame
        if not frame.is_along(grid):
            return []
        affine = frame.affine(grid)
        at = controller.position()
        found = []
        for plane in PLANES:
            axis = plane.normal
            index = int(nearest_index((at[axis] - affine[axis, 3]) / affine[axis, axis]))
            if plane.name in controller.state.planes and 0 <= index < grid.shape[axis]:
                found.append((axis, index))
        return found

    def _arrived(self, column: _Column) -> None:
        if column not in self._columns or column.key is None:
            return
        if not column.was_added:
            column.was_added = True
            self.added.emit(column.key)
            column.look()
        elif self._asked is not None:
            self._took, self._asked = time.monotonic() - self._asked, None
        self.changed.emit(column.key)

    def _finish(self, column: _Column, made: LayerData) -> None:
        if column in self._columns:
            self._columns.remove(column)
            column.become(made)
            self.gone.emit()

    def _fail(self, column: _Column, error: Exception) -> None:
        self._drop(column)
        self.failed.emit(error)

    def _drop(self, column: _Column) -> None:
        if column in self._columns:
            self._columns.remove(column)
            column.close(remove=True)
            self.gone.emit()


class _Column(QObject):
    """One live column: its layer, and what fills it."""

    arrived = Signal(object)
    finished = Signal(object, object)
    failed = Signal(object, object)

    def __init__(
        self,
        viewer: Any,
        workshop: Workshop,
        subject: Subject,
        places: Callable[[Grid], list[PlaneName]],
    ) -> None:
        super().__init__()
        self.subject = subject
        self.was_added = self.was_shown = False
        self._viewer = viewer
        self._workshop = workshop
        self._filling = False
        self._live = LiveLayer(viewer, workshop, places)
        self._live.arrived.connect(self._tell)
        self._live.failed.connect(self._fail)
        self._filler = Latest()
        self._filler.told.connect(self._told)
        self._filler.finished.connect(self._finish)
        self._filler.failed.connect(self._fail)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_FILL_AFTER_MS)
        self._rest.timeout.connect(self._fill)

    @property
    def key(self) -> str | None:
        """The layer's name; None while there is none."""
        return None if self._live.layer is None else self._live.layer.name

    @property
    def is_gone(self) -> bool:
        """Whether somebody has deleted the layer."""
        layer = self._live.layer
        return layer is not None and layer not in self._viewer.layers

    @property
    def busy(self) -> bool:
        """Whether planes that are wanted are being computed."""
        return self._live.busy

    @property
    def share(self) -> float:
        """How much is there, 0 to 1."""
        return self._live.array.share if self._live.array is not None else 0.0

    def begin(self, subject: Subject) -> None:
        """Begin with the planes that are wanted, out of sight; go on if it has begun with these."""
        if not subject.same(self.subject):
            # Or what the other columns are computed with would be put away for it.
            self._workshop.let_go(self.subject)
        self.subject = subject
        self._live.hold()
        self._live.show(subject.source, subject.parameters, self._name() + SUFFIX)

    def release(self) -> None:
        """Show it."""
        self._live.release()

    def look(self) -> None:
        """Other planes may be wanted; the whole when they are not for a while."""
        self._live.look()
        if not self._filling:
            self._rest.start()

    def become(self, made: LayerData) -> None:
        """The layer is a result like any other from now on."""
        self._live.finish(made)
        self.close(remove=False)

    def close(self, *, remove: bool) -> None:
        """End all work; with ``remove``, take the layer away."""
        self._rest.stop()
        self._filler.close()
        self._live.close(remove=remove)

    def _name(self) -> str:
        return UpscaleRequest(self.subject.source, self.subject.parameters).result_name

    def _fill(self) -> None:
        fill = self._live.fills
        if fill is None or self._live.busy:
            self._rest.start()
            return
        self._filling = True
        workshop, subject, name = self._workshop, self.subject, self._name()

        def work(progress: PostedProgress) -> LayerData:
            give_way()
            # With it, the planes at the crosshair come at once while the rest is on its way.
            workshop.lay(subject, lambda: False, progress)
            volume = workshop.volume(subject)[0]
            result = fill(volume, subject.parameters, progress=progress)
            return layer_data(result, name, subject.source.look)

        self._filler.ask(work)

    def _told(self, _: object) -> None:
        self._live.refresh()

    def _tell(self) -> None:
        self.arrived.emit(self)

    def _finish(self, made: LayerData) -> None:
        self.finished.emit(self, made)

    def _fail(self, error: Exception) -> None:
        self.failed.emit(self, error)
