"""Compare the families that choose or need no training data, on a part of the sample head.

python examples/networks/further.py [--folder output/networks]

Reads what ``train.py srgan``, ``train.py wgan``, ``implicit.py`` and ``diffusion.py`` wrote.
Writes ``further.md`` (numbers and planted lesions) and ``further.png``. All results but cubic
interpolation are consistent with the slices.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import napari_mrisr as sr
from napari_mrisr.evaluation.tasks.lesions import lesion_row

sys.path.insert(0, str(Path(__file__).parent))
from compare import HEADS, Image, Result, Task, figure, markdown
from task import DEGRADATION, SCALE, Slab, Slices

PRODUCT: dict[str, dict[str, str]] = {
    "cubic": {"method": "tricubic"},
    "hashed": {"method": "hashed"},
    "network": {"method": "network"},
}
TRAINED = {"srgan": "SRGAN", "wgan": "WGAN"}
WRITTEN = {
    "implicit": "implicit",
    "diffusion": "diffusion",
    "diffusion-sample": "one sample",
}
RADII = (2, 3, 4)


class SlabTask(Task):
    """The task of :mod:`compare` on a part, and the same with planted lesions."""

    def __init__(self) -> None:
        self.slab = slab = Slab()
        self.truth, self.low, self.window, self.mask = slab.truth, slab.low, slab.window, slab.mask
        self.image = self.unit(self.truth)
        self.lesion = slab.lesion
        slices = Slices(self.low.grid.shape[2])
        self.degrade, self.spread = slices.degrade, slices.spread
        self.truth_detail = self.detail(self.image)

    def written(self, title: str, path: Path) -> Result:
        """Return a result that an example wrote."""
        result = sr.read_volume(path)
        again = sr.degrade(result, SCALE, DEGRADATION)
        width = self.window.high - self.window.low
        wrong = (again.data - self.low.data) / width
        return Result(title, self.unit(result), "", 0.0, wrong)

    def kept(self, without: Image, planted: Image, base: Image) -> list[str]:
        """Return contrast kept of planted lesions: median per radius, 10th percentile."""
        truth = self.unit(self.slab.planted)
        rows = [
            lesion_row("", number, lesion, truth, (without, planted), base)
            for number, lesion in enumerate(self.slab.lesions)
        ]
        medians = [np.median([row.kept for row in rows if row.radius == r]) for r in RADII]
        lowest = np.percentile([row.kept for row in rows if row.radius in RADII], 10)
        return [f"{value:.2f}" for value in (*medians, lowest)]


def main() -> None:
    """Write the tables and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("output/networks"))
    folder = parser.parse_args().folder
    task = SlabTask()
    options = dict(PRODUCT)
    options |= {TRAINED[name]: {"model": str(folder / f"{name}.onnx")} for name in TRAINED}
    results, lesions = {}, {}
    for title, chosen in options.items():
        results[title] = task.run(title, "", **chosen)
        lesions[title] = task.unit(sr.upscale(task.slab.planted_low, SCALE, **chosen))
    for name, title in WRITTEN.items():
        results[title] = task.written(title, folder / f"{name}.nii.gz")
        planted = folder / f"{name}-planted.nii.gz"
        if planted.exists():
            lesions[title] = task.unit(sr.read_volume(planted))
    cubic = results["cubic"]
    rows = [["method", *HEADS]]
    rows += [[title, *task.numbers(result, cubic)] for title, result in results.items()]
    others = [["method", *(f"kept, radius {r}" for r in RADII), "10th percentile"]]
    others += [
        [title, *task.kept(results[title].image, image, lesions["cubic"])]
        for title, image in lesions.items()
    ]
    counts = [sum(lesion.kind.radius == r for lesion in task.slab.lesions) for r in RADII]
    deviation = sr.read_volume(folder / "diffusion-deviation.nii.gz").data
    deviation = deviation / (task.window.high - task.window.low)
    wrong = np.abs(results[WRITTEN["diffusion"]].image - task.image)
    known = np.corrcoef(deviation[task.mask], wrong[task.mask])[0, 1]
    typical = 100 * deviation[task.mask].mean(), 100 * wrong[task.mask].mean()
    text = (
        f"{markdown(rows)}\n{markdown(others)}\nplanted lesions per radius: {counts}\n"
        f"diffusion: mean standard deviation {typical[0]:.1f} %, mean error {typical[1]:.1f} %, "
        f"correlation {known:.2f}\n"
    )
    (folder / "further.md").write_text(text, "utf-8")
    figure(task, results).savefig(folder / "further.png", dpi=130)
    print(text)


if __name__ == "__main__":
    main()
