"""Lists of cases: a CSV file or folders; headers checked before a window opens."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.comparison.blinded.cases import plan_of_volumes, read_plan
from napari_mrisr.core.volume import Grid, Volume
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
    assert plan.cases[1].images["new"] == folder / "p2/hashed.nii.gz"
    assert (plan.seed, plan.question) == (7, "Noise?")


def test_a_folder_for_each_case(folder):
    (folder / "p1" / "notes.txt").write_text("x")
    (folder / "list.txt").write_text("x")
    plan = read_plan(folder)
    assert plan.methods == ("hashed", "tricubic")
    assert [case.name for case in plan.cases] == ["p1", "p2"]
    assert plan.cases[0].images["tricubic"] == folder / "p1" / "tricubic.nii.gz"


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
    with pytest.raises(MrisrError, match=r"p2: has tricubic; give it hashed, tricubic as p1 has"):
        read_plan(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MrisrError, match="no two images of one case; put the images"):
        read_plan(empty)


def test_a_folder_for_each_method(tmp_path):
    for method in ("hashed 2x", "tricubic"):
        for case in ("p2", "p1", "p3"):
            save(tmp_path / method / f"{case}.nii.gz")
    plan = read_plan(tmp_path)
    assert plan.methods == ("hashed 2x", "tricubic")
    assert [case.name for case in plan.cases] == ["p1", "p2", "p3"]
    assert plan.cases[2].images["tricubic"] == tmp_path / "tricubic" / "p3.nii.gz"


def test_a_folder_of_images_that_differ_in_desc(tmp_path):
    for case in ("sub-02", "sub-01"):
        save(tmp_path / f"{case}_T1w.nii.gz")
        for method in ("sr2xhashed", "sr2xtricubic"):
            save(tmp_path / f"{case}_desc-{method}_T1w.nii.gz")
    plan = read_plan(tmp_path)
    assert set(plan.methods) == {"original", "sr2xhashed", "sr2xtricubic"}
    assert [case.name for case in plan.cases] == ["sub-01_T1w", "sub-02_T1w"]
    found = plan.cases[0].images["sr2xhashed"]
    assert found == tmp_path / "sub-01_desc-sr2xhashed_T1w.nii.gz"


def test_results_in_folders_of_cases_are_called_by_desc(tmp_path):
    for case in ("sub-01", "sub-02"):
        for method in ("hashed", "net"):
            save(tmp_path / case / f"{case}_desc-{method}_T1w.nii.gz")
    assert read_plan(tmp_path).methods == ("hashed", "net")


def test_reference_points_of_lesions(folder):
    text = f"case,a,b,x_mm,y_mm,z_mm\nx,{GOOD},1,-2.5,3\n"
    plan = read_plan(write(folder, text), kind="lesion")
    assert plan.methods == ("a", "b")
    assert plan.cases[0].targets == ((1.0, -2.5, 3.0),)
    with pytest.raises(MrisrError, match=r"line 2 has the point 1, -2\.5, there"):
        read_plan(write(folder, text.replace(",3\n", ",there\n")))


def volume(**history):
    return Volume(np.zeros((3, 4, 5), np.float32), Grid((3, 4, 5), np.eye(4)), history=history)


def test_the_results_of_each_open_scan_are_a_case():
    volumes = {
        "Jane": volume(),
        "Jane hashed": volume(method="hashed", scale="2"),
        "Joe": volume(),
        "Joe tricubic": volume(method="tricubic", scale="2"),
        "Joe hashed": volume(method="hashed", scale="2"),
        "Jane tricubic": volume(method="tricubic", scale="2"),
        "support: Jane": volume(map="support"),
    }
    sources = {key: key.split()[0] for key in volumes if " " in key and ":" not in key}
    plan = plan_of_volumes(volumes, {**sources, "support: Jane": "Jane"}, seed=5)
    assert [case.name for case in plan.cases] == ["case 1", "case 2"]
    assert set(plan.methods) == {"hashed 2x", "tricubic 2x"}
    assert plan.cases[1].images["hashed 2x"] is volumes["Joe hashed"]
    assert plan.seed == 5


def test_one_result_is_compared_with_its_scan():
    volumes = {"Jane": volume(), "Jane hashed": volume(method="hashed", scale="2")}
    plan = plan_of_volumes(volumes, {"Jane hashed": "Jane"})
    assert plan.methods == ("original", "hashed 2x")
    assert plan.cases[0].images["original"] is volumes["Jane"]


def test_open_layers_of_unknown_origin_are_one_case():
    plan = plan_of_volumes({"a": volume(), "b": volume(), "support: b": volume(map="support")})
    assert plan.methods == ("volume 1", "volume 2")
    with pytest.raises(MrisrError, match="open layers: 1 methods"):
        plan_of_volumes({"a": volume()})
    with pytest.raises(MrisrError, match="open layers: 0 methods"):
        plan_of_volumes({})
