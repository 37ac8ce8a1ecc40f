"""Figure and HTML page of a result without a reference."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape

import numpy as np
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.comparison.scene import Cutter, build_scene
from napari_mrisr.comparison.state import DIFFERENCE_COLORMAP, Display
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.notice import RESEARCH_USE, Caution
from napari_mrisr.core.scale import RealScale, parse_scale, scale_label
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.figures.figure import ColumnText, scene_figure
from napari_mrisr.figures.page import export_settings, text_pages
from napari_mrisr.io.nifti import software
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.trust.maps import (
    NO_CALIBRATION,
    SAMPLES_PER_CELL,
    SAMPLES_PER_TAP,
    TrustMaps,
    calibration_of,
)

_ERROR_PERCENTILE = 99.5

SUPPORT_NAMES = ("enough", "few samples", "outside training", "both")
SUPPORT_COLORS = ("#20242b", "#e69f00", "#56b4e9", "#d55e00")

_TEXTS = {
    "expected error": ColumnText("RMSE", "RMSE"),
    "support": ColumnText(classes=SUPPORT_NAMES),
    "consistency": ColumnText("degraded − measured", "difference"),
}

_NO_CAUTIONS = "None: the scan is like the training volumes."
_DPI = 200
_CSS = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #202225; background: #fff }
h1 { line-height: 1.2; margin-bottom: .2rem } h2 { margin-top: 2rem; border-bottom: 1px solid #ccc }
img { width: 100% } table { border-collapse: collapse; font-size: .92em }
th, td { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0 }
td:nth-child(2) { white-space: nowrap; font-variant-numeric: tabular-nums }
.notice { color: #8a3b00; font-weight: 600 } li b { text-transform: capitalize }
footer, .how { color: #666; font-size: .9em }
@media print { h2 { break-after: avoid } img, table { break-inside: avoid } }
"""

_MAPS = (
    ("Expected error", "Expected root mean square error at each voxel, from held-out training "
     "volumes, the local strength of edges, and the noise. It is right on average over many "
     "voxels, not for a single one. A lesion unlike the training volumes may be wrong where "
     "the map is dark."),
    ("Support", "Voxels with few training samples in their bucket (fewer than "
     f"{SAMPLES_PER_TAP} per filter weight), or with a strength and detail that fewer than "
     f"{SAMPLES_PER_CELL} held-out voxels had. The filter is a guess there."),
    ("Consistency", "The result, degraded as the method assumes, minus the measured volume. "
     "Near zero means that the result agrees with the measurement, not that its detail is true."),
)  # fmt: skip


def trust_figure(lr: Volume, result: Volume, maps: TrustMaps, scale: RealScale) -> Figure:
    """Draw three planes of a result and of its trust maps.

    Parameters
    ----------
    lr, result : Volume
        In the scan's intensities.
    maps : TrustMaps
        Maps of the result.
    scale : tuple of float
        Factors from ``lr`` to ``result``.

    Returns
    -------
    Figure
        Rows axial, sagittal and coronal through the head; columns tricubic, result,
        expected error (if the bank is calibrated), support and consistency.
    """
    view = opening_state({"result": result}, ["result"])
    gray = view.looks["result"]
    volumes = {"tricubic": upscale(lr, UpscaleParameters(scale, "tricubic")), "result": result}
    looks = {"tricubic": gray, "result": gray}
    if maps.expected_error is not None:
        volumes["expected error"] = maps.expected_error
        inside = head_mask(result.data)
        errors = maps.expected_error.data
        high = np.percentile(errors[inside] if inside.any() else errors, _ERROR_PERCENTILE)
        looks["expected error"] = Display("magma", (0.0, float(high) or 1.0))
    volumes |= {"support": maps.support, "consistency": maps.consistency}
    looks["support"] = Display("support", (-0.5, 3.5))
    limit = float(np.percentile(np.abs(maps.consistency.data), _ERROR_PERCENTILE)) or 1.0
    looks["consistency"] = Display(DIFFERENCE_COLORMAP, (-limit, limit))
    cutter = Cutter(volumes, Frame.of(result.grid))
    scenes = [
        build_scene(replace(view, columns=(key,), looks={key: looks[key]}), cutter, {})
        for key in volumes
    ]
    rows = zip(*(scene.panels for scene in scenes), strict=True)
    panels = (
        tuple(replace(panel, column=column) for column, (panel,) in enumerate(row)) for row in rows
    )
    scene = replace(scenes[0], panels=tuple(panels))
    colors = {"support": np.array([to_rgb(color) for color in SUPPORT_COLORS])}
    return scene_figure(scene, columns=_TEXTS, colormaps=colors)


