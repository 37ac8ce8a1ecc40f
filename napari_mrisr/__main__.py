"""``python -m napari_mrisr`` is the command ``napari-mrisr``."""

from __future__ import annotations

import sys

from napari_mrisr.cli import main

if __name__ == "__main__":
    sys.exit(main())
