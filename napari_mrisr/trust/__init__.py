"""Trust maps, which need no reference, and cautions about a scan.

==================  ============================================================
expected error      expected RMSE at each voxel, in the scan's intensities
support             voxels with too few training samples
consistency         the result, degraded, minus the measured volume
cautions            differences of the scan from the training volumes
==================  ============================================================
"""

from __future__ import annotations

from napari_mrisr.core.notice import Caution
from napari_mrisr.trust.cautions import cautions_for
from napari_mrisr.trust.maps import TrustMaps, trust_maps

__all__ = ["Caution", "TrustMaps", "cautions_for", "trust_maps"]
