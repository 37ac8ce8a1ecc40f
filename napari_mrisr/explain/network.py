"""Explain one voxel of a network's result by its effective filter."""

from __future__ import annotations

import functools

import numpy as np

from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.slices import slices_of
from napari_mrisr.core.volume import Shape, Volume
from napari_mrisr.explain.model import NetworkExplanation
from napari_mrisr.explain.trace import AROUND, LR_AROUND, around_voxel, blank_outside, box_ends
from napari_mrisr.inspection.effective import around, effective_filter
from napari_mrisr.inspection.source import check_reference
from napari_mrisr.methods import Method
from napari_mrisr.methods.network import network_method
from napari_mrisr.networks.file import THICK, NetworkFile
from napari_mrisr.operators.degrade import Degradation

REACH = 5
"""Low-resolution voxels on each side whose weights are shown."""


def explain_network(
    lr: Volume,
    network: NetworkFile,
    scale: RealScale,
    voxel: Shape,
    truth: Volume | None = None,
) -> NetworkExplanation:
    """Explain how a network computes one voxel of its output.

    Parameters
    ----------
    lr : Volume
        Low-resolution volume in the scan's intensities. For many voxels of one
        volume, pass ``lr.normalized()`` to save time.
    network : NetworkFile
    scale : tuple of float
        Factor of each axis.
    voxel : tuple of int
        Index in the output grid, x, y, z.
    truth : Volume, optional
        Reference on the output grid, in the scan's intensities.

    Raises
    ------
    ParameterError
        If the voxel lies outside the output.
    ScaleError, BankError
        If the network does not fit the scale.
    GeometryError
        If the reference does not lie on the output grid.
    """
    method = _method(network, scale)
    grid = lr.grid.upsampled(scale)
    if truth is not None:
        check_reference(truth.grid, lr.grid, scale)
    lr = lr.normalized()
    found = effective_filter(method, lr, voxel)
    near = around_voxel(lr, method, voxel, truth)
    middle = (AROUND, AROUND, AROUND)
    x, y, z = (
        int((n + 0.5) * low / high)
        for n, low, high in zip(voxel, lr.grid.shape, grid.shape, strict=True)
    )
    cell = (x, y, z)
    values = lr.data[found.box.slices].astype(np.float64)
    slices = slices_of(lr.grid, lr.origin)
    width = 1.0 if slices is None else slices.thickness / slices.distance
    profile = Degradation("slice-profile", fwhm=width)
    return NetworkExplanation(
        voxel=voxel,
        lr_voxel=cell,
        scale=scale,
        bank_name=network.name,
        degradation=str(profile) if network.kind == THICK else "standard",
        start="tricubic",
        intensities=lr.window,
        voxel_size=grid.voxel_size,
        lr_patch=blank_outside(
            lambda box: lr.data[box.slices], *box_ends(cell, LR_AROUND), lr.grid.shape
        ),
        start_value=found.interpolation,
        output=float(near["output"][middle]),
        tricubic=float(near["tricubic"][middle]),
        truth=float(near["truth"][middle]) if truth is not None else None,
        around=near,
        filter=found,
        weights=found.around(cell, REACH),
        brightness=around(values, found.corner, cell, REACH),
        products=around(found.products(lr), found.corner, cell, REACH),
    )


@functools.lru_cache(maxsize=2)
def _method(network: NetworkFile, scale: RealScale) -> Method:
    """Return the method, which keeps the tiles of a scan for its next voxel."""
    return network_method(network, scale)
