"""Unblinding of a reading: scores per method, with counts and sign tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import fmean, median

from scipy.stats import binomtest

from napari_mrisr.comparison.blinded.plan import (
    CHOICE,
    FIVE_POINT,
    LESION,
    PREFERENCES,
    RATINGS,
    TOLERANCE_MM,
    Case,
    ReadingPlan,
)
from napari_mrisr.comparison.blinded.session import Answer, key_path, load_key, read_answers
from napari_mrisr.io.csv_tables import csv_text
from napari_mrisr.io.formats import PathLike

CONFIDENCE = 0.95


@dataclass(frozen=True)
class UnblindedAnswer:
    """Answer with scores per method.

    Attributes
    ----------
    case : str
        Name of the case.
    scores : tuple of float
        One per method: its rating, or the preference for it (2: much better, −2: the
        other method is much better), or 1 if it was chosen, or the distance of the marked
        point in mm (infinite: no lesion was marked; NaN: no answer yet, or no reference point).
    seconds : float
        Reading time.
    """

    case: str
    scores: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class MethodPair:
    """Two methods over all cases, with a two-sided sign test.

    Attributes
    ----------
    first, second : str
        Names of the methods.
    wins, losses, ties : int
        Number of cases in which the first is better, worse, equal.
    p : float
        Two-sided exact sign test without ties; 1 without any case.
    low, high : float
        Exact 95 % confidence interval (Clopper–Pearson) of the fraction of wins among wins and
        losses; 0 and 1 without any.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    p: float
    low: float = 0.0
    high: float = 1.0

    @property
    def share(self) -> float:
        """Fraction of wins among wins and losses; NaN without any."""
        decided = self.wins + self.losses
        return self.wins / decided if decided else math.nan

    @property
    def interval_text(self) -> str:
        """Share and confidence interval: ``71 % (95 % CI 29 to 96 %)``."""
        if math.isnan(self.share):
            return "–"
        low, high = 100 * self.low, 100 * self.high
        return f"{100 * self.share:.0f} % (95 % CI {low:.0f} to {high:.0f} %)"


