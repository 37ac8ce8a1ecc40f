"""Evaluation on a cluster: a file is a piece."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_mrisr.cluster.pieces import Cluster
from napari_mrisr.cluster.worker import bank_for_workers
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import MrisrError
from napari_mrisr.evaluation.experiment import (
    EvaluateParameters,
    FileJob,
    FileOutcome,
    add_outcome,
    evaluate_file,
    plan_evaluation,
)
from napari_mrisr.evaluation.tables import EvaluationReport


def evaluate_on(
    cluster: Cluster,
    paths: Sequence[str | os.PathLike[str]],
    parameters: EvaluateParameters,
    progress: Progress | None = None,
) -> EvaluationReport:
    """As :func:`~napari_mrisr.evaluation.experiment.evaluate`: the same rows in the same order.

    Parameters
    ----------
    cluster : Cluster
    paths : sequence of path
        Workers find them under the same names.
    parameters : EvaluateParameters
        Its ``threads`` are the cluster's business.
    progress : Progress, optional
        One step a file.

    Returns
    -------
    EvaluationReport
        Files that failed are listed in it, and those that workers died of.
    """
    progress = progress or Progress()
    report, jobs = plan_evaluation(paths, parameters)
    progress.begin("evaluating on the cluster", len(jobs))
    away = replace(parameters, bank=bank_for_workers(parameters.bank))
    outcomes = cluster.each(_evaluate, [(job, job.path.absolute()) for job in jobs], progress, away)
    for job, found in zip(jobs, outcomes, strict=True):
        if isinstance(found, MrisrError):
            found = FileOutcome((), f"{job.path}: {found}")
        add_outcome(report, job, found)
    return report


def _evaluate(
    parameters: EvaluateParameters, job: tuple[FileJob, Path], pool: ThreadPool
) -> FileOutcome:
    """A file's rows, under the name that it was given by."""
    given, path = job
    found = evaluate_file(
        replace(given, path=path), replace(parameters, threads=pool.threads), pool.progress
    )
    rows = tuple(replace(row, file=str(given.path)) for row in found.rows)
    return FileOutcome(rows, found.error)
