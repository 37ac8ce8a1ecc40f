"""Bias-free network on the low-resolution grid that corrects cubic interpolation.

Without biases a ReLU network is homogeneous, f(a·x) = a·f(x) for a > 0: every output is a
weighted sum of its neighborhood (Mohan et al. 2020, "Robust and interpretable blind image
denoising via bias-free convolutional neural networks"), and intensities need no normalization.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_mrisr.training.networks.patches import ORDER

CONDITIONS = 3
"""Numbers that describe the slices; see :func:`~napari_mrisr.networks.tiles.conditions`."""
BLOCKS = 3
"""Number of times that an unrolled network runs."""


class ThickSliceNetwork(nn.Module):
    """Residual network of 3³ convolutions whose channels are scaled by the conditions.

    Parameters
    ----------
    channels : int
        Channels of every hidden layer.
    pairs : int
        Residual pairs of convolutions.
    order : int
        Output channels: Legendre coefficients along the thick axis.
    inputs : int
        Input channels; see :func:`~napari_mrisr.networks.file.channels_of`.
    blocks : int
        Number of times that an unrolled network runs.
    """

    def __init__(
        self,
        channels: int = 32,
        pairs: int = 3,
        order: int = ORDER,
        inputs: int = 1,
        blocks: int = 1,
    ) -> None:
        super().__init__()
        self.channels, self.pairs, self.blocks = channels, pairs, blocks
        self.head = nn.Conv3d(inputs, channels, 3, padding=1, bias=False)
        self.body = nn.ModuleList(
            nn.Conv3d(channels, channels, 3, padding=1, bias=False) for _ in range(2 * pairs)
        )
        self.tail = nn.Conv3d(channels, order, 3, padding=1, bias=False)
        layers = 1 + 2 * pairs
        self.gains = nn.Sequential(
            nn.Linear(CONDITIONS, 32), nn.ReLU(), nn.Linear(32, layers * channels)
        )
        for convolution in self.body[1::2]:
            nn.init.zeros_(convolution.weight)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.gains[2].weight)
        nn.init.zeros_(self.gains[2].bias)

    @property
    def halo(self) -> int:
        """Receptive field beyond a voxel, in low-resolution voxels."""
        return 2 + 2 * self.pairs

    def forward(self, image: Tensor, told: Tensor) -> Tensor:
        """Return Legendre coefficients.

        Parameters
        ----------
        image : (batch, inputs, slices, rows, columns) Tensor
            Low resolution; the thick axis first.
        told : (1 or batch, CONDITIONS) Tensor
            See :func:`~napari_mrisr.networks.tiles.conditions`.

        Returns
        -------
        (batch, order, slices, rows, columns) Tensor
        """
        gains = 1.0 + self.gains(told)
        gains = gains.reshape(told.shape[0], -1, self.channels, 1, 1, 1)
        hidden = torch.relu(self.head(image) * gains[:, 0])
        for pair in range(self.pairs):
            inner = torch.relu(self.body[2 * pair](hidden) * gains[:, 2 * pair + 1])
            hidden = hidden + self.body[2 * pair + 1](inner) * gains[:, 2 * pair + 2]
        return self.tail(hidden)
