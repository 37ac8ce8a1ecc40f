"""Where not to believe a result: maps that need no ground truth, and cautions before a run.

==================  ============================================================
expected error      RMSE to expect at each voxel, in the scan's intensities
support             where training saw too little of the like
consistency         what the result, degraded again, lacks of the measured volume
cautions            how the volume differs from what the bank was trained on
==================  ============================================================
"""

from __future__ import annotations

from napari_mrisr.core.notice import Caution
from napari_mrisr.trust.cautions import cautions_for
from napari_mrisr.trust.maps import TrustMaps, trust_maps

__all__ = ["Caution", "TrustMaps", "cautions_for", "trust_maps"]
