"""Peak memory of an upscale, as a multiple of the float32 output.

    python benchmarks/memory.py [--size 128]

Runs ``upscale`` in a process of its own and reads the kernel's record of its
largest resident size, less what the process held before the run (imports, the
input). Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

CHILD = """
import resource, sys
import numpy as np
from napari_mrisr.methods import get_method
from napari_mrisr.run.upscale import UpscaleParameters, estimate_memory, processors, run_method
from napari_mrisr.core.volume import Grid, Volume

size, method = int(sys.argv[1]), sys.argv[2]

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

chosen = get_method(method, (2, 2, 2))
tiny = (9, 8, 7)
small = Volume(np.random.default_rng(0).random(tiny, dtype=np.float32), Grid(tiny, np.eye(4)))
run_method(chosen, small)
shape = (size, size, size)
volume = Volume(np.random.default_rng(0).random(shape, dtype=np.float32), Grid(shape, np.eye(4)))
before = peak()
result = run_method(chosen, volume, threads=processors())
output = result.data.nbytes
estimate = estimate_memory(volume.grid, UpscaleParameters(method=method))
print((peak() - before) / output, estimate / output, output / 2**20)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="voxels an axis of the input")
    size = str(parser.parse_args().size)
    for method in ("tricubic", "hashed"):
        child = subprocess.run(
            [sys.executable, "-c", CHILD, size, method], check=True, capture_output=True, text=True
        )
        peak, estimate, output = (float(word) for word in child.stdout.split())
        print(
            f"{method}: peak {peak:.2f} x the output of {output:.0f} MB"
            f" (the estimate before a run says {estimate:.2f} x)"
        )


if __name__ == "__main__":
    main()
