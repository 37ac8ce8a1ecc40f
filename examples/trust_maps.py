"""Show where a result may be wrong: python examples/trust_maps.py [SCAN]."""

import sys
from pathlib import Path

import numpy as np

import napari_mrisr as sr
from napari_mrisr.io.samples import PHANTOM, sample_path

scan = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path(PHANTOM)
low = sr.degrade(sr.read_volume(scan), (2, 2, 2))
bank = sr.load_bank("default-2x")
for caution in sr.cautions_for(sr.measure_traits(low), bank):
    print("caution:", caution)

result = sr.upscale(low, 2)
maps = sr.trust_maps(low, result, bank)
assert maps.expected_error is not None
out = Path("output/example-expected-error.nii.gz")
out.parent.mkdir(exist_ok=True)
sr.write_volume(maps.expected_error, out, overwrite=True)
print(f"{out}: median {np.median(maps.expected_error.data):.1f}, scan's intensities")
print(f"consistency with the scan: {maps.consistency_percent:.2f} % of the window")
