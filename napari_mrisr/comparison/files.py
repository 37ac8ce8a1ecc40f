"""Comparisons on disk: the JSON document, and its volumes found again by content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_mrisr.comparison.document import Record, fingerprint, from_json, to_json
from napari_mrisr.comparison.state import CompareState
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError, OutputError, ParameterError, explain
from napari_mrisr.io import read_grid, read_volume, write_text
from napari_mrisr.io.formats import PathLike, is_listed


@dataclass(frozen=True, eq=False)
class OpenedState:
    """A saved comparison and its volumes.

    Attributes
    ----------
    state : CompareState
        Its keys are those of ``volumes``.
    volumes : mapping of str to Volume
        In the scan's intensities.
    paths : mapping of str to Path
        Where each was found.
    """

    state: CompareState
    volumes: Mapping[str, Volume]
    paths: Mapping[str, Path]


def save_state(
    state: CompareState,
    volumes: Mapping[str, Volume],
    path: PathLike,
    *,
    paths: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a comparison as JSON, atomically.

    Parameters
    ----------
    state : CompareState
        What is shown.
    volumes : mapping of str to Volume
        All that the state names.
    path : str or path
        A file that ends in ``.json``.
    paths : mapping of str to str, optional
        Files of the volumes, only where the user asked for them in the document;
        then the volumes' keys are kept too.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        When it cannot be written there.
    """
    path = Path(path)
    if path.suffix.lower() != ".json":
        found = f"{path.suffix or 'no suffix'!r} is no comparison"
        raise OutputError(explain(path, found, "give a name that ends in .json"))
    if path.exists() and not overwrite:
        raise OutputError(explain(path, "exists", "choose another name or overwrite it"))
    paths, keys = paths or {}, state.keys()
    records = {key: Record.of(volumes[key], paths.get(key)) for key in keys}
    write_text(path, to_json(state, records))


def open_state(
    path: PathLike,
    candidates: Sequence[PathLike] = (),
    *,
    frame: int | None = None,
    fill_nonfinite: float | None = None,
) -> OpenedState:
    """Read a comparison and find its volumes, whatever they are called now.

    They are looked for by content among the files given, then where the
    document says they were, then in the document's own folder. Headers are
    compared first; only files of a fitting shape are read.

    Parameters
    ----------
    path : str or path
        The JSON document.
    candidates : sequence of path
        Files that may be its volumes.
    frame, fill_nonfinite
        As for :func:`~napari_mrisr.io.read_volume`.

    Raises
    ------
    ParameterError
        When the document is none or one of its volumes is not found.
    VolumeError
        When one of the candidates cannot be read.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        mend = "choose a comparison that this program saved"
        raise ParameterError(explain(path, f"cannot be read ({reason})", mend)) from error
    state, records = from_json(text, str(path))
    search = _Search(records, frame, fill_nonfinite)
    search.through(map(Path, candidates))
    search.through(_saved(path, records), strict=False)
    search.through(_neighbors(path), strict=False)
    lost = [key for key in records if key not in search.volumes]
    if lost:
        shape = " x ".join(map(str, records[lost[0]].shape))
        found = f"{lost[0]!r} ({_role(state, lost[0])}{shape} voxels) was not found by its content"
        mend = "give its file after the comparison"
        raise ParameterError(explain(path, found, mend))
    volumes = {key: search.volumes[key] for key in records}
    return OpenedState(state, volumes, {key: search.paths[key] for key in records})


class _Search:
    """Volumes wanted, and those found so far."""

    def __init__(
        self, records: Mapping[str, Record], frame: int | None, fill_nonfinite: float | None
    ) -> None:
        self.volumes: dict[str, Volume] = {}
        self.paths: dict[str, Path] = {}
        self._records = records
        self._frame = frame
        self._fill = fill_nonfinite
        self._seen: set[Path] = set()

    def through(self, files: Iterable[Path], strict: bool = True) -> None:
        """Look into these files; those that cannot be read end it, or are passed over."""
        for file in files:
            if len(self.volumes) == len(self._records):
                return
            if file.resolve() in self._seen:
                continue
            self._seen.add(file.resolve())
            try:
                self._look_into(file)
            except MrisrError:
                if strict:
                    raise

    def _look_into(self, file: Path) -> None:
        shape = read_grid(file, frame=self._frame).shape
        wanted = {
            key: record.sha256
            for key, record in self._records.items()
            if record.shape == shape and key not in self.volumes
        }
        if not wanted:
            return
        volume = read_volume(file, frame=self._frame, fill_nonfinite=self._fill)
        found = fingerprint(volume)
        for key, sha256 in wanted.items():
            if sha256 == found:
                self.volumes[key], self.paths[key] = volume, file


def _saved(path: Path, records: Mapping[str, Record]) -> Iterator[Path]:
    for record in records.values():
        if record.path is not None:
            # A relative path is that from the document.
            yield path.parent / record.path


def _neighbors(path: Path) -> Iterator[Path]:
    for file in sorted(path.parent.iterdir()):
        if file.is_file() and not file.name.startswith(".") and is_listed(file):
            yield file


def _role(state: CompareState, key: str) -> str:
    if key == state.truth:
        return "the truth, "
    return "the measured volume, " if key == state.measured else ""
