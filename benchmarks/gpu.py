"""Speed on a GPU, per kernel, compared with the limits of the device.

    python benchmarks/gpu.py [--kind crop] [--size 128] [--scale 2] [--runs 20] [--json FILE]

- resident: volume, bank and result stay on the device;
- with the copies: ``upscale`` as a user calls it, from and to main memory;
- cpu: the same with ``--device cpu``;
- per kernel: the bytes of its arguments (each array read or written once) and the operations
  of its sums, as a fraction of the closer limit: copy bandwidth or multiply-adds, both
  measured here.

Without a device it prints one line and exits with 0.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness import table, where, write_json
from inputs import KINDS, cube

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Region
from napari_mrisr.kernels.machine import Machine
from napari_mrisr.methods import get_method
from napari_mrisr.methods.on_device import Resident, on_device
from napari_mrisr.run.upscale import UpscaleParameters, run

Timer = Callable[[Callable[[], object]], float]
"""Returns the seconds of a function, until all its kernels have ended."""

_LIMIT = """
extern "C" __global__ void multiply_add(float* out, float a, float b, int rounds)
{
    float v[8];
    for (int i = 0; i < 8; ++i) v[i] = threadIdx.x + i;
    for (int r = 0; r < rounds; ++r)
#pragma unroll
        for (int i = 0; i < 8; ++i) v[i] = fmaf(v[i], a, b);
    float total = 0.0f;
    for (int i = 0; i < 8; ++i) total += v[i];
    out[blockIdx.x * blockDim.x + threadIdx.x] = total;
}
"""


@dataclass
class Share:
    """Totals of one kernel: seconds, minimal bytes, single-precision operations."""

    seconds: float = 0.0
    bytes: float = 0.0
    operations: float = 0.0
    calls: int = 0


class Watched:
    """A machine that times every kernel."""

    def __init__(self, machine: Machine, timer: Timer) -> None:
        self._machine, self._timer = machine, timer
        self.shares: dict[str, Share] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    def launch(
        self,
        kernel: str,
        threads: int,
        arguments: Sequence[Any],
        *,
        parts: int = 1,
        width: int = 1,
    ) -> None:
        def launch() -> None:
            self._machine.launch(kernel, threads, arguments, parts=parts, width=width)

        name = kernel.partition(".")[2] + (f" {width}³" if width > 1 else "")
        share = self.shares.setdefault(name, Share())
        share.seconds += self._timer(launch)
        share.bytes += sum(a.nbytes for a in arguments if getattr(a, "ndim", 0))
        share.operations += operations(kernel, threads * parts, arguments, width)
        share.calls += 1


def operations(kernel: str, threads: int, arguments: Sequence[Any], width: int) -> float:
    """Count single-precision operations (a multiply-add is two); hashing is in double."""
    if kernel == "rows.apply_rows":
        return 2.0 * int(arguments[7]) * threads
    if kernel == "rows.gradient_products":
        return 15.0 * threads
    if kernel == "filter.filter_voxels":
        return 3.0 * width**3 * float((arguments[1] < int(arguments[7])).sum())
    if kernel == "filter.filter_cells":
        outputs = int(arguments[7])
        return (1.0 + 2.0 * outputs) * width**3 * float((arguments[1] < int(arguments[9])).sum())
    return 0.0


def event_timer() -> Timer:
    """Return a timer that uses the clock of the device."""
    import cupy

    begin, end = cupy.cuda.Event(), cupy.cuda.Event()

    def timer(function: Callable[[], object]) -> float:
        begin.record()
        function()
        end.record()
        end.synchronize()
        return float(cupy.cuda.get_elapsed_time(begin, end)) / 1e3

    return timer


def limits(timer: Timer) -> tuple[float, float]:
    """Measure bytes per second of a copy, and single-precision operations per second."""
    import cupy

    a = cupy.zeros(2**28, np.float32)
    b = cupy.empty_like(a)
    copy = min(timer(lambda: cupy.copyto(b, a)) for _ in range(5))
    kernel = cupy.RawKernel(_LIMIT, "multiply_add")
    blocks, threads, rounds = 4096, 256, 4096
    scalars = np.float32(0.999), np.float32(0.001), np.int32(rounds)
    fma = min(timer(lambda: kernel((blocks,), (threads,), (b, *scalars))) for _ in range(5))
    return 2 * a.nbytes / copy, 2.0 * 8 * rounds * blocks * threads / fma


def measure(
    machine: Machine, timer: Timer, found_limits: tuple[float, float], arguments: argparse.Namespace
) -> dict[str, object]:
    """Measure and print everything."""
    scale = (arguments.scale,) * 3
    method, volume = get_method("hashed", scale), cube(arguments.kind, arguments.size)
    lr = volume.normalized()
    whole = Region.whole(lr.grid.upsampled(scale).shape)
    size = " x ".join(str(n) for n in whole.shape)
    print(f"{machine.name}; {where()}\nhashed, phantom ({arguments.kind}), output {size}\n")

    there, resident = on_device(method, machine), Resident.of(lr, machine)
    assert there is not None
    there.compute(resident, whole)  # compiles
    times = [timer(lambda: there.compute(resident, whole)) for _ in range(arguments.runs)]
    rows = [("resident", *_spread(times))]
    found: dict[str, object] = {"device": machine.name, "resident_s": times}
    for device, runs in (("gpu", arguments.runs), ("cpu", 3)):
        parameters = UpscaleParameters(scale, "hashed", device=device)
        seconds = []
        for number in range(-1, runs):
            start = time.perf_counter()
            run(method, volume, parameters, progress=Progress())
            if number >= 0:
                seconds.append(time.perf_counter() - start)
        rows.append((f"upscale on the {device}, with the copies", *_spread(seconds)))
        found[f"{device}_s"] = seconds
    print(table(("", "median ms", "least", "most"), rows) + "\n")

    watched = Watched(machine, timer)
    watching = on_device(method, watched)
    assert watching is not None
    watching.compute(resident, whole)
    watched.shares.clear()
    watching.compute(resident, whole)
    print(f"limits measured: copy {found_limits[0] / 1e9:.0f} GB/s, ", end="")
    print(f"multiply-add {found_limits[1] / 1e12:.1f} Tflop/s")
    print(table(("kernel", "calls", "ms", "GB", "Gflop", "of limit"), _rows(watched, found_limits)))
    rest = statistics.median(times) - sum(share.seconds for share in watched.shares.values())
    print(f"rest (launches, small copies): {1e3 * rest:.2f} ms")
    found["limits"] = found_limits
    found["kernels"] = {name: vars(share) for name, share in watched.shares.items()}
    return found


def _rows(watched: Watched, found_limits: tuple[float, float]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, share in sorted(watched.shares.items(), key=lambda item: -item[1].seconds):
        least = max(share.bytes / found_limits[0], share.operations / found_limits[1])
        rows.append(
            (
                name,
                share.calls,
                1e3 * share.seconds,
                share.bytes / 1e9,
                share.operations / 1e9,
                least / share.seconds,
            )
        )
    return rows


def _spread(seconds: Sequence[float]) -> tuple[float, float, float]:
    return 1e3 * statistics.median(seconds), 1e3 * min(seconds), 1e3 * max(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default="crop")
    parser.add_argument("--size", type=int, default=128, help="voxels an axis, low resolution")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    from napari_mrisr.errors import DeviceError

    try:
        from napari_mrisr.kernels.gpu import Gpu

        machine = Gpu()
    except (ImportError, DeviceError) as error:
        print(f"no device: {error}")
        return
    timer = event_timer()
    found = measure(machine, timer, limits(timer), arguments)
    if arguments.json:
        write_json(arguments.json, found)


if __name__ == "__main__":
    main()
