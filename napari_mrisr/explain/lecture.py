"""Lecture pages: all steps of a voxel in one HTML or PDF file.

The file does not name the scan. The HTML file needs no network.
"""

from __future__ import annotations

import base64
import io
import os
import textwrap
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import OutputError, explain
from napari_mrisr.explain.draw import draw_step, new_figure
from napari_mrisr.explain.model import Explanation, VoxelExplanation
from napari_mrisr.explain.sheet import DRAWING, ON_LIGHT
from napari_mrisr.explain.steps import (
    UNITS,
    Step,
    all_steps,
    factor_text,
    stage_label,
    sum_rows,
    voxel_text,
)
from napari_mrisr.figures.page import export_settings
from napari_mrisr.io.atomic import atomic_write, write_error

_TITLE = "How super-resolution computes one voxel"
LECTURE_SUFFIXES = (".html", ".pdf")

_PICTURE_IN = (7.4, 3.6)
_PICTURE_DPI = 130
_SLIDE_IN = (10.0, 7.0)
_LINE_CHARACTERS = 104
_ON_SLIDES = replace(ON_LIGHT, points=10.5)

_CSS = """
body { font: 17px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem;
  color: #202225; background: #fff }
h1 { line-height: 1.2 } h2 { margin-top: 3rem; border-bottom: 1px solid #ccc }
h3 { margin: 2.2rem 0 .3rem } img { max-width: 100% } p { margin: .4rem 0 }
table { border-collapse: collapse; font-size: .9em } td { padding: .1rem 1rem .1rem 0 }
td + td { font-variant-numeric: tabular-nums } .source, footer { color: #666; font-size: .8em }
tr:last-child.sum td { border-top: 1px solid #666; font-weight: bold }
@media print { section { break-inside: avoid } }
"""


def save_lecture(
    explanation: VoxelExplanation, path: str | os.PathLike[str], progress: Progress | None = None
) -> None:
    """Write all steps as HTML or PDF, chosen by the suffix; replaces the file atomically.

    Raises
    ------
    OutputError
        For another suffix, or if the file cannot be written.
    Cancelled
        If the user cancels; no file is left.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in LECTURE_SUFFIXES:
        found = f"{suffix or 'no suffix'!r} is not a format for lecture pages"
        raise OutputError(explain(path, found, f"choose one of {', '.join(LECTURE_SUFFIXES)}"))
    progress = progress or Progress()
    try:
        with atomic_write(path) as temporary:
            if suffix == ".html":
                temporary.write_text(lecture_html(explanation, progress), encoding="utf-8")
            else:
                _write_pdf(explanation, temporary, progress)
    except OutputError:
        raise
    except OSError as error:
        raise write_error(path, error) from error


def lecture_html(explanation: VoxelExplanation, progress: Progress | None = None) -> str:
    """Return all steps as one HTML text that includes the pictures."""
    progress = progress or Progress()
    steps = all_steps(explanation)
    progress.begin("lecture page", len(steps))
    body = []
    for number, step in enumerate(steps, 1):
        if step.key == "gradients" and isinstance(explanation, Explanation):
            assert step.stage is not None, "a step of a stage"
            body.append(f"<h2>Stage {escape(stage_label(explanation, step.stage))}</h2>")
        elif step.key == "output":
            body.append("<h2>Sum of the steps</h2>")
        body.append(_section(explanation, step, number))
        progress.advance()
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{_TITLE}</title>
<meta name="viewport" content="width=device-width"><style>{_CSS}</style></head>
<body>
<h1>{_TITLE}</h1>
<p>{escape(_preface(explanation))}</p>
{_sum_table(explanation)}
{"".join(body)}
<footer><p>{escape(UNITS)}</p><p>Made by napari-mrisr; {RESEARCH_USE}.</p></footer>
</body>
</html>
"""


