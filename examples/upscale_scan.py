"""Super-resolve a scan and save it: python examples/upscale_scan.py [SCAN]."""

import sys
from pathlib import Path

import napari_mrisr as sr
from napari_mrisr.io.samples import PHANTOM, sample_path

scan = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path(PHANTOM)
out = Path("output/example-upscaled.nii.gz")
out.parent.mkdir(exist_ok=True)

low = sr.degrade(sr.read_volume(scan), (2, 2, 2))  # drop this line for a real low-resolution scan
result = sr.upscale(low, 2)
sr.write_volume(result, out, overwrite=True)
print(f"{out}: {result.grid.shape} voxels of {result.grid.voxel_size} mm")
