"""Fields that a hash looks at, made up."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage

CUTS = {
    "none": {"elevation": (40.0, 90.0, 130.0), "azimuth": (45.0, 90.0, 135.0)},
    "flips": {"elevation": (30.0, 60.0), "azimuth": (20.0, 45.0, 80.0)},
    "cube": {"elevation": (15.0, 30.0), "azimuth": (22.5,)},
}
OTHER_CUTS = {
    "strength": (0.05, 0.1),
    "coherence": (-0.05, 0.15),
    "asymmetry": (0.1, 0.3),
    "curvature": (-0.15, 0.15),
}


def random_fields(rng, shape):
    """A tensor and intensities such as a real volume gives."""
    volume = ndimage.gaussian_filter(rng.normal(size=[n + 4 for n in shape]), 1.2)
    gradient = np.stack(np.gradient(volume))
    tensor = [
        ndimage.gaussian_filter(gradient[a] * gradient[b], 1.0)
        for a, b in itertools.combinations_with_replacement(range(3), 2)
    ]
    inner = np.s_[..., 2:-2, 2:-2, 2:-2]
    smooth = ndimage.gaussian_filter(volume, 1.0)[inner]
    return np.stack(tensor)[inner].astype(np.float32), smooth.astype(np.float32)
