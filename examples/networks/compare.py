"""Run the gallery's networks on the half of the sample head that they have not seen.

python examples/networks/compare.py [--folder output/networks]

Writes ``networks.md`` (one table) and ``networks.png`` (one figure) into the folder. A result x
of slices y has two parts: what the slices show, U D x, and detail between them, x − U D x, which
no slice can contradict (D degrades, U interpolates back, D U = 1).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import onnx
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

import napari_mrisr as sr
from napari_mrisr.io.samples import PHANTOM_LESION
from napari_mrisr.operators.slices import consistency_operators
from napari_mrisr.scan.masks import head_mask

sys.path.insert(0, str(Path(__file__).parent))
from task import DEGRADATION, SCALE, halves

BUNDLED = {"cubic": "tricubic", "hashed": "hashed", "network": "network"}
TITLES = {"unet": "U-Net", "edsr": "EDSR", "rdn": "RDN", "swinir": "SwinIR", "srgan": "SRGAN"}
Image = NDArray[np.float32]


@dataclass
class Result:
    """One method's result in units of the window, and its numbers."""

    title: str
    image: Image
    note: str
    seconds: float
    inconsistency: Image


class Task:
    """Truth, slices, masks and the numbers of a result."""

    def __init__(self) -> None:
        self.truth = halves()[0]
        self.low = sr.degrade(self.truth, SCALE, DEGRADATION)
        self.window = sr.IntensityWindow.of(self.truth.data)
        self.image = self.unit(self.truth)
        self.mask = head_mask(self.truth.data)
        self.lesion = ndimage.binary_dilation(halves(PHANTOM_LESION)[0].data > 0.5, iterations=2)
        sizes = self.low.grid.shape[2], self.truth.grid.shape[2]
        self.degrade, self.spread = consistency_operators(*sizes, "boxcar", 1.0)
        self.truth_detail = self.detail(self.image)

    def unit(self, volume: sr.Volume) -> Image:
        """Return a volume in units of the window, 0 to 1."""
        return self.window.to_unit(volume.data)

    def run(self, title: str, note: str, **options: str) -> Result:
        """Super-resolve the slices and degrade the result again."""
        start = time.perf_counter()
        result = sr.upscale(self.low, SCALE, **options)
        seconds = time.perf_counter() - start
        again = sr.degrade(result, SCALE, DEGRADATION)
        width = self.window.high - self.window.low
        return Result(title, self.unit(result), note, seconds, (again.data - self.low.data) / width)

    def detail(self, image: Image) -> Image:
        """Return the part of an image that no slice shows."""
        return image - self.spread.apply(self.degrade.apply(image, 2), 2)

    def psnr(self, image: Image) -> float:
        """Return the PSNR inside the head, in dB."""
        clipped = np.clip(self.image, 0, 1), np.clip(image, 0, 1)
        return sr.psnr(*clipped, data_range=1.0, mask=self.mask)

    def numbers(self, result: Result, cubic: Result) -> list[str]:
        """Return the cells of a result's row."""
        detail, truth = self.detail(result.image)[self.mask], self.truth_detail[self.mask]
        amount = float(np.sqrt((detail**2).sum() / (truth**2).sum()))
        right = float((detail * truth).sum() / np.sqrt((detail**2).sum() * (truth**2).sum()))
        slices = self.mask.reshape(*self.mask.shape[:2], -1, SCALE[2]).all(axis=3)
        wrong = float(np.sqrt(np.mean(result.inconsistency[slices] ** 2)))
        inside, shown = self.image[self.lesion], result.image[self.lesion]
        kept = float(np.cov(inside, shown)[0, 1] / inside.var(ddof=1))
        gain = self.psnr(result.image) - self.psnr(cubic.image)
        return [
            f"{gain:+.2f}",
            f"{100 * wrong:.2f}",
            f"{amount:.2f}",
            f"{right:.2f}",
            f"{kept:.2f}",
        ]


HEADS = ["gain, dB", "contradicts slices, %", "detail", "right", "lesion kept"]


