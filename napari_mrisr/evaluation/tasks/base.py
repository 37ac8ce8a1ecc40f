"""Common parts of all tasks: rows, tables, and a run over files."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Generic, TypeVar

from matplotlib.figure import Figure

from napari_mrisr._version import __version__
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import Cancelled, ParameterError, describe_failure, explain
from napari_mrisr.evaluation.experiment import EvaluateParameters, plan_evaluation
from napari_mrisr.evaluation.tables import Failure, finite
from napari_mrisr.io import read_volume
from napari_mrisr.io.csv_tables import csv_text

NOT_IN_CSV = {"csv": False}
"""Metadata of a row's field that only the JSON file holds."""

Values = dict[str, float]
"""Numbers by name, with their unit."""


@dataclass(frozen=True)
class TaskRow:
    """Numbers of one method and object of a task; subclasses add them.

    Attributes
    ----------
    file, scale, axis, method : str
        As in :class:`~napari_mrisr.evaluation.tables.EvaluationRow`.
    """

    file: str = field(default="", kw_only=True)
    scale: str = field(default="", kw_only=True)
    axis: str = field(default="", kw_only=True)
    method: str


Row = TypeVar("Row", bound=TaskRow)


class Task(ABC, Generic[Row]):
    """A measure of methods on a truth that is known."""

    name: ClassVar[str]
    """Name on the command line."""

    @abstractmethod
    def describe(self) -> str:
        """Return one line with every setting that decides the numbers."""

    @abstractmethod
    def measure(
        self, truth: Volume, parameters: EvaluateParameters, scale: Scale, progress: Progress
    ) -> list[Row]:
        """Measure the methods of the parameters.

        Parameters
        ----------
        truth : Volume
            High resolution, in the scan's intensities.
        parameters : EvaluateParameters
            Methods and protocol.
        scale : tuple of int
            Factor of each axis, in RAS order.
        progress : Progress
            Counts one step per method, on a task that the caller began.

        Returns
        -------
        list
            Rows without file, scale and axis.
        """

    @abstractmethod
    def values(self, rows: Sequence[Row]) -> Values:
        """Return the numbers of the rows of one method, for a bench."""

    @abstractmethod
    def table(self, rows: Sequence[Row]) -> str:
        """Return rows of any number of files and methods as one table of text."""

    @abstractmethod
    def figure(self, rows: Sequence[Row], notes: Sequence[str]) -> Figure:
        """Draw the rows, with notes below."""


@dataclass(frozen=True)
class TaskReport(Generic[Row]):
    """Rows of a task, and files that failed.

    Attributes
    ----------
    task : Task
    protocol : mapping
        Name and every setting of the protocol.
    rows : list of TaskRow
    failures : list of Failure
    """

    task: Task[Row]
    protocol: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def to_csv(self) -> str:
        """Return a line per row, with a header."""
        row = self.rows[0] if self.rows else TaskRow
        names = [entry.name for entry in fields(row) if entry.metadata != NOT_IN_CSV]
        return csv_text([names, *([getattr(row, name) for name in names] for row in self.rows)])

    def to_json(self) -> str:
        """Return task, protocol, rows and failures; numbers that are not finite are null."""
        content = {
            "version": __version__,
            "task": self.task.name,
            "settings": self.task.describe(),
            "protocol": self.protocol,
            "rows": [asdict(row) for row in self.rows],
            "failures": [{"file": f.file, "error": f.error} for f in self.failures],
            "note": RESEARCH_USE,
        }
        return json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def summary_table(self) -> str:
        """Return protocol, task and table as text."""
        parts = [
            f"Protocol {self.protocol['name']}: {self.protocol['settings']}",
            f"Task {self.task.name}: {self.task.describe()}",
            self.task.table(self.rows),
        ]
        return "\n\n".join([*parts, *(f"Not evaluated: {f.error}" for f in self.failures)])


def evaluate_task(
    task: Task[Row],
    paths: Sequence[str | os.PathLike[str]],
    parameters: EvaluateParameters,
    *,
    progress: Progress | None = None,
) -> TaskReport[Row]:
    """Measure methods by a task on files that serve as the truth.

    Parameters
    ----------
    task : Task
    paths : sequence of path
        High-resolution images.
    parameters : EvaluateParameters
        Scales, methods, protocol.
    progress : Progress, optional
        Counts one step per file, scale and method.

    Returns
    -------
    TaskReport
        Files that failed are listed in it and do not stop the others.

    Raises
    ------
    ParameterError, ScaleError, BankError
        If the parameters fit no file.
    Cancelled
        If the user cancels.
    """
    if parameters.protocol.left_out:
        found = f"protocol {parameters.protocol.name}, which has no truth"
        raise ParameterError(explain(f"task {task.name}", found, "use standard or thick-slices:4"))
    progress = progress or Progress()
    plan, jobs = plan_evaluation(paths, parameters)
    report = TaskReport(task, plan.protocol, failures=plan.failures)
    progress.begin(task.name, sum(len(job.cases) for job in jobs) * len(parameters.methods))
    for job in jobs:
        try:
            truth = read_volume(
                job.path, frame=parameters.frame, fill_nonfinite=parameters.fill_nonfinite
            )
            for case in job.cases:
                where = {"file": str(job.path), "scale": case.text, "axis": case.axis}
                rows = task.measure(truth, parameters, case.scale, progress)
                report.rows.extend(replace(row, **where) for row in rows)
        except Cancelled:
            raise
        except Exception as error:
            report.failures.append(Failure(str(job.path), *describe_failure(job.path, error)))
    return report
