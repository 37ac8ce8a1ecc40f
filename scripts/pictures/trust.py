"""Draw docs/images/trust.png: the report's picture for the sample phantom.

python docs/trust_picture.py
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from napari_mrisr import UpscaleParameters, degrade, load_bank, trust_maps, upscale
from napari_mrisr.io.samples import phantom
from napari_mrisr.trust.figure import trust_figure
from napari_mrisr.trust.report import png_of

SCALE = (2, 2, 2)


def main() -> None:
    """Super-resolve, judge, draw."""
    low = degrade(phantom(), SCALE)
    result = upscale(low, UpscaleParameters(SCALE))
    maps = trust_maps(low, result, load_bank("default-2x"))
    picture = Image.open(io.BytesIO(png_of(trust_figure(low, result, maps, SCALE))))
    # Few colors keep the file small.
    small = picture.convert("RGB").resize((1100, picture.height * 1100 // picture.width))
    small.quantize(96).save(Path(__file__).parent / "images" / "trust.png", optimize=True)


if __name__ == "__main__":
    main()
