"""Measure methods on thick slices; print the tables of docs/reference/quality.md.

    python scripts/thick_slices_table.py DATA ROWS.csv --write docs/reference/quality.md

DATA holds val/, lesions/, clinical/ and anisotropic/. Each number is appended to ROWS.csv as soon
as it is measured, so the command may be stopped and repeated. A row counts as long as the file
of its filter bank or network is the same; delete rows to measure them again. Parts:

simulated    slices simulated along x (ax0) and z (ax2) of val/, every factor and profile
widths       the network at factor 4, told another slice width than the true one
lesions      FLAIR of lesions/ms07 at factor 4: in the head, in lesions, and their contrast
edges        the two outermost slices at factor 4, which lie in the head after a crop
left-out     every second slice of the real scans is left out and predicted

PSNR inside the head in dB, data range 1 after clipping at the 99.9th percentile. Methods know
the slice width. About 50 minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

import napari_mrisr as sr
from napari_mrisr.core.slices import with_slice_thickness
from napari_mrisr.core.volume import IntensityWindow
from napari_mrisr.evaluation.experiment import compare
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.io import read_header
from napari_mrisr.methods.resampled import bank_of
from napari_mrisr.scan.masks import head_mask

FACTORS = (2, 3, 4, 6)
PROFILES = ("boxcar:1", "boxcar:0.8", "gaussian:1.2")
WIDTHS = ("0.8", "1", "1.2")
METHODS = ("tricubic", "nearest", "hashed", "network")
NAMES = ("R–L", "A–P", "S–I")
FIELDS = ("part", "scan", "axis", "factor", "profile", "told", "method", "file")
NUMBERS = ("psnr", "ssim", "lesion_psnr", "contrast")
RIM_VOXELS = 2
EDGE_CROP = 3  # the middle third along the slice axis

Row = dict[str, str]


class Rows:
    """Measured numbers, on disk as they come.

    Parameters
    ----------
    path : Path
        CSV file, made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.found = path, {}
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.found = {key_of(row): row for row in csv.DictReader(file)}
        else:
            self._append(dict(zip((*FIELDS, *NUMBERS), (*FIELDS, *NUMBERS), strict=True)))

    def missing(self, keys: Iterable[Row]) -> list[Row]:
        return [key for key in keys if key_of(key) not in self.found]

    def add(self, key: Row, **numbers: float) -> None:
        row = {**key, **{name: f"{value:.5g}" for name, value in numbers.items()}}
        self._append(row)
        self.found[key_of(key)] = row
        print(*row.values(), flush=True)

    def of(self, part: str) -> list[Row]:
        """Return the rows of a part that were measured with the present files."""
        rows = [row for row in self.found.values() if row["part"] == part]
        return [row for row in rows if row["file"] == file_of(row["method"], int(row["factor"]))]

    def _append(self, row: Row) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([row.get(name, "") for name in (*FIELDS, *NUMBERS)])


def key_of(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in FIELDS)


@functools.lru_cache
def file_of(method: str, factor: int) -> str:
    """Return the beginning of the checksum of the method's bank or network file."""
    if method not in ("hashed", "network"):
        return ""
    bank = bank_of(sr.get_method(method, (1, 1, factor)))
    name = "thick-slices.onnx" if bank is None else f"{bank.name}.safetensors"
    content = (resources.files("napari_mrisr") / "banks" / name).read_bytes()
    return hashlib.sha256(content).hexdigest()[:8]


def key(part: str, scan: str, axis: int, factor: int, profile: str, told: str, method: str) -> Row:
    values = (part, scan, str(axis), str(factor), profile, told, method, file_of(method, factor))
    return dict(zip(FIELDS, values, strict=True))


def result(truth: sr.Volume, row: Row) -> np.ndarray:
    """Return a method's result from simulated slices that are said to have some width."""
    axis, factor = int(row["axis"]), int(row["factor"])
    x, y, z = (factor if a == axis else 1 for a in range(3))
    low = sr.degrade(truth, (x, y, z), f"slice-profile:{row['profile']}")
    low = with_slice_thickness(low, float(row["told"]) * low.grid.voxel_size[axis])
    return sr.upscale(low, sr.UpscaleParameters((x, y, z), row["method"])).data


