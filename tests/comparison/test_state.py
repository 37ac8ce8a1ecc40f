"""The state: checks, changes."""

from __future__ import annotations

import pytest
from helpers.scenes import KEYS, STATE

from napari_mrisr.comparison.state import MODES, CompareState, Display
from napari_mrisr.errors import ParameterError


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_allowed(mode):
    assert CompareState(mode=mode).mode == mode


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"columns": tuple("abcde")}, "5 columns"),
        ({"mode": "fade"}, "'fade'"),
        ({"planes": ()}, "none"),
        ({"planes": ("frontal",)}, "frontal"),
        ({"span_mm": 0.0}, "span of 0.0"),
        ({"span_mm": float("nan")}, "span of nan"),
    ],
)
def test_impossible_states_are_refused(change, part):
    with pytest.raises(ParameterError, match=part):
        CompareState(**change)


def test_keys_are_listed_once_columns_first():
    assert STATE.keys() == KEYS
    assert CompareState().keys() == ()


def test_a_renamed_volume_is_renamed_everywhere():
    state = STATE.renamed(KEYS[0], "T1")
    assert state.columns == ("T1", KEYS[1])
    assert state.differences[0].subtrahend == "T1"
    assert state.truth == "T1"
    assert state.looks["T1"] == STATE.looks[KEYS[0]]
    assert state.renamed("T1", KEYS[0]) == STATE


def test_keys_may_change_into_one_another():
    state = STATE.relabeled({KEYS[0]: KEYS[1], KEYS[1]: KEYS[0]})
    assert state.columns == (KEYS[1], KEYS[0])
    assert state.truth == KEYS[1]
    assert state.measured == KEYS[2]


def test_a_volume_that_goes_takes_its_columns_differences_and_roles():
    state = STATE.without(KEYS[0])
    assert state.columns == (KEYS[1],)
    assert state.differences == ()
    assert state.truth is None
    assert state.measured == KEYS[2]
    assert KEYS[0] not in state.looks
    assert state.mode == "side-by-side"  # one column is no pair
    assert state.pair == (0, 0)
    assert state.maximized is None
    assert STATE.without(KEYS[2]).measured is None


def test_moving_the_window_keeps_its_shape():
    look = Display("gray", (100.0, 300.0)).moved(level=0.5, width=2.0)
    assert look.limits == (100.0, 500.0)
