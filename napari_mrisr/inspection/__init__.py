"""What a filter bank sees in a volume: buckets, features, filters, counts. No window.

source.py    what a stage of a bank hashes, computed in slabs
features.py  the continuous features that buckets are cut from, as numbers and colors
maps.py      whole maps: buckets, bins, features, orientation
voxel.py     one voxel: its features, bucket, patch and what the filter makes of it
filters.py   a bucket's filter: turned, in planes, its frequency response
census.py    buckets of a volume beside those of the training; two banks compared
measured.py  the gain over tricubic in each bucket, against a truth
texts.py     all of that in words
"""

from napari_mrisr.inspection.census import (
    BankComparison,
    BucketTable,
    bucket_table,
    compare_banks,
    count_buckets,
    gain_db,
)
from napari_mrisr.inspection.features import feature_values, orientation_color
from napari_mrisr.inspection.filters import (
    FilterView,
    canonical_filter,
    central_planes,
    response_planes,
    turned,
)
from napari_mrisr.inspection.maps import bin_map, bucket_map, feature_map, orientation_map
from napari_mrisr.inspection.measured import MeasuredGain, measure_gain
from napari_mrisr.inspection.source import StageInput, stage_input
from napari_mrisr.inspection.voxel import VoxelView, look

__all__ = [
    "BankComparison",
    "BucketTable",
    "FilterView",
    "MeasuredGain",
    "StageInput",
    "VoxelView",
    "bin_map",
    "bucket_map",
    "bucket_table",
    "canonical_filter",
    "central_planes",
    "compare_banks",
    "count_buckets",
    "feature_map",
    "feature_values",
    "gain_db",
    "look",
    "measure_gain",
    "orientation_color",
    "orientation_map",
    "response_planes",
    "stage_input",
    "turned",
]
