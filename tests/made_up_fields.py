"""Fields that a hash looks at, made up."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage


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
