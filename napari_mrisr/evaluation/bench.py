"""A bench of methods: every method and task on every volume, resumed where it stopped.

A folder holds the finished numbers, a line of ``rows.jsonl`` per volume, method and task.
A line counts for the same bytes of the volume and the same settings only.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from napari_mrisr._version import __version__
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale, Scale
from napari_mrisr.core.volume import FloatArray, IntensityWindow, Volume
from napari_mrisr.errors import (
    BankError,
    Cancelled,
    MrisrError,
    ParameterError,
    ScaleError,
    explain,
)
from napari_mrisr.evaluation.experiment import (
    Comparison,
    EvaluateParameters,
    EvaluationCase,
    FileJob,
    compare,
    plan_evaluation,
)
from napari_mrisr.evaluation.further import LABELS
from napari_mrisr.evaluation.tables import GAIN_OVER, Statistic, finite, times
from napari_mrisr.evaluation.tasks.base import Task, Values
from napari_mrisr.io import read_volume
from napari_mrisr.io.atomic import atomic_write, write_text
from napari_mrisr.io.csv_tables import csv_text
from napari_mrisr.methods.registry import available_methods
from napari_mrisr.run.upscale import check_memory, check_parameters

PICTURE = "picture"
"""Task that compares the picture with the truth."""
GAIN = "gain over tricubic (dB)"
ROWS = "rows.jsonl"
PICTURES = "pictures"


@dataclass(frozen=True)
class BenchRow:
    """Numbers of one volume, case, method and task.

    Attributes
    ----------
    file, scale, axis, method : str
        As in :class:`~napari_mrisr.evaluation.tables.EvaluationRow`.
    task : str
    values : dict of str to float
        Numbers by name, with their unit.
    settings : str
        Checksum of the volume, and everything that decides the numbers.
    """

    file: str
    scale: str
    axis: str
    method: str
    task: str
    values: Values
    settings: str

    @property
    def key(self) -> tuple[str, ...]:
        """Parts that two rows of the same measurement share."""
        return self.scale, self.axis, self.method, self.task, self.settings


@dataclass(frozen=True)
class BenchReport:
    """Rows of a bench, methods that were left out, and files that failed.

    Attributes
    ----------
    rows : list of BenchRow
    left_out : dict of str to str
        Method, and why it does not fit.
    failures : list of str
        One line each.
    """

    rows: list[BenchRow] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def methods(self) -> list[str]:
        """Return the methods in the order of the rows."""
        return list(dict.fromkeys(row.method for row in self.rows))

    def means(self) -> dict[str, dict[str, Statistic]]:
        """Return mean and spread over volumes, by method, then ``task: number``."""
        found: dict[str, dict[str, list[float]]] = {}
        for row in self.rows:
            for name, value in row.values.items():
                label = name if row.task == PICTURE else f"{row.task}: {name}"
                found.setdefault(row.method, {}).setdefault(label, []).append(value)
        return {
            method: {label: Statistic.of(values) for label, values in numbers.items()}
            for method, numbers in found.items()
        }

    def to_csv(self) -> str:
        """Return a line per number."""
        head = ["file", "scale", "axis", "method", "task", "number", "value"]
        return csv_text(
            [
                head,
                *(
                    [row.file, row.scale, row.axis, row.method, row.task, name, value]
                    for row in self.rows
                    for name, value in row.values.items()
                ),
            ]
        )

    def to_json(self) -> str:
        """Return rows, means and methods left out; numbers that are not finite are null."""
        means = {
            method: {label: one.mean for label, one in numbers.items()}
            for method, numbers in self.means().items()
        }
        content = {
            "version": __version__,
            "rows": [asdict(row) for row in self.rows],
            "means": means,
            "left_out": self.left_out,
            "failures": self.failures,
            "note": RESEARCH_USE,
        }
        return json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def table(self) -> list[list[str]]:
        """Return a row of headings, and a row per method: means over volumes."""
        means = self.means()
        labels = list(dict.fromkeys(label for numbers in means.values() for label in numbers))
        rows = [
            [method, *(number_text(one[n].mean if n in one else math.nan) for n in labels)]
            for method, one in means.items()
        ]
        return [["method", *labels], *rows]

    def to_markdown(self) -> str:
        """Return :meth:`table` as text, the cases, and the methods left out."""
        heads, *rows = self.table()
        lines = [f"| {' | '.join(line)} |" for line in (heads, *rows)]
        lines.insert(1, "|---" * len(heads) + "|")
        cases = list(dict.fromkeys((row.scale, row.axis) for row in self.rows))
        shown = ", ".join(times(s) + (f" along {a}" if a else "") for s, a in cases)
        count = len({row.file for row in self.rows})
        noun = "volume" if count == 1 else "volumes"
        parts = [f"Means over {count} {noun}; {shown}.", "\n".join(lines)]
        parts += [f"Left out: {method} ({why})." for method, why in self.left_out.items()]
        return "\n\n".join([*parts, RESEARCH_USE]) + "\n"


def number_text(value: float) -> str:
    """Return a number with three digits or one decimal; a dash for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return text.replace("-", "−")


