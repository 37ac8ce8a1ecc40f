"""Images of slices: all in one texture, drawn at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray
from vispy import gloo

from napari_mrisr.comparison.scene import PanelImage
from napari_mrisr.comparison.slices import Slice
from napari_mrisr.comparison.state import Display
from napari_mrisr.viewer.compare.canvas.canvas_shapes import (
    VertexBatch,
    corners_of,
    triangles,
)
from napari_mrisr.viewer.compare.canvas.layout import Place

# More shades than a screen has: gamma spreads some of them.
_SHADES = 1024
_LOOKS = 64
# Border of copied texels: linear interpolation must not see the neighbor.
_BORDER = 1
_RAMP = Slice(np.linspace(0.0, 1.0, 256, dtype=np.float32)[:, None], (0.0, 0.0), (1.0, 1.0))

_VERTEX = np.dtype([("a_position", "f4", 2), ("a_tex", "f4", 2), ("a_window", "f4", 3)])
_SHADER = """
attribute vec2 a_position;
attribute vec2 a_tex;
attribute vec3 a_window;
uniform vec2 u_size;
uniform vec2 u_atlas_size;
varying vec2 v_tex;
varying vec3 v_window;
void main() {
    vec2 at = 2.0 * a_position / u_size - 1.0;
    gl_Position = vec4(at.x, -at.y, 0.0, 1.0);
    v_tex = a_tex / u_atlas_size;
    v_window = a_window;
}
"""
# Values outside the field of view are NaN: neither above nor below zero.
_FRAGMENT = """
uniform sampler2D u_atlas;
varying vec2 v_tex;
varying vec3 v_window;
void main() {
    float value = texture2D(u_atlas, v_tex).r;
    if (!(value <= 0.0 || 0.0 <= value)) discard;
    float shade = (value - v_window.x) * v_window.y;
    gl_FragColor = COLOR;
}
"""
_LOOKED_UP = "uniform sampler2D u_looks;" + _FRAGMENT.replace(
    "COLOR", "texture2D(u_looks, vec2(shade, v_window.z))"
)
# Most slices are gray: without a color lookup a software frame takes a tenth less.
_GRAY = _FRAGMENT.replace("COLOR", "vec4(shade, shade, shade, 1.0)")


@dataclass(frozen=True, eq=False)
class Patch:
    """Rectangles that show one slice.

    Attributes
    ----------
    picture : PanelImage
        The cut and its look.
    rects : (n, 4) ndarray
        Left, top, right, bottom, pixels; within the cut.
    place : Place
        Map from millimeters to pixels.
    """

    picture: PanelImage
    rects: NDArray
    place: Place


@dataclass(frozen=True, eq=False)
class ColorBar:
    """Color bar of a look, its low end at the bottom; rectangle as in :class:`Patch`."""

    look: Display
    rect: tuple[float, float, float, float]


class ImagePainter:
    """Painter of patches; every method needs the canvas's OpenGL context."""

    def __init__(self) -> None:
        self._gray = VertexBatch(_SHADER, _GRAY)
        self._colored = VertexBatch(_SHADER, _LOOKED_UP)
        self._atlas = Atlas()
        self._looks = LookTable()
        for batch in (self._gray, self._colored):
            batch.program["u_atlas"] = self._atlas.texture
        self._colored.program["u_looks"] = self._looks.texture

    def draw(
        self,
        patches: Sequence[Patch],
        bars: Sequence[ColorBar],
        size: tuple[int, int],
        smooth: bool,
    ) -> None:
        """Paint on a canvas of ``size`` pixels; known slices are not uploaded again."""
        # Several panels may show the same slice.
        cuts = {id(p.picture.cut): p.picture.cut for p in patches if p.picture.cut is not None}
        spots = self._atlas.hold([_RAMP, *cuts.values()], smooth)
        looks = [p.picture.look for p in patches] + [bar.look for bar in bars]
        rows = self._looks.hold(look for look in looks if not _is_gray(look))
        parts: dict[bool, list[NDArray]] = {True: [], False: []}
        for patch in patches:
            cut, look = patch.picture.cut, patch.picture.look
            if cut is None or not len(patch.rects):
                continue
            corners = triangles(corners_of(patch.rects))
            window = (look.limits[0], _inverse(look.limits), rows.get(_key(look), 0.0))
            texels = _texels(corners, cut, patch.place) + spots[id(cut)]
            parts[_is_gray(look)].append(_part(corners, texels, window))
        for bar in bars:
            corners = triangles(corners_of(np.array([bar.rect])))
            ends = np.array([[0.0, len(_RAMP.values), 1.0, 0.0]])
            texels = triangles(corners_of(ends)) + spots[id(_RAMP)]
            window = (0.0, 1.0, rows.get(_key(bar.look), 0.0))
            parts[_is_gray(bar.look)].append(_part(corners, texels, window))
        for gray, batch in ((True, self._gray), (False, self._colored)):
            if parts[gray]:
                batch.program["u_atlas_size"] = self._atlas.size
                batch.draw(np.concatenate(parts[gray]), size)

    def delete(self) -> None:
        """Free the OpenGL objects."""
        self._gray.delete()
        self._colored.delete(self._atlas.texture, self._looks.texture)


