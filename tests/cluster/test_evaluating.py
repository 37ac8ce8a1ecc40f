"""Evaluation on a cluster: the numbers of this process, whatever happens to workers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.scans import save_scans

from napari_mrisr.cluster.evaluating import evaluate_on
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.errors import BankError, Cancelled
from napari_mrisr.evaluation.experiment import EvaluateParameters, evaluate


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Four scans, among them a file that is none and one that ends too early."""
    folder = tmp_path_factory.mktemp("cohort")
    scans = save_scans(folder)
    none, short = folder / "none.nii", folder / "short.nii.gz"
    none.write_bytes(b"nothing")
    short.write_bytes(scans[0].read_bytes()[:-4000])
    return [scans[0], none, scans[1], short, *scans[2:]]


@pytest.fixture
def parameters(make_bank, tmp_path):
    bank = tmp_path / "random.safetensors"
    make_bank().save(bank)
    return EvaluateParameters(methods=("nearest", "hashed"), bank=str(bank), threads=1)


def numbers(report):
    return [replace(row, seconds=0.0) for row in report.rows]


def test_rows_and_failures_are_those_of_this_process(
    cluster, cohort, parameters, monkeypatch, tmp_path
):
    # Workers work elsewhere: names are to be good there too.
    monkeypatch.chdir(cohort[0].parent)
    given = [path.name for path in cohort]
    expected = evaluate(given, parameters)
    assert len(expected.rows) == 4 * 2 * 2
    found = evaluate_on(cluster, given, parameters)
    assert numbers(found) == numbers(expected)
    assert all(row.seconds > 0 for row in found.rows)
    assert [failure.file for failure in found.failures] == ["none.nii", "short.nii.gz"]
    assert found.protocol == expected.protocol


def test_a_worker_is_killed_in_the_middle(cluster, workers, cohort, parameters):
    expected = evaluate(cohort, parameters)
    with workers.one_killed():
        found = evaluate_on(cluster, cohort, parameters)
    assert numbers(found) == numbers(expected)
    assert found.failures == expected.failures


def test_what_no_file_can_meet_stops_everything(cluster, cohort, parameters):
    with pytest.raises(BankError):
        evaluate_on(cluster, cohort, replace(parameters, scales=((3, 3, 3),)))


def test_cancel(cluster, cohort, parameters):
    token = CancelToken()

    class AtOnce(Progress):
        def show(self, state):
            if state.done:
                token.cancel()

    with pytest.raises(Cancelled):
        evaluate_on(cluster, cohort, parameters, AtOnce(token))
