"""What a saved file says about how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping

NOTICE = "research use, not for diagnosis"

#: Bytes of a NIfTI or Analyze ``descrip`` field, less the final zero.
DESCRIP_BYTES = 79


def software() -> str:
    """Name and version of this program."""
    from napari_mrisr._version import __version__

    return f"napari-mrisr {__version__}"


def short_note(history: Mapping[str, str]) -> str:
    """One line for the header: program, method, scale, notice.

    Parameters
    ----------
    history : mapping of str to str
        As :attr:`~napari_mrisr.core.volume.Volume.history`; ``method`` and
        ``scale`` are used where present.

    Returns
    -------
    str
        ASCII, at most 79 characters. Where it would be longer, the method is
        cut, never the notice.
    """
    scale = history.get("scale", "")
    if scale:
        scale += "x" if "x" not in scale else ""
    words = " ".join(word for word in (software(), history.get("method", ""), scale) if word)
    words = " ".join(words.encode("ascii", "replace").decode("ascii").split())
    return f"{words[: DESCRIP_BYTES - len(NOTICE) - 2].rstrip()}; {NOTICE}"


def full_note(history: Mapping[str, str]) -> str:
    """The whole history as JSON, with program and notice."""
    content = {**history, "software": software(), "notice": NOTICE}
    return json.dumps(content, indent=2, sort_keys=True, default=str)


def read_note(header: object) -> dict[str, str]:
    """The history in a header that :func:`full_note` went into; empty in others.

    Parameters
    ----------
    header : nibabel header or None
        Of any format.
    """
    for extension in getattr(header, "extensions", ()):
        try:
            content = json.loads(extension.get_content())
            program = content.pop("software")
            content.pop("notice")
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if str(program).startswith("napari-mrisr "):
            return {str(key): str(value) for key, value in content.items()}
    return {}
