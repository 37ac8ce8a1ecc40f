"""Compare methods on a scan whose truth is known: python examples/compare_methods.py [SCAN]."""

import sys
from pathlib import Path

import napari_mrisr as sr
from napari_mrisr.io.samples import PHANTOM, sample_path

scan = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path(PHANTOM)
truth = sr.read_volume(scan).cropped_to_multiple((2, 2, 2))
low = sr.degrade(truth, (2, 2, 2))
window = sr.IntensityWindow.of(truth.data)
data_range = window.high - window.low

for method in ("nearest", "tricubic", "hashed"):
    result = sr.upscale(low, 2, method=method)
    psnr = sr.psnr(truth.data, result.data, data_range=data_range)
    ssim = sr.ssim(truth.data, result.data, data_range=data_range)
    print(f"{method:10} PSNR {psnr:.2f} dB, SSIM {ssim:.3f} (whole field of view)")