def picture(comparison: Comparison, method: str) -> Values:
    """Return the numbers of a comparison inside the head, or of the field of view."""
    masks = comparison.found[method]
    mask = "head" if "head" in masks else "full"
    found = masks[mask]
    return {
        "PSNR (dB)": found.psnr_db,
        GAIN: comparison.gain_db(method, mask),
        "SSIM": found.ssim,
        "seconds": comparison.seconds[method],
        **{LABELS.get(name, name): value for name, value in found.further.items()},
    }


def fitting_methods(
    names: Sequence[str], jobs: Sequence[FileJob], parameters: EvaluateParameters
) -> tuple[list[str], dict[str, str]]:
    """Return the methods that can run all cases, and why others cannot.

    ``all`` among the names stands for every method, those of other packages included.
    """
    wanted = [m for name in names for m in (available_methods() if name == "all" else [name])]
    scales = list(dict.fromkeys(case.scale for job in jobs for case in job.cases))
    fitting, left_out = [], {}
    for name in dict.fromkeys(wanted):
        try:
            for scale in scales:
                check_parameters(parameters.upscaling(name, scale))
        except (ScaleError, BankError, ParameterError) as error:
            if "all" not in names:
                raise
            left_out[name] = str(error)
        else:
            fitting.append(name)
    if not fitting:
        raise ParameterError(explain("--methods", ", ".join(names), "choose a method that fits"))
    return fitting, left_out


@dataclass(frozen=True)
class _Cell:
    """One measurement to make."""

    job: FileJob
    case: EvaluationCase
    method: str
    task: str
    pictured: bool


def run_bench(
    paths: Sequence[Path],
    parameters: EvaluateParameters,
    folder: Path,
    *,
    tasks: Sequence[Task[Any]] = (),
    progress: Progress | None = None,
) -> BenchReport:
    """Measure every method on every volume, and write tables and slices for a figure.

    Parameters
    ----------
    paths : sequence of Path
        High-resolution images.
    parameters : EvaluateParameters
        Methods (``all`` for every one that fits), scales or protocol.
    folder : Path
        For the results; finished rows there are not measured again.
    tasks : sequence of Task
        Tasks in addition to :data:`PICTURE`.
    progress : Progress, optional
        Counts a step per volume, case, method and task.

    Returns
    -------
    BenchReport
        Written as ``bench.csv``, ``bench.json`` and ``bench.md`` too.

    Raises
    ------
    ParameterError
        If no method fits.
    Cancelled
        If the user cancels; finished rows stay.
    """
    progress, by_name = progress or Progress(), {task.name: task for task in tasks}
    evaluation, jobs = plan_evaluation(paths, replace(parameters, methods=(GAIN_OVER,)))
    methods, left_out = fitting_methods(parameters.methods, jobs, parameters)
    report = BenchReport(left_out=left_out, failures=[f.error for f in evaluation.failures])
    folder.mkdir(parents=True, exist_ok=True)
    known = {row.key: row for row in read_rows(folder)}
    cells = [
        _Cell(job, case, method, task, task == PICTURE and job is jobs[0] and case is job.cases[0])
        for job in jobs
        for case in job.cases
        for method in methods
        for task in (PICTURE, *by_name)
    ]
    progress.begin("measuring", len(cells))
    opened = _Opened(parameters)
    for cell in cells:
        progress.token.check()
        row = BenchRow(
            cell.job.path.name, cell.case.text, cell.case.axis, cell.method, cell.task, {},
            f"{opened.digest(cell.job.path)}; {_settings(parameters, by_name.get(cell.task))}",
        )  # fmt: skip
        finished = known.get(row.key)
        if finished is not None and (not cell.pictured or has_slices(folder, cell.method)):
            report.rows.append(replace(finished, file=row.file))
        else:
            try:
                values = _measure(opened, cell, by_name, folder, progress)
            except MrisrError as error:
                if isinstance(error, Cancelled):
                    raise
                report.failures.append(f"{row.file}, {cell.method}, {cell.task}: {error}")
            else:
                report.rows.append(replace(row, values=values))
                _append(folder, report.rows[-1])
        progress.advance()
    write_text(folder / "bench.csv", report.to_csv())
    write_text(folder / "bench.json", report.to_json())
    write_text(folder / "bench.md", report.to_markdown())
    return report


