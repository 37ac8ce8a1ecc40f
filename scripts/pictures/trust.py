"""Draw docs/images/trust.png: figure of the trust report for the sample head.

python scripts/pictures/trust.py
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from napari_mrisr import UpscaleParameters, degrade, load_bank, trust_maps, upscale
from napari_mrisr.io.samples import phantom
from napari_mrisr.trust.report import png_of, trust_figure

SCALE = (2, 2, 2)


def main() -> None:
    """Super-resolve the sample, compute its trust maps, draw them."""
    low = degrade(phantom(), SCALE)
    result = upscale(low, UpscaleParameters(SCALE))
    maps = trust_maps(low, result, load_bank("default-2x"))
    picture = Image.open(io.BytesIO(png_of(trust_figure(low, result, maps, SCALE))))
    # 96 colors keep the file small.
    small = picture.convert("RGB").resize((1100, picture.height * 1100 // picture.width))
    small.quantize(96).save(
        Path(__file__).parents[2] / "docs" / "images" / "trust.png", optimize=True
    )


if __name__ == "__main__":
    main()
