"""The verdict over ratios, and instructions where they are counted."""

from __future__ import annotations

import json

import pytest

PROCESSOR = "a processor"
BEFORE = {"hashed": 1.0, "tricubic": 0.04}


@pytest.fixture
def regression(benchmark, monkeypatch, tmp_path):
    module = benchmark("regression")
    about = {"processor": PROCESSOR, "packages": {"numba": "1"}}
    monkeypatch.setattr(module, "machine", lambda: about)
    monkeypatch.setattr(module, "count_instructions", lambda: None)
    monkeypatch.setattr(module, "BASELINE", tmp_path / "baseline.json")
    baseline = {"machine": about, "ratios": BEFORE, "instructions": 1e9}
    module.BASELINE.write_text(json.dumps(baseline))
    return module


def run(module, monkeypatch, ratios):
    monkeypatch.setattr(module, "measure_ratios", lambda rounds: ratios)
    return module.main([])


def test_within_the_tolerance_is_good(regression, monkeypatch, capsys):
    assert run(regression, monkeypatch, {"hashed": 1.24, "tricubic": 0.03}) == 0
    out = capsys.readouterr().out
    assert "SLOWER" not in out
    assert "instructions: nothing here counts them" in out


def test_slower_fails_and_is_named(regression, monkeypatch, capsys):
    assert run(regression, monkeypatch, {"hashed": 1.0, "tricubic": 0.051}) == 1
    assert "slower than baseline.json says: tricubic" in capsys.readouterr().out


def test_on_another_processor_nothing_fails(regression, monkeypatch, capsys):
    other = {"processor": "another", "packages": {}}
    monkeypatch.setattr(regression, "machine", lambda: other)
    assert run(regression, monkeypatch, {"hashed": 3.0, "tricubic": 0.04}) == 0
    assert "another processor" in capsys.readouterr().out


def test_new_and_gone_are_said(regression, monkeypatch, capsys):
    assert run(regression, monkeypatch, {"hashed": 1.0, "extra": 0.5}) == 0
    out = capsys.readouterr().out
    assert "new" in out
    assert "tricubic: gone since the baseline" in out


@pytest.mark.parametrize(("now", "code"), [(1.02e9, 0), (1.04e9, 1), (0.5e9, 0)])
def test_instructions_hold_more_closely(regression, monkeypatch, now, code):
    monkeypatch.setattr(regression, "count_instructions", lambda: now)
    assert run(regression, monkeypatch, BEFORE) == code


def test_update_writes_what_was_measured(regression, monkeypatch):
    monkeypatch.setattr(regression, "write_json", lambda path, found: written.append(found))
    monkeypatch.setattr(regression, "measure_ratios", lambda rounds: {"hashed": 0.7})
    written = []
    assert regression.main(["--update"]) == 0
    assert written == [{"ratios": {"hashed": 0.7}, "instructions": None}]


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("a warning\n4182000567,,instructions:u,812000,100.00,1.2,insn per cycle", 4182000567.0),
        ("<not supported>,,instructions:u,0,100.00,,", None),
    ],
)
def test_perf_is_read(benchmark, monkeypatch, tmp_path, said, count):
    perf = tmp_path / "perf"
    perf.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\n")
    perf.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert benchmark("regression")._instructions(["true"]) == count


def test_without_perf_there_is_no_count(benchmark, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert benchmark("regression")._instructions(["true"]) is None
