"""Super-resolution of 3D MRI: engine, command line and napari plugin.

Public names load on first use (PEP 562), so ``import napari_mrisr`` is quick
and needs neither numba nor Qt. Research use, not for diagnosis.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from napari_mrisr._version import __version__

# Public name -> module that defines it.
_PUBLIC = {
    "BankError": "errors",
    "CancelToken": "core.progress",
    "Cancelled": "errors",
    "ComplexVolume": "core.complex_volume",
    "Degradation": "operators.degrade",
    "DeviceError": "errors",
    "DicomSeries": "io.dicom.series",
    "EvaluateParameters": "evaluation.experiment",
    "FilterBank": "bank.model",
    "GeometryError": "errors",
    "Grid": "core.volume",
    "HashSpec": "bank.hashing",
    "IntensityWindow": "core.volume",
    "MemoryEstimateError": "errors",
    "MrisrError": "errors",
    "OutputError": "errors",
    "ParameterError": "errors",
    "Progress": "core.progress",
    "Region": "core.volume",
    "Scale": "core.scale",
    "ScaleError": "errors",
    "TrainParameters": "training.presets",
    "TrustMaps": "trust",
    "UpscaleParameters": "run.upscale",
    "Volume": "core.volume",
    "VolumeError": "errors",
    "available_scales": "methods",
    "balance_slices": "scan.interleaving",
    "cautions_for": "trust",
    "degrade": "operators.degrade",
    "estimate_memory": "run.upscale",
    "evaluate": "evaluation.experiment",
    "explain_voxel": "explain",
    "get_degradation": "operators.degrade",
    "get_method": "methods",
    "list_banks": "bank.model",
    "list_series": "io",
    "load_bank": "bank.model",
    "measure_traits": "scan.traits",
    "parse_scale": "core.scale",
    "psnr": "evaluation.metrics",
    "read_complex": "io.complex_scans",
    "read_volume": "io",
    "ssim": "evaluation.metrics",
    "train": "training",
    "trust_maps": "trust",
    "upscale": "run.upscale",
    "upscale_complex": "run.complex_scans",
    "write_complex": "io.complex_scans",
    "write_dicom": "io.dicom.write",
    "write_volume": "io",
}

__all__ = ["__version__", *sorted(_PUBLIC)]

if TYPE_CHECKING:
    from napari_mrisr.bank.hashing import HashSpec as HashSpec
    from napari_mrisr.bank.model import FilterBank as FilterBank
    from napari_mrisr.bank.model import list_banks as list_banks
    from napari_mrisr.bank.model import load_bank as load_bank
    from napari_mrisr.core.complex_volume import ComplexVolume as ComplexVolume
    from napari_mrisr.core.progress import CancelToken as CancelToken
    from napari_mrisr.core.progress import Progress as Progress
    from napari_mrisr.core.scale import Scale as Scale
    from napari_mrisr.core.scale import parse_scale as parse_scale
    from napari_mrisr.core.volume import Grid as Grid
    from napari_mrisr.core.volume import IntensityWindow as IntensityWindow
    from napari_mrisr.core.volume import Region as Region
    from napari_mrisr.core.volume import Volume as Volume
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
    from napari_mrisr.evaluation.experiment import EvaluateParameters as EvaluateParameters
    from napari_mrisr.evaluation.experiment import evaluate as evaluate
    from napari_mrisr.evaluation.metrics import psnr as psnr
    from napari_mrisr.evaluation.metrics import ssim as ssim
    from napari_mrisr.explain import explain_voxel as explain_voxel
    from napari_mrisr.io import list_series as list_series
    from napari_mrisr.io import read_volume as read_volume
    from napari_mrisr.io import write_volume as write_volume
    from napari_mrisr.io.complex_scans import read_complex as read_complex
    from napari_mrisr.io.complex_scans import write_complex as write_complex
    from napari_mrisr.io.dicom.series import DicomSeries as DicomSeries
    from napari_mrisr.io.dicom.write import write_dicom as write_dicom
    from napari_mrisr.methods import available_scales as available_scales
    from napari_mrisr.methods import get_method as get_method
    from napari_mrisr.operators.degrade import Degradation as Degradation
    from napari_mrisr.operators.degrade import degrade as degrade
    from napari_mrisr.operators.degrade import get_degradation as get_degradation
    from napari_mrisr.run.complex_scans import upscale_complex as upscale_complex
    from napari_mrisr.run.upscale import UpscaleParameters as UpscaleParameters
    from napari_mrisr.run.upscale import estimate_memory as estimate_memory
    from napari_mrisr.run.upscale import upscale as upscale
    from napari_mrisr.scan.interleaving import balance_slices as balance_slices
    from napari_mrisr.scan.traits import measure_traits as measure_traits
    from napari_mrisr.training import train as train
    from napari_mrisr.training.presets import TrainParameters as TrainParameters
    from napari_mrisr.trust import TrustMaps as TrustMaps
    from napari_mrisr.trust import cautions_for as cautions_for
    from napari_mrisr.trust import trust_maps as trust_maps


def _load(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # a type checker still refuses an unknown name
    __getattr__ = _load
