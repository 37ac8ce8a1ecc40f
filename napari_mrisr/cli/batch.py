"""One file or many: plan all, then work on each.

A file that fails, for whatever reason, does not stop the others; failures are
listed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_mrisr.cli import clusters
from napari_mrisr.cli.jobs import FilePlan, FileResult, InputScan, Work
from napari_mrisr.cli.session import (
    EXIT_GOOD,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    Session,
    as_option,
    error_line,
    write_line,
)
from napari_mrisr.errors import (
    Cancelled,
    OutputError,
    VolumeError,
    describe_failure,
    explain,
)

PlanFile = Callable[[Path, argparse.Namespace, "Batch"], FilePlan | None]


@dataclass
class Batch:
    """The inputs of a command and their failures.

    Attributes
    ----------
    paths : list of Path
        Images found.
    session : Session
        Shows the failures at the end.
    alone : bool
        A single file or series was given: its error ends the command.
    as_json : bool
        Print a JSON object per file on standard output.
    errors : list of str
        One line per failure.
    unexpected : bool
        True after an exception that is no :class:`MrisrError`.
    outputs : dict of Path to Path
        Planned outputs and their inputs.
    skipped : int
        Inputs whose outputs exist.
    """

    paths: list[Path]
    session: Session
    alone: bool = False
    as_json: bool = False
    errors: list[str] = field(default_factory=list)
    unexpected: bool = False
    outputs: dict[Path, Path] = field(default_factory=dict)
    skipped: int = 0

    @classmethod
    def find(cls, inputs: Sequence[str], session: Session, as_json: bool = False) -> Batch:
        """List the images in files and folders."""
        from napari_mrisr.io import find_volumes
        from napari_mrisr.io.dicom.sources import names_dicom
        from napari_mrisr.io.formats import is_zarr

        folder = Path(inputs[0]).is_dir() and not is_zarr(inputs[0])
        batch = cls([], session, len(inputs) == 1 and not folder, as_json)
        unread: list[VolumeError] = []
        for entry in inputs:
            with batch.each(Path(entry)):
                found = find_volumes(entry, unread, session.progress)
                batch.paths += [path for path in found if path not in batch.paths]
        batch.errors += map(str, unread)
        if len(batch.paths) == 1 and names_dicom(batch.paths[0]):
            batch.alone = not batch.errors  # a folder, or several files, of one series
        return batch

    @contextlib.contextmanager
    def each(self, path: Path) -> Iterator[None]:
        """Keep the error of the work on one input for the end."""
        try:
            yield
        except (Cancelled, KeyboardInterrupt):
            raise
        except Exception as error:
            text, unexpected = describe_failure(path, error)
            if isinstance(error, clusters.WorkerFailure):
                text = str(error)
            if self.as_json:
                self.print_json({"input": str(path), "status": "failed", "error": as_option(text)})
            if self.alone:
                raise
            if unexpected and self.session.verbose:
                write_line("stderr", "".join(traceback.format_exception(error)).rstrip())
            self.unexpected |= unexpected
            self.errors.append(text)

    def print_json(self, facts: dict[str, Any]) -> None:
        """Print one line of JSON on standard output."""
        self.session.emit(json.dumps(facts, ensure_ascii=False))

    def claim(self, out: Path, scan: InputScan) -> None:
        """Reserve an output; refuse one that is the input or another result."""
        if out.resolve() == scan.path.resolve():
            raise OutputError(explain(out, "is the input itself", "choose another name"))
        if out in self.outputs:
            found = f"would come from {self.outputs[out]} and from {scan.path}"
            raise OutputError(explain(out, found, "run the two separately"))
        self.outputs[out] = scan.path

    def skips(
        self, scan: InputScan, outputs: Sequence[Path], arguments: argparse.Namespace
    ) -> bool:
        """Return True if all outputs exist and ``--skip-existing`` was given."""
        if not (arguments.skip_existing and all(path.exists() for path in outputs)):
            return False
        self.skipped += 1
        if self.as_json:
            facts = {"input": str(scan.path), "output": str(outputs[0]), "status": "skipped"}
            self.print_json(facts)
        else:
            self.session.say(f"{outputs[0]}: exists, skipped")
        return True

    def finish(self, done: int) -> int:
        """Report cautions and failures; return the exit code."""
        self.session.progress.close()
        self.session.sum_up_cautions(done)
        for line in self.errors:
            error_line(line)
        if self.errors:
            skipped = f", {self.skipped} skipped" if self.skipped else ""
            error_line(f"{len(self.errors)} failed, {done} done{skipped}")
        return exit_code(self.errors, self.unexpected)


def exit_code(errors: Sequence[str], unexpected: bool) -> int:
    """Return 0 without errors, 2 for errors that the user can correct, 1 for unexpected ones."""
    return EXIT_UNEXPECTED if unexpected else EXIT_USAGE if errors else EXIT_GOOD


@contextlib.contextmanager
def output_folder(out: Path) -> Iterator[None]:
    """Make a folder for results; remove it again if it stays empty."""
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = f"cannot be made ({error.strerror or error})"
        raise OutputError(explain(out, found, "choose another folder")) from error
    try:
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):  # not empty: there are results
                out.rmdir()


def run_files(arguments: argparse.Namespace, session: Session, plan: PlanFile, work: Work) -> int:
    """Plan all inputs of ``arguments``, then work on each; return the exit code.

    ``plan`` checks all that can be known before voxels are loaded, and returns None
    for an input to skip. ``work`` carries a plan out.
    """
    batch = Batch.find(arguments.inputs, session, getattr(arguments, "json", False))
    out = Path(arguments.out)
    folder = getattr(arguments, "dicom", False) or _is_folder(out, batch)
    with output_folder(out) if folder else contextlib.nullcontext():
        plans = []
        for path in batch.paths:
            with batch.each(path):
                made = plan(path, arguments, batch)
                plans += [made] if made is not None else []
        with clusters.connected(arguments, session):
            if session.cluster is None:
                return _work_through(plans, batch, lambda made: work(made, arguments, session))
            with clusters.on_cluster(session.cluster, plans, work, arguments, session) as result_of:
                return _work_through(plans, batch, result_of)


def _is_folder(out: Path, batch: Batch) -> bool:
    """Return True if ``out`` names a folder; refuse a file name for several inputs.

    A name with a suffix that is no folder yet is a file.
    """
    from napari_mrisr.io import suffix_of
    from napari_mrisr.io.formats import is_zarr

    if (out.is_dir() and not is_zarr(out)) or not suffix_of(out):
        return True
    if not batch.alone:
        found = "is a file name, but there may be several results"
        raise OutputError(explain(out, found, "give a folder"))
    return False


def _work_through(
    plans: Sequence[FilePlan], batch: Batch, work: Callable[[FilePlan], FileResult]
) -> int:
    """Carry out each plan and print its result; return the exit code."""
    done, session = 0, batch.session
    for number, plan in enumerate(plans, start=1):
        path = plan.scan.path
        if len(plans) > 1 and session.cluster is None:
            session.progress.prefix = f"[{number}/{len(plans)}] {path.name}: "
        with batch.each(path):
            result = work(plan)
            done += 1
            if batch.as_json:
                facts = {"input": str(path), "output": str(plan.out), "status": "done"}
                batch.print_json({**facts, **result.facts, "cautions": result.cautions})
            else:
                session.say(f"{plan.out}: {result.text}")
    session.progress.prefix = ""
    return batch.finish(done)
