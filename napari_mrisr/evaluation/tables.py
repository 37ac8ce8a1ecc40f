"""Numbers of an evaluation and their tables: JSON, CSV, text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from napari_mrisr.core.scale import parse_scale
from napari_mrisr.io.csv_tables import csv_text

GAIN_OVER = "tricubic"


@dataclass(frozen=True)
class EvaluationRow:
    """Numbers of one volume, scale, method and mask.

    Attributes
    ----------
    file : str
        File of the truth, as given.
    scale : str
        Factors along the file's own axes, ``2`` or ``1x1x4``.
    axis : str
        Thick axis, such as ``S–I`` or ``axis 2``; empty for a protocol without one.
    method : str
        Name of the method.
    protocol : str
        Name of the protocol, its switches included.
    mask : str
        ``full`` (field of view) or ``head``.
    psnr_db : float
        In dB; infinite for equal images, NaN if undefined.
    ssim : float
        NaN if undefined.
    gain_db : float
        PSNR minus that of tricubic, for the same file, scale, protocol and mask.
    seconds : float
        Wall time of the super-resolution, without compilation.
    settings : str
        Other settings that decide the numbers, in words.
    note : str
        Reason for an infinite or undefined number.
    further : dict of str to float
        Further metrics by column; columns of their own in CSV and JSON.
    """

    file: str
    scale: str
    axis: str = field(default="", kw_only=True)
    method: str
    protocol: str
    mask: str
    psnr_db: float
    ssim: float
    gain_db: float
    seconds: float
    settings: str = ""
    note: str = ""
    further: dict[str, float] = field(default_factory=dict, kw_only=True)

    def entries(self) -> dict[str, Any]:
        """Return every column and its value."""
        columns = asdict(self)
        further = columns.pop("further")
        return {**columns, **further}


@dataclass(frozen=True)
class Failure:
    """A file that could not be evaluated.

    Attributes
    ----------
    file : str
        Its path.
    error : str
        One line.
    unexpected : bool
        True for an error that no user can correct.
    """

    file: str
    error: str
    unexpected: bool = False


@dataclass(frozen=True)
class Statistic:
    """Mean and standard deviation over volumes.

    Attributes
    ----------
    mean : float
        Of the finite values; NaN without any.
    sd : float
        Sample standard deviation (n − 1); NaN below two values.
    count : int
        Finite values.
    """

    mean: float
    sd: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Statistic:
        """Return the statistic of the finite values."""
        finite = [value for value in values if math.isfinite(value)]
        n = len(finite)
        mean = math.fsum(finite) / n if n else math.nan
        square = math.fsum((value - mean) ** 2 for value in finite)
        return cls(mean, math.sqrt(square / (n - 1)) if n > 1 else math.nan, n)


@dataclass(frozen=True)
class SummaryRow:
    """Mean ± sd over the volumes of one scale, axis, method and mask.

    With an axis, ``scale`` is the factor along it.
    """

    scale: str
    axis: str
    method: str
    mask: str
    psnr_db: Statistic
    ssim: Statistic
    gain_db: Statistic
    seconds: Statistic
    further: dict[str, Statistic] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationReport:
    """Rows of an evaluation, and files that failed.

    Attributes
    ----------
    protocol : mapping
        Name and every setting of the protocol.
    rows : list of EvaluationRow
        In the order computed.
    failures : list of Failure
        Files without rows.
    """

    protocol: dict[str, Any]
    rows: list[EvaluationRow] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def summary(self) -> list[SummaryRow]:
        """Return mean ± sd over volumes, in the order of the rows."""
        groups: dict[tuple[str, str, str, str], list[EvaluationRow]] = {}
        for row in self.rows:
            # Files store the same direction along different axes.
            scale = str(max(parse_scale(row.scale))) if row.axis else row.scale
            groups.setdefault((scale, row.axis, row.method, row.mask), []).append(row)
        return [
            SummaryRow(
                *key,
                psnr_db=Statistic.of(row.psnr_db for row in rows),
                ssim=Statistic.of(row.ssim for row in rows),
                gain_db=Statistic.of(row.gain_db for row in rows),
                seconds=Statistic.of(row.seconds for row in rows),
                further={
                    name: Statistic.of(row.further[name] for row in rows)
                    for name in rows[0].further
                },
            )
            for key, rows in groups.items()
        ]

    def to_json(self) -> str:
        """Return protocol, rows, summary and failures as JSON.

        Infinite and undefined numbers become null; the row's ``note`` tells which.
        """
        content = {
            "protocol": self.protocol,
            "rows": [row.entries() for row in self.rows],
            "summary": [asdict(row) for row in self.summary()],
            "failures": [{"file": f.file, "error": f.error} for f in self.failures],
        }
        return json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return a line per row, with a header; infinite is ``inf``, undefined ``nan``."""
        rows = [row.entries() for row in self.rows]
        further = _unique(name for row in self.rows for name in row.further)
        names = [f.name for f in fields(EvaluationRow) if f.name != "further"] + further
        return csv_text([names, *([row.get(n, math.nan) for n in names] for row in rows)])

    def summary_table(self) -> str:
        """Return the summary as text, one table per mask, as in table 1 of the 2021 paper.

        Rows are scales, columns are methods, cells are ``PSNR dB ± sd / SSIM``. A line
        below each scale gives the gain over tricubic in dB. Further metrics have a table of
        their own, with a column per metric.
        """
        rows = self.summary()
        parts = [f"Protocol {self.protocol['name']}: {self.protocol['settings']}"]
        parts += [_mask_table(mask, rows) for mask in _unique(row.mask for row in rows)]
        parts += [_further_table(mask, rows) for mask in _unique(r.mask for r in rows if r.further)]
        parts += [f"Not evaluated: {failure.error}" for failure in self.failures]
        return "\n\n".join(parts)