def psnr(truth: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
    """Return the PSNR inside a mask for a data range of 1."""
    error = (np.clip(image, 0.0, 1.0) - truth)[mask].astype(np.float64)
    return float(-10.0 * np.log10(np.mean(error**2)))


def read(path: Path) -> tuple[sr.Volume, np.ndarray]:
    """Return a truth in engine units, and its head."""
    volume = sr.read_volume(path)
    unit = np.clip(IntensityWindow.of(volume.data).to_unit(volume.data), 0.0, 1.0)
    return replace(volume, data=unit), head_mask(unit)


def fitting(truth: sr.Volume, axis: int, factor: int) -> sr.Volume:
    """Return the truth cut to whole slices."""
    x, y, z = (factor if a == axis else 1 for a in range(3))
    return truth.cropped_to_multiple((x, y, z))


def simulated(rows: Rows, chosen: argparse.Namespace, part: str = "simulated") -> None:
    for path in sorted((chosen.data / "val").glob("*.nii.gz")):
        keys = [key(part, name_of(path), *values) for values in settings(part, chosen)]
        if missing := rows.missing(keys):
            whole, head = read(path)
            for row in missing:
                truth = fitting(whole, int(row["axis"]), int(row["factor"]))
                mask = head[tuple(map(slice, truth.grid.shape))]
                rows.add(row, psnr=psnr(truth.data, result(truth, row), mask))


def widths(rows: Rows, chosen: argparse.Namespace) -> None:
    simulated(rows, chosen, "widths")


def settings(part: str, chosen: argparse.Namespace) -> Iterator[tuple[int, int, str, str, str]]:
    """Yield axis, factor, profile, width told and method."""
    for factor, profile, axis in itertools.product(chosen.factors, chosen.profiles, (0, 2)):
        width = profile.partition(":")[2]
        if part == "simulated":
            for method in chosen.methods:
                yield axis, factor, profile, width, method
        elif factor == 4:
            for told in WIDTHS:
                if told != width:
                    yield axis, factor, profile, told, "network"


def name_of(path: Path) -> str:
    return path.name.removesuffix(".nii.gz").removesuffix("_T1w")


def lesions(rows: Rows, chosen: argparse.Namespace) -> None:
    path = chosen.data / "lesions" / "ms07_FLAIR.nii.gz"
    settings = [(axis, 4, PROFILES[0], "1", m) for axis in (0, 2) for m in chosen.methods]
    for row in rows.missing(key("lesions", name_of(path), *values) for values in settings):
        whole, head = read(path)
        lesion = sr.read_volume(path.with_name("ms07_lesionmask.nii.gz")).data > 0.5
        truth = fitting(whole, int(row["axis"]), 4)
        box = tuple(map(slice, truth.grid.shape))
        head, lesion = head[box], lesion[box]
        rim = ndimage.binary_dilation(lesion, iterations=RIM_VOXELS) & ~lesion & head
        image = result(truth, row)
        contrasts = [float(i[lesion].mean() - i[rim].mean()) for i in (image, truth.data)]
        rows.add(
            row,
            psnr=psnr(truth.data, image, head),
            lesion_psnr=psnr(truth.data, image, lesion),
            contrast=contrasts[0] / contrasts[1],
        )


def edges(rows: Rows, chosen: argparse.Namespace) -> None:
    settings = [(axis, 4, PROFILES[0], "1", m) for axis in (0, 2) for m in chosen.methods]
    for path in sorted((chosen.data / "val").glob("*.nii.gz")):
        for row in rows.missing(key("edges", name_of(path), *values) for values in settings):
            whole, head = read(path)
            axis = int(row["axis"])
            start, shape = [0, 0, 0], [*whole.grid.shape]
            start[axis] = shape[axis] = shape[axis] // EDGE_CROP // 4 * 4
            truth = whole.cropped((start[0], start[1], start[2]), (shape[0], shape[1], shape[2]))
            box = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
            mask = head[box].copy()
            np.moveaxis(mask, axis, 0)[4:-4] = False  # a view
            rows.add(row, psnr=psnr(truth.data, result(truth, row), mask))


def left_out(rows: Rows, chosen: argparse.Namespace) -> None:
    protocol = get_protocol("leave-out:2")
    for path in [
        p for f in ("clinical", "anisotropic") for p in sorted((chosen.data / f).glob("*.gz"))
    ]:
        axis = int(np.argmax(read_header(path)[0].voxel_size))
        keys = [key("left-out", name_of(path), axis, 2, "", "", m) for m in chosen.methods]
        if missing := rows.missing(keys):
            methods = tuple(row["method"] for row in missing)
            parameters = sr.EvaluateParameters(methods=methods, protocol=protocol)
            x, y, z = (2 if a == axis else 1 for a in range(3))
            found = compare(sr.read_volume(path), parameters, (x, y, z)).found
            for row in missing:
                head = found[row["method"]]["head"]
                rows.add(row, psnr=head.psnr_db, ssim=head.ssim)


def by_case(rows: Iterable[Row], *fields: str) -> dict[tuple[str, ...], dict[str, Row]]:
    """Group rows by the fields, then method; only groups with tricubic."""
    found: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in fields), {})[row["method"]] = row
    return {group: methods for group, methods in found.items() if "tricubic" in methods}


def gain(methods: dict[str, Row], method: str, number: str = "psnr") -> float:
    if method not in methods:
        return np.nan
    return float(methods[method][number]) - float(methods["tricubic"][number])


