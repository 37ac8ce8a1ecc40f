"""Build hook: gives an editable install the manifest inside the package.

npe2 looks for ``napari.yaml`` beside ``napari_mrisr/__init__.py``. A wheel has
a copy there; an editable install, which imports this very folder, gets a link.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManifestHook(BuildHookInterface):  # type: ignore[type-arg]
    """Links the manifest for editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the link, and keep the wheel's copies out of site-packages."""
        if self.target_name != "wheel" or version != "editable":
            return
        root = Path(self.root)
        link = root / "napari_mrisr" / "napari.yaml"
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(Path("..") / "napari.yaml")
        except OSError:  # Windows without the right to make links
            shutil.copyfile(root / "napari.yaml", link)