def _mask_table(mask: str, rows: list[SummaryRow]) -> str:
    cells = {(_label(row), row.method): row for row in rows if row.mask == mask}
    scales = _unique(scale for scale, _ in cells)
    methods = _unique(method for _, method in cells)
    count = max(row.psnr_db.count for row in cells.values())
    lines = [["scale", *methods]]
    for scale in scales:
        found = [cells.get((scale, method)) for method in methods]
        lines.append([scale, *(_cell(row, _quality) for row in found)])
        lines.append(["", *(_cell(row, _gain) for row in found)])
    volumes = "1 volume" if count == 1 else f"{count} volumes, mean ± sd"
    title = f"Mask {mask}, {volumes}: PSNR dB / SSIM, below it the gain over {GAIN_OVER} in dB"
    return "\n".join([title, *aligned(lines)])


def _further_table(mask: str, rows: list[SummaryRow]) -> str:
    rows = [row for row in rows if row.mask == mask]
    lines = [["scale", "method", *rows[0].further]]
    for row in rows:
        numbers = [_number(found, ".3f") for found in row.further.values()]
        lines.append([_label(row), row.method, *numbers])
    return "\n".join([f"Mask {mask}, further metrics", *aligned(lines)])


def _label(row: SummaryRow) -> str:
    return f"{times(row.scale)} along {row.axis}" if row.axis else times(row.scale)


def _cell(row: SummaryRow | None, text: Callable[[SummaryRow], str]) -> str:
    return "–" if row is None else text(row)


def _quality(row: SummaryRow) -> str:
    return f"{_number(row.psnr_db, '.2f')} / {row.ssim.mean:.4f}"


def _gain(row: SummaryRow) -> str:
    return "" if row.method == GAIN_OVER else _number(row.gain_db, "+.2f")


def _number(statistic: Statistic, style: str) -> str:
    mean = format(statistic.mean, style)
    digits = style.lstrip("+")
    return mean if math.isnan(statistic.sd) else f"{mean} ± {statistic.sd:{digits}}"


def times(scale: str) -> str:
    """Return a typed scale for display: ``2×`` or ``1×1×4``."""
    return scale.replace("x", "×") if "x" in scale else f"{scale}×"


def aligned(lines: list[list[str]]) -> list[str]:
    """Return the lines of a table of text, with columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def finite(value: Any) -> Any:
    """Return the content with None for every float that is not finite."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
