"""Names in exports: roles, never layers or files."""

from __future__ import annotations

import numpy as np

from napari_mrisr.comparison.labels import neutral_labels
from napari_mrisr.core.volume import Grid, Volume


def made(**history: str) -> Volume:
    return Volume(np.zeros((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4)), history=history)


def test_roles_and_histories():
    volumes = {
        "DOE^JANE": made(),
        "DOE^JANE LR": made(degraded_by="2"),
        "DOE hashed": made(method="hashed", scale="1x1x2", degraded_by="1x1x2"),
        "DOE hashed 2": made(method="hashed", scale="1x1x2"),
        "DOE other": made(),
        "DOE measured": made(),
    }
    labels = neutral_labels(volumes, [*volumes, "DOE other"], "DOE^JANE", "DOE measured")
    assert list(labels.values()) == [
        "truth",
        "LR 2x",
        "hashed 1x1x2",
        "hashed 1x1x2 (2)",
        "volume 5",
        "LR",
    ]
    assert not any("DOE" in label for label in labels.values())