def _preface(explanation: VoxelExplanation) -> str:
    size = " × ".join(f"{n:.3g}" for n in explanation.voxel_size)
    kind = "filter bank" if isinstance(explanation, Explanation) else "network"
    return (
        f"All steps for voxel {voxel_text(explanation.voxel)} of a scan that was "
        f"super-resolved by {factor_text(explanation)} to voxels of {size} mm, "
        f"with {kind} {explanation.bank_name}."
    )


def _sum_table(explanation: VoxelExplanation) -> str:
    rows = "".join(
        f'<tr class="sum"><td>{escape(name)}</td><td>{escape(value)}</td></tr>'
        for name, value in sum_rows(explanation)
    )
    return f"<table>{rows}</table>"


def _section(explanation: VoxelExplanation, step: Step, number: int) -> str:
    picture = base64.b64encode(_png(explanation, step)).decode("ascii")
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in step.numbers
    )
    return (
        f"<section><h3>{number}. {escape(step.title)}</h3><p>{escape(step.sentence)}</p>"
        f'<img alt="{escape(step.title)}: {escape(step.equation)}" '
        f'src="data:image/png;base64,{picture}">'
        f'<p class="source">{escape(step.source)}</p><table>{rows}</table></section>\n'
    )


def _png(explanation: VoxelExplanation, step: Step) -> bytes:
    width, height = _PICTURE_IN
    with DRAWING:
        figure = new_figure(width, height, _PICTURE_DPI)
        draw_step(figure, explanation, step, ON_LIGHT, (0.0, 0.0, width, height))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", facecolor="w", metadata={"Software": "napari-mrisr"})
    return buffer.getvalue()


def _write_pdf(explanation: VoxelExplanation, path: Path, progress: Progress) -> None:
    from matplotlib.backends.backend_pdf import PdfPages

    steps = all_steps(explanation)
    progress.begin("lecture page", len(steps))
    metadata = {"Creator": "napari-mrisr", "Subject": RESEARCH_USE, "CreationDate": None}
    # Around the whole file: matplotlib embeds the fonts when it closes it.
    with export_settings(), PdfPages(path, metadata=metadata) as pages:
        for number, step in enumerate(steps, 1):
            with DRAWING:
                pages.savefig(_slide(explanation, step, f"{number} of {len(steps)}"), facecolor="w")
            progress.advance()


def _slide(explanation: VoxelExplanation, step: Step, count: str) -> Figure:
    """Draw one step on one landscape page."""
    width, height = _SLIDE_IN
    figure = new_figure(width, height, 100)
    title = step.title
    stages = explanation.stages if isinstance(explanation, Explanation) else ()
    if step.stage is not None and len(stages) > 1:
        title += f" (stage {step.stage + 1} of {len(stages)})"

    def write(x: float, y: float, text: str, size: float, **look: Any) -> None:
        figure.text(x / width, y / height, text, fontsize=size, va="top", **look)

    write(0.5, height - 0.35, title, 20, fontweight="bold")
    write(0.5, height - 0.85, textwrap.fill(step.sentence, _LINE_CHARACTERS), 12)
    rows = -(-len(step.numbers) // 2)
    foot = 0.75 + 0.2 * rows
    draw_step(figure, explanation, step, _ON_SLIDES, (0.5, foot, width - 1.0, height - 1.5 - foot))
    for number, (name, value) in enumerate(step.numbers):
        x, y = 0.5 + 4.6 * (number // rows), foot - 0.08 - 0.2 * (number % rows)
        write(x, y, name, 9, color="0.35")
        write(x + 2.6, y, value, 9)
    write(0.5, 0.5, step.source, 8, color="0.45")
    last = (
        f"{explanation.bank_name}, voxel {voxel_text(explanation.voxel)}. {UNITS} {RESEARCH_USE}."
    )
    write(0.5, 0.32, last, 8, color="0.45")
    write(width - 0.5, 0.32, count, 8, color="0.45", ha="right")
    return figure
