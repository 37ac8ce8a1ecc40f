"""Small networks of five families for slices four times as thick as their pixels.

Each class states its needs (``NEEDS``) as napari-mrisr reads them from the ``.onnx`` file. Axes
are z (across the slices), y, x; networks of slices see coronal ones: z, x.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent))
from task import FACTOR


def shuffled(image: Tensor) -> Tensor:
    """Turn ``FACTOR`` channels into that many voxels along z, the first spatial axis."""
    batch, _, z, *others = image.shape
    image = image.reshape(batch, FACTOR, z, -1).transpose(1, 2)
    return image.reshape(batch, 1, FACTOR * z, *others)


def repeated(image: Tensor) -> Tensor:
    """Copy each voxel along z."""
    return image.repeat_interleave(FACTOR, dim=2)


class UNet(nn.Module):
    """U-Net on coronal slices after cubic interpolation; returns a correction.

    Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28.
    """

    NEEDS: ClassVar = {
        "input": "interpolated",
        "output": "correction",
        "plane": "coronal",
        "multiple": 4,
    }

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down = nn.ModuleList([_twice(1, width), _twice(width, 2 * width)])
        self.bottom = _twice(2 * width, 4 * width)
        self.up = nn.ModuleList([_twice(6 * width, 2 * width), _twice(3 * width, width)])
        self.tail = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the correction; sizes are multiples of 4."""
        kept = []
        for block in self.down:
            image = block(image)
            kept.append(image)
            image = functional.max_pool2d(image, 2)
        image = self.bottom(image)
        for block, skip in zip(self.up, reversed(kept), strict=True):
            image = functional.interpolate(image, scale_factor=2.0, mode="nearest")
            image = block(torch.cat([image, skip], dim=1))
        return self.tail(image)


def _twice(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(),
    )


