"""Train a network of the gallery on half of the sample scan and export it.

python examples/networks/train.py NAME [--minutes 1] [--folder output/networks]

The right half of the head is for training; the left half, with the lesion, for
:mod:`compare`. Minutes are those of the processor, on one thread.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

import napari_mrisr as sr
from napari_mrisr.networks.foreign import KEY

sys.path.insert(0, str(Path(__file__).parent))
from architectures import GALLERY, Critic
from task import DEGRADATION, FACTOR, SCALE, halves

BATCH = {2: 12, 3: 4}
# Low-resolution voxels of a patch along z, y, x, or z, x.
PATCH = {2: (16, 48), 3: (12, 16, 16)}
# Share of the training before the critic joins, and weight of its judgement.
WARM_UP = 0.4
CRITIC = 0.01
# Weight of the gradient penalty of WGAN.
PENALTY = 10.0


class Patches:
    """Random patches of a head: low resolution, cubic interpolation and truth."""

    def __init__(self, truth: sr.Volume, dimensions: int) -> None:
        low = sr.degrade(truth, SCALE, DEGRADATION)
        cubic = sr.upscale(low, SCALE, method="tricubic")
        window = sr.IntensityWindow.of(low.data)
        self.low, self.cubic, self.truth = (
            torch.from_numpy(np.ascontiguousarray(window.to_unit(volume.data).transpose(2, 1, 0)))
            for volume in (low, cubic, truth)
        )
        self.inside = torch.nonzero(self.low > 0.2)
        self.dimensions = dimensions

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return a batch of patches around voxels inside the head, flipped at random."""
        sizes = PATCH[self.dimensions]
        sizes = sizes if self.dimensions == 3 else (sizes[0], 1, sizes[1])
        drawn: list[tuple[Tensor, Tensor, Tensor]] = []
        for _ in range(BATCH[self.dimensions]):
            center = self.inside[int(rng.integers(len(self.inside)))]
            z, y, x = (
                int(np.clip(int(c) - size // 2, 0, n - size))
                for c, size, n in zip(center, sizes, self.low.shape, strict=True)
            )
            dz, dy, dx = sizes
            fine = (slice(FACTOR * z, FACTOR * (z + dz)), slice(y, y + dy), slice(x, x + dx))
            parts = (
                self.low[z : z + dz, y : y + dy, x : x + dx],
                self.cubic[fine],
                self.truth[fine],
            )
            flips = [axis for axis in range(3) if rng.random() < 0.5]
            drawn.append(tuple(torch.flip(part, flips) for part in parts))
        batches = [torch.stack(parts)[:, None] for parts in zip(*drawn, strict=True)]
        if self.dimensions == 2:
            batches = [batch.squeeze(3) for batch in batches]
        return batches[0], batches[1], batches[2]


def train(name: str, minutes: float, seed: int = 0) -> tuple[nn.Module, str]:
    """Return a trained network and one line about its training."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    network = GALLERY[name]()
    needs = network.NEEDS
    dimensions = 2 if "plane" in needs else 3
    patches = Patches(halves()[1], dimensions)
    critic = Critic() if name in ("srgan", "wgan") else None
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    judge = None if critic is None else torch.optim.Adam(critic.parameters(), 5e-4)
    start, steps, done = time.process_time(), 0, 0.0
    while done < 1.0:
        low, cubic, truth = patches.draw(rng)
        result = network(cubic if needs["input"] == "interpolated" else low)
        image = cubic + result if needs["output"] == "correction" else result
        loss = functional.l1_loss(image, truth)
        if critic is not None and judge is not None and done > WARM_UP:
            judged = judge_loss(name, critic, truth, image.detach(), cubic)
            judge.zero_grad()
            judged.backward()
            judge.step()
            loss = loss - CRITIC * critic(image, cubic).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
        steps += 1
        done = (time.process_time() - start) / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(done, 1.0))))
        if steps % 50 == 0:
            print(f"{name}: {100 * done:.0f} %, {steps} steps, loss {loss.item():.4f}", flush=True)
    weights = sum(parameter.numel() for parameter in network.parameters())
    return network, f"{weights} weights, {steps} steps in {minutes:g} minutes on one thread"


def judge_loss(name: str, critic: Critic, truth: Tensor, image: Tensor, cubic: Tensor) -> Tensor:
    """Return the critic's loss: hinge for SRGAN, Wasserstein with a gradient penalty for WGAN."""
    high, low = critic(truth, cubic), critic(image, cubic)
    if name == "srgan":
        return torch.relu(1 - high).mean() + torch.relu(1 + low).mean()
    share = torch.rand(len(truth), *[1] * (truth.ndim - 1))
    between = (share * truth + (1 - share) * image).requires_grad_()
    scores = critic(between, cubic).mean(dim=(1, 2, 3)).sum()
    (slope,) = torch.autograd.grad(scores, between, create_graph=True)
    penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    return low.mean() - high.mean() + PENALTY * penalty


def export(network: nn.Module, path: Path, note: str) -> None:
    """Write a network as ``.onnx`` with what napari-mrisr needs to know in its metadata."""
    dimensions = 2 if "plane" in network.NEEDS else 3
    channels = 2 if network.NEEDS.get("channels") == "complex" else 1
    buffer = io.BytesIO()
    names = {axis + 2: f"n{axis}" for axis in range(dimensions)}
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, channels, *[16, 24, 32][:dimensions]),),
        buffer,
        input_names=["image"],
        output_names=["result"],
        dynamic_axes={"image": names, "result": {axis: f"{n}_out" for axis, n in names.items()}},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load_model_from_string(buffer.getvalue())
    declared = {**network.NEEDS, "normalization": "window", "degradation": DEGRADATION}
    onnx.helper.set_model_props(model, {KEY: json.dumps(declared), "training": note})
    path.write_bytes(model.SerializeToString())


def main() -> None:
    """Train one network, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=[*GALLERY, "all"])
    parser.add_argument("--minutes", type=float, default=1.0, help="of one processor, per network")
    parser.add_argument("--folder", type=Path, default=Path("output/networks"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in GALLERY if arguments.name == "all" else [arguments.name]:
        network, note = train(name, arguments.minutes)
        export(network, arguments.folder / f"{name}.onnx", note)
        print(f"{name}: {note}")


if __name__ == "__main__":
    main()
