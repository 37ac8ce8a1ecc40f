"""Lecture pages: complete, self-contained, anonymous, written atomically."""

from __future__ import annotations

import base64
import re
from html import escape
from html.parser import HTMLParser

import pypdf
import pytest

from napari_mrisr.core.progress import Cancelled, CancelToken, Progress
from napari_mrisr.errors import OutputError
from napari_mrisr.explain.lecture import save_lecture
from napari_mrisr.explain.steps import all_steps


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_has_every_step_and_needs_no_network(paper, tmp_path):
    path = tmp_path / "page.html"
    save_lecture(paper, path)
    text = path.read_text("utf-8")
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert len(reader.links) == 9
    for link in reader.links:
        kind, data = link.split(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    plain = re.sub(r'src="[^"]*"', "", text)
    assert "http" not in plain
    assert str(tmp_path) not in text
    for step in all_steps(paper):
        assert escape(step.sentence) in text
        for _, value in step.numbers:
            assert escape(value) in text
    assert "research use, not for diagnosis" in text


def test_pdf_text_can_be_copied_and_searched(paper, tmp_path):
    save_lecture(paper, tmp_path / "page.pdf")
    pages = pypdf.PdfReader(tmp_path / "page.pdf").pages
    for page, step in zip(pages, all_steps(paper), strict=True):
        words = page.extract_text().split()
        assert set(step.title.split()) <= set(words)
        assert set(step.sentence.split()) <= set(words)


def test_pdf_has_one_page_per_step_and_no_date(paper, tmp_path):
    save_lecture(paper, tmp_path / "page.PDF")
    made = (tmp_path / "page.PDF").read_bytes()
    assert made.startswith(b"%PDF")
    assert made.count(b"/Type /Page\n") + made.count(b"/Type /Page ") == 9
    assert str(tmp_path).encode() not in made
    assert b"CreationDate" not in made


@pytest.mark.parametrize("name", ["page.html", "page.pdf"])
def test_cancelled_leaves_no_file(paper, tmp_path, name):
    class Impatient(Progress):
        def show(self, state):
            if state.done == 2:
                self.token.cancel()

    with pytest.raises(Cancelled):
        save_lecture(paper, tmp_path / name, Impatient(CancelToken()))
    assert list(tmp_path.iterdir()) == []


def test_errors_name_the_remedy(paper, tmp_path):
    with pytest.raises(OutputError, match=r"'\.docx' is not a format.*choose one of \.html, \.pdf"):
        save_lecture(paper, tmp_path / "page.docx")
    with pytest.raises(OutputError, match="choose another folder"):
        save_lecture(paper, tmp_path / "missing" / "page.html")
