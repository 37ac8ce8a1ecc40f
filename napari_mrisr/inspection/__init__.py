"""Inspection of filter banks: bucket maps, features, filters and bucket statistics.

source.py   input image of a stage, and block-wise computing on its grid
maps.py     maps of buckets, bins, features and orientations
effective.py  the effective filter of a network at one voxel
filters.py  the filter of a bucket, its frequency response, and its output at one voxel
buckets.py  voxels, training samples and gain per bucket; comparison of two banks
texts.py    numbers, buckets and voxels as text
"""

from napari_mrisr.inspection.buckets import (
    BankComparison,
    BucketTable,
    MeasuredGain,
    bucket_table,
    compare_banks,
    count_buckets,
    gain_db,
    measure_gain,
)
from napari_mrisr.inspection.filters import (
    FilterView,
    VoxelView,
    canonical_filter,
    central_planes,
    inspect_voxel,
    reorient,
    response_planes,
)
from napari_mrisr.inspection.maps import (
    bin_map,
    bucket_map,
    feature_map,
    feature_values,
    orientation_color,
    orientation_map,
)
from napari_mrisr.inspection.source import StageInput, stage_input

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
    "inspect_voxel",
    "measure_gain",
    "orientation_color",
    "orientation_map",
    "reorient",
    "response_planes",
    "stage_input",
]
