"""An unrolled network in training: its blocks alternate with data consistency.

A block sees the slices y, their change e = S y − y − H c and its coefficients c so far, and adds
to c. C (y + e) + B c fits the slices exactly after every block, so that the network learns only
what the slices do not say (Aggarwal et al. 2019, "MoDL"; Schlemper et al. 2018, "A deep cascade
of convolutional neural networks"). S and H are those of
:class:`~napari_mrisr.operators.slices.SliceProjection`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_mrisr.training.networks.architecture import ThickSliceNetwork


def unrolled(
    network: ThickSliceNetwork, low: Tensor, told: Tensor, change: Tensor, hide: Tensor
) -> Tensor:
    """Return the coefficients c after the last block.

    Parameters
    ----------
    network : ThickSliceNetwork
        One block; all share its weights.
    low, change : (batch, 1, slices, rows, columns) Tensor
        y, and S y − y.
    told : (1 or batch, CONDITIONS) Tensor
    hide : (batch, slices, slices, order) Tensor
        H.
    """
    hidden = torch.zeros_like(low)
    found = low.new_zeros(len(low), hide.shape[-1], *low.shape[2:])
    for block in range(network.blocks):
        found = found + network(torch.cat([low, change - hidden, found], 1), told).float()
        if block + 1 < network.blocks:
            hidden = applied(hide, found)[:, None]
    return found


def applied(matrix: Tensor, coefficients: Tensor) -> Tensor:
    """Return a matrix of each patch times its coefficients along the thick axis.

    Parameters
    ----------
    matrix : (batch, voxels, slices, order) Tensor
    coefficients : (batch, order, slices, rows, columns) Tensor

    Returns
    -------
    (batch, voxels, rows, columns) Tensor
    """
    with torch.autocast(coefficients.device.type, enabled=False):
        return torch.einsum("bvso,bosrc->bvrc", matrix, coefficients)
