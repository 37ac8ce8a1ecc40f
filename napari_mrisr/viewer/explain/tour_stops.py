"""The stops of the tour: what is said, and what the viewer shows. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_mrisr.explain.model import Explanation
from napari_mrisr.explain.steps import step_of, sum_rows, verdict
from napari_mrisr.explain.texts import plain, signed
from napari_mrisr.viewer.explain.slides import Paint, Slide, slide_of
from napari_mrisr.viewer.explain.tour_work import LR, RESULT, TRICUBIC, TRUTH, Material


@dataclass(frozen=True, eq=False)
class Stop:
    """One stop.

    Attributes
    ----------
    slide : Slide
        What is said and drawn.
    layer : str
        Name of the one layer that is shown.
    near : bool
        Whether the viewer is close to the voxel.
    marked : bool
        Whether the voxel is marked.
    """

    slide: Slide
    layer: str
    near: bool = True
    marked: bool = True


def stops_of(material: Material) -> tuple[Stop, ...]:
    """The eight stops, from the scan to the voxel and how wrong it was."""
    found = material.explanation
    stage = found.stages[0]
    return (
        Stop(Slide("1. This is a scan", _SCAN), TRUTH, near=False, marked=False),
        Stop(Slide("2. The same head in an eighth of the voxels", _LOW), LR, near=False),
        Stop(_drawn(found, "scan", "3. One voxel", _VOXEL), LR),
        Stop(_drawn(found, "start", "4. A smooth guess", _guess(found)), TRICUBIC),
        Stop(_drawn(found, "gradients", "5. What is around it?", _AROUND), LR),
        Stop(
            _drawn(found, "bucket", "6. Where has this been seen before?", _bucket(stage.support)),
            LR,
        ),
        Stop(_drawn(found, "filter", "7. The correction", _correction(found)), TRICUBIC),
        Stop(_last(material), RESULT),
    )


def _drawn(found: Explanation, key: str, title: str, sentence: str) -> Slide:
    return Slide(title, sentence, (), "", _picture(found, key))


def _picture(found: Explanation, key: str) -> Paint | None:
    """Without the equation, which nobody asked for."""
    return slide_of(found, replace(step_of(found, key, 0), equation="")).paint


_SCAN = (
    "You look at a slice through a head, from below: the patient's right is at your left, the nose "
    "is on top. The image is made of small cubes, called voxels. It is a drawn head, so we know "
    "the truth about every voxel. Press Next; all clicking is done for you."
)

_LOW = (
    "A scanner that has less time measures fewer, larger voxels: here half as many along each "
    "direction. Look how blocky it has become. The orange ring is around an edge: let us see "
    "how one voxel there is made sharp again."
)

_VOXEL = (
    "We have moved close. In the picture below, each square is one measured voxel with its "
    "brightness, from 0 (black) to 1 (white). The yellow one shall be cut into eight. "
    "The orange corner is the voxel that we want to know."
)

_AROUND = (
    "To do better, look around. Each arrow points to where it gets brighter, the longer the "
    "faster. If most arrows agree, there is an edge, and they say which way it lies."
)


def _guess(found: Explanation) -> str:
    return (
        "The simplest idea is a smooth curve through the measured values (tricubic "
        f"interpolation): our voxel becomes {plain(found.start_value)}. The blocks are gone, "
        "but look at the edge: it is blurred."
    )


def _bucket(support: int) -> str:
    return (
        "A few numbers describe what the arrows say, and each falls into a range (orange). "
        "Places with the same ranges share a bucket. In training, the program has seen "
        f"{support:,} places of this bucket, in scans of other people, where the truth was known."
    )


def _correction(found: Explanation) -> str:
    stage = found.stages[0]
    more = ""
    if len(found.stages) > 1:
        rest = sum(part.change for part in found.stages[1:])
        more = f" Looking again, with finer arrows, adds {signed(rest)}."
    return (
        "From those places it has learned weights. Multiply each difference to the middle with its "
        f"weight, add everything up, and the guess changes by {signed(stage.change)}.{more}"
    )


def _last(material: Material) -> Slide:
    found = material.explanation
    assert found.truth is not None
    ours, theirs = found.output - found.truth, found.tricubic - found.truth
    fewer = 1.0 - material.errors[RESULT] / material.errors[TRICUBIC]
    sentence = (
        f"This is the voxel that comes out: {plain(found.output)}. The truth is "
        f"{plain(found.truth)}: {verdict(ours, theirs).replace('tricubic', 'the smooth guess')}. "
        f"Over the whole head the error is {abs(fewer):.0%} "
        f"{'smaller' if fewer >= 0 else 'larger'} than that of the smooth guess, but not zero: "
        "what a scan did not measure can only be made likely."
    )
    rows = (*sum_rows(found), ("truth", plain(found.truth)))
    picture = _picture(found, "output")
    return Slide("8. The result, and how wrong it is", sentence, rows, "", picture)
