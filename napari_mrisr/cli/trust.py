"""What ``upscale`` says and writes about how far to trust a result."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.cli.jobs import Job
from napari_mrisr.cli.session import Session
from napari_mrisr.errors import ParameterError, explain

if TYPE_CHECKING:
    from napari_mrisr.bank.model import FilterBank
    from napari_mrisr.core.volume import Volume
    from napari_mrisr.methods import Method
    from napari_mrisr.scan.traits import Traits
    from napari_mrisr.streaming import StreamPlan
    from napari_mrisr.trust import Caution, TrustMaps

MAP_LABELS = ("experr", "support", "consistency")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--maps`` and ``--report``."""
    parser.add_argument(
        "--maps",
        action="store_true",
        help="also write maps of expected error, support and consistency beside OUT: "
        "high.nii.gz gets high_desc-experr.nii.gz and so on",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="also write a page about the result beside OUT: high.html",
    )


def wanted(arguments: argparse.Namespace) -> bool:
    """Whether maps or a report are asked for."""
    return bool(arguments.maps or arguments.report)


def bank_of(method: Method) -> FilterBank | None:
    """The bank of a method that has one."""
    from napari_mrisr.methods.hashed import Hashed
    from napari_mrisr.methods.permuted import Permuted

    return method.bank if isinstance(method, Hashed | Permuted) else None


def files_of(job: Job, arguments: argparse.Namespace) -> list[Path]:
    """What is written besides the result."""
    from napari_mrisr.io import map_path

    maps = [map_path(job.out, label) for label in MAP_LABELS] if arguments.maps else []
    return maps + ([report_path(job.out)] if arguments.report else [])


def report_path(out: Path) -> Path:
    """``high.nii.gz`` has its report in ``high.html``."""
    from napari_mrisr.io.formats import stem_of

    return out.with_name(f"{stem_of(out)}.html")


def check(job: Job, method: Method, arguments: argparse.Namespace) -> None:
    """Raise, before any work, where maps or a report cannot be made."""
    from napari_mrisr.cli.options import check_report_path
    from napari_mrisr.errors import OutputError
    from napari_mrisr.io import check_writable

    if not wanted(arguments):
        return
    option = "--maps" if arguments.maps else "--report"
    if bank_of(method) is None:
        found = f"the method {method.name} has no filter bank to read them off"
        raise ParameterError(explain(option, found, "use --method hashed"))
    for path in files_of(job, arguments):
        if path.suffix == ".html":
            check_report_path(path)
            if path.exists() and not arguments.overwrite:
                raise OutputError(explain(path, "exists already", "pass --overwrite"))
        else:
            check_writable(path, overwrite=arguments.overwrite)


@dataclass(frozen=True, eq=False)
class Found:
    """What was seen of a volume before its run."""

    volume: Volume
    bank: FilterBank
    traits: Traits
    cautions: tuple[Caution, ...]

    def judge(
        self, result: Volume, arguments: argparse.Namespace, session: Session
    ) -> Judged | None:
        """Make the maps, if they are wanted, and the report."""
        from napari_mrisr.trust import trust_maps

        if not wanted(arguments):
            return None
        maps = trust_maps(
            self.volume,
            result,
            self.bank,
            traits=self.traits,
            threads=arguments.threads,
            progress=session.progress,
        )
        report = None
        if arguments.report:
            from napari_mrisr.trust.report import report_html

            session.progress.begin("drawing the report", 1)
            report = report_html(self.volume, result, maps, self.cautions, self.bank)
            session.progress.advance()
        return Judged(maps, report)


@dataclass(frozen=True, eq=False)
class Judged:
    """Maps, and the report's text."""

    maps: TrustMaps
    report: str | None

    def write(self, job: Job, arguments: argparse.Namespace, session: Session) -> str:
        """Write what is wanted; what to add to the result's line."""
        from napari_mrisr.io import map_path, write_text, write_volume
        from napari_mrisr.trust.maps import NO_CALIBRATION

        maps = self.maps
        volumes = (maps.expected_error, maps.support, maps.consistency)
        for label, volume in zip(MAP_LABELS, volumes, strict=True):
            path = map_path(job.out, label)
            if arguments.maps and volume is not None:
                with session.writing(path):
                    write_volume(volume, path, overwrite=arguments.overwrite)
        if self.report is not None:
            write_text(report_path(job.out), self.report)
        text = f", consistency {maps.consistency_percent:.2g} % of the window"
        return text if maps.expected_error is not None else f"{text}, {NO_CALIBRATION}"


def look_at(volume: Volume, bank: FilterBank, session: Session) -> Found:
    """Look at a volume and say, before the run, how it differs from the training set."""
    from napari_mrisr.core.progress import Progress
    from napari_mrisr.scan.traits import measure_traits

    traits = measure_traits(volume, Progress(session.token))
    return Found(volume, bank, traits, _warn(traits, bank, session))


def look_at_streamed(plan: StreamPlan, session: Session) -> None:
    """:func:`look_at` within a plan's memory; say so where a part had to do."""
    from napari_mrisr.run.upscale import check_parameters
    from napari_mrisr.streaming.look import look_at

    bank = bank_of(check_parameters(plan.request.parameters))
    if bank is None:
        return
    look = look_at(plan, session.progress)
    if look.part:
        text = f"too large to look at whole; cautions are about {look.part}"
        of = session.progress.prefix or f"{plan.request.path.name}: "
        session.progress.message(f"{of}{text}")
    _warn(look.traits, bank, session)


def _warn(traits: Traits, bank: FilterBank, session: Session) -> tuple[Caution, ...]:
    from napari_mrisr.trust import cautions_for

    cautions = cautions_for(traits, bank)
    for caution in cautions:
        # Of several scans, which one.
        text = f"{session.progress.prefix}caution ({caution.kind}): {caution.text}"
        session.progress.message(text)
    return cautions
