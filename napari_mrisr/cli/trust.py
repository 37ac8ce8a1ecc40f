"""Trust in a result of ``upscale``: cautions, maps and report."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.cli import dicom
from napari_mrisr.cli.jobs import FilePlan
from napari_mrisr.cli.options import check_report_path
from napari_mrisr.cli.session import Session
from napari_mrisr.errors import OutputError, ParameterError, explain

if TYPE_CHECKING:
    from napari_mrisr.bank.model import FilterBank
    from napari_mrisr.core.notice import Caution
    from napari_mrisr.core.volume import Volume
    from napari_mrisr.methods import Method
    from napari_mrisr.networks.file import NetworkFile
    from napari_mrisr.scan.traits import Traits
    from napari_mrisr.streaming import StreamPlan
    from napari_mrisr.trust import TrustMaps

MAP_LABELS = ("experr", "support", "consistency")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--maps`` and ``--report``."""
    parser.add_argument(
        "--maps",
        action="store_true",
        help="also write maps of expected error, training support and consistency: "
        "high.nii.gz gets high_desc-experr.nii.gz and so on",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="also write a page about the result, high.html for high.nii.gz",
    )


def wanted(arguments: argparse.Namespace) -> bool:
    """Return True if maps or a report are to be written."""
    return bool(arguments.maps or arguments.report)


def files_of(out: Path, arguments: argparse.Namespace) -> list[Path]:
    """List the files to write besides a result."""
    from napari_mrisr.io import map_path

    maps = [map_path(out, label) for label in MAP_LABELS] if arguments.maps else []
    return maps + ([report_path(out, arguments)] if arguments.report else [])


def report_path(out: Path, arguments: argparse.Namespace) -> Path:
    """Return where the report of a result goes: ``high.html``, or a folder of its own."""
    from napari_mrisr.io import map_path
    from napari_mrisr.io.formats import stem_of

    if arguments.dicom:
        return map_path(out, "report")
    return out.with_name(f"{stem_of(out)}.html")


def check(plan: FilePlan, arguments: argparse.Namespace) -> None:
    """Raise, before any work, if maps or a report cannot be made."""
    from napari_mrisr.io import check_writable
    from napari_mrisr.methods.network import model_of
    from napari_mrisr.networks.file import DENOISER

    if not wanted(arguments):
        return
    option = "--maps" if arguments.maps else "--report"
    model = model_of(plan.method)
    if model is None or getattr(model, "kind", "") == DENOISER:
        name = "" if plan.method is None else plan.method.name
        found = f"the method {name} has no filters to make them from"
        raise ParameterError(explain(option, found, "use --method hashed or network"))
    for path in () if arguments.dicom else plan.beside:
        if path.suffix == ".html":
            check_report_path(path)
            if path.exists() and not arguments.overwrite:
                raise OutputError(explain(path, "exists already", "pass --overwrite"))
        else:
            check_writable(path, overwrite=arguments.overwrite)


@dataclass(frozen=True, eq=False)
class InputFindings:
    """A scan's traits and cautions, found before its run."""

    volume: Volume
    bank: FilterBank | NetworkFile | None
    traits: Traits | None
    cautions: tuple[Caution, ...]

    def judge(
        self, result: Volume, arguments: argparse.Namespace, session: Session
    ) -> ResultFindings:
        """Make the maps and, if wanted, the report."""
        from napari_mrisr.trust import trust_maps

        assert self.bank is not None, "checked when the file was planned"
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
            from napari_mrisr.trust.report import report_html, report_pdf

            session.progress.begin("drawing the report", 1)
            draw = report_pdf if arguments.dicom else report_html
            report = draw(self.volume, result, maps, self.cautions, self.bank)
            session.progress.advance()
        return ResultFindings(maps, report)


@dataclass(frozen=True, eq=False)
class ResultFindings:
    """The maps of a result and its report: HTML, or the bytes of a PDF for DICOM."""

    maps: TrustMaps
    report: str | bytes | None

    def write(
        self, plan: FilePlan, arguments: argparse.Namespace, session: Session
    ) -> tuple[str, dict[str, Any]]:
        """Write maps and report; return an addition to the result line, and facts for JSON."""
        from napari_mrisr.io import map_path, write_text, write_volume
        from napari_mrisr.trust.maps import NO_CALIBRATION

        maps, written = self.maps, []
        volumes = (maps.expected_error, maps.support, maps.consistency)
        for label, volume in zip(MAP_LABELS, volumes, strict=True):
            path = map_path(plan.out, label)
            if arguments.maps and volume is not None:
                if arguments.dicom:
                    dicom.write_map(volume, label, (path, plan.out), arguments, session)
                else:
                    with session.writing(path):
                        write_volume(volume, path, overwrite=arguments.overwrite)
                written.append(str(path))
        facts: dict[str, Any] = {"consistency_percent": maps.consistency_percent, "maps": written}
        if self.report is not None:
            path = report_path(plan.out, arguments)
            if isinstance(self.report, bytes):
                dicom.write_report(self.report, (path, plan.out), arguments, session)
            else:
                write_text(path, self.report)
            facts["report"] = str(path)
        text = f", consistency {maps.consistency_percent:.2g} % of the window"
        return text if maps.expected_error is not None else f"{text}, {NO_CALIBRATION}", facts


def look_at(volume: Volume, method: Method, session: Session) -> InputFindings:
    """Show, before the run, how a scan is unusual or differs from the training set."""
    from napari_mrisr.core.progress import Progress
    from napari_mrisr.core.slices import slices_of
    from napari_mrisr.methods.network import model_of
    from napari_mrisr.scan.traits import measure_traits
    from napari_mrisr.trust import cautions_for

    cautions = volume.origin.cautions if volume.origin is not None else ()
    bank, traits = model_of(method), None
    if bank is not None:
        traits = measure_traits(volume, Progress(session.token))
        cautions += cautions_for(traits, bank, slices_of(volume.grid, volume.origin))
    session.show_cautions(cautions)
    return InputFindings(volume, bank, traits, cautions)


def look_at_streamed(
    stream_plan: StreamPlan, plan: FilePlan, session: Session
) -> tuple[Caution, ...]:
    """Show and return the cautions of :func:`look_at`, within the memory of a plan."""
    from napari_mrisr.core.slices import slices_of
    from napari_mrisr.methods.network import model_of
    from napari_mrisr.trust import cautions_for

    cautions, bank = plan.scan.origin.cautions, model_of(plan.method)
    if bank is not None:
        look = stream_plan.traits(session.progress)
        if look.part:
            text = f"too large to be examined whole; cautions are about {look.part}"
            name = session.progress.prefix or f"{plan.scan.path.name}: "
            session.progress.message(f"{name}{text}")
        cautions += cautions_for(look.traits, bank, slices_of(plan.scan.grid, plan.scan.origin))
    session.show_cautions(cautions)
    return cautions