def _settings(parameters: EvaluateParameters, task: Task[Any] | None) -> str:
    files = f"bank {parameters.bank}; model {parameters.model}"
    parts = [__version__, parameters.protocol.describe(), files, f"frame {parameters.frame}"]
    if task is not None:
        parts.append(task.describe())
    elif parameters.metrics:
        parts.append(f"metrics {', '.join(parameters.metrics)}")
    return "; ".join(parts)


class _Opened:
    """The volume that was read last, and its checksum."""

    def __init__(self, parameters: EvaluateParameters) -> None:
        self._parameters = parameters
        self._digests: dict[Path, str] = {}
        self._volume: tuple[Path, Volume] | None = None

    def digest(self, path: Path) -> str:
        if path not in self._digests:
            with path.open("rb") as file:
                self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._digests[path]

    def volume(self, path: Path) -> Volume:
        if self._volume is None or self._volume[0] != path:
            self._volume = None  # one volume in memory at a time
            frame, fill = self._parameters.frame, self._parameters.fill_nonfinite
            self._volume = path, read_volume(path, frame=frame, fill_nonfinite=fill)
        return self._volume[1]

    def of(self, method: str) -> EvaluateParameters:
        return replace(self._parameters, methods=(method,))


def _measure(
    opened: _Opened, cell: _Cell, tasks: Mapping[str, Task[Any]], folder: Path, progress: Progress
) -> Values:
    truth, one, inner = (
        opened.volume(cell.job.path),
        opened.of(cell.method),
        Progress(progress.token),
    )
    scale = cell.case.scale
    low = truth.cropped_to_multiple(scale).grid.degraded(scale)
    check_memory(low, one.upscaling(cell.method, scale))
    if cell.task != PICTURE:
        task = tasks[cell.task]
        return task.values(task.measure(truth, one, scale, inner))
    comparison = compare(truth, one, scale, progress=inner)
    if cell.pictured:
        _keep_slices(folder, comparison, cell.method, scale)
    return picture(comparison, cell.method)


def _append(folder: Path, row: BenchRow) -> None:
    with (folder / ROWS).open("a", encoding="utf-8") as file:
        # First the end of the line before, which an interruption may have cut.
        file.write("\n" + json.dumps(asdict(row), ensure_ascii=False))


def read_rows(folder: Path) -> list[BenchRow]:
    """Return the finished rows of a folder; a line that an interruption cut is left out."""
    path, rows = folder / ROWS, []
    if not path.exists():
        return []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries = json.loads(line)
            values = {str(name): float(value) for name, value in entries.pop("values").items()}
            rows.append(BenchRow(**{str(k): str(v) for k, v in entries.items()}, values=values))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return rows


def has_slices(folder: Path, method: str) -> bool:
    """Return True if the figure's slice of a method is there."""
    return (folder / PICTURES / f"{method}.npy").exists()


def _keep_slices(folder: Path, comparison: Comparison, method: str, scale: Scale) -> None:
    """Write the reference's and the result's slice."""
    (folder / PICTURES).mkdir(exist_ok=True)
    for name, volume in (("reference", comparison.truth), (method, comparison.results[method])):
        image = figure_slice(volume, comparison.window, scale)
        with (
            atomic_write(folder / PICTURES / f"{name}.npy") as temporary,
            temporary.open("wb") as f,
        ):
            np.save(f, image, allow_pickle=False)


def figure_slice(volume: Volume, window: IntensityWindow, scale: RealScale) -> FloatArray:
    """Return the middle slice, with square pixels, that shows the axis made finer most."""
    across = 0 if int(np.argmax(scale)) != 0 else 1
    unit = window.to_unit(volume.data)
    middle = np.take(unit, unit.shape[across] // 2, axis=across)
    x, y = (volume.grid.voxel_size[axis] for axis in range(3) if axis != across)
    square = ndimage.zoom(middle, (1, y / x), order=1)
    return np.ascontiguousarray(square.T[::-1], np.float32)
