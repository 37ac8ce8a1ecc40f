# PYTHON_ARGCOMPLETE_OK
"""Run the command line: ``python -m napari_mrisr`` is ``napari-mrisr``."""

from __future__ import annotations

import sys

from napari_mrisr.cli import main

if __name__ == "__main__":
    sys.exit(main())
