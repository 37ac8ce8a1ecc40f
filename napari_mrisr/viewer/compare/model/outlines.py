"""Where planes cut the regions of a layer. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from skimage.measure import find_contours

from napari_mrisr.comparison.roi import LabelRoi, PrismRoi, Roi
from napari_mrisr.comparison.scene import Outline
from napari_mrisr.comparison.slices import cut
from napari_mrisr.core.frames import Frame, Plane
from napari_mrisr.core.volume import Volume

# More lines than these say nothing, and take their time.
_MOST_REGIONS = 40
_ALIKE = 1e-6


class RegionOutlines:
    """Outlines of some regions, each computed once for every cut.

    Parameters
    ----------
    rois : sequence of Roi
        Prisms and labels; of others there are none.
    frame : Frame
        Axes of the planes.
    """

    def __init__(self, rois: Sequence[Roi], frame: Frame) -> None:
        self._frame = frame
        self._prisms = [roi for roi in rois[:_MOST_REGIONS] if isinstance(roi, PrismRoi)]
        self._labels = [
            (roi.name, Volume(roi.mask.astype(np.float32), roi.grid))
            for roi in rois[:_MOST_REGIONS]
            if isinstance(roi, LabelRoi)
        ]
        self._known: dict[tuple[str, float], tuple[Outline, ...]] = {}

    def at(self, plane: Plane, position: float) -> tuple[Outline, ...]:
        """Where a plane cuts the regions; position along its normal, frame mm."""
        name = (plane.name, position)
        if name not in self._known:
            if len(self._known) > 300:
                self._known.clear()
            lines = [line for prism in self._prisms for line in self._prism(prism, plane, position)]
            for label, volume in self._labels:
                lines += self._label(label, volume, plane, position)
            self._known[name] = tuple(lines)
        return self._known[name]

    def _prism(self, roi: PrismRoi, plane: Plane, position: float) -> list[Outline]:
        if np.abs(roi.rotation - self._frame.rotation).max() > _ALIKE:
            return []
        ends = (roi.position - roi.depth / 2.0, roi.position + roi.depth / 2.0)
        if plane == roi.plane:
            inside = ends[0] <= position <= ends[1]
            return [Outline(roi.name, np.vstack([roi.points, roi.points[:1]]))] if inside else []
        # Seen from the side: where the polygon's edges cross the plane, two and two.
        fixed = 0 if plane.normal == roi.plane.across else 1
        crossings = np.sort(_crossings(roi.points, fixed, position))
        along = roi.plane.upward if fixed == 0 else roi.plane.across
        lines = []
        for low, high in crossings[: len(crossings) // 2 * 2].reshape(-1, 2):
            box = {along: (low, high), roi.plane.normal: ends}
            a, u = box[plane.across], box[plane.upward]
            corners = [(a[0], u[0]), (a[1], u[0]), (a[1], u[1]), (a[0], u[1]), (a[0], u[0])]
            lines.append(Outline(roi.name, np.array(corners)))
        return lines

    def _label(self, name: str, volume: Volume, plane: Plane, position: float) -> list[Outline]:
        made = cut(volume, self._frame, plane, position)
        if made is None:
            return []
        lines: list[Outline] = []
        inside = np.pad(np.nan_to_num(made.values) > 0.5, 1)
        for contour in find_contours(inside.astype(float), 0.5):
            # From element to mm: element (0, 0) of the cut is (1, 1) of the padded one.
            points = made.origin + (contour[:, ::-1] - 0.5) * made.step
            lines.append(Outline(name if not lines else "", points))
        return lines


def _crossings(points: np.ndarray, fixed: int, position: float) -> np.ndarray:
    """Where a polygon's edges cross the line on which one coordinate is ``position``."""
    start, stop = points, np.roll(points, -1, axis=0)
    crosses = (start[:, fixed] > position) != (stop[:, fixed] > position)
    a, b = start[crosses], stop[crosses]
    part = (position - a[:, fixed]) / (b[:, fixed] - a[:, fixed])
    found: np.ndarray = a[:, 1 - fixed] + part * (b[:, 1 - fixed] - a[:, 1 - fixed])
    return found
