"""Super-resolution methods and their registry.

A method turns a low-resolution volume into any region of the super-resolved
volume. :data:`METHOD_SUMMARIES` lists the built-in methods. Other packages add methods
by an entry point in the group ``napari_mrisr.methods`` that names a :data:`MethodFactory`.
"""

from __future__ import annotations

from napari_mrisr.methods.registry import (
    METHOD_SUMMARIES,
    ONE_PER_FAMILY,
    Method,
    MethodFactory,
    MultiPass,
    WholeVolume,
    available_methods,
    available_scales,
    base_name,
    default_method,
    get_method,
    method_summary,
    pass_regions,
    passes_of,
)

__all__ = [
    "METHOD_SUMMARIES",
    "ONE_PER_FAMILY",
    "Method",
    "MethodFactory",
    "MultiPass",
    "WholeVolume",
    "available_methods",
    "available_scales",
    "base_name",
    "default_method",
    "get_method",
    "method_summary",
    "pass_regions",
    "passes_of",
]
