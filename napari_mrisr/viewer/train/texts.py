"""What the dock says. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_mrisr.core.progress import format_seconds
from napari_mrisr.core.volume import Grid
from napari_mrisr.training import TrainingReport
from napari_mrisr.training.cost import MemoryNeed
from napari_mrisr.viewer.common.labels import bytes_label, duration_label
from napari_mrisr.viewer.train.story import Story

EMPTY = "Open MRI volumes of high resolution, or add files; tick those to train on."
NO_VOLUME = "Tick at least one volume to train on."

# Slices this much thicker than pixels are fine: few scans are exactly isotropic.
_THICK = 1.6
_FEW = 3


def plan_text(train: int, validate: int, grids: Sequence[Grid], memory: MemoryNeed) -> str:
    """``3 volumes to train on, 1 to validate`` and below it the memory."""
    text = f"{_volumes(train)} to train on, {validate or 'none'} to validate on"
    if grids:
        shape = max((g.shape for g in grids), key=lambda s: s[0] * s[1] * s[2])
        text += f"\nlargest {' × '.join(map(str, shape))} voxels"
    return f"{text}\nabout {bytes_label(memory.total)} of memory"


def warnings(train: Sequence[Grid], count: int, validate: int) -> list[str]:
    """What to think of before the start, a sentence each."""
    found = []
    thick = [g for g in train if max(g.voxel_size) > _THICK * min(g.voxel_size)]
    if thick:
        size = " × ".join(f"{s:.3g}" for s in thick[0].voxel_size)
        which = "One volume has" if len(thick) == 1 else f"{len(thick)} volumes have"
        found.append(
            f"{which} thick slices ({size} mm): filters across them will learn from blurred truth."
        )
    if 0 < count < _FEW:
        found.append(f"{_volumes(count).capitalize()} is few: expect less gain on other scans.")
    if count and not validate:
        found.append("No volume to validate on: there will be no curve of the gain.")
    return found


def stage_text(story: Story) -> str:
    """``Stage 2 of 3, volume 1 of 3, about 40 s left``."""
    if not story.stage:
        return "Reading the volumes…"
    text = f"Stage {story.stage} of {story.stages}, volume {story.volume} of {story.volumes}"
    if story.calibrating:
        text = "Measuring the errors to expect"
    eta = story.eta_s
    return text if eta is None else f"{text}, about {format_seconds(eta)} left"


def speed_text(story: Story) -> str:
    """Samples a second, and the arithmetic beside what the machine can do."""
    if not story.samples_per_s:
        return ""
    return (
        f"{_thousands(story.samples_per_s)} samples/s; {story.gflops:.0f} GFLOP/s, "
        f"the symmetric half counted once (this machine's sgemm: {story.sgemm_gflops:.0f})"
    )


def gain_title(story: Story) -> str:
    """Title of the curve, with what it was measured on."""
    count = max((len(g) for g in story.gains.values()), default=0)
    if not count:
        return "Validation gain"
    return f"Validation gain: {story.last_gain_db:+.2f} dB over tricubic"


def gain_note(story: Story) -> str:
    """How the gain was measured."""
    count = max((len(g) for g in story.gains.values()), default=0)
    if not count:
        return ""
    slabs = "an axial slab" if count == 1 else f"{count} axial slabs"
    return f"after each volume, PSNR in {slabs}"


def gain_tip(story: Story) -> str:
    """How the gain was measured, in full."""
    return (
        "Mean gain in PSNR over tricubic interpolation, inside the head, of what is trained so\n"
        "far (gray: each validation volume). To be quick it is measured in one axial slab a\n"
        f"volume, where the head is widest: {story.voxels:,} voxels in all."
    )


def support_title(story: Story) -> str:
    """Title of the histogram."""
    if not story.support.size:
        return "Samples a bucket"
    used = int((story.support > 0).sum())
    return f"Samples a bucket, stage {story.support_stage}: {used} of {story.support.size} used"


def support_note(story: Story) -> str:
    """The middle bucket."""
    if not story.support.size:
        return ""
    return f"median {_thousands(float(np.median(story.support)))} samples"


def outcome_text(report: TrainingReport, out: Path, story: Story) -> str:
    """What came of it."""
    time = duration_label(report.seconds)
    gain = "" if story.last_gain_db is None else f" Validation gain {story.last_gain_db:+.2f} dB."
    if not report.stopped:
        return f"Saved “{report.bank.name}” in {time}.{gain} Choose it as Bank in Super-resolve."
    said = report.stopped[0].upper() + report.stopped[1:]
    return f"{said}; saved as “{report.bank.name}”.{gain} Resume goes on."


def _volumes(count: int) -> str:
    return "1 volume" if count == 1 else f"{count} volumes"


def _thousands(value: float) -> str:
    """Three digits: ``950``, ``12,300`` or ``1.4 million``."""
    return f"{value / 1e6:.1f} million" if value >= 999_500 else f"{float(f'{value:.3g}'):,.0f}"
