"""Texts, lengths and lines over the panels; no window."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scenes import AXIAL, CORONAL, PLANES, SAGITTAL, cut, picture, scene, view

from napari_mrisr.comparison.scene import MeasuredLine, PanelImage
from napari_mrisr.comparison.state import Display
from napari_mrisr.viewer.compare.canvas.drawing import (
    Text,
    TextStyle,
    height_of,
    width_of,
)
from napari_mrisr.viewer.compare.canvas.layout import Layout
from napari_mrisr.viewer.compare.canvas.overlays import (
    Labels,
    help_overlay,
    message_overlay,
    nice_length,
    number_text,
    panels_overlay,
    short_title,
    wrapped,
)

STYLE = TextStyle(13)


@pytest.mark.parametrize(
    ("most", "expected"),
    [(73.0, 50.0), (50.0, 50.0), (49.9, 20.0), (9.99, 5.0), (1.0, 1.0), (0.3, 0.2), (0.1, 0.1)],
)
def test_scale_bars_are_round(most: float, expected: float) -> None:
    assert nice_length(most) == pytest.approx(expected)


def test_the_length_of_a_short_scale_bar_stays_inside_its_panel(qapp) -> None:
    # A bar of 20 mm in panels of 160 pixels and 199 mm.
    row = tuple(view(picture(cut()), position=float(i), place=f"S {i}.0 mm") for i in range(10))
    what = scene(row, span_mm=199.0)
    layout = Layout.of(what, 1600, 200)
    right = next(place.rect.right for _, column, _, place in layout.panels(what) if column == 0)
    overlay = panels_overlay(what, layout, Labels(), 1.0)
    (length,) = [t for t in overlay.texts if t.words.endswith(" mm") and t.words[0].isdigit()]
    assert length.anchor[0] == 0.5
    assert length.x + width_of(length.words, length.style) / 2 <= right


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (16.23, "16.2"), (-16.0, "−16"), (1234.0, "1234"), (0.0123, "0.0123"),
     (2.5e-4, "2.50e−04"), (3.2e6, "3.20e+06")],
)  # fmt: skip
def test_numbers_of_color_bars(value: float, text: str) -> None:
    assert number_text(value) == text


def test_short_titles_keep_what_joins_two_volumes(qapp) -> None:
    long = "sub-0001_ses-02_T1w_desc-preproc"
    title = f"{long} hashed − {long}"
    width = width_of(title, STYLE) / 2
    short = short_title(title, STYLE, width)
    first, second = short.split(" − ")
    assert width_of(short, STYLE) <= width
    assert "…" in first
    assert "…" in second
    # What one volume's short name leaves is the other's.
    uneven = short_title(f"{long} − LR", STYLE, width)
    assert uneven.endswith(" − LR")
    assert width_of(uneven, STYLE) > 0.8 * width
    assert short_title("LR", STYLE, width) == "LR"
    assert "…" in short_title(long, STYLE, width / 2)


@pytest.mark.parametrize(
    ("plane", "radiological", "letters"),
    [(AXIAL, True, "RLAP"), (AXIAL, False, "LRAP"), (CORONAL, True, "RLSI"),
     (CORONAL, False, "LRSI"), (SAGITTAL, True, "APSI"), (SAGITTAL, False, "APSI")],
)  # fmt: skip
def test_letters_of_every_plane(qapp, plane, radiological: bool, letters: str) -> None:
    what = scene((view(picture(cut()), plane=plane),), radiological=radiological)
    overlay = panels_overlay(what, Layout.of(what, 400, 300), Labels(), 1.0)
    found = sorted((text for text in overlay.texts if len(text.words) == 1), key=lambda t: t.x)
    left, right = found[0], found[-1]
    top, bottom = sorted(found[1:-1], key=lambda text: text.y)
    assert "".join(text.words for text in (left, right, top, bottom)) == letters


def boxes(texts: list[Text]) -> list[tuple[float, float, float, float]]:
    found = []
    for text in texts:
        width, height = width_of(text.words, text.style), height_of(text.style)
        left, top = text.x - text.anchor[0] * width, text.y - text.anchor[1] * height
        found.append((left, top, left + width, top + height))
    return found


@pytest.mark.parametrize("size", [(1600, 1000), (1280, 720), (900, 600), (640, 420), (300, 200)])
@pytest.mark.parametrize("columns", [3, 4, 6])
def test_no_two_texts_overlap_and_none_leaves_the_canvas(
    qapp, size: tuple[int, int], columns: int
) -> None:
    look = Display("RdBu_r", (-1234.0, 1234.0))
    rows = [
        tuple(
            view(
                picture(cut(), look, "signed" if column == columns - 1 else "volume"),
                plane=plane,
                title="sub-0001_T1w_hashed 2x with a long name",
                place="S 112.3 mm",
            )
            for column in range(columns)
        )
        for plane in PLANES
    ]
    what = scene(*rows, span_mm=200.0)
    notes = {(r, c): "−12345.6" for r in range(3) for c in range(columns)}
    layout = Layout.of(what, *size)
    overlay = panels_overlay(what, layout, Labels(notes, (0, 0)), 1.0)
    found = np.array(boxes(overlay.texts))
    assert (found[:, :2] >= -1).all()
    assert (found[:, 2] <= size[0] + 1).all()
    assert (found[:, 3] <= size[1] + 1).all()
    for i, one in enumerate(found):
        # Lines of a font touch; their letters do not.
        wide = np.minimum(one[2], found[:, 2]) - np.maximum(one[0], found[:, 0])
        tall = np.minimum(one[3], found[:, 3]) - np.maximum(one[1], found[:, 1])
        touching = np.flatnonzero((wide > 1) & (tall > 4))
        assert touching.tolist() == [i], [overlay.texts[j].words for j in touching]


def test_small_panels_say_less(qapp) -> None:
    def words(width: int, height: int, place: str = "") -> set[str]:
        what = scene((view(picture(cut()), title="T1w", place=place),), span_mm=100.0)
        layout = Layout.of(what, width, height)
        overlay = panels_overlay(what, layout, Labels({(0, 0): "17"}), 1.0)
        return {text.words for text in overlay.texts}

    assert words(400, 424) == {"T1w", "R", "L", "A", "P", "axial", "17", "20 mm"}
    assert {"axial", "R 112.3 mm"} <= words(220, 244, "R 112.3 mm")
    assert "axial  R 112.3 mm" in words(400, 424, "R 112.3 mm")
    # A slab has a line of its own, which is not cut.
    assert {"axial", "R 112.3 mm  mean of 8 mm"} <= words(220, 244, "R 112.3 mm, mean of 8 mm")
    assert "17" not in words(90, 114)
    assert "R" in words(90, 114)
    assert words(50, 74) == {"T1w"}


def test_a_legend_or_percent_at_an_overlay(qapp) -> None:
    base, look = picture(cut()), Display("magma", (0.0, 3.0))
    classes = ((0.0, "enough"), (1.0, "few samples"), (3.0, "both"))
    support = PanelImage(cut(), look, lowest=0.5, classes=classes)
    errors = PanelImage(cut(), Display("magma", (0.0, 30.0)), percent_of=200.0)

    def words(over: PanelImage) -> set[str]:
        what = scene((view(base, over=over),))
        layout = Layout.of(what, 400, 424)
        return {text.words for text in panels_overlay(what, layout, Labels(), 1.0).texts}

    # Zero is transparent: it needs no name.
    assert {"few samples", "both"} <= words(support)
    assert "enough" not in words(support)
    assert {"0 %", "7.5 %", "15 %"} <= words(errors)


def test_lengths_and_angles_have_their_value(qapp) -> None:
    line = MeasuredLine("12.3 mm", np.array([(-6.0, 0.0), (6.0, 3.0)]))
    what = scene((view(picture(cut()), lines=(line,)),))
    overlay = panels_overlay(what, Layout.of(what, 400, 424), Labels(), 1.0)
    assert "12.3 mm" in {text.words for text in overlay.texts}


def test_a_mosaic_has_one_title_and_names_every_slice(qapp) -> None:
    row = tuple(
        view(picture(cut()), title="T1w", position=float(i), place=f"S {i}.0 mm") for i in range(3)
    )
    what = scene(row)
    overlay = panels_overlay(what, Layout.of(what, 900, 300), Labels(), 1.0)
    words = [text.words for text in overlay.texts]
    assert words.count("T1w, axial") == 1
    assert [w for w in words if "S " in w] == [f"S {i}.0 mm" for i in range(3)]
    assert len([w for w in words if w.endswith("0 mm") and w[0].isdigit()]) == 1  # scale bar


def test_lines_break_between_words(qapp) -> None:
    style = TextStyle(15)
    text = "one two three four five\nsix"
    lines = wrapped(text, style, width_of("one two three", style) + 1)
    assert lines == ["one two three", "four five", "six"]
    assert wrapped("immeasurable", style, 30)[0].endswith("…")


@pytest.mark.parametrize("size", [(1600, 1000), (1280, 720), (700, 420)])
def test_all_lines_of_the_help_are_on_the_canvas(qapp, size: tuple[int, int]) -> None:
    lines = [f"Ctrl+{i}\twhat the key number {i} does" for i in range(36)]
    overlay = help_overlay("\n".join(lines), *size, 1.0)
    keys = [text.words for text in overlay.texts if text.words.startswith("Ctrl")]
    assert keys == [f"Ctrl+{i}" for i in range(36)]
    for text in overlay.texts:
        left = text.x - text.anchor[0] * width_of(text.words, text.style)
        assert left >= 0
        assert left + width_of(text.words, text.style) <= size[0]
        assert 0 <= text.y <= size[1]


def test_a_message_is_in_the_middle(qapp) -> None:
    overlay = message_overlay("Open a scan.\nThen choose it above.", 800, 600, 1.0)
    assert [text.words for text in overlay.texts] == ["Open a scan.", "Then choose it above."]
    assert sum(text.y for text in overlay.texts) / 2 == pytest.approx(300)
    assert len(overlay.shapes) == 1
