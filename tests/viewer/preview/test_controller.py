"""Preview controller: visible planes first, then the whole; cancel, cache, memory. No Qt."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from napari.layers import Image

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import Cancelled, MemoryEstimateError
from napari_mrisr.run import preview as engine
from napari_mrisr.run.preview import Band, OutwardFill
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer.layers.convert import layer_data, snapshot
from napari_mrisr.viewer.preview import array as arrays
from napari_mrisr.viewer.preview import controller as module
from napari_mrisr.viewer.preview.controller import PreviewController

TRICUBIC = UpscaleParameters((2, 3, 1), "tricubic", threads=1)
NEAREST = UpscaleParameters((2, 2, 2), "nearest", threads=1)


def wait_until(ready, seconds=60.0):
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.002)


@pytest.fixture
def source(volume):
    data, kwargs, _ = layer_data(volume, "scan")
    return snapshot(Image(data, **kwargs))


@pytest.fixture
def announced():
    return []


@pytest.fixture
def controller(announced):
    controller = PreviewController(announced.append)
    yield controller
    controller.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("mrisr")]


@pytest.fixture
def computed(monkeypatch):
    """Planes that were computed singly, and slabs of the fill, in order."""
    monkeypatch.setattr(engine, "SLAB_VOXELS", 2000)
    seen = []
    planes, step = Band.planes, OutwardFill.step

    def counted(self, start, stop, pool):
        if stop == start + 1:
            seen.append((self.axis, start))
        return planes(self, start, stop, pool)

    def counted_step(self, focus, pool):
        made = step(self, focus, pool)
        seen.append("slab")
        return made

    monkeypatch.setattr(Band, "planes", counted)
    monkeypatch.setattr(OutwardFill, "step", counted_step)
    return seen


@pytest.fixture
def no_fill(monkeypatch):
    """The fill never ends, unless it is interrupted."""
    events = []

    def endless(self, focus, pool):
        events.append("began")
        try:
            while True:
                pool.check()
                time.sleep(0.001)
        except BaseException:
            events.append("left")
            raise

    monkeypatch.setattr(OutwardFill, "step", endless)
    return events


def show(controller, source, parameters, planes, **options):
    preview = controller.get(source, parameters, **options)
    controller.look(preview, planes)
    controller.show([preview])
    return preview


def test_a_filled_preview_is_the_result_of_the_run(controller, source, volume, computed):
    preview = show(controller, source, TRICUBIC, [(2, 6)])
    wait_until(lambda: preview.filled)
    result, expected = preview.result(), upscale(volume, TRICUBIC)
    np.testing.assert_array_equal(result.data, expected.data)
    assert result.data.dtype == expected.data.dtype
    np.testing.assert_array_equal(result.grid.affine, expected.grid.affine)
    assert result.history == expected.history


def test_a_preview_is_filled_only_when_its_array_is(controller, source, computed, monkeypatch):
    put, seen = arrays.PreviewArray.put, []

    def slow(self, axis, start, values):
        time.sleep(0.01)  # a run must not take the array now
        seen.append(preview.filled)
        put(self, axis, start, values)

    monkeypatch.setattr(arrays.PreviewArray, "put", slow)
    preview = controller.get(source, TRICUBIC)
    controller.show([preview])
    wait_until(lambda: preview.filled)
    assert len(seen) > 3
    assert not any(seen)


def test_visible_planes_come_first_then_the_rest(controller, source, computed):
    preview = show(controller, source, TRICUBIC, [(2, 6), (0, 3), (1, 5)])
    wait_until(lambda: preview.filled)
    assert computed[:3] == [(2, 6), (0, 3), (1, 5)]
    assert computed.count("slab") > 3


def test_a_visible_plane_interrupts_the_fill(controller, source, volume, no_fill):
    preview = show(controller, source, TRICUBIC, [(2, 6)])
    wait_until(lambda: no_fill == ["began"])
    controller.look(preview, [(2, 11)])
    wait_until(lambda: preview.array.holds((2, 11)))
    assert no_fill[1] == "left"
    expected = upscale(volume, TRICUBIC).data
    np.testing.assert_array_equal(preview.array.volume.data[:, :, 11], expected[:, :, 11])


def test_a_preview_that_is_not_shown_is_not_computed(controller, source, no_fill):
    show(controller, source, TRICUBIC, [(2, 6)])
    wait_until(lambda: no_fill == ["began"])
    controller.show([])
    wait_until(lambda: controller._thread is None)
    assert no_fill == ["began", "left"]


def test_close_ends_the_work_at_its_next_check(controller, source, no_fill):
    show(controller, source, TRICUBIC, [(2, 6)])
    wait_until(lambda: no_fill == ["began"])
    controller.close()
    assert no_fill == ["began", "left"]
    assert controller._thread is None


def test_going_back_to_another_method_computes_nothing(controller, source, computed):
    first = show(controller, source, NEAREST, [(2, 6)])
    wait_until(lambda: first.filled)
    second = show(controller, source, TRICUBIC, [(2, 6)])
    wait_until(lambda: second.filled)
    before = len(computed)
    assert show(controller, source, NEAREST, [(2, 9)]) is first
    assert first.complete
    assert controller._thread is None
    assert len(computed) == before


def test_the_layer_is_read_once(controller, source, monkeypatch):
    reads = []
    read = type(source).to_volume
    monkeypatch.setattr(type(source), "to_volume", lambda self: reads.append(1) or read(self))
    for parameters in (NEAREST, TRICUBIC):
        preview = show(controller, source, parameters, [(2, 6)])
        wait_until(lambda preview=preview: preview.filled)
    assert reads == [1]
    controller.clear()
    preview = show(controller, source, NEAREST, [(2, 6)])
    wait_until(lambda: preview.filled)
    assert reads == [1, 1]


def test_the_cache_is_bounded_by_bytes(controller, source, monkeypatch):
    first = show(controller, source, NEAREST, [(2, 6)])
    wait_until(lambda: first.filled)
    monkeypatch.setattr(module, "CACHE_BYTES", 2 * first.array.nbytes)
    second = show(controller, source, TRICUBIC, [(2, 6)])
    wait_until(lambda: second.filled)
    assert controller.get(source, NEAREST) is first
    monkeypatch.setattr(module, "CACHE_BYTES", first.array.nbytes)
    controller.show([second])
    assert controller.get(source, NEAREST) is not first
    assert controller.get(source, TRICUBIC) is second  # it is shown


def test_without_memory_for_the_whole_only_near_planes_are_computed(
    controller, source, computed, monkeypatch
):
    def full(*_):
        raise MemoryEstimateError("memory: none; buy some")

    monkeypatch.setattr(module, "check_memory", full)
    preview = controller.get(source, NEAREST)
    plane_bytes = 4 * preview.grid.shape[0] * preview.grid.shape[1]
    for each in (module, arrays):
        monkeypatch.setattr(each, "PLANES_BYTES", 10 * plane_bytes)
    show(controller, source, NEAREST, [(2, 6)])
    wait_until(lambda: controller._thread is None)
    assert computed == [(2, index) for index in (6, 7, 8, 9, 5, 4, 3)]
    assert preview.array.volume is None
    assert not preview.filled
    controller.look(preview, [(2, 7)])
    wait_until(lambda: controller._thread is None)
    assert computed[7:] == [(2, 10)]


def test_a_preview_that_needs_the_whole_fails_without_memory(
    controller, source, announced, monkeypatch
):
    def full(*_):
        raise MemoryEstimateError("memory: none; buy some")

    monkeypatch.setattr(module, "check_memory", full)
    preview = show(controller, source, NEAREST, [(2, 6)], needs_whole=True)
    wait_until(lambda: controller._thread is None)
    assert "buy some" in str(preview.error)
    assert announced == [preview]


def test_a_run_waits_for_the_preview(controller, source, volume, computed):
    preview = show(controller, source, TRICUBIC, [(2, 6)])
    states = []

    class Watch(Progress):
        def show(self, state):
            states.append((state.task, state.done, state.total))

    result = controller.wait(preview, volume, TRICUBIC, progress=Watch())
    assert result.data is preview.array.volume.data
    assert states[0] == ("tricubic 2x3x1", 0, 100)
    assert states[-1] == ("tricubic 2x3x1", 100, 100)


@pytest.mark.usefixtures("no_fill")
def test_a_waiting_run_is_cancelled_and_the_preview_goes_on(controller, source, volume):
    preview = show(controller, source, TRICUBIC, [(2, 6)])
    token, ended = CancelToken(), []

    def run():
        with pytest.raises(Cancelled):
            controller.wait(preview, volume, TRICUBIC, progress=Progress(token))
        ended.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.1)
    token.cancel()
    thread.join(60)
    assert ended == [True]
    assert controller._thread is not None


@pytest.mark.usefixtures("no_fill")
def test_a_run_computes_by_itself_when_its_preview_is_gone(controller, source, volume):
    preview = show(controller, source, TRICUBIC, [(2, 6)])
    threading.Timer(0.1, controller.clear).start()
    result = controller.wait(preview, volume, TRICUBIC, progress=Progress())
    np.testing.assert_array_equal(result.data, upscale(volume, TRICUBIC).data)


@pytest.mark.usefixtures("no_fill")
def test_the_gui_does_not_wait_for_a_run(controller, source, volume, monkeypatch):
    preview = show(controller, source, TRICUBIC, [(2, 6)])
    waited = []

    def run(*args, **kwargs):
        looking = threading.Thread(target=controller.look, args=(preview, [(2, 7)]))
        looking.start()
        looking.join(60)
        waited.append(looking.is_alive())

    monkeypatch.setattr(module, "upscale", run)
    controller.clear()
    controller.wait(preview, volume, TRICUBIC, progress=Progress())
    assert waited == [False]


def test_an_error_is_announced_and_does_not_stop_other_previews(controller, source, announced):
    broken = controller.get(source, UpscaleParameters((2, 2, 2), "hashed", bank="no such bank"))
    other = controller.get(source, NEAREST)
    controller.show([broken, other])
    wait_until(lambda: other.filled)
    assert "no such bank" in str(broken.error)
    assert broken in announced
    assert controller.get(source, broken.parameters).error is None  # asked again


def test_labels_are_refused_as_by_a_run(controller):
    mask = np.zeros((20, 21, 22), np.float32)
    mask[3:17, 4:19, 5:18] = 1
    data, kwargs, _ = layer_data(Volume(mask, Grid(mask.shape, np.eye(4))), "mask")
    preview = show(controller, snapshot(Image(data, **kwargs)), TRICUBIC, [(2, 6)])
    wait_until(lambda: controller._thread is None)
    assert "holds labels" in str(preview.error)
    assert preview.array is None


def test_a_method_of_the_whole_volume_is_shown_when_it_is_whole(
    controller, source, volume, monkeypatch
):
    class Whole:
        name, scale, halo = "whole", (1, 1, 1), None

        def compute(self, lr, region):
            return lr.data[region.slices]

        def provenance(self):
            return {"method": self.name}

    monkeypatch.setattr(module, "check_parameters", lambda parameters: Whole())
    preview = show(controller, source, UpscaleParameters((1, 1, 1), "nearest"), [(2, 6)])
    wait_until(lambda: preview.filled)
    np.testing.assert_allclose(preview.result().data, volume.data, rtol=1e-5, atol=1e-4)
