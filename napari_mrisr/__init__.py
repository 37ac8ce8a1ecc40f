"""Super-resolution of 3D MRI by learned hashed filters.

Everything below is loaded on first use, so ``import napari_mrisr`` is quick
and needs neither numba nor Qt. Research use, not for diagnosis.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module that has it.
_PUBLIC = {
    "BankError": "errors",
    "CancelToken": "progress",
    "Cancelled": "errors",
    "Degradation": "degrade",
    "DeviceError": "errors",
    "FilterBank": "filterbank",
    "GeometryError": "errors",
    "Grid": "volume",
    "HashSpec": "hashing",
    "IntensityWindow": "volume",
    "MemoryEstimateError": "errors",
    "MrisrError": "errors",
    "OutputError": "errors",
    "ParameterError": "errors",
    "Progress": "progress",
    "Region": "volume",
    "Scale": "scale",
    "ScaleError": "errors",
    "TrainParameters": "sampling",
    "TrustMaps": "trust",
    "UpscaleParameters": "upscale",
    "Volume": "volume",
    "VolumeError": "errors",
    "available_scales": "methods",
    "cautions_for": "trust",
    "degrade": "degrade",
    "estimate_memory": "upscale",
    "evaluate": "experiment",
    "explain_voxel": "explain",
    "get_degradation": "degrade",
    "get_method": "methods",
    "list_banks": "filterbank",
    "load_bank": "filterbank",
    "measure_traits": "traits",
    "parse_scale": "scale",
    "psnr": "metrics",
    "read_volume": "io",
    "ssim": "metrics",
    "train": "training",
    "trust_maps": "trust",
    "upscale": "upscale",
    "write_volume": "io",
}

__all__ = ["__version__", *sorted(_PUBLIC)]

if TYPE_CHECKING:
    from napari_mrisr.degrade import Degradation as Degradation
    from napari_mrisr.degrade import degrade as degrade
    from napari_mrisr.degrade import get_degradation as get_degradation
    from napari_mrisr.errors import BankError as BankError
    from napari_mrisr.errors import Cancelled as Cancelled
    from napari_mrisr.errors import DeviceError as DeviceError
    from napari_mrisr.errors import GeometryError as GeometryError
    from napari_mrisr.errors import MemoryEstimateError as MemoryEstimateError
    from napari_mrisr.errors import MrisrError as MrisrError
    from napari_mrisr.errors import OutputError as OutputError
    from napari_mrisr.errors import ParameterError as ParameterError
    from napari_mrisr.errors import ScaleError as ScaleError
    from napari_mrisr.errors import VolumeError as VolumeError
    from napari_mrisr.experiment import evaluate as evaluate
    from napari_mrisr.explain import explain_voxel as explain_voxel
    from napari_mrisr.filterbank import FilterBank as FilterBank
    from napari_mrisr.filterbank import list_banks as list_banks
    from napari_mrisr.filterbank import load_bank as load_bank
    from napari_mrisr.hashing import HashSpec as HashSpec
    from napari_mrisr.io import read_volume as read_volume
    from napari_mrisr.io import write_volume as write_volume
    from napari_mrisr.methods import available_scales as available_scales
    from napari_mrisr.methods import get_method as get_method
    from napari_mrisr.metrics import psnr as psnr
    from napari_mrisr.metrics import ssim as ssim
    from napari_mrisr.progress import CancelToken as CancelToken
    from napari_mrisr.progress import Progress as Progress
    from napari_mrisr.sampling import TrainParameters as TrainParameters
    from napari_mrisr.scale import Scale as Scale
    from napari_mrisr.scale import parse_scale as parse_scale
    from napari_mrisr.training import train as train
    from napari_mrisr.traits import measure_traits as measure_traits
    from napari_mrisr.trust import TrustMaps as TrustMaps
    from napari_mrisr.trust import cautions_for as cautions_for
    from napari_mrisr.trust import trust_maps as trust_maps
    from napari_mrisr.upscale import UpscaleParameters as UpscaleParameters
    from napari_mrisr.upscale import estimate_memory as estimate_memory
    from napari_mrisr.upscale import upscale as upscale
    from napari_mrisr.volume import Grid as Grid
    from napari_mrisr.volume import IntensityWindow as IntensityWindow
    from napari_mrisr.volume import Region as Region
    from napari_mrisr.volume import Volume as Volume


def _load(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps ``napari_mrisr.upscale`` the function.

    Importing a submodule sets it as an attribute of its package, which would
    hide the public function of the same name (upscale, degrade).
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _PUBLIC.get(name) == name:
            value = getattr(value, name, value)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

if not TYPE_CHECKING:  # so that a type checker still refuses an unknown name
    __getattr__ = _load
