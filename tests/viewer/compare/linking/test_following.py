"""napari follows after a change, and after what it asked for is there."""

from __future__ import annotations

import time

import pytest

from napari_mrisr.viewer.compare.linking import following as module
from napari_mrisr.viewer.compare.linking.following import Following


@pytest.fixture
def room(qtbot, monkeypatch):
    monkeypatch.setattr(module, "_AT_MOST_S", 5.0)
    monkeypatch.setattr(module, "_AFTER_MS", 20)
    return Room()


class Room:
    def __init__(self):
        self.busy, self.followed = False, []
        self.following = Following(self.follow, lambda: self.busy)

    def follow(self):
        self.followed.append(time.monotonic())


def test_follows_once_for_changes_that_come_together(room, qtbot):
    for _ in range(3):
        room.following.soon()
    qtbot.waitUntil(lambda: bool(room.followed))
    qtbot.wait(60)
    assert len(room.followed) == 1


def test_waits_for_what_is_computed(room, qtbot):
    room.busy = True
    room.following.soon()
    qtbot.wait(100)
    assert room.followed == []
    room.busy = False
    qtbot.waitUntil(lambda: bool(room.followed))


def test_while_somebody_goes_on_it_waits_for_a_rest(qtbot, monkeypatch):
    monkeypatch.setattr(module, "_AFTER_MS", 300)
    room = Room()
    for _ in range(5):
        room.busy = True
        room.following.soon()
        room.busy = False
        qtbot.wait(80)
    assert room.followed == []
    qtbot.waitUntil(lambda: bool(room.followed))


def test_does_not_wait_for_ever(room, qtbot, monkeypatch):
    monkeypatch.setattr(module, "_AT_MOST_S", 0.2)
    room.busy = True
    start = time.monotonic()
    room.following.soon()
    qtbot.waitUntil(lambda: bool(room.followed))
    assert room.followed[0] - start >= 0.2
    qtbot.wait(60)
    assert len(room.followed) == 1


def test_stops(room, qtbot):
    room.following.soon()
    room.following.stop()
    qtbot.wait(60)
    assert room.followed == []
