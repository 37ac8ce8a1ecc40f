"""Every benchmark that asv tracks runs, here on tiny volumes."""

from __future__ import annotations

import inspect

import pytest

BENCHMARKS = {
    "engine": ["Upscale", "Stream", "Command", "Cancel"],
    "training": ["AddSamples", "Train"],
    "comparison": ["Scene", "RegionNumbers"],
}


@pytest.mark.parametrize(
    ("name", "owner"),
    [(module, owner) for module, owners in BENCHMARKS.items() for owner in owners],
)
def test_benchmark_runs(benchmark, monkeypatch, name, owner):
    module = benchmark(f"tracking.{name}")
    monkeypatch.setattr(module, "SIZE", 36)
    params = getattr(getattr(module, owner), "params", ())
    chosen = list(params[:1])
    if params and isinstance(params[0], list):
        chosen = [choices[0] for choices in params]
    instance = getattr(module, owner)()
    instance.setup(*chosen)
    methods = inspect.getmembers(instance, inspect.ismethod)
    timed = [method for label, method in methods if label.split("_")[0] in ("time", "track")]
    assert timed
    for method in timed:
        method(*chosen)
    if hasattr(instance, "teardown"):
        instance.teardown(*chosen)


def test_no_benchmark_is_forgotten(benchmark):
    for name, owners in BENCHMARKS.items():
        module = benchmark(f"tracking.{name}")
        found = [
            label
            for label, part in inspect.getmembers(module, inspect.isclass)
            if part.__module__ == module.__name__ and hasattr(part, "setup")
        ]
        assert sorted(found) == sorted(owners)