def table(head: Iterable[str], lines: Iterable[Iterable[Any]]) -> str:
    head = list(head)
    out = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    out += [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join(out).replace("| -", "| −").replace(" / -", " / −").replace("+nan", "–")


def mean_lowest(values: list[float]) -> str:
    return f"{np.nanmean(values):+.2f} / {np.nanmin(values):+.2f}" if values else "–"


def simulated_table(rows: Rows) -> str:
    cases = by_case(rows.of("simulated"), "factor", "profile", "scan", "axis")
    lines = []
    for factor, profile in itertools.product(map(str, FACTORS), PROFILES):
        if group := [c for k, c in cases.items() if k[:2] == (factor, profile)]:
            base = np.mean([float(c["tricubic"]["psnr"]) for c in group])
            cells = [mean_lowest([gain(c, m) for c in group]) for m in METHODS[1:]]
            lines.append([factor, profile.replace(":", " "), f"{base:.2f}", *cells])
    means = table(["factor", "slice profile", *METHODS], lines)
    lines = []
    for scan, axis in dict.fromkeys(k[2:] for k in cases):
        cells = [scan, NAMES[int(axis)]]
        for factor in map(str, FACTORS):
            c = cases.get((factor, PROFILES[0], scan, axis), {})
            both = " / ".join(f"{gain(c, m):+.2f}" for m in ("hashed", "network"))
            cells.append(f"{float(c['tricubic']['psnr']):.2f}, {both}" if c else "–")
        lines.append(cells)
    return f"{means}\n\n{table(['scan', 'axis', *map(str, FACTORS)], lines)}"


def widths_table(rows: Rows) -> str:
    right = by_case(rows.of("simulated"), "factor", "profile", "scan", "axis")
    changes: dict[tuple[str, str], list[float]] = {}
    gains: dict[tuple[str, str], list[float]] = {}
    for row in rows.of("widths"):
        group = right.get(("4", row["profile"], row["scan"], row["axis"]), {})
        if "network" in group:
            cell = (row["profile"].replace(":", " "), row["told"])
            change = float(row["psnr"]) - float(group["network"]["psnr"])
            changes.setdefault(cell, []).append(change)
            gains.setdefault(cell, []).append(gain(group, "network") + change)
    lines = [[*c, mean_lowest(changes[c]), mean_lowest(gains[c])] for c in changes]
    return table(["true profile", "width told", "change", "gain that is left"], lines)


def lesions_table(rows: Rows) -> str:
    lines = []
    for (scan, axis), c in by_case(rows.of("lesions"), "scan", "axis").items():
        for method in (m for m in METHODS if m in c):
            numbers = [f"{gain(c, method, number):+.2f}" for number in ("psnr", "lesion_psnr")]
            share = f"{float(c[method]['contrast']):.2f}"
            lines.append([scan, NAMES[int(axis)], method, *numbers, share])
    return table(["scan", "axis", "method", "head", "lesions", "contrast"], lines)


def edges_table(rows: Rows) -> str:
    cases = by_case(rows.of("edges"), "scan", "axis").items()
    others = ("hashed", "network")
    lines = [
        [scan, NAMES[int(axis)], f"{float(c['tricubic']['psnr']):.2f}",
         *(f"{gain(c, m):+.2f}" for m in others)]
        for (scan, axis), c in cases
    ]  # fmt: skip
    return table(["scan", "axis", "tricubic", *others], lines)


def left_out_table(rows: Rows) -> str:
    cases = by_case(rows.of("left-out"), "scan", "axis")
    lines = []
    for (scan, axis), c in cases.items():
        cells = [f"{float(c['tricubic']['psnr']):.2f} / {float(c['tricubic']['ssim']):.3f}"]
        for m in METHODS[1:]:
            cells.append(f"{gain(c, m):+.2f} / {float(c[m]['ssim']):.3f}" if m in c else "–")
        lines.append([scan, NAMES[int(axis)], *cells])
    base = np.mean([float(c["tricubic"]["psnr"]) for c in cases.values()]) if cases else np.nan
    means = [np.mean([gain(c, m) for c in cases.values()]) if cases else 0 for m in METHODS[1:]]
    lines.append(["mean", "", f"{base:.2f}", *(f"{mean:+.2f}" for mean in means)])
    return table(["scan", "axis", *METHODS], lines)


def put(page: Path, part: str, text: str) -> None:
    """Replace what stands between the page's markers of a part."""
    begin, end = (f"<!-- {word} {part} -->" for word in ("begin", "end"))
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    if not after:
        raise SystemExit(f"{page}: no markers of {part}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


PARTS: dict[str, tuple[Callable[[Rows, argparse.Namespace], None], Callable[[Rows], str]]] = {
    "simulated": (simulated, simulated_table),
    "widths": (widths, widths_table),
    "lesions": (lesions, lesions_table),
    "edges": (edges, edges_table),
    "left-out": (left_out, left_out_table),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=METHODS)
    parser.add_argument("--factors", nargs="*", type=int, choices=FACTORS, default=FACTORS)
    parser.add_argument("--profiles", nargs="*", choices=PROFILES, default=PROFILES)
    parser.add_argument("--no-measuring", action="store_true", help="only print what is there")
    parser.add_argument("--write", type=Path, help="page whose tables are replaced")
    chosen = parser.parse_args()
    rows = Rows(chosen.rows)
    for part in chosen.parts:
        measure, show = PARTS[part]
        if not chosen.no_measuring:
            measure(rows, chosen)
        print(f"\n{part}\n\n{show(rows)}", flush=True)
        if chosen.write:
            put(chosen.write, part, show(rows))


if __name__ == "__main__":
    main()
