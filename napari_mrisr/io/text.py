"""Text files that appear whole or not at all."""

from __future__ import annotations

from napari_mrisr.errors import OutputError, explain
from napari_mrisr.io.atomic import atomic_write
from napari_mrisr.io.formats import PathLike


def write_text(path: PathLike, text: str) -> None:
    """Write a text atomically, in UTF-8; replaces a file.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        found = f"cannot be written ({error.strerror or error})"
        raise OutputError(explain(path, found, "choose another folder")) from error
