"""Unblinding of a reading: scores per method, with counts and a sign test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from scipy.stats import binomtest

from napari_mrisr.comparison.blinded.session import (
    PREFERENCES,
    RATINGS,
    Answer,
    Case,
    ReadingPlan,
    key_path,
    load_key,
    read_answers,
)
from napari_mrisr.io.csv_tables import csv_text
from napari_mrisr.io.formats import PathLike


@dataclass(frozen=True)
class UnblindedAnswer:
    """Answer with scores per method.

    Attributes
    ----------
    case : str
        Name of the case.
    scores : tuple of int
        One per method: its rating, or the preference for it (2: much better, −2: the
        other method is much better).
    seconds : float
        Reading time.
    """

    case: str
    scores: tuple[int, ...]
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
        Two-sided, without ties; 1 without any case.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    p: float


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
    """

    question: str
    methods: tuple[str, ...]
    answers: tuple[UnblindedAnswer, ...]
    planned: int

    def counts(self, method: str) -> dict[int, int]:
        """Return how often a method had each of the five scores."""
        column = self.methods.index(method)
        scale = PREFERENCES if len(self.methods) == 2 else RATINGS
        scores = [answer.scores[column] for answer in self.answers]
        return {score: scores.count(score) for score in scale}

    def pairs(self) -> list[MethodPair]:
        """Compare every method with every other."""
        return [self._pair(a, b) for a, b in combinations(range(len(self.methods)), 2)]

    def _pair(self, first: int, second: int) -> MethodPair:
        differences = [answer.scores[first] - answer.scores[second] for answer in self.answers]
        wins = sum(d > 0 for d in differences)
        losses = sum(d < 0 for d in differences)
        p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
        ties = len(differences) - wins - losses
        return MethodPair(self.methods[first], self.methods[second], wins, losses, ties, p)

    def summary(self) -> str:
        """Return counts and tests as text, each with its n."""
        n = len(self.answers)
        lines = [f"{self.question} {n} of {self.planned} cases answered."]
        kind = "preference" if len(self.methods) == 2 else "rating"
        for method in self.methods if n else ():
            counts = self.counts(method)
            mean = sum(score * count for score, count in counts.items()) / n
            each = ", ".join(f"{_signed(kind, s)}: {count}" for s, count in counts.items())
            lines.append(f"{method}: mean {kind} {_signed(kind, round(mean, 2))} ({each})")
        pairs = self.pairs() if n else []
        lines += [
            f"{p.first} better than {p.second} in {p.wins}, worse in {p.losses}, equal in "
            f"{p.ties}: two-sided sign test p = {p.p:.3g}, n = {p.wins + p.losses} (without ties)"
            for p in pairs
        ]
        if len(pairs) > 1:
            lines.append(f"The {len(pairs)} tests are not corrected for their number.")
        return "\n".join(lines)

    def to_csv(self) -> str:
        """Return one row per case: its name, the score of each method, seconds."""
        rows = [[a.case, *a.scores, f"{a.seconds:.1f}"] for a in self.answers]
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
    cases = tuple(Case(name, {}) for name in content["cases"])
    plan = ReadingPlan(cases, content["methods"], content["seed"], content["question"])
    answers = read_answers(Path(path), plan)
    merged = [_merge(answer, content["cases"][answer.case], plan) for answer in answers]
    return Unblinded(plan.question, plan.methods, tuple(merged), len(cases))


def _merge(answer: Answer, columns: dict[str, str], plan: ReadingPlan) -> UnblindedAnswer:
    values: Sequence[int] = answer.values
    if plan.compares:
        # +2 is "B much better".
        values = (-values[0], values[0])
    score = {columns[letter]: value for letter, value in zip(plan.letters, values, strict=True)}
    return UnblindedAnswer(answer.case, tuple(score[m] for m in plan.methods), answer.seconds)


def _signed(kind: str, score: float) -> str:
    text = f"{score:+g}" if kind == "preference" and score else f"{score:g}"
    return text.replace("-", "−")
