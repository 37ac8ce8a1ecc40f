"""The figure and the page of a result without a truth: complete, self-contained, anonymous."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers.figures import assert_texts_apart
from helpers.scans import head
from matplotlib.image import imread

from napari_mrisr.core.volume import Grid, Origin, Volume
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.run.upscale import run_method
from napari_mrisr.scan.traits import Traits
from napari_mrisr.trust import Caution, TrustMaps, trust_maps
from napari_mrisr.trust.report import png_of, report_html, report_pdf, trust_figure

SHAPE = (22, 19, 24)
VOID = {"meta", "img", "br", "hr", "link"}


class Page(HTMLParser):
    """Checks that tags are closed in order; collects text and what is fetched."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.sources, self.tags = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [v for k, v in attributes if k in ("src", "href", "data", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def case():
    """A volume whose origin names a patient, its result and maps."""
    from helpers.banks import random_bank

    bank = random_bank((2, 2, 2), ("cell", "voxel"))
    volumes = [{"name": "open<1>.nii", "license": "CC0 & PDDL", "sha256": "0" * 64}]
    bank = replace(bank, provenance={"preset": "default", "volumes": volumes})
    grid = Grid(SHAPE, np.diag([2.0, 2.1, 2.2, 1.0]))
    origin = Origin("sub-doe_jane_19700101_T1w.nii.gz")
    lr = Volume(head(3, SHAPE), grid, origin=origin, history={"source": "/home/doe/scan"})
    result = run_method(Hashed(bank), lr)
    maps = trust_maps(lr, result, bank, threads=1)
    error = replace(maps.support, data=np.full(result.grid.shape, 7.0, np.float32))
    return bank, lr, result, replace_maps(maps, error)


def replace_maps(maps: TrustMaps, error) -> TrustMaps:
    return replace(maps, expected_error=error)


@pytest.fixture(scope="module")
def page(case):
    bank, lr, result, maps = case
    cautions = (Caution("noise", "more noise than 1 < 2 & so on."),)
    text = report_html(lr, result, maps, cautions, bank)
    parsed = Page()
    parsed.feed(text)
    parsed.close()
    return text, parsed


def test_the_page_is_well_formed_and_fetches_nothing(page):
    text, parsed = page
    assert text.startswith("<!DOCTYPE html>")
    assert parsed.open == []
    assert [source[:22] for source in parsed.sources] == ["data:image/png;base64,"]
    assert "script" not in parsed.tags
    assert "http" not in text


def test_the_page_names_neither_patient_nor_file(page):
    for word in ("doe", "jane", "1970", "/home", "nii.gz"):
        assert word not in page[0].split("base64,")[0].lower()
        assert word not in page[0].split('">')[-1].lower()


def test_the_page_says_what_matters(page, case):
    words = " ".join(" ".join(page[1].text).split())
    for phrase in (
        "Research use, not for diagnosis.",
        "more noise than 1 < 2 & so on.",
        "open<1>.nii",
        "CC0 & PDDL",
        "22 × 19 × 24, 2 × 2.1 × 2.2 mm",
        "44 × 38 × 48, 1 × 1.05 × 1.1 mm",
        "7, 7",
        f"{case[3].consistency_percent:.2g} % of the window",
        "degradation standard",
    ):
        assert phrase in words


def test_the_picture_is_the_figure(page):
    encoded = page[1].sources[0].removeprefix("data:image/png;base64,")
    picture = imread(io.BytesIO(base64.b64decode(encoded)))
    assert picture.shape[1] == pytest.approx(7.2 * 200, abs=2)
    assert picture[..., :3].std() > 0.1


def test_a_bank_without_calibration_and_no_cautions(case):
    bank, lr, result, maps = case
    unknown = Traits((2.0, 2.1, 2.2), np.nan, np.nan, (np.nan, 1.0, 0.5))
    text = report_html(lr, result, replace(maps, expected_error=None, traits=unknown), (), bank)
    assert "None: the scan is like the training volumes" in text
    assert "no calibration: train the bank again" in text
    assert "unknown × 100 % × 50 %" in text


def texts(figure):
    return [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text")) if t.get_text()]


def test_the_figure_has_a_panel_for_everything(case):
    bank, lr, result, maps = case
    figure = trust_figure(lr, result, maps, bank.scale)
    found = texts(figure)
    assert_texts_apart(figure)
    for word in ("tricubic", "result", "expected error", "support", "consistency", "few samples"):
        assert word in found
    assert "RMSE (scan's units)" in found
    without = texts(trust_figure(lr, result, replace(maps, expected_error=None), bank.scale))
    assert "expected error" not in without
    assert not any("nan" in text for text in found)


def test_a_flat_volume_is_drawn(case):
    bank, *_ = case
    lr = Volume(np.full(SHAPE, 3.0, np.float32), Grid(SHAPE, np.eye(4)))
    result = run_method(Hashed(bank), lr)
    maps = trust_maps(lr, result, bank, threads=1)
    assert png_of(trust_figure(lr, result, maps, bank.scale))[:4] == b"\x89PNG"
    assert "<html" in report_html(lr, result, maps, (), bank)


def test_the_pdf_says_the_same_and_names_nobody(case):
    from pypdf import PdfReader

    bank, lr, result, maps = case
    cautions = (Caution("noise", "more noise than " + "the training volumes of the bank " * 9),)
    content = report_pdf(lr, result, maps, cautions, bank)
    pages = PdfReader(io.BytesIO(content)).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    for phrase in (
        "Research use, not for diagnosis.",
        "Noise: more noise than the training",
        "open<1>.nii (CC0 & PDDL)",
        "44 × 38 × 48, 1 × 1.05 × 1.1 mm",
        "expected error",
    ):
        assert phrase in text
    assert not any(word in text.lower() for word in ("doe", "jane", "1970", "nii.gz"))
    assert b"doe" not in content
    assert content == report_pdf(lr, result, maps, cautions, bank)