class Atlas:
    """Texture with all slices, each with a border."""

    def __init__(self) -> None:
        self._slots: list[_Slot] = []
        self._width = self._height = 1
        self.texture = gloo.Texture2D(
            np.zeros((1, 1), np.float32),
            interpolation="nearest",
            wrapping="clamp_to_edge",
            internalformat="r32f",
        )

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height, texels."""
        return self._width, self._height

    def hold(self, cuts: Sequence[Slice], smooth: bool) -> dict[int, NDArray]:
        """Upload new slices; return the place of each slice's element (0, 0) by its id."""
        self.texture.interpolation = "linear" if smooth else "nearest"
        held = {id(slot.cut): slot for slot in self._slots}
        wanted = {id(cut) for cut in cuts}
        free = [slot for slot in self._slots if id(slot.cut) not in wanted]
        for cut in cuts:
            if id(cut) in held:
                continue
            slot = next((s for s in free if s.fits(cut)), None)
            if slot is None:
                return self._pack(cuts)
            free.remove(slot)
            held[id(cut)] = slot
            self._send(slot, cut)
        return {key: np.array(held[key].start) for key in wanted}

    def _pack(self, cuts: Sequence[Slice]) -> dict[int, NDArray]:
        """Arrange all slices in rows, tall ones first."""
        sizes = {id(cut): _bordered(cut) for cut in cuts}
        widest = max(width for _, width in sizes.values())
        # About square: the size of a texture is limited.
        area = sum(height * width for height, width in sizes.values())
        self._width = widest // 2 + max(widest, int(area**0.5))
        left = top = shelf = 0
        self._slots = []
        order = sorted(cuts, key=lambda cut: -sizes[id(cut)][0])
        for cut in order:
            height, width = sizes[id(cut)]
            if left + width > self._width:
                left, top, shelf = 0, top + shelf, 0
            self._slots.append(_Slot(left, top, width, height, None))
            left, shelf = left + width, max(shelf, height)
        self._height = top + shelf
        self.texture.resize((self._height, self._width, 1))
        for slot, cut in zip(self._slots, order, strict=True):
            self._send(slot, cut)
        return {id(slot.cut): np.array(slot.start) for slot in self._slots}

    def _send(self, slot: _Slot, cut: Slice) -> None:
        slot.cut = cut
        pixels = np.empty((slot.height, slot.width), np.float32)
        pixels[1:-1, 1:-1] = cut.values
        pixels[0], pixels[-1] = pixels[1], pixels[-2]
        pixels[:, 0], pixels[:, -1] = pixels[:, 1], pixels[:, -2]
        self.texture.set_data(pixels[..., None], offset=(slot.top, slot.left))


@dataclass
class _Slot:
    left: int
    top: int
    width: int
    height: int
    cut: Slice | None

    @property
    def start(self) -> tuple[int, int]:
        return self.left + _BORDER, self.top + _BORDER

    def fits(self, cut: Slice) -> bool:
        return _bordered(cut) == (self.height, self.width)


class LookTable:
    """Texture with one row of colors per look, gamma included."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, float], int] = {}
        self.texture = gloo.Texture2D(
            np.zeros((_LOOKS, _SHADES, 4), np.uint8),
            interpolation="nearest",
            wrapping="clamp_to_edge",
        )

    def hold(self, looks: Iterable[Display]) -> dict[tuple[str, float], float]:
        """Return the row of each look, 0 to 1, by colormap and gamma."""
        wanted = dict.fromkeys(map(_key, looks))
        if len(self._rows.keys() | wanted) > _LOOKS:
            self._rows = {}
        for key in wanted:
            if key not in self._rows:
                row = self._rows[key] = len(self._rows)
                self.texture.set_data(_colors(*key)[None], offset=(row, 0))
        return {key: (self._rows[key] + 0.5) / _LOOKS for key in wanted}


def _key(look: Display) -> tuple[str, float]:
    return look.colormap, look.gamma


def _is_gray(look: Display) -> bool:
    return _key(look) == ("gray", 1.0)


def _bordered(cut: Slice) -> tuple[int, int]:
    height, width = cut.values.shape
    return height + 2 * _BORDER, width + 2 * _BORDER


def _colors(name: str, gamma: float) -> NDArray[np.uint8]:
    """Return (shades, 4) colors of a napari or matplotlib colormap; gray for others."""
    try:
        colormap = ensure_colormap(name)
    except KeyError:
        colormap = ensure_colormap("gray")
    shades = np.linspace(0.0, 1.0, _SHADES) ** gamma
    return np.round(255.0 * np.asarray(colormap.map(shades))).astype(np.uint8)


def _texels(corners: NDArray, cut: Slice, place: Place) -> NDArray:
    """Return the map from pixels to elements of a slice, counted from their outer corner."""
    zero = np.array(place.to_mm(0.0, 0.0))
    slope = np.array([place.direction, -1.0]) * place.mm_per_px
    return (zero + corners * slope - cut.origin) / cut.step


def _inverse(limits: tuple[float, float]) -> float:
    low, high = limits
    return 1.0 / max(high - low, 1e-30)


def _part(corners: NDArray, texels: NDArray, window: tuple[float, float, float]) -> NDArray:
    part = np.empty(corners.shape[:2], _VERTEX)
    part["a_position"], part["a_tex"], part["a_window"] = corners, texels, window
    return part.ravel()
