"""What is turned over like a page: slides of text with a picture. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_mrisr.explain.draw import StepImage, picture_of
from napari_mrisr.explain.model import Explanation
from napari_mrisr.explain.sheet import SheetStyle
from napari_mrisr.explain.steps import Step

Paint = Callable[[SheetStyle, tuple[int, int], float], StepImage]
"""Draws in a style at a size (pixels) with so many pixels an inch."""


@dataclass(frozen=True, eq=False)
class Slide:
    """One page.

    Attributes
    ----------
    title, sentence : str
    numbers : tuple of (str, str)
        Names and values.
    source : str
        Of the equation; may be empty.
    paint : callable or None
        Draws the picture, on any thread.
    """

    title: str
    sentence: str
    numbers: tuple[tuple[str, str], ...] = ()
    source: str = ""
    paint: Paint | None = None


def slide_of(explanation: Explanation, step: Step) -> Slide:
    """The slide of a step."""

    def paint(style: SheetStyle, size: tuple[int, int], dpi: float) -> StepImage:
        return picture_of(explanation, step, style, size, dpi)

    return Slide(step.title, step.sentence, step.numbers, step.source, paint)
