"""Files of figures: formats, errors, whole or not at all."""

from __future__ import annotations

import subprocess
import sys

import pypdf
import pytest
from matplotlib.image import imread

from napari_mrisr.errors import OutputError
from napari_mrisr.figures.page import Page, check_figure_path, save_figure


@pytest.fixture
def figure():
    page = Page([2.0], [1.0], top=0.2, bottom=0.5)
    page.panel(0, 0).set_title("different filters")
    return page.figure


def test_a_png_replaces_a_file_and_carries_the_notice(figure, tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    save_figure(figure, path, dpi=100)
    assert imread(path).shape[1] == pytest.approx(224, abs=1)
    assert b"not for diagnosis" in path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".tif"])
def test_other_formats(figure, tmp_path, suffix):
    path = tmp_path / f"figure{suffix}"
    save_figure(figure, path, dpi=50)
    content = path.read_bytes()
    assert content.startswith({".pdf": b"%PDF", ".svg": b"<?xml", ".tif": b"II*\x00"}[suffix])
    if suffix == ".pdf":
        assert b"/FontFile2" in content and b"/Type3" not in content  # TrueType: text survives


def test_the_text_of_a_pdf_can_be_extracted(tmp_path):
    """Fault: fonts that are embedded by outline break "ff", "fi" and signs into glyphs."""
    page = Page([2.0], [1.0], top=0.2, bottom=0.5)
    page.write("different filters, affine, 2×", ["σ ≥ 0.5 mm − ½ · „µ“"])
    save_figure(page.figure, tmp_path / "figure.pdf")
    text = pypdf.PdfReader(tmp_path / "figure.pdf").pages[0].extract_text()
    for word in ("different filters, affine, 2×", "σ ≥ 0.5 mm − ½ · „µ“"):
        assert word in text


def test_a_file_that_cannot_be_written_is_named(figure, tmp_path):
    with pytest.raises(OutputError, match=r"'.doc'"):
        check_figure_path(tmp_path / "a.doc")
    with pytest.raises(OutputError, match=r"missing.a\.png"):
        save_figure(figure, tmp_path / "missing" / "a.png")


def test_drawing_leaves_pyplot_alone():
    code = "import sys, napari_mrisr.figures.figure; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
