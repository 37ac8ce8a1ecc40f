"""Build hook: puts the manifest and the sample data inside the package.

Both live at the top of the repository. npe2 looks for ``napari.yaml`` beside
``napari_mrisr/__init__.py``, so a wheel gets copies there, and an editable
install, which imports the folder itself, gets a link to the manifest (the
sample loaders also look beside the package).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DataHook(BuildHookInterface):  # type: ignore[type-arg]
    """Copies for wheels, a link for editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before each build."""
        root = Path(self.root)
        if version != "editable":
            for name in ("napari.yaml", "sample_data"):
                build_data["force_include"][str(root / name)] = f"napari_mrisr/{name}"
            return
        link = root / "napari_mrisr" / "napari.yaml"
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(Path("..") / "napari.yaml")
        except OSError:  # Windows without the right to make links
            shutil.copyfile(root / "napari.yaml", link)
