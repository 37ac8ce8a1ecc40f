"""How long the numbers of a region and of the head take, beside scikit-image.

    python benchmarks/roi_numbers.py [--size 256] [--runs 15]

A truth and 3 volumes of the same grid. All numbers (PSNR, SSIM, RMSE, MAE,
bias, n, mean, SD) of a box, warm, median; then with one of the volumes at half
the resolution; then the whole head with its mask. scikit-image's column is its
PSNR and SSIM alone of the same voxels.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import numpy as np
from harness import interleaved
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_mrisr.comparison.readouts import NumberBook
from napari_mrisr.comparison.roi import BoxRoi
from napari_mrisr.comparison.state import RoiBox
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.io.samples import phantom
from napari_mrisr.operators.degrade import degrade


def scans(size: int) -> dict[str, Volume]:
    """The phantom, repeated to fill a cube, and three noisy copies."""
    grid = Grid((size, size, size), np.eye(4))
    data = phantom().data
    repeats = [-(-size // n) for n in data.shape]
    truth = np.tile(data, repeats)[:size, :size, :size]
    rng = np.random.default_rng(0)
    found = {"truth": Volume(truth, grid)}
    for name, noise in (("a", 5.0), ("b", 10.0), ("c", 20.0)):
        found[name] = Volume(truth + rng.normal(0, noise, truth.shape).astype(np.float32), grid)
    return found


def skimage(volumes: dict[str, Volume], box: tuple[slice, ...], data_range: float) -> None:
    truth = volumes["truth"].data[box].astype(np.float64)
    for name in ("a", "b", "c"):
        image = volumes[name].data[box].astype(np.float64)
        peak_signal_noise_ratio(truth, image, data_range=data_range)
        structural_similarity(
            truth,
            image,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=data_range,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="voxels an axis of the volumes")
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    size, runs = arguments.size, arguments.runs
    volumes = scans(size)
    volumes["lr"] = degrade(volumes["a"], (2, 2, 2))
    same = NumberBook(volumes, ("a", "b", "c"), "truth")
    mixed = NumberBook(volumes, ("lr", "b", "c"), "truth", facts=same.facts)
    same.prepare()
    window = same.facts.window(volumes["truth"])
    assert window is not None
    data_range = window.high - window.low
    middle = (size - 1) / 2
    print(f"truth and 3 volumes of {size} cubed voxels, median of {runs} interleaved runs, ms\n")
    print(f"{'box':>8}{'all numbers':>14}{'one LR':>10}{'scikit-image':>15}")
    for edge in (32, 64, 96):
        if edge > size:
            continue
        roi = BoxRoi(RoiBox("r", "box", (middle,) * 3, (edge,) * 3))
        selection = roi.select(volumes["truth"].grid)
        assert selection is not None
        box = selection.region.slices
        run: dict[str, Callable[[], object]] = {
            "all": lambda roi=roi: same.region(roi),
            "lr": lambda roi=roi: mixed.region(roi),
            "skimage": lambda box=box: skimage(volumes, box, data_range),
        }
        times = interleaved(run, runs)
        ours, lr, theirs = (
            1e3 * statistics.median(took.wall for took in values) for values in times.values()
        )
        print(f"{edge:>6}³ {ours:14.1f}{lr:10.1f}{theirs:15.1f}")
    # Once: what was found of the head is kept.
    whole = {"ours": same.head, "skimage": lambda: skimage(volumes, (slice(None),) * 3, data_range)}
    ours, theirs = (values[0].wall for values in interleaved(whole, 1, warm=False).values())
    print(f"\nwhole head: {ours:.1f} s; scikit-image over the volume: {theirs:.1f} s")


if __name__ == "__main__":
    main()
