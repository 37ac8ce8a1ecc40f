"""Plan of a blinded reading: cases with shuffled columns named A, B, C, D.

Three kinds of questions:

five-point
    Compare two columns, from −2 "A much better" to +2 "B much better", or rate three or four,
    each from 1 (worst) to 5 (best).
choice
    Choose the best column; there are no ties.
lesion
    Mark a point. Each column is shown alone, all cases once before any is shown again. The
    distance to the case's nearest reference point is recorded if it has any.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import ParameterError, explain

LETTERS = "ABCD"
FIVE_POINT, CHOICE, LESION = KINDS = ("five-point", "choice", "lesion")
QUESTIONS: Mapping[str, str] = {
    FIVE_POINT: "Which image is better?",
    CHOICE: "Which image is better?",
    LESION: "Mark the lesion.",
}
"""Default question of each kind."""

KIND_SUMMARIES: Mapping[str, str] = {
    FIVE_POINT: "five-point scale",
    CHOICE: "choose the best image",
    LESION: "find the lesion",
}
"""One phrase per kind, to show where the user chooses."""

PREFERENCES: Mapping[int, str] = {
    -2: "A much better",
    -1: "A better",
    0: "no difference",
    1: "B better",
    2: "B much better",
}
RATINGS: Mapping[int, str] = {1: "worst", 2: "poor", 3: "fair", 4: "good", 5: "best"}

KEY_FORMAT = 2

TOLERANCE_MM = 2.0
"""A mark is a hit within a planted lesion's largest semi-axis and this."""

Point = tuple[float, float, float]

Image = Path | Volume | Callable[[Progress], Volume]
"""File, volume in memory, or a function that computes the volume when its turn has come."""


@dataclass(frozen=True)
class Case:
    """Case of a reading.

    Attributes
    ----------
    name : str
        Name in the user's list and in the answers.
    images : mapping of str to Image
        Image of each method.
    targets : tuple of (x, y, z)
        Reference points of lesions, world mm. The nearest one counts.
    hit_mm : float, optional
        Largest distance of a mark that counts as a hit.
    """

    name: str
    images: Mapping[str, Image] = field(repr=False)
    targets: tuple[Point, ...] = ()
    hit_mm: float | None = None


@dataclass(frozen=True)
class ReadingItem:
    """Columns of a case that are shown together.

    Attributes
    ----------
    case : Case
    letters : tuple of str
        Names of the columns, left to right.
    """

    case: Case
    letters: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.case.name


@dataclass(frozen=True)
class ReadingPlan:
    """Cases, methods and order of a reading.

    Attributes
    ----------
    cases : tuple of Case
        Cases in reading order.
    methods : tuple of str
        Two to four methods; every case has an image of each.
    seed : int
        Seed of the shuffled columns.
    question : str
        Question for each case; empty for the kind's own.
    kind : str
        One of :data:`KINDS`.
    """

    cases: tuple[Case, ...]
    methods: tuple[str, ...]
    seed: int = 0
    question: str = ""
    kind: str = FIVE_POINT

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            mend = f"choose from {', '.join(KINDS)}"
            raise ParameterError(explain("kind of question", repr(self.kind), mend))
        if not self.question:
            object.__setattr__(self, "question", QUESTIONS[self.kind])

    @property
    def letters(self) -> tuple[str, ...]:
        """Names of the columns, left to right."""
        return tuple(LETTERS[: len(self.methods)])

    @property
    def rates(self) -> bool:
        """True if the reader rates each column; otherwise one answer is for all columns."""
        return self.kind == FIVE_POINT and len(self.methods) > 2

    @property
    def scale(self) -> Mapping[int, str]:
        """Possible answers and their meaning; empty for a point."""
        if self.kind == LESION:
            return {}
        if self.kind == CHOICE:
            return dict(enumerate(self.letters, start=1))
        return RATINGS if self.rates else PREFERENCES

    @property
    def items(self) -> tuple[ReadingItem, ...]:
        """All that is read, in reading order."""
        if self.kind != LESION:
            return tuple(ReadingItem(case, self.letters) for case in self.cases)
        return tuple(ReadingItem(case, (letter,)) for letter in self.letters for case in self.cases)

    @property
    def identity(self) -> str:
        """Twelve characters, unique for this plan."""
        names = [case.name for case in self.cases]
        content: list[Any] = [names, self.methods, self.seed, self.question]
        if self.kind != FIVE_POINT:
            content.append(self.kind)
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]

    def order(self, case: Case) -> tuple[str, ...]:
        """Return the methods from left to right, in an order given by the seed.

        Over all cases every method is at each place equally often, up to one case.
        """
        return self._orders[case.name]

    @functools.cached_property
    def _orders(self) -> dict[str, tuple[str, ...]]:
        source, count = random.Random(str(self.seed)), len(self.methods)
        orders: list[tuple[str, ...]] = []
        while len(orders) < len(self.cases):
            first = list(self.methods)
            source.shuffle(first)
            orders += [(*first[i:], *first[:i]) for i in range(count)]
        del orders[len(self.cases) :]
        source.shuffle(orders)
        return {case.name: order for case, order in zip(self.cases, orders, strict=True)}

    def key(self) -> str:
        """Return the text of the key file."""
        content: dict[str, Any] = {
            "napari_mrisr_reading": KEY_FORMAT,
            "kind": self.kind,
            "question": self.question,
            "methods": self.methods,
            "seed": self.seed,
            "cases": {
                c.name: dict(zip(self.letters, self.order(c), strict=True)) for c in self.cases
            },
        }
        hits = {case.name: case.hit_mm for case in self.cases if case.hit_mm is not None}
        if hits:
            content["hit_mm"] = hits
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
