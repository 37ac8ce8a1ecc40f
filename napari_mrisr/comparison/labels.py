"""What volumes are called in exports: by role, never by file or layer, which may name people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from napari_mrisr.core.scale import parse_scale, scale_label
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import ScaleError


def neutral_labels(
    volumes: Mapping[str, Volume],
    keys: Sequence[str],
    truth: str | None = None,
    measured: str | None = None,
) -> dict[str, str]:
    """Such as ``truth``, ``LR 2×``, ``hashed 2×``, ``volume 3``.

    Parameters
    ----------
    volumes : mapping of str to Volume
        With their history.
    keys : sequence of str
        Those to name, in order.
    truth, measured : str or None
        Keys of the truth and of the measured low-resolution volume.

    Returns
    -------
    dict of str to str
        Different for every key.
    """
    made: dict[str, str] = {}
    used: Counter[str] = Counter()
    for place, key in enumerate(dict.fromkeys(keys), start=1):
        label = "truth" if key == truth else _by_history(volumes[key].history)
        if not label:
            label = "LR" if key == measured else f"volume {place}"
        used[label] += 1
        made[key] = label if used[label] == 1 else f"{label} ({used[label]})"
    return made


def _by_history(history: Mapping[str, str]) -> str:
    method = history.get("method", "")
    if method and method != "none":
        return " ".join(part for part in (method, _times(history.get("scale", ""))) if part)
    if "degraded_by" in history:
        return f"LR {_times(history['degraded_by'])}".strip()
    return ""


def _times(scale: str) -> str:
    try:
        return scale_label(parse_scale(scale))
    except ScaleError:
        return ""
