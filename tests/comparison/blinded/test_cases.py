"""Lists of cases: a CSV file or folders; headers checked before a window opens."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.comparison.blinded.cases import read_plan
from napari_mrisr.errors import MrisrError


def save(path):
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(np.arange(60, dtype=np.float32).reshape(3, 4, 5), np.eye(4)), path)


@pytest.fixture
def folder(tmp_path):
    for case in ("p1", "p2"):
        for method in ("hashed", "tricubic"):
            save(tmp_path / case / f"{method}.nii.gz")
    return tmp_path


def write(folder, text, encoding="utf-8"):
    path = folder / "cases.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("comma", [",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_with_files_relative_to_it(folder, comma, encoding):
    text = (
        "case,cubic,new\n"
        "first, p1/tricubic.nii.gz ,p1/hashed.nii.gz\n"
        "\n"
        'second,"p2/tricubic.nii.gz",p2/hashed.nii.gz\n'
    )
    plan = read_plan(write(folder, text.replace(",", comma), encoding), seed=7, question="Noise?")
    assert plan.methods == ("cubic", "new")
    assert [case.name for case in plan.cases] == ["first", "second"]
    assert plan.cases[1].files["new"] == folder / "p2/hashed.nii.gz"
    assert (plan.seed, plan.question) == (7, "Noise?")


def test_a_folder_for_each_case(folder):
    (folder / "p1" / "notes.txt").write_text("x")
    (folder / "list.txt").write_text("x")
    plan = read_plan(folder)
    assert plan.methods == ("hashed", "tricubic")
    assert [case.name for case in plan.cases] == ["p1", "p2"]
    assert plan.cases[0].files["tricubic"] == folder / "p1" / "tricubic.nii.gz"


GOOD = "p1/tricubic.nii.gz,p1/hashed.nii.gz"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is empty"),
        ("name,a,b\n", "'name,a,b'"),
        ("case,a,b\n", "no case"),
        ("case,a\nx,p1/hashed.nii.gz\n", "1 methods"),
        ("case,a,b,c,d,e\n", "5 methods"),
        (f"case,a,a\nx,{GOOD}\n", "'a', 'a'"),
        (f"case,a,\nx,{GOOD}\n", "a different name"),
        (f"case,a,b\nx,{GOOD}\nx,{GOOD}\n", "line 3 repeats case 'x'"),
        ("case,a,b\nx,p1/hashed.nii.gz\n", "line 2 has 2 entries"),
        (f"case,a,b\n,{GOOD}\n", "line 2 has 2 entries"),
        ("case,a,b\nx,p1/none.nii,p1/hashed.nii.gz\n", r"none\.nii: no such file"),
        ("case,a,b\nx,cases.csv,p1/hashed.nii.gz\n", "no image format"),
    ],
)
def test_a_bad_table_is_named_with_its_line(folder, text, part):
    with pytest.raises(MrisrError, match=part):
        read_plan(write(folder, text))


def test_a_table_that_cannot_be_read(folder):
    (folder / "cases.csv").write_bytes(b"case,\xff\xfe")
    with pytest.raises(MrisrError, match=r"cases\.csv: cannot be read"):
        read_plan(folder / "cases.csv")
    with pytest.raises(MrisrError, match=r"other\.csv: cannot be read"):
        read_plan(folder / "other.csv")


def test_folders_that_do_not_match(folder, tmp_path):
    (folder / "p2" / "hashed.nii.gz").unlink()
    with pytest.raises(MrisrError, match=r"p2 has tricubic; give it hashed, tricubic as p1 has"):
        read_plan(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MrisrError, match="has no folder"):
        read_plan(empty)
