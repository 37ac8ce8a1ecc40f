"""The user's folder of banks: where it is, what is in it, and what names mean."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from napari_mrisr.bank import folder as folder_module
from napari_mrisr.bank.folder import bank_folder, user_banks
from napari_mrisr.bank.model import bundled_banks, bundled_scales, list_banks, load_bank
from napari_mrisr.errors import BankError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_MRISR_BANKS", str(tmp_path / "banks"))
    (tmp_path / "banks").mkdir()
    return tmp_path / "banks"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/napari-mrisr/banks"),
        ("linux", {}, "/home/me/.local/share/napari-mrisr/banks"),
        ("darwin", {}, "/home/me/Library/Application Support/napari-mrisr/banks"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/napari-mrisr/banks"),
        ("win32", {}, "/home/me/AppData/Local/napari-mrisr/banks"),
        ("linux", {"NAPARI_MRISR_BANKS": "/mine"}, "/mine"),
        ("darwin", {"NAPARI_MRISR_BANKS": "~/mine"}, "/home/me/mine"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths are written as on POSIX")
def test_where_it_is(monkeypatch, platform, variables, expected):
    for name in ("NAPARI_MRISR_BANKS", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(folder_module.sys, "platform", platform)
    assert bank_folder() == Path(expected)


def test_only_whole_banks_are_listed(folder, make_bank):
    for name in ("b", "a", "a.safetensors.equations", ".half"):
        make_bank().save(folder / f"{name}.safetensors")
    (folder / "notes.txt").write_text("x")
    assert list(user_banks()) == ["a", "b"]
    assert list_banks() == [*bundled_banks(), "a", "b"]
    assert load_bank("a").name == "a"


def test_there_need_be_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_MRISR_BANKS", str(tmp_path / "none"))
    assert user_banks() == {}
    assert list_banks() == bundled_banks()
    assert not (tmp_path / "none").exists()


def test_a_bundled_name_cannot_be_taken(folder, make_bank):
    make_bank(seed=3).save(folder / "default-2x.safetensors")
    make_bank((5, 5, 5)).save(folder / "default-5x.safetensors")
    assert list_banks().count("default-2x") == 1
    assert load_bank("default-2x").stages[0].spec.width == 5  # the bundled one's
    assert (5, 5, 5) not in bundled_scales()


def test_an_unknown_name_lists_those_of_the_user(folder, make_bank):
    make_bank().save(folder / "mine.safetensors")
    with pytest.raises(BankError, match=r"no such filter bank; give a .* mine"):
        load_bank("theirs")