class EDSR(nn.Module):
    """EDSR on volumes: residual blocks without normalization; returns a correction.

    Lim et al. 2017, doi 10.1109/CVPRW.2017.151.
    """

    NEEDS: ClassVar = {"input": "low-resolution", "output": "correction", "axes": "zyx"}

    def __init__(self, width: int = 16, blocks: int = 4) -> None:
        super().__init__()
        self.head = nn.Conv3d(1, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(width, width, 3, padding=1),
                nn.ReLU(),
                nn.Conv3d(width, width, 3, padding=1),
            )
            for _ in range(blocks)
        )
        self.tail = nn.Conv3d(width, FACTOR, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the correction, four times as many voxels along z."""
        hidden = head = self.head(image)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return shuffled(self.tail(head + hidden))


class RDN(nn.Module):
    """Residual dense network on volumes: every layer sees all before it; returns the image.

    Zhang et al. 2018, doi 10.1109/CVPR.2018.00262.
    """

    NEEDS: ClassVar = {"input": "low-resolution", "output": "image", "axes": "zyx"}

    def __init__(self, width: int = 16, growth: int = 8, layers: int = 3, blocks: int = 3) -> None:
        super().__init__()
        self.head = nn.Conv3d(1, width, 3, padding=1)
        self.blocks = nn.ModuleList(_DenseBlock(width, growth, layers) for _ in range(blocks))
        self.fuse = nn.Conv3d(blocks * width, width, 1)
        self.tail = nn.Conv3d(width, FACTOR, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the image, four times as many voxels along z."""
        hidden = head = self.head(image)
        kept = []
        for block in self.blocks:
            hidden = block(hidden)
            kept.append(hidden)
        hidden = head + self.fuse(torch.cat(kept, dim=1))
        return repeated(image) + shuffled(self.tail(hidden))


class _DenseBlock(nn.Module):
    def __init__(self, width: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv3d(width + i * growth, growth, 3, padding=1) for i in range(layers)
        )
        self.fuse = nn.Conv3d(width + layers * growth, width, 1)

    def forward(self, image: Tensor) -> Tensor:
        kept = [image]
        for layer in self.layers:
            kept.append(torch.relu(layer(torch.cat(kept, dim=1))))
        return image + self.fuse(torch.cat(kept, dim=1))


class SwinIR(nn.Module):
    """Attention within windows of coronal slices, shifted in every second layer.

    After Liang et al. 2021, doi 10.1109/ICCVW54120.2021.00210; windows are shifted by padding.
    """

    NEEDS: ClassVar = {
        "input": "low-resolution",
        "output": "image",
        "plane": "coronal",
        "multiple": 8,
    }

    def __init__(self, width: int = 24, layers: int = 4) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, width, 3, padding=1)
        self.layers = nn.ModuleList(
            _WindowAttention(width, shift=4 * (i % 2)) for i in range(layers)
        )
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, FACTOR, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the image, four times as many rows; sizes are multiples of 8."""
        head = self.head(image)
        hidden = head.permute(0, 2, 3, 1)
        for layer in self.layers:
            hidden = layer(hidden)
        hidden = head + self.body(hidden.permute(0, 3, 1, 2))
        return repeated(image) + shuffled(self.tail(hidden))


class _WindowAttention(nn.Module):
    """Transformer layer whose tokens attend within windows of 8 × 8."""

    SIDE = 8

    def __init__(self, width: int, shift: int, heads: int = 4) -> None:
        super().__init__()
        self.shift, self.heads = shift, heads
        self.norm, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.position = nn.Parameter(torch.zeros(heads, self.SIDE**2, self.SIDE**2))
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return images (batch, rows, columns, channels) of the same shape."""
        s, side = self.shift, self.SIDE
        padded = (
            functional.pad(self.norm(image), (0, 0, s, side - s, s, side - s))
            if s
            else (self.norm(image))
        )
        batch, rows, columns, width = padded.shape
        windows = padded.reshape(batch, rows // side, side, columns // side, side, width)
        tokens = windows.permute(0, 1, 3, 2, 4, 5).reshape(-1, side * side, width)
        mixed = self._attend(tokens)
        mixed = mixed.reshape(batch, rows // side, columns // side, side, side, width)
        mixed = mixed.permute(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, width)
        if s:
            mixed = mixed[:, s : s - side, s : s - side]
        image = image + mixed
        return image + self.mlp(self.norm_2(image))

    def _attend(self, tokens: Tensor) -> Tensor:
        count, length, width = tokens.shape
        split = self.qkv(tokens).reshape(count, length, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        weights = q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5 + self.position
        mixed = weights.softmax(dim=-1) @ v
        return self.project(mixed.transpose(1, 2).reshape(count, length, width))


class SRGAN(nn.Module):
    """Generator of SRGAN on coronal slices, trained against a :class:`Critic`.

    Ledig et al. 2017, doi 10.1109/CVPR.2017.19; without batch normalization.
    """

    NEEDS: ClassVar = {"input": "low-resolution", "output": "image", "plane": "coronal"}

    def __init__(self, width: int = 24, blocks: int = 5) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(1, width, 5, padding=2), nn.PReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.PReLU(),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(blocks)
        )
        self.grow = nn.Sequential(nn.Conv2d(width, FACTOR * 8, 3, padding=1), nn.PReLU())
        self.tail = nn.Conv2d(8, 1, 5, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        """Return the image, four times as many rows."""
        hidden = head = self.head(image)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        grown = self.grow(head + hidden)
        batch, _, rows, columns = grown.shape
        grown = grown.reshape(batch, 8, FACTOR, rows, columns).transpose(2, 3)
        grown = grown.reshape(batch, 8, FACTOR * rows, columns)
        return repeated(image) + self.tail(grown)


class WGAN(SRGAN):
    """The generator of SRGAN, trained by the Wasserstein distance with a gradient penalty.

    Gulrajani et al. 2017, "Improved training of Wasserstein GANs".
    """


class Critic(nn.Module):
    """Judges patches of slices: scan, or made by a generator."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 2
        for stride, after in ((2, width), (2, 2 * width), (1, 2 * width)):
            layers += [nn.Conv2d(before, after, 4, stride, 1), nn.LeakyReLU(0.2)]
            before = after
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, 1, 3, padding=1))

    def forward(self, image: Tensor, interpolated: Tensor) -> Tensor:
        """Return a score per patch; high for a scan."""
        return self.layers(torch.cat([image - interpolated, interpolated], dim=1))


GALLERY: dict[str, type[nn.Module]] = {
    "unet": UNet,
    "edsr": EDSR,
    "rdn": RDN,
    "swinir": SwinIR,
    "srgan": SRGAN,
    "wgan": WGAN,
}
