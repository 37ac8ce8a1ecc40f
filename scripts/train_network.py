r"""Train a bundled network: for thick slices, isotropic factors or an iterative method.

    python scripts/train_network.py DATA thick.safetensors thick-slices.onnx
    python scripts/train_network.py DATA iso.safetensors isotropic.onnx --kind isotropic \
        --steps 6000
    python scripts/train_network.py DATA un.safetensors unrolled.onnx --kind unrolled \
        --start thick-slices --rates 0.2 --batch 2 --across 32 --steps 400
    python scripts/train_network.py DATA dn.safetensors denoiser.onnx --kind denoiser \
        --steps 3000
    python scripts/calibrate_network.py DATA FILE.onnx  (unrolled: --every 5)

DATA holds train/, lesions/, val/ and MANIFEST.csv with columns file and licence; the
extra ``train`` brings PyTorch. The checkpoint is written every 250 steps and continued
where it exists, so the command may be stopped and repeated. 17,000 steps took 75 minutes
on one core with bfloat16.

The bundled isotropic network was trained for 3,000 steps of a cosine of 4,000, then continued to
the end of one of 6,000; that for thick slices for 17,000. Both were then trained further:

    python scripts/train_network.py DATA iso2.safetensors isotropic.onnx --kind isotropic \
        --start isotropic --rates 0.4 --steps 16000
    python scripts/train_network.py DATA thick2.safetensors thick-slices.onnx \
        --start thick-slices --rates 0.5 --steps 11000

Trained on the T1w volumes of train/ (thick axis along x, y or z, but not along z of
ds002748, which the scanner interpolated) and, four times as often as one of them, on the
FLAIR of lesions/ms26, and three times around its lesions (not yet for the isotropic one). Half of
the patches have planted shapes, a third another contrast.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from napari_mrisr._version import __version__
from napari_mrisr.io import read_volume
from napari_mrisr.methods.network import open_network
from napari_mrisr.networks.file import DENOISER, ISOTROPIC, THICK, UNROLLED, channels_of
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.scan.traits import TraitRanges, measure_traits
from napari_mrisr.training.events import NetworkMeasured, StepTaken, TrainEvent
from napari_mrisr.training.networks.architecture import ThickSliceNetwork
from napari_mrisr.training.networks.export import restore
from napari_mrisr.training.networks.loop import LoopParameters, NetworkTraining
from napari_mrisr.training.networks.patches import ORDER, HeldOut, training_image
from napari_mrisr.training.networks.run import KINDS, MEASURED_FACTORS, RANGES, drive
from napari_mrisr.training.networks.volumes import held_out

FLAIR, LESIONS = "lesions/ms26_FLAIR.nii.gz", "lesions/ms26_lesionmask.nii.gz"
HELD_OUT = (("ARC_M2208_T2w", 0), ("coregqa_T1", 2), ("ds000011_sub-11_T1w", 0))
EVERY = 250


def held_out_of(path: Path, axis: int) -> HeldOut:
    """Return the middle of a volume, the thick axis first."""
    volume = read_volume(path)
    return held_out(path.name, volume, head_mask(volume.data), axis)


def show(event: TrainEvent) -> None:
    """Print the validation curve."""
    if isinstance(event, StepTaken) and event.step % EVERY == 0:
        print(f"{event.step} loss {event.loss:.5f}, {event.seconds_left / 60:.0f} min left")
    if isinstance(event, NetworkMeasured):
        gains = (f"{f:g}: {np.mean(g):+.2f} dB" for f, g in event.gains_db.items())
        print(event.step, ", ".join(gains), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=17_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kind", choices=KINDS, default=THICK)
    parser.add_argument(
        "--size",
        type=int,
        nargs=3,
        metavar=("CHANNELS", "PAIRS", "BLOCKS"),
        help="a new unrolled network of another size",
    )
    parser.add_argument("--start", help="network to train further")
    parser.add_argument("--rates", type=float, default=0.4, help="share of the rates, with --start")
    parser.add_argument("--batch", type=int, help="patches per step")
    parser.add_argument("--across", type=int, help="voxels across a patch")
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
    lesions = read_volume(arguments.data / LESIONS).data > 0
    around = ndimage.binary_dilation(lesions, iterations=4)
    images.append(training_image(volume.data, around, (0, 1, 2)))
    weights.append(3.0)
    kind = arguments.kind
    loop = LoopParameters(arguments.steps)
    if kind in (ISOTROPIC, DENOISER):
        loop = replace(loop, batch=2, across=32)
    loop = replace(
        loop,
        batch=arguments.batch or loop.batch,
        across=arguments.across or loop.across,
    )
    network = None
    if arguments.size:
        channels, pairs, count = arguments.size
        inputs = channels_of(UNROLLED, ORDER)
        network = ThickSliceNetwork(channels, pairs, ORDER, inputs, count)
    if arguments.start:
        network = restore(open_network(arguments.start), kind)
        share = arguments.rates
        rates = {"rate": share * loop.rate, "adam_rate": share * loop.adam_rate}
        loop = replace(loop, **rates, squared_from=0.0, seed=1)
    training = NetworkTraining(loop, images, weights, network, bfloat16=True, kind=kind)
    if arguments.checkpoint.exists():
        training.load(arguments.checkpoint)
    held = [held_out_of(arguments.data / "val" / f"{n}.nii.gz", axis) for n, axis in HELD_OUT]
    factors = MEASURED_FACTORS[kind]
    drive(training, held, arguments.checkpoint, observe=show, every=EVERY, factors=factors)
    provenance: dict[str, Any] = {
        "volumes": volumes,
        "steps": training.step,
        "command": "scripts/train_network.py",
        "version": __version__,
    }
    if kind == DENOISER:  # of the others calibrate_network.py measures the degraded volumes
        ranges = TraitRanges.of(measure_traits(read_volume(path)) for path in paths)
        provenance["traits"] = ranges.to_json() if ranges else {}
    if arguments.start:
        start = open_network(arguments.start)
        known = start.provenance
        provenance["start"] = {"name": start.name, "steps": known.get("steps")}
        provenance["traits"] = known.get("traits", {})
    training.export(arguments.out, {**RANGES[kind], "provenance": provenance})


if __name__ == "__main__":
    main()