@dataclass(frozen=True)
class Unblinded:
    """Unblinded reading.

    Attributes
    ----------
    question : str
        Question for each case.
    methods : tuple of str
        Methods in the order of the list of cases.
    answers : tuple of UnblindedAnswer
        Answers in reading order.
    planned : int
        Number of cases in the plan.
    kind : str
        Kind of question.
    hit_mm : mapping of str to float
        Largest distance of a hit per case; empty if lesions have no known size.
    """

    question: str
    methods: tuple[str, ...]
    answers: tuple[UnblindedAnswer, ...]
    planned: int
    kind: str = FIVE_POINT
    hit_mm: Mapping[str, float] = field(default_factory=dict)

    def counts(self, method: str) -> dict[int, int]:
        """Return how often a method had each score; empty for marked lesions."""
        if self.kind == LESION:
            return {}
        scale: Sequence[int] = (0, 1)
        if self.kind == FIVE_POINT:
            scale = tuple(PREFERENCES if len(self.methods) == 2 else RATINGS)
        scores = self.scores(method)
        return {score: scores.count(score) for score in scale}

    def scores(self, method: str) -> list[float]:
        """Return the scores of a method, without those that are missing."""
        column = self.methods.index(method)
        found = (answer.scores[column] for answer in self.answers)
        return [score for score in found if not math.isnan(score)]

    def pairs(self) -> list[MethodPair]:
        """Compare every method with every other."""
        return [self._pair(a, b) for a, b in combinations(range(len(self.methods)), 2)]

    def _pair(self, first: int, second: int) -> MethodPair:
        both = [(answer.scores[first], answer.scores[second]) for answer in self.answers]
        both = [pair for pair in both if not any(map(math.isnan, pair))]
        if self.kind == LESION:  # a smaller distance is better
            both = [(b, a) for a, b in both]
        wins, losses = sum(a > b for a, b in both), sum(a < b for a, b in both)
        names, ties = (self.methods[first], self.methods[second]), len(both) - wins - losses
        if not wins + losses:
            return MethodPair(*names, wins, losses, ties, 1.0)
        test = binomtest(wins, wins + losses)
        interval = test.proportion_ci(CONFIDENCE)
        low, high = float(interval.low), float(interval.high)
        return MethodPair(*names, wins, losses, ties, float(test.pvalue), low, high)

    def method_table(self) -> list[tuple[str, ...]]:
        """Return one row per method, after a row of headings."""
        if self.kind == LESION:
            hits = ("Hits",) if self.hit_mm else ()
            marked = ("Method", "n", "Marked", *hits, "Median distance, mm")
            return [marked, *map(self._lesion_row, self.methods)]
        scale = list(self.counts(self.methods[0]))
        kind = {CHOICE: "Chosen"}.get(self.kind, "Mean")
        words = {0: "not chosen", 1: "chosen"} if self.kind == CHOICE else {}
        headings = ("Method", "n", kind, *(words.get(s, self._signed(s)) for s in scale))
        rows = []
        for method in self.methods:
            counts, scores = self.counts(method), self.scores(method)
            mean = fmean(scores) if scores else math.nan
            shown = f"{100 * mean:.0f} %" if self.kind == CHOICE else self._signed(round(mean, 2))
            shown = shown if scores else "–"
            rows.append((method, str(len(scores)), shown, *map(str, counts.values())))
        return [headings, *rows]

    def pair_table(self) -> list[tuple[str, ...]]:
        """Return one row per pair of methods, after a row of headings."""
        headings = ("Methods", "Better", "Worse", "Equal", "Better, of those decided", "p")
        return [
            headings,
            *(
                (
                    f"{p.first} – {p.second}",
                    *map(str, (p.wins, p.losses, p.ties)),
                    p.interval_text,
                    f"{p.p:.3g}",
                )
                for p in self.pairs()
            ),
        ]

    def _lesion_row(self, method: str) -> tuple[str, ...]:
        scores = self.scores(method)
        marked = [score for score in scores if math.isfinite(score)]
        middle = f"{median(marked):.1f}" if marked else "–"
        hits = (self._hits(method),) if self.hit_mm else ()
        return method, str(len(scores)), str(len(marked)), *hits, middle

    def _hits(self, method: str) -> str:
        """Return how many lesions were hit: ``5 of 8: 62 % (95 % CI 24 to 91 %)``."""
        column, read = self.methods.index(method), 0
        hits = 0
        for answer in self.answers:
            if not math.isnan(answer.scores[column]) and answer.case in self.hit_mm:
                read += 1
                hits += answer.scores[column] <= self.hit_mm[answer.case]
        if not read:
            return "–"
        interval = binomtest(hits, read).proportion_ci(CONFIDENCE)
        low, high = 100 * float(interval.low), 100 * float(interval.high)
        return f"{hits} of {read}: {100 * hits / read:.0f} % (95 % CI {low:.0f} to {high:.0f} %)"

    @property
    def hit_text(self) -> str:
        """Rule for a hit, in words; empty if lesions have no known size."""
        if not self.hit_mm:
            return ""
        low, high = min(self.hit_mm.values()), max(self.hit_mm.values())
        size = f"{low:.1f} mm" if high - low < 0.05 else f"{low:.1f} to {high:.1f} mm"
        rule = f"its largest semi-axis and {TOLERANCE_MM:g} mm"
        return f"Hit: marked within {size} of the lesion's center: {rule}."

    def summary(self) -> str:
        """Return counts and tests as text, each with its n."""
        n = len(self.answers)
        lines = [f"{self.question} {n} of {self.planned} cases answered."]
        lines += [self._line(method) for method in (self.methods if n else ())]
        pairs = self.pairs() if n else []
        lines += [
            f"{p.first} better than {p.second} in {p.wins}, worse in {p.losses}, equal in "
            f"{p.ties}: two-sided sign test p = {p.p:.3g}, n = {p.wins + p.losses} (without "
            f"ties); better in {p.interval_text}"
            for p in pairs
        ]
        if self.hit_mm:
            lines.append(self.hit_text)
        if len(pairs) > 1:
            lines.append(f"The {len(pairs)} tests are not corrected for their number.")
        return "\n".join(lines)

    def _line(self, method: str) -> str:
        if self.kind == LESION:
            _, count, marked, *hits, middle = self._lesion_row(method)
            text = f"{method}: marked in {marked} of {count}, median distance {middle} mm"
            return text + (f", hits {hits[0]}" if hits else "")
        counts, scores = self.counts(method), self.scores(method)
        if self.kind == CHOICE:
            return f"{method}: chosen in {counts[1]} of {len(scores)}"
        kind = "preference" if len(self.methods) == 2 else "rating"
        mean = fmean(scores)
        each = ", ".join(f"{self._signed(score)}: {count}" for score, count in counts.items())
        return f"{method}: mean {kind} {self._signed(round(mean, 2))} ({each})"

    def _signed(self, score: float) -> str:
        signed = self.kind == FIVE_POINT and len(self.methods) == 2 and score
        return (f"{score:+g}" if signed else f"{score:g}").replace("-", "−")

    def to_csv(self) -> str:
        """Return one row per case: its name, the score of each method, seconds.

        A lesion that was not marked has no distance.
        """
        rows = [
            [a.case, *(f"{s:g}" if math.isfinite(s) else "" for s in a.scores), f"{a.seconds:.1f}"]
            for a in self.answers
        ]
        return csv_text([["case", *self.methods, "seconds"], *rows])


