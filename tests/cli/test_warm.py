"""``warm`` reaches every kernel, and afterwards nothing is compiled."""

from __future__ import annotations

import subprocess
import sys

from .conftest import make_scan

CODE = """
import importlib, pkgutil, sys
from dataclasses import replace
from napari_mrisr import kernels
from napari_mrisr.training import presets
from napari_mrisr.cli import main
from napari_mrisr.kernels.jit import KERNELS

assert main(["warm"]) == 0
for module in pkgutil.iter_modules(kernels.__path__):
    if module.ispkg or module.name.startswith("gpu"):
        continue  # not numba's
    importlib.import_module(f"napari_mrisr.kernels.{module.name}")
# A kernel that another one calls becomes part of it.
called = [k.py_func.__globals__.get(n) for k in KERNELS for n in k.py_func.__code__.co_names]
inner = {id(value) for value in called}
alone = [kernel for kernel in KERNELS if id(kernel) not in inner]
assert len(alone) > 10
ready = {kernel: len(kernel.signatures) for kernel in KERNELS}
left_out = {f"{k.__module__}.{k.__name__}" for k in alone if not ready[k]}
print("left out:", sorted(left_out))

def small_filters():
    # As the preset "paper", but for the size of its sums: 4 GB.
    plan = of_paper()
    return replace(plan, spec=replace(plan.spec, width=5))


of_paper, presets._paper_stage = presets._paper_stage, small_filters
scan, other, folder = sys.argv[1:]
for line in (
    f"upscale {scan} {folder}/a.nii.gz --maps",
    f"upscale {other} {folder}/b.mgz --scale 1x2x3 --method tricubic",
    f"upscale {scan} {folder}/c.nii.gz --bank paper-2x --threads 1",
    f"evaluate {other} --scales 2 --protocol paper-2021",
    f"train {other} --scale 2 --out {folder}/bank.safetensors --validate {scan}",
    f"train {scan} --scale 2 --preset paper --out {folder}/single.safetensors",
    f"upscale {scan} {folder}/d.nii.gz --bank {folder}/bank.safetensors",
    f"compare {folder}/a.nii.gz {scan} --truth {folder}/c.nii.gz --table {folder}/t.csv",
):
    assert main([*line.split(), "-q"]) == 0, line
anew = [f"{k.__module__}.{k.__name__}" for k in KERNELS if len(k.signatures) != ready.get(k)]
print("compiled anew:", anew)
"""


def test_every_kernel_is_ready_and_no_run_compiles_another(tmp_path):
    scan = make_scan(tmp_path / "scan.nii.gz", shape=(29, 34, 25))
    # Stored along other axes, so that its array is a view of the file's.
    turned = [[0, 0, 1.2, 0], [-1.0, 0, 0, 0], [0, 1.1, 0, 0], [0, 0, 0, 1]]
    other = make_scan(tmp_path / "other.nii", 2, (33, 31, 28), turned)
    done = subprocess.run(
        [sys.executable, "-c", CODE, scan, other, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert "kernels ready" in said[0]
    assert said[1] == "left out: []"
    assert said[-1] == "compiled anew: []"
