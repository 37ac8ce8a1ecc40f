"""A cohort here and on a local cluster of two workers: ratios, and whether all is the same.

Both have the same processors: here as two threads, on the cluster as two workers of
one thread. The cluster's start is timed apart.

    python benchmarks/cluster.py evaluate [--data a.nii.gz ...]    phantoms, or files
    python benchmarks/cluster.py train                             at 2x
    python benchmarks/cluster.py merge                             two sums of a stage at 2x
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from harness import Times, interleaved, ratios
from inputs import cube

from napari_mrisr.cluster.connecting import connect
from napari_mrisr.cluster.evaluating import evaluate_on
from napari_mrisr.cluster.pieces import Cluster
from napari_mrisr.cluster.summing import Away, Sums, merged
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.evaluation.experiment import EvaluateParameters, evaluate
from napari_mrisr.training import train
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import get_preset
from napari_mrisr.training.sampling import TrainParameters

WORKERS = 2


def phantoms(folder: Path, count: int, size: int) -> list[Path]:
    """Heads that differ in their noise."""
    volume, rng = cube("head", size), np.random.default_rng(1)
    paths = []
    for number in range(count):
        noisy = volume.data + rng.normal(0.0, 0.01 * volume.data.max(), volume.data.shape)
        paths.append(folder / f"phantom-{number}.nii.gz")
        nib.save(nib.Nifti1Image(noisy.clip(0).astype(np.float32), volume.grid.affine), paths[-1])
    return paths


def evaluating(cluster: Cluster, paths: Sequence[Path], runs: int) -> None:
    parameters = EvaluateParameters(methods=("tricubic", "hashed"), device="cpu", threads=WORKERS)
    rows: dict[str, list[object]] = {}

    def here() -> None:
        rows["here"] = [replace(row, seconds=0.0) for row in evaluate(paths, parameters).rows]

    def away() -> None:
        found = evaluate_on(cluster, paths, parameters)
        rows["cluster"] = [replace(row, seconds=0.0) for row in found.rows]

    tell(f"evaluate, {len(paths)} files", interleaved({"here": here, "cluster": away}, runs))
    print("  the same rows:", rows["here"] == rows["cluster"])


def training(cluster: Cluster, paths: Sequence[Path], folder: Path, runs: int) -> None:
    out = {name: folder / f"{name}.safetensors" for name in ("here", "cluster")}
    hands = {"here": None, "cluster": partial(Away, cluster, device="cpu")}

    def run(name: str) -> None:
        train(
            paths,
            out[name],
            TrainParameters(),
            overwrite=True,
            threads=WORKERS,
            device="cpu",
            hands=hands[name],
        )

    functions = {name: partial(run, name) for name in out}
    tell(f"train, {len(paths)} files", interleaved(functions, runs, warm=False))
    sums = [path.with_name(f"{path.name}.equations.safetensors") for path in out.values()]
    same = sums[0].read_bytes() == sums[1].read_bytes()
    print("  the same sums:", same)


def merging(cluster: Cluster, runs: int) -> None:
    """Two workers' sums of a voxel stage, made there, merged on one of them, and fetched."""
    made = [cluster.submit(some_sums, seed) for seed in range(2)]
    for future in made:
        size = cluster.result(cluster.submit(size_of, future), go_on)
    for _ in range(runs):
        begun = time.perf_counter()
        total = cluster.submit(merged, *made)
        cluster.result(cluster.submit(size_of, total), go_on)
        between = time.perf_counter()
        cluster.result(total, go_on)
        now = time.perf_counter()
        print(
            f"sums of {size / 1e6:.0f} MB: merged in {between - begun:.2f} s, "
            f"fetched in {now - between:.2f} s"
        )


def some_sums(seed: int, pool: ThreadPool) -> Sums:
    spec = get_preset("default", (2, 2, 2)).stages[1].spec
    sums = NormalEquations.empty(spec.hash.filter_count, spec.taps, 1)
    sums.gram += seed
    return Sums(sums, 1)


def size_of(sums: Sums, pool: ThreadPool) -> int:
    return sum(tensor.nbytes for tensor in sums.equations.tensors().values())


def go_on() -> None:
    """Never stop."""


def tell(title: str, times: Times) -> None:
    for found in ratios(times, "here"):
        if found.name == "cluster":
            print(
                f"{title}: {found.ratio:.2f} times as long as here "
                f"({found.low:.2f} to {found.high:.2f}), {found.seconds:.1f} s"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("evaluate", "train", "merge"))
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="in place of phantoms")
    parser.add_argument("--count", type=int, default=6, help="phantoms (default: 6)")
    parser.add_argument("--size", type=int, default=128, help="of a phantom (default: 128)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: 3)")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as name, connect("local", threads=1) as (cluster, _):
        cluster.result(cluster.submit(size_of_nothing), Progress().token.check)
        print(f"start of {cluster.slots} workers: {time.perf_counter() - begun:.1f} s")
        if arguments.what == "merge":
            merging(cluster, arguments.runs)
            return
        folder = Path(name)
        paths = arguments.data or phantoms(folder, arguments.count, arguments.size)
        if arguments.what == "evaluate":
            evaluating(cluster, paths, arguments.runs)
        else:
            training(cluster, paths, folder, arguments.runs)


def size_of_nothing(pool: ThreadPool) -> int:
    return pool.threads


if __name__ == "__main__":
    main()