def results(task: Task, folder: Path) -> tuple[dict[str, Result], dict[str, Result]]:
    """Return the results as the networks give them, and made consistent with the slices."""
    plain, consistent = {}, {}
    for name, method in BUNDLED.items():
        plain[name] = task.run(name, "", method=method)
    for name, title in TITLES.items():
        path = folder / f"{name}.onnx"
        if not path.exists():
            print(f"{path}: missing; train it by python examples/networks/train.py {name}")
            continue
        entries = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        note = entries.get("training", "")
        plain[name] = task.run(title, note, model=f"{path}:consistency=off")
        consistent[name] = task.run(title, note, model=str(path))
    return plain, consistent


def table(task: Task, plain: dict[str, Result], consistent: dict[str, Result]) -> str:
    """Return the numbers as Markdown."""
    cubic = plain["cubic"]
    rows = [["method", *HEADS, "consistent: gain, dB"]]
    for name, result in plain.items():
        after = task.numbers(consistent[name], cubic)[:1] if name in consistent else [""]
        rows.append([result.title, *task.numbers(result, cubic), *after])
    others = [[result.title, f"{result.seconds:.1f}", result.note] for result in plain.values()]
    return f"{markdown(rows)}\n{markdown([['method', 'time to run, s', 'training'], *others])}"


def markdown(rows: list[list[str]]) -> str:
    """Return a table; the first row holds the heads."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines) + "\n"


def figure(task: Task, plain: dict[str, Result]) -> Figure:
    """Draw a coronal slice through the lesion: results, detail, errors, contradictions."""
    where = np.argwhere(task.lesion).mean(axis=0).round().astype(int)
    y, middle = int(where[1]), int(where[2])
    rows = slice(middle - 48, middle + 48)
    thick = slice((middle - 48) // SCALE[2], (middle + 48) // SCALE[2])
    columns = {"truth": task.image, **{r.title: r.image for r in plain.values()}}
    wrong = {"truth": None, **{r.title: r.inconsistency for r in plain.values()}}
    x, _, z = task.truth.grid.voxel_size
    page = Figure(figsize=(1.55 * len(columns), 7.6), layout="constrained")
    axes = page.subplots(4, len(columns))
    names = ("result", "detail that\nno slice shows", "error", "contradiction\nof the slices")
    kinds = (("gray", 0.0, 1.0), ("gray", -0.15, 0.15), ("PiYG", -0.3, 0.3), ("PiYG", -0.1, 0.1))
    for column, (title, image) in enumerate(columns.items()):
        contradiction = wrong[title]
        pictures = [image[:, y, rows], task.detail(image)[:, y, rows], None, None]
        if contradiction is not None:
            pictures[2:] = [(image - task.image)[:, y, rows], contradiction[:, y, thick]]
        for row, (picture, kind) in enumerate(zip(pictures, kinds, strict=True)):
            axis = axes[row, column]
            axis.set_xticks([])
            axis.set_yticks([])
            if column == 0:
                axis.set_ylabel(names[row])
            if picture is None:
                axis.set_frame_on(False)
                continue
            step = z * (SCALE[2] if row == 3 else 1)
            axis.imshow(
                picture.T,
                cmap=kind[0],
                vmin=kind[1],
                vmax=kind[2],
                origin="lower",
                aspect=step / x,
                interpolation="nearest",
            )
        axes[0, column].set_title(title)
    for row, (colors, low, high) in enumerate(kinds):
        scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(100 * low, 100 * high), colors)
        page.colorbar(scale, ax=axes[row, :], fraction=0.012, pad=0.005, label="% of window")
    return page


def main() -> None:
    """Write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("output/networks"))
    folder = parser.parse_args().folder
    task = Task()
    plain, consistent = results(task, folder)
    text = table(task, plain, consistent)
    (folder / "networks.md").write_text(text, "utf-8")
    figure(task, plain).savefig(folder / "networks.png", dpi=130)
    print(text)


if __name__ == "__main__":
    main()
