"""Print the SHA-256 of what every bundled bank and baseline makes of the sample.

    python scripts/output_hashes.py > hashes.txt          # --paper: its training as well, 8 GB

Run it before and after a change that must not alter results, on one machine (the last bits
differ between processors), and compare both lists. Covered: every bundled bank and spline
method at its scales, the degradations, trust maps, one trained bank, an evaluation table.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import napari_mrisr as sr

SAMPLE = Path(__file__).parent.parent / "sample_data" / "phantom_T1w.nii.gz"
DEGRADATIONS = ("standard", "paper-2021", "kspace", "slice-profile:gaussian:1.2")


def report(name: str, data: object) -> None:
    array = np.ascontiguousarray(data)
    digest = hashlib.sha256(repr((array.shape, array.dtype.str)).encode() + array.tobytes())
    print(f"{digest.hexdigest()[:24]}  {name}", flush=True)


def main() -> None:
    truth = sr.read_volume(SAMPLE)
    crop = replace(
        truth,
        data=np.ascontiguousarray(truth.data[40:112, 50:110, 45:93]),
        grid=sr.Grid((72, 60, 48), truth.grid.affine),
    )
    for name in DEGRADATIONS:
        for factor in (2, 3):
            try:
                low = sr.degrade(crop, (factor,) * 3, name)
            except sr.MrisrError as error:
                print(f"{type(error).__name__}  degrade {name} {factor}")
                continue
            report(f"degrade {name} {factor}", low.data)
    for bank in map(sr.load_bank, sr.list_banks()):
        factor = bank.scale[0]
        low = sr.degrade(crop, bank.scale, bank.degradation)
        result = sr.upscale(low, sr.UpscaleParameters(bank.scale, "hashed", bank.name))
        report(f"hashed {bank.name}", result.data)
        if bank.name == f"default-{factor}x":
            maps = sr.trust_maps(low, result, sr.load_bank(bank.name))
            if maps.expected_error is not None:
                report(f"expected error {bank.name}", maps.expected_error.data)
            for method in ("nearest", "tricubic", "quadratic"):
                other = sr.upscale(low, sr.UpscaleParameters(bank.scale, method))
                report(f"{method} {factor}", other.data)
    whole = sr.degrade(truth, (2, 2, 2))
    report("degrade whole 2", whole.data)
    report("hashed whole 2", sr.upscale(whole, sr.UpscaleParameters((2, 2, 2))).data)
    thick = sr.UpscaleParameters((1, 1, 4), "tricubic")
    report("tricubic 1x1x4", sr.upscale(crop, thick).data)
    for preset in ("default", "paper") if "--paper" in sys.argv else ("default",):
        with tempfile.TemporaryDirectory() as folder:
            scan, file = Path(folder) / "scan.nii.gz", Path(folder) / "bank.safetensors"
            sr.write_volume(crop, scan)
            sr.train([scan], file, sr.TrainParameters(scale=(2, 2, 2), preset=preset))
            trained = sr.upscale(
                sr.degrade(crop, (2, 2, 2)), sr.UpscaleParameters((2, 2, 2), bank=str(file))
            )
            report(f"trained {preset}", trained.data)


if __name__ == "__main__":
    main()