def unblind(path: PathLike, key: PathLike | None = None) -> Unblinded:
    """Merge a file of answers with its key.

    Parameters
    ----------
    path : str or path
        File of answers.
    key : str or path, optional
        Key file; by default the one in the folder of the answers.

    Raises
    ------
    ParameterError
        If one of them is damaged, or they do not belong together.
    """
    content = load_key(key or key_path(path))
    columns = content["cases"]
    cases = tuple(Case(name, {}) for name in columns)
    plan = ReadingPlan(
        cases, content["methods"], content["seed"], content["question"], content["kind"]
    )
    by_case: dict[str, list[Answer]] = {}
    for answer in read_answers(Path(path), plan):
        by_case.setdefault(answer.case, []).append(answer)
    merged = [_merge(answers, columns[name], plan) for name, answers in by_case.items()]
    found = (plan.question, plan.methods, tuple(merged), len(cases), plan.kind)
    return Unblinded(*found, content["hit_mm"])


def _merge(answers: list[Answer], columns: dict[str, str], plan: ReadingPlan) -> UnblindedAnswer:
    """Return the scores of a case; of a lesion it has an answer per column."""
    seconds = sum(answer.seconds for answer in answers)
    if plan.kind == LESION:
        found = {columns[answer.letter]: _distance(answer) for answer in answers}
        scores = tuple(found.get(method, math.nan) for method in plan.methods)
        return UnblindedAnswer(answers[0].case, scores, seconds)
    (answer,) = answers
    values: Sequence[float] = answer.values
    if plan.kind == CHOICE:
        values = [float(place == values[0]) for place in plan.scale]
    elif not plan.rates:
        values = (-values[0], values[0])  # +2 is "B much better"
    score = {columns[letter]: value for letter, value in zip(plan.letters, values, strict=True)}
    return UnblindedAnswer(answer.case, tuple(score[m] for m in plan.methods), seconds)


def _distance(answer: Answer) -> float:
    """Return the distance of a mark; infinite if no lesion was marked."""
    return math.inf if math.isnan(answer.values[0]) else answer.values[3]
