"""A stage with anchors: description and nearest anchors, as numbers, words and strips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.anchors import Anchors
from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.inspection.texts import number_text

Strip = tuple[str, str, float, tuple[float, float]]
"""Label, value as text, value, and ends of the scale of a strip."""

Words = tuple[str, str, str, str, tuple[tuple[str, str], ...]]

# Numbers of a description, and anchors, that are shown.
_NUMBERS, _NEAREST = 6, 5

_DESCRIPTIONS = {
    "gradients": (
        "First and second derivatives of the turned patch, written as a few numbers. Scaling the "
        "brightness scales all of them alike.",
        r"$d = P^{\top} L\,(p - p_0)$",
        "L: derivatives, P: principal components; Timofte et al. 2014 (A+)",
    ),
    "phase": (
        "The phase stretch transform marks edges by an angle. The angles of the turned patch are "
        "written as a few numbers.",
        r"$d = P^{\top}\,\arg\left(k * I\right)$",
        "k: kernel whose phase grows with the frequency; Asghari and Jalali 2015",
    ),
    "tensor": (
        "The logarithm of the structure tensor along the turned axes, without its mean. It says "
        "how the ellipsoid lies and how long it is, whatever the contrast.",
        r"$d = \log T - \frac{1}{3}\,\mathrm{tr}(\log T)\,E$",
        "Log-Euclidean metric; Arsigny et al. 2006",
    ),
}


@dataclass(frozen=True, eq=False)
class AnchorTrace:
    """Description of a voxel and the anchors nearest to it.

    Attributes
    ----------
    anchors : Anchors
    values : (dimensions,) ndarray of float64
        Description after projection; of length 1 for an inner product.
    nearest : tuple of (int, float)
        The nearest anchors in order, with
        :meth:`~napari_mrisr.bank.anchors.Anchors.closeness`.
    """

    anchors: Anchors
    values: NDArray[np.float64]
    nearest: tuple[tuple[int, float], ...]


def trace_anchor(
    code: HashSpec, box: tuple[FloatArray, Shape, Shape], region: Region, element: int
) -> AnchorTrace | None:
    """Describe a voxel and find the anchors nearest to it; None for a hash without anchors.

    Parameters
    ----------
    code : HashSpec
    box : tuple
        As :meth:`~napari_mrisr.bank.anchors.Anchors.assign`.
    region : Region
        The voxel.
    element : int
        Symmetry that makes it canonical.
    """
    anchors = code.anchors
    if anchors is None:
        return None
    image = anchors.descriptor.prepare(*box, region, code.window)
    turn = np.full((1, 1, 1), element, np.uint8)
    row = anchors.descriptor.rows(image, turn, np.zeros(1, np.intp))[0]
    values = row.astype(np.float64) @ anchors.projection
    if not anchors.euclidean:
        values /= max(float(np.linalg.norm(values)), 1e-30)
    closeness = anchors.closeness(row)
    order = np.argsort(closeness if anchors.euclidean else -closeness, kind="stable")[:_NEAREST]
    return AnchorTrace(anchors, values, tuple((int(n), float(closeness[n])) for n in order))


def description_words(anchor: AnchorTrace) -> Words:
    """Return title, sentences, equation, source and numbers of the description."""
    words, equation, source = _DESCRIPTIONS[anchor.anchors.descriptor.kind]
    rows = [(label, text) for label, text, _, _ in description_strips(anchor)]
    return "Description", words, equation, source, (*rows, ("numbers", str(anchor.values.size)))


def nearest_words(anchor: AnchorTrace, support: int, rows: list[tuple[str, str]]) -> Words:
    """Return title, sentences, equation, source and numbers of the nearest anchor.

    Parameters
    ----------
    anchor : AnchorTrace
    support : int
        Training samples of the bucket.
    rows : list of (str, str)
        Numbers of the bucket.
    """
    if anchor.anchors.euclidean:
        equation, name = r"$a = \arg\min_k \|d - a_k\|$", "distance to"
    else:
        equation, name = r"$a = \arg\max_k |d^{\top} a_k|$", "cosine with"
    nearest = [(f"{name} {label}", text) for label, text, _, _ in nearest_strips(anchor)]
    return (
        "Nearest anchor",
        f"Anchors are typical descriptions. The nearest of the {anchor.anchors.count} is anchor "
        f"{anchor.nearest[0][0]}; its filter follows. Training saw {support:,} such voxels.",
        equation,
        "Anchored neighborhood regression; Timofte et al. 2013 and 2014",
        (*nearest, *rows),
    )


def description_strips(anchor: AnchorTrace) -> list[Strip]:
    """Return strips of the strongest numbers of the description."""
    shown = anchor.values[:_NUMBERS].tolist()
    reach = max(1e-9, *map(abs, shown)) if anchor.anchors.euclidean else 1.0
    return [(f"d{n}", number_text(v), v, (-reach, reach)) for n, v in enumerate(shown, 1)]


def nearest_strips(anchor: AnchorTrace) -> list[Strip]:
    """Return strips of the nearest anchors: cosines, or distances."""
    far = max(1e-9, *(value for _, value in anchor.nearest)) if anchor.anchors.euclidean else 1.0
    return [(f"anchor {n}", number_text(v), v, (0.0, far)) for n, v in anchor.nearest]
