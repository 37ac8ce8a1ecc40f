"""The choice between CPU and GPU, with a CPU that plays the GPU."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.networks import convolution_model, save_model

import napari_mrisr as sr
from napari_mrisr.errors import DeviceError
from napari_mrisr.networks import sessions
from napari_mrisr.networks.file import load_network
from napari_mrisr.networks.sessions import use_gpu


@pytest.fixture
def network(tmp_path):
    kernel = np.random.default_rng(7).normal(size=(8, 1, 3, 3, 3)) / 27
    return load_network(save_model(convolution_model(kernel), tmp_path / "random.onnx"))


@pytest.fixture
def said():
    lines: list[str] = []
    return lines


def thick_scan() -> sr.Volume:
    data = np.random.default_rng(2).random((9, 11, 7), np.float32)
    return sr.Volume(data, sr.Grid(data.shape, np.diag([1.0, 1.0, 3.0, 1.0])))


class PlayedGpu:
    """A session on the CPU that says it is on a GPU."""

    def __init__(self, session, factor=1.0, provider="CUDAExecutionProvider") -> None:
        self.session, self.factor, self.provider, self.runs = session, factor, provider, 0

    def get_providers(self):
        return [self.provider, "CPUExecutionProvider"]

    def get_inputs(self):
        return self.session.get_inputs()

    def run(self, names, given, options=None):
        self.runs += 1
        return [self.factor * part for part in self.session.run(names, given, options)]


@pytest.fixture
def played(monkeypatch, network):
    """Return a function that puts a GPU into the machine."""

    def play(**kwargs) -> PlayedGpu:
        on_cpu = sessions.session_of
        gpu = PlayedGpu(on_cpu(network), **kwargs)
        monkeypatch.setattr(sessions, "_has_provider", lambda: True)
        monkeypatch.setattr(sessions, "session_of", lambda n, g=False: gpu if g else on_cpu(n))
        return gpu

    return play


def test_a_machine_without_cuda_computes_on_the_cpu_unless_asked_for_a_gpu(network, said):
    assert not use_gpu(network, "auto", said.append)
    assert not use_gpu(network, "cpu", said.append)
    assert said == []
    with pytest.raises(DeviceError, match=r"^device: gpu, but .*; install onnxruntime-gpu"):
        use_gpu(network, "gpu", said.append)


def test_a_gpu_that_passes_its_trial_is_used_and_named(network, played, tmp_path, said):
    gpu = played()
    assert use_gpu(network, "auto", said.append)
    assert use_gpu(network, "gpu", said.append)
    assert gpu.runs == 1  # one trial
    scan = thick_scan()
    options = {"scale": (1, 1, 3), "method": "network", "bank": tmp_path / "random.onnx"}
    on_gpu = sr.upscale(scan, device="gpu", **options)
    assert gpu.runs > 2
    np.testing.assert_array_equal(on_gpu.data, sr.upscale(scan, device="cpu", **options).data)
    assert on_gpu.history["device"] == "GPU"
    # The thick axis may be any one.
    turned = sr.upscale(scan, (3, 1, 1), method="network", bank=options["bank"], device="gpu")
    assert turned.history["device"] == "GPU"


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [({"factor": 1.001}, "fails its trial"), ({"provider": "CPU"}, "cannot start CUDA")],
)
def test_a_gpu_that_fails_its_trial_costs_a_line(network, played, said, kwargs, reason):
    played(**kwargs)
    assert not use_gpu(network, "auto", said.append)
    assert reason in said[0]
    assert "computing on the CPU" in said[0]
    with pytest.raises(DeviceError, match=reason):
        use_gpu(network, "gpu", said.append)


def test_a_gpu_that_fails_in_the_run_is_replaced_by_the_cpu(played, tmp_path):
    gpu = played()
    scan = thick_scan()
    options = {"scale": (1, 1, 3), "method": "network", "bank": tmp_path / "random.onnx"}
    run = gpu.run

    def fails_later(names, given, options=None):
        if gpu.runs:
            raise RuntimeError("out of memory")
        return run(names, given, options)

    gpu.run = fails_later
    lines: list[str] = []

    class Telling(sr.Progress):
        def message(self, text: str) -> None:
            lines.append(text)

    result = sr.upscale(scan, device="auto", progress=Telling(), **options)
    assert "device" not in result.history
    assert "device: the GPU fails: out of memory; use cpu; computing on the CPU" in lines
