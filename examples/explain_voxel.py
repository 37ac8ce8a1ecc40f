"""Save how one voxel is made as a lecture page: python examples/explain_voxel.py [SCAN]."""

import sys
from pathlib import Path

import napari_mrisr as sr
from napari_mrisr.explain import save_lecture
from napari_mrisr.io.samples import PHANTOM, sample_path

scan = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path(PHANTOM)
truth = sr.read_volume(scan).cropped_to_multiple((2, 2, 2))
low = sr.degrade(truth, (2, 2, 2))
voxel = tuple(n // 2 for n in truth.grid.shape)
out = Path("output/example-voxel.html")
out.parent.mkdir(exist_ok=True)
save_lecture(sr.explain_voxel(low, "default-2x", voxel, truth), out)
print(out)
