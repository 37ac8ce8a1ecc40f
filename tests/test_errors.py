from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from napari_mrisr import errors
from napari_mrisr.errors import MrisrError, explain

ALL = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, Exception) and kind.__module__ == errors.__name__
]


def test_every_error_is_one_that_the_command_line_catches() -> None:
    others = [kind for kind in ALL if not issubclass(kind, MrisrError)]
    assert others == [errors.Cancelled]
    assert len(ALL) == 11


def test_every_extra_that_a_message_names_is_one(repository: Path) -> None:
    """And each is said to be added by pip in both ways."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    sources = [p.read_text("utf-8") for p in (repository / "napari_mrisr").rglob("*.py")]
    named = {extra for text in sources for extra in re.findall(r"install\([\"'](\w+)", text)}
    assert len(named) >= 5
    assert named <= set(project["optional-dependencies"])
    assert sum("'napari-mrisr[" in text for text in sources) == 1  # in errors.install
    assert errors.install("gui") == "pip install 'napari-mrisr[gui]', or '.[gui]' in a clone"


def test_every_error_is_in_the_drawn_tree() -> None:
    drawn = errors.__doc__ or ""
    assert all(kind.__name__ in drawn for kind in ALL)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.VolumeError, ValueError),
        (errors.GeometryError, errors.VolumeError),
        (errors.ScaleError, ValueError),
        (errors.BankError, ValueError),
        (errors.OutputError, OSError),
        (errors.MemoryEstimateError, MemoryError),
        (errors.DeviceError, RuntimeError),
        (errors.ParameterError, ValueError),
    ],
)
def test_errors_are_also_pythons_own(kind: type[Exception], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match=r"^a: b; c$"):
        raise kind(explain("a", "b", "c"))


def test_explain_is_one_line() -> None:
    text = explain(Path("a") / "b.nii", "two\nlines\r\n and\ttabs", "mend it\n")
    assert text == f"{Path('a') / 'b.nii'}: two lines and tabs; mend it"
