"""Train the bundled network for thick slices.

    python scripts/train_network.py DATA CHECKPOINT OUT [--steps N]

DATA holds train/, lesions/, val/ and MANIFEST.csv with columns file and licence; the
extra ``train`` brings PyTorch. The checkpoint is written every 250 steps and continued
where it exists, so the command may be stopped and repeated. A larger or smaller number
of steps than before changes the end of the learning rate's cosine. 24,000 steps take
about 1 h on two idle cores with bfloat16. The bundled network had 8,000 steps: 4,250 of a
cosine of 24,000, continued to the end of a cosine of 8,000.

Trained on the T1w volumes of train/ (thick axis along x, y or z, but not along z of
ds002748, which the scanner interpolated) and, four times as often as one of them, on the
FLAIR of lesions/ms26. Half of the patches have planted shapes, a third another contrast.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from napari_mrisr._version import __version__
from napari_mrisr.io import read_volume
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.training.networks.export import export
from napari_mrisr.training.networks.loop import HeldOut, LoopParameters, NetworkTraining, run
from napari_mrisr.training.networks.patches import training_image

FLAIR = "lesions/ms26_FLAIR.nii.gz"
HELD_OUT = (("ARC_M2208_T2w", 0), ("coregqa_T1", 2), ("ds000011_sub-11_T1w", 0))
_CROP = 28  # voxels from the middle across


def held_out(path: Path, axis: int) -> HeldOut:
    """Return the middle of a volume, the thick axis first."""
    volume = read_volume(path)
    order = [axis, *(i for i in range(3) if i != axis)]
    data = np.clip(volume.normalized().data, 0, 1).transpose(order)
    inside = head_mask(volume.data).transpose(order)
    middle = [slice(n // 2 - _CROP, n // 2 + _CROP) for n in data.shape[1:]]
    box = (slice(0, data.shape[0] // 24 * 24), *middle)
    return HeldOut(path.name, np.ascontiguousarray(data[box]), np.ascontiguousarray(inside[box]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=24_000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with (arguments.data / "MANIFEST.csv").open(encoding="utf-8") as file:
        licenses = {Path(row["file"]).name: row["licence"] for row in csv.DictReader(file)}
    images, weights, volumes = [], [], []
    paths = sorted((arguments.data / "train").glob("*.nii.gz"))
    for path in [*paths, arguments.data / FLAIR]:
        volume = read_volume(path)
        inside = ndimage.binary_erosion(head_mask(volume.data), iterations=2)
        axes = (0, 1) if path.name.startswith("ds002748") else (0, 1, 2)
        images.append(training_image(volume.data, inside, axes))
        weights.append(1.0 if path in paths else 4.0)
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        volumes.append(
            {"name": path.name, "license": licenses[path.name], "sha256": checksum}
        )  # fmt: skip
    training = NetworkTraining(LoopParameters(arguments.steps), images, weights, bfloat16=True)
    if arguments.checkpoint.exists():
        training.load(arguments.checkpoint)
    held = [held_out(arguments.data / "val" / f"{n}.nii.gz", axis) for n, axis in HELD_OUT]
    run(training, held, arguments.checkpoint, lambda text: print(text, flush=True), every=250)
    provenance = {
        "volumes": volumes,
        "steps": training.step,
        "command": "scripts/train_network.py",
        "version": __version__,
    }
    document = {"factors": [1.5, 9.0], "widths": [0.7, 1.3], "provenance": provenance}
    export(training.averaged, arguments.out, document)


if __name__ == "__main__":
    main()
