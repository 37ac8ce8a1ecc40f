"""History and texts of a network's training."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_mrisr.training.events import NetworkMeasured, NetworkStarted, StepTaken
from napari_mrisr.training.networks.run import NetworkReport
from napari_mrisr.viewer.train.network import NetworkHistory


@pytest.fixture
def history():
    history = NetworkHistory()
    history.add(NetworkStarted(0, 800, 3, "CPU, bfloat16"))
    for step in range(1, 6):
        history.add(StepTaken(step, 800, 0.01 * step, 0.5 * (800 - step)))
    history.add(NetworkMeasured(4, {2.0: (0.5, 0.7), 4.0: (1.0, 1.4)}))
    history.add(NetworkMeasured(2, {2.0: (0.1, 0.3)}))
    return history


def test_status_states_step_and_time_left(history):
    assert NetworkHistory().status == "Reading the volumes…"
    assert history.status == "Step 5 of 800, about 6 min 38 s left"
    assert history.speed == "CPU, bfloat16; 0.5 s per step"


def test_curves_are_means_over_volumes_and_steps(history):
    assert history.mean_gains == {
        2.0: [(2, pytest.approx(0.2)), (4, pytest.approx(0.6))],
        4.0: [(4, pytest.approx(1.2))],
    }
    assert history.losses == [(2, pytest.approx(0.015)), (4, pytest.approx(0.035))]


def test_a_resumed_training_forgets_what_it_will_do_again(history):
    history.add(NetworkStarted(3, 800, 3, "CPU, bfloat16"))
    assert sorted(history.gains) == [2]
    assert [step for step, _ in history.losses] == [2]
    assert history.status.startswith("Step 3 of 800")


def test_outcome_states_gain_and_what_to_do_next(history):
    path = Path("mine.onnx")
    whole = NetworkReport(path, 800, 125.0, {2.0: 0.612, 4.0: 1.2})
    assert history.outcome(whole) == (
        "Saved “mine” in 2 min 05 s. Validation gain +0.61 dB at 2×, +1.20 dB at 4×. "
        "Choose it as Bank of method network in Super-resolve."
    )
    part = NetworkReport(path, 5, 9.0, {}, "stopped after 5 of 800 steps")
    assert history.outcome(part) == (
        "Stopped after 5 of 800 steps; saved as “mine”. Resume continues."
    )


def test_gains_of_a_denoiser_are_over_the_noisy_image():
    history = NetworkHistory("denoiser")
    assert history.gain_title == "Validation gain over the noisy image"
    report = NetworkReport(Path("mine.onnx"), 800, 125.0, {5.0: 3.2})
    assert history.outcome(report) == (
        "Saved “mine” in 2 min 05 s. Validation gain +3.20 dB at 5 % noise. "
        "Choose it as Bank of method plug-and-play in Super-resolve."
    )
