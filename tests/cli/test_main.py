"""The command as a whole: help, version, exit codes, what an import costs."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import pytest

import napari_mrisr
from napari_mrisr.cli import options

COMMANDS = ["upscale", "degrade", "train", "evaluate", "compare", "bank", "warm", "demo"]


def test_version(run):
    found = run("--version")
    assert (found.code, found.out) == (0, f"napari-mrisr {napari_mrisr.__version__}\n")


def test_help_names_every_command_and_the_intended_use(run):
    found = run("--help")
    assert found.code == 0
    assert "not for diagnosis" in " ".join(found.out.split())
    for command in COMMANDS:
        assert f"\n    {command} " in found.out


@pytest.mark.parametrize("command", [*COMMANDS, "bank show", "bank list"])
def test_every_help_page_has_an_example(run, command):
    found = run(*command.split(), "--help")
    assert found.code == 0
    assert f"  napari-mrisr {command.split()[0]} " in found.out
    assert "example" in found.out


@pytest.mark.parametrize("arguments", [[], ["bank"]])
def test_a_missing_command_is_wrong_usage(run, arguments):
    found = run(*arguments)
    assert found.code == 2
    assert "usage:" in found.err
    assert found.out == ""


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["sharpen"], "sharpen"),
        (["upscale"], "IN, OUT"),
        (["upscale", "a", "b", "--sclae", "2"], "--sclae"),
        (["upscale", "a", "b", "--scale", "11"], "'11' is out of range"),
        (["upscale", "a", "b", "--isotropic", "--scale", "2"], "not allowed with"),
        (["degrade", "a", "b", "--scale", "1.5"], "needs whole factors"),
        (["upscale", "a", "b", "--scale", "2x2"], "'2x2'"),
        (["upscale", "a", "b", "--scale", "2", "--spacing", "1"], "not allowed with"),
        (["upscale", "a", "b", "--spacing", "fine"], "'fine'"),
        (["upscale", "a", "b", "--threads", "two"], "two"),
        (["upscale", "a", "b", "--device", "tpu"], "tpu"),
        (["degrade", "a", "b"], "--scale"),
        (["evaluate", "a", "--scales", "2,0"], "'0' is out of range"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_value(run, arguments, part):
    found = run(*arguments)
    assert found.code == 2
    assert part in found.error
    assert found.err.count("\n") == 1


def test_help_loads_no_engine():
    code = (
        "import sys; from napari_mrisr.cli import main; main(['--help']);"
        "heavy = {'numpy', 'numba', 'nibabel', 'scipy', 'matplotlib', 'napari', 'qtpy'};"
        "heavy.add('argcomplete');"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_fits_80_columns(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for command in ["", *COMMANDS, "bank show", "bank list"]:
        lines = run(*command.split(), "--help").out.splitlines()
        assert [line for line in lines if len(line) > 80] == []


def test_help_describes_methods_and_degradations_as_the_engine_does():
    from napari_mrisr.methods import METHOD_SUMMARIES
    from napari_mrisr.operators.degrade import DEGRADATION_SUMMARIES

    assert options.METHODS == METHOD_SUMMARIES
    assert options.DEGRADATIONS == DEGRADATION_SUMMARIES


def test_a_long_value_is_cut(run):
    found = run("upscale", "a", "b", "--scale", "9" * 500)
    assert found.code == 2
    assert len(found.error) < 250
    found = run("upscale", "a", "b", "--device", "x" * 500)
    assert len(found.error) < 250


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("napari-mrisr up", {"upscale"}),
        ("napari-mrisr upscale a b --method h", {"hashed"}),
        ("napari-mrisr degrade a b --degradation k", {"kspace"}),
        ("napari-mrisr upscale a b --bank default-2", {"default-2x", "default-2x-paper-2021"}),
    ],
)
def test_a_shell_completes_commands_and_names(line, expected, tmp_path):
    """The protocol of argcomplete: the line in COMP_LINE, the answer in a file."""
    answer = tmp_path / "answer"
    done = subprocess.run(
        [sys.executable, "-m", "napari_mrisr"],
        check=False,
        env={
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "_ARGCOMPLETE_IFS": "\n",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        },
    )
    assert done.returncode == 0
    assert {entry.strip() for entry in answer.read_text().splitlines()} == expected


def test_a_wrong_matplotlib_backend_does_not_matter(scan, tmp_path):
    figure = tmp_path / "f.png"
    done = subprocess.run(
        [sys.executable, "-m", "napari_mrisr", "evaluate", scan]
        + ["--methods", "nearest,tricubic", "--figure", figure],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MPLBACKEND": "foo"},
    )
    assert done.returncode == 0, done.stderr
    assert figure.exists()


def test_a_name_that_is_too_long_is_one_line(run, scan, tmp_path):
    found = run("upscale", scan, tmp_path / ("x" * 300 + ".nii"), "--method", "nearest")
    assert found.code in (1, 2)
    assert "File name too long" in found.error


def test_an_unexpected_exception_keeps_its_traceback(run, scan, tmp_path, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("a fault of ours")

    import_module("napari_mrisr.run.upscale")
    # By the module's name: the package shows the function in its place.
    monkeypatch.setattr(sys.modules["napari_mrisr.run.upscale"], "run", broken)
    with pytest.raises(ZeroDivisionError):
        run("upscale", scan, tmp_path / "out.nii", "--method", "nearest")


def test_a_terminal_without_special_characters_gets_replacements(scan):
    code = (
        "import sys; from napari_mrisr.cli import main;"
        f"sys.exit(main(['evaluate', {str(scan)!r}, '--methods', 'nearest', '-q']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert b"PSNR" in done.stdout