def report_html(
    lr: Volume,
    result: Volume,
    maps: TrustMaps,
    cautions: Sequence[Caution],
    bank: FilterBank | NetworkFile,
) -> str:
    """Return the page as text.

    Parameters
    ----------
    lr, result : Volume
        In the scan's intensities.
    maps : TrustMaps
        Trust maps of the result.
    cautions : sequence of Caution
        Cautions about the scan.
    bank : FilterBank or NetworkFile
        Filter bank or network of the result.
    """
    x, y, z = (n / m for n, m in zip(result.grid.shape, lr.grid.shape, strict=True))
    scale = parse_scale((x, y, z))
    picture = base64.b64encode(png_of(trust_figure(lr, result, maps, scale))).decode("ascii")
    title = f"Super-resolved volume, {scale_label(scale)}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="notice">{escape(RESEARCH_USE.capitalize())}.</p>',
        "<h2>Cautions</h2>",
        _cautions(cautions),
        "<h2>Result and trust maps</h2>",
        f'<img alt="Three planes: tricubic, result, expected error, support, consistency" '
        f'src="data:image/png;base64,{picture}">',
        "<ul>",
        *(f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in _MAPS),
        "</ul>",
        "<h2>Numbers</h2>",
        _table(("", "", "definition"), _numbers(lr, result, maps, bank)),
        "<h2>Provenance</h2>",
        _table(("", ""), _provenance(bank)),
        "<h3>Training volumes</h3>",
        _table(("volume", "license"), _volumes(bank)),
        f"<footer><p>{escape(software())}; {escape(RESEARCH_USE)}.</p></footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def report_pdf(
    lr: Volume,
    result: Volume,
    maps: TrustMaps,
    cautions: Sequence[Caution],
    bank: FilterBank | NetworkFile,
) -> bytes:
    """Return the page as a PDF: the figure, then the texts. Parameters as :func:`report_html`."""
    x, y, z = (n / m for n, m in zip(result.grid.shape, lr.grid.shape, strict=True))
    scale = parse_scale((x, y, z))
    sections = [
        (f"Super-resolved volume, {scale_label(scale)}", [f"{RESEARCH_USE.capitalize()}."]),
        ("Cautions", [f"{c.kind.capitalize()}: {c.text}" for c in cautions] or [_NO_CAUTIONS]),
        ("Maps", [f"{name}: {text}" for name, text in _MAPS]),
        ("Numbers", [f"{a}: {b} ({c})" for a, b, c in _numbers(lr, result, maps, bank)]),
        ("Provenance", [": ".join(row) for row in _provenance(bank)]),
        ("Training volumes", [f"{name} ({license})" for name, license in _volumes(bank)]),
    ]
    out = io.BytesIO()
    metadata = {"Creator": "napari-mrisr", "Subject": RESEARCH_USE, "CreationDate": None}
    with export_settings(), PdfPages(out, metadata=metadata) as pages:
        pages.savefig(trust_figure(lr, result, maps, scale))
        for page in text_pages(sections):
            pages.savefig(page)
    return out.getvalue()


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG; its metadata hold the notice and no names."""
    out = io.BytesIO()
    metadata = {"Software": "napari-mrisr", "Description": RESEARCH_USE}
    figure.savefig(out, dpi=_DPI, format="png", metadata=metadata, facecolor="w")
    return out.getvalue()


def _cautions(cautions: Sequence[Caution]) -> str:
    if not cautions:
        return f"<p>{_NO_CAUTIONS}</p>"
    items = (f"<li><b>{escape(c.kind)}</b>: {escape(c.text)}</li>" for c in cautions)
    return f"<ul>{''.join(items)}</ul>"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads) if any(heads) else ""
    lines = [f"<tr>{head}</tr>"] if head else []
    lines += ["<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _numbers(
    lr: Volume, result: Volume, maps: TrustMaps, bank: FilterBank | NetworkFile
) -> list[tuple[str, str, str]]:
    mask = head_mask(result.data)
    inside = "inside the head mask of the result"
    traits = maps.traits
    rows = [
        ("measured grid", _grid(lr.grid), "voxels along R–L, A–P, S–I"),
        ("result's grid", _grid(result.grid), "the same field of view"),
    ]
    if maps.expected_error is None:
        rows.append(("expected RMSE", "unknown", NO_CALIBRATION))
    elif mask.any():
        error = maps.expected_error.data[mask]
        rms = float(np.sqrt(np.mean(error.astype(np.float64) ** 2)))
        rows.append(("expected RMSE", f"{rms:.3g}", f"scan's units, {inside}"))
        middle, high = np.percentile(error, (50, 95))
        rows.append(
            (
                "median, 95th percentile",
                f"{middle:.3g}, {high:.3g}",
                f"of the expected error, {inside}",
            )
        )
    support = maps.support.data[mask] if mask.any() else maps.support.data
    part = 100.0 * float(np.mean(support > 0))
    degradation = maps.consistency.history["degradation"]
    rows.append(("low support", f"{part:.2g} % of voxels", inside))
    rows.append(
        (
            "consistency",
            f"{maps.consistency_percent:.2g} % of the window",
            f"root mean square over all voxels; degradation {degradation}; "
            "window: 0 to the 99.9th percentile of the measured volume",
        )
    )
    rows.append(("noise", _percent(traits.noise), "of the window; finest detail inside the head"))
    bands = " × ".join(_percent(band, 0) for band in traits.band)
    rows.append(
        ("filled spectrum", bands, "along R–L, A–P, S–I; below 66 %: probably interpolated")
    )
    return rows


def _percent(value: float, digits: int = 1) -> str:
    return "unknown" if math.isnan(value) else f"{100 * value:.{digits}f} %"


def _grid(grid: Grid) -> str:
    shape = " × ".join(str(n) for n in grid.shape)
    size = " × ".join(f"{mm:.3g}" for mm in grid.voxel_size)
    return f"{shape}, {size} mm"


def _provenance(bank: FilterBank | NetworkFile) -> list[tuple[str, str]]:
    program = str(bank.provenance.get("program") or bank.provenance.get("version") or "unknown")
    if isinstance(bank, FilterBank):
        rows = [
            ("filter bank", bank.name),
            ("preset", bank.preset),
            ("scale", scale_label(bank.scale)),
            ("degradation assumed", bank.degradation),
        ]
    else:
        factors, widths = ("{:g} to {:g}".format(*ends) for ends in (bank.factors, bank.widths))
        rows = [
            ("network", bank.name),
            ("slice distances in training", f"{factors} pixels"),
            ("slice thicknesses in training", f"{widths} slice distances"),
        ]
    rows += [("trained with", program), ("this page by", software())]
    c = calibration_of(bank)
    if c is not None:
        text = f"{c.volumes} volumes; between volumes the RMSE varied by a factor {c.spread:.2f}"
        if isinstance(bank, FilterBank):
            text = text.replace(";", ", each with filters trained on the others;")
        rows.append(("calibration", text))
    return rows


def _volumes(bank: FilterBank | NetworkFile) -> list[tuple[str, str]]:
    volumes = bank.provenance.get("volumes", [])
    return [(str(v.get("name", "")), str(v.get("license", ""))) for v in volumes]
