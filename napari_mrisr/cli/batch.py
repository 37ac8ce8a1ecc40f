"""One file or many: check all, then do each; a bad one does not stop the rest."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.cli import clusters
from napari_mrisr.cli.jobs import InputScan, Job
from napari_mrisr.cli.session import EXIT_GOOD, EXIT_USAGE, Session, error_line
from napari_mrisr.errors import MrisrError, OutputError, VolumeError, explain

if TYPE_CHECKING:
    pass


@dataclass
class Batch:
    """The inputs of a command and what became of them.

    Attributes
    ----------
    paths : list of Path
        Images found.
    errors : list of str
        One line for each input that failed.
    alone : bool
        A single file was given: its error ends the command.
    """

    paths: list[Path]
    errors: list[str] = field(default_factory=list)
    alone: bool = False

    @classmethod
    def find(cls, given: Sequence[str]) -> Batch:
        """List the images that files and folders stand for."""
        from napari_mrisr.io import find_volumes
        from napari_mrisr.io.formats import is_zarr

        folder = Path(given[0]).is_dir() and not is_zarr(given[0])
        batch = cls([], alone=len(given) == 1 and not folder)
        unread: list[VolumeError] = []
        for entry in given:
            with batch.each():
                found = find_volumes(entry, unread)
                batch.paths += [path for path in found if path not in batch.paths]
        batch.errors += map(str, unread)
        return batch

    @contextlib.contextmanager
    def each(self) -> Iterator[None]:
        """The work on one input: its error is kept for the end."""
        try:
            yield
        except MrisrError as error:
            if self.alone:
                raise
            self.errors.append(str(error))

    def finish(self, done: int, session: Session) -> int:
        """Report the failures; the exit code."""
        session.progress.close()
        for line in self.errors:
            error_line(line)
        if self.errors:
            error_line(f"{len(self.errors)} failed, {done} done")
        return EXIT_USAGE if self.errors else EXIT_GOOD


def read_scan(path: Path, frame: int | None) -> InputScan:
    """Read and check a header."""
    from napari_mrisr.core.volume import Origin
    from napari_mrisr.io.header import open_scan
    from napari_mrisr.io.orientation import grid_in_ras

    with open_scan(path, frame) as scan:
        grid = grid_in_ras(scan.shape, scan.affine)
        return InputScan(path, grid, Origin(path.name, scan.axis_codes))


def is_folder(out: Path, batch: Batch) -> bool:
    """Whether ``out`` is to be a folder; refuse a file name for several inputs.

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


@contextlib.contextmanager
def output_folder(out: Path) -> Iterator[None]:
    """Make a folder for results; take it away again if none came."""
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


def check_output(job: Job, out_bytes: int, overwrite: bool, taken: dict[Path, Path]) -> None:
    """Check that a result can be written, is no input and meets no other result.

    Parameters
    ----------
    job : Job
        With its output.
    out_bytes : int
        Size of the voxels to write.
    overwrite : bool
        Whether to replace a file.
    taken : dict of Path to Path
        Outputs of the jobs before, and their inputs; the job's is added.
    """
    from napari_mrisr.io import check_writable
    from napari_mrisr.io.formats import expansion_of

    needed = out_bytes if expansion_of(job.out) == 1 else None
    check_unclaimed(job, taken)
    check_writable(job.out, overwrite=overwrite, needed_bytes=needed)
    taken[job.out] = job.scan.path


def check_unclaimed(job: Job, taken: dict[Path, Path]) -> None:
    """Check that an output is no input and meets no other result."""
    if job.out.resolve() == job.scan.path.resolve():
        raise OutputError(explain(job.out, "is the input itself", "choose another name"))
    if job.out in taken:
        found = f"would come from {taken[job.out]} and from {job.scan.path}"
        raise OutputError(explain(job.out, found, "give the two separately"))


def run_images(
    arguments: argparse.Namespace,
    session: Session,
    plan: Callable[[Path, argparse.Namespace, dict[Path, Path]], Job],
    work: Callable[[Job, argparse.Namespace, Session], str],
) -> int:
    """Plan a job for each input of ``arguments``, then do them all; the exit code.

    ``plan`` checks what can be known before voxels are loaded and is given the
    outputs taken so far; ``work`` does a job and returns what to say of its output.
    """
    batch = Batch.find(arguments.inputs)
    out = Path(arguments.out)
    with output_folder(out) if is_folder(out, batch) else contextlib.nullcontext():
        jobs: list[Job] = []
        taken: dict[Path, Path] = {}
        for path in batch.paths:
            with batch.each():
                jobs.append(plan(path, arguments, taken))
        with clusters.connected(arguments, session):
            if session.cluster is None:
                return run_jobs(jobs, batch, session, lambda job: work(job, arguments, session))
            with clusters.on_cluster(session.cluster, jobs, work, arguments, session) as text_of:
                return run_jobs(jobs, batch, session, text_of)


def run_jobs(
    jobs: Sequence[Job], batch: Batch, session: Session, work: Callable[[Job], str]
) -> int:
    """Do each job, say its result line, report failures; the exit code."""
    done = 0
    for number, job in enumerate(jobs, start=1):
        if len(jobs) > 1 and session.cluster is None:
            session.progress.prefix = f"[{number}/{len(jobs)}] {job.scan.path.name}: "
        with batch.each():
            session.say(f"{job.out}: {work(job)}")
            done += 1
    return batch.finish(done, session)
