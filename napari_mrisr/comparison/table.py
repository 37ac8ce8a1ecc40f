"""Tables of numbers with their protocol, as CSV and as text for the clipboard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from napari_mrisr._version import __version__
from napari_mrisr.io.csv_tables import csv_text, safe_cell

DASH = "–"
INTENSITY = "intensity"  # the scan's own unit


@dataclass(frozen=True)
class Quantity:
    """Column of a table.

    Attributes
    ----------
    name : str
        Name in code and, with ``suffix``, in CSV files.
    title, unit : str
        Texts on screen. The unit ``intensity`` is the scan's own.
    style : str
        Format: ``.2f`` for decimals, ``4g`` for significant digits.
    formula : str
        Definition, for the tooltip.
    suffix : str
        Unit in the name of the CSV column, such as ``_db``.
    """

    name: str
    title: str
    unit: str
    style: str
    formula: str
    suffix: str = ""

    @property
    def heading(self) -> str:
        """Title and unit, such as ``PSNR, dB``."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


PSNR = Quantity("psnr", "PSNR", "dB", ".2f", "20 log10(data range / RMSE)", "_db")
SSIM = Quantity("ssim", "SSIM", "", ".4f", "mean structural similarity (Wang 2004)")
RMSE = Quantity("rmse", "RMSE", INTENSITY, "4g", "root mean square of volume − reference")
MAE = Quantity("mae", "MAE", INTENSITY, "4g", "mean of |volume − reference|")
BIAS = Quantity("bias", "Bias", INTENSITY, "+3g", "mean of volume − reference")
VOXELS = Quantity("n", "n", "voxels", ",d", "voxels counted", "_voxels")
MEAN = Quantity("mean", "Mean", INTENSITY, "4g", "mean of the volume")
SD = Quantity("sd", "SD", INTENSITY, "4g", "standard deviation of the volume, with n − 1")
SHARPNESS = Quantity(
    "sharpness",
    "Sharpness",
    "%/mm",
    "3g",
    "mean gradient magnitude / mean intensity (gradient-based focus measure, Pertuz 2013); "
    "noise raises it too",
    "_percent_per_mm",
)
NOISE = Quantity(
    "noise",
    "Noise",
    INTENSITY,
    "3g",
    "standard deviation of the finest detail: 1.4826 × median |second differences along all axes, "
    "of thick slices in plane only|; fine texture raises it, interpolation lowers it",
)
CONSISTENCY = Quantity(
    "consistency",
    "Deviation from scan",
    "%",
    "3g",
    "RMSE of the degraded volume against the measured scan, in % of the scan's data range",
    "_percent",
)
CNR = Quantity("cnr", "CNR", "", "3g", "|mean₁ − mean₂| / √((SD₁² + SD₂²) / 2)")

WITH_REFERENCE = (PSNR, SSIM, RMSE, MAE, BIAS, VOXELS, MEAN, SD)
WITHOUT_REFERENCE = (CONSISTENCY, SHARPNESS, NOISE, VOXELS, MEAN, SD)


@dataclass(frozen=True)
class Value:
    """Number with its reason and protocol.

    Attributes
    ----------
    value : float
        NaN if undefined; infinite for the PSNR of equal images.
    reason : str
        Reason of an undefined or infinite number; else empty.
    protocol : str
        Everything that decides the number, in words.
    style : str
        See :class:`Quantity`.
    """

    value: float
    reason: str = ""
    protocol: str = ""
    style: str = "4g"

    @property
    def text(self) -> str:
        """Number with sensible digits; a dash if undefined."""
        if math.isnan(self.value):
            return DASH
        if math.isinf(self.value):
            return "∞" if self.value > 0 else "−∞"
        return _digits(self.value, self.style)

    @property
    def tooltip(self) -> str:
        """Reason and protocol, one line each."""
        return "\n".join(part for part in (self.reason, self.protocol) if part)


def _digits(value: float, style: str) -> str:
    if style.endswith("d"):
        return format(round(value), style)
    if not style.endswith("g"):
        return format(value, style).replace("-", "−")
    sign, digits = ("+" if style.startswith("+") else ""), int(style.strip("+g"))
    if value == 0.0:
        return "0"
    # The magnitude after rounding: 9.9996 has that of 10.
    rounded = abs(float(format(value, f".{digits - 1}e")))
    decimals = digits - 1 - math.floor(math.log10(rounded))
    kind = f".{digits - 1}e" if decimals > digits + 2 else f",.{max(0, decimals)}f"
    return format(value, sign + kind).replace("-", "−")


@dataclass(frozen=True)
class Basis:
    """Protocol of a row's numbers, in parts.

    Attributes
    ----------
    mask : str
        Region and number of voxels.
    grid : str
        Voxels that it was computed on.
    resampling : str
        Sampling of the volume there.
    data_range : str
        Data range of PSNR and SSIM.
    ssim_window : str
        Window, and number of windows.
    consistency : str
        Mask, degradation and data range of the comparison with the measured scan.
    """

    mask: str
    grid: str = ""
    resampling: str = ""
    data_range: str = ""
    ssim_window: str = ""
    consistency: str = ""

    def describe(self, quantity: Quantity) -> str:
        """Return the parts that decide a quantity, one line each."""
        lines = [f"{quantity.title}: {quantity.formula}"]
        if quantity is CONSISTENCY and self.consistency:
            return "\n".join([*lines, self.consistency])
        lines.append(f"mask: {self.mask}")
        if quantity in (PSNR, SSIM) and self.data_range:
            lines.append(f"data range: {self.data_range}")
        if quantity is SSIM and self.ssim_window:
            lines.append(f"SSIM window: {self.ssim_window}")
        lines += [f"grid: {self.grid}"] if self.grid else []
        lines += [f"voxels: {self.resampling}"] if self.resampling else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Row:
    """Numbers of one volume in one region.

    Attributes
    ----------
    region : str
        The region's name, or ``head``.
    volume : str
        The volume's key.
    values : mapping of str to Value
        Values by the name of the quantity, without those that do not apply.
    basis : Basis
        The protocol, in parts.
    is_reference : bool
        Whether the volume is the reference itself.
    """

    region: str
    volume: str
    values: Mapping[str, Value]
    basis: Basis
    is_reference: bool = False

    def text(self, quantity: Quantity) -> str:
        """Return a cell; empty if the quantity does not apply."""
        value = self.values.get(quantity.name)
        return value.text if value else ""

    def notes(self, quantities: Iterable[Quantity]) -> str:
        """Return the reasons of missing numbers: ``SSIM, Bias: reason; PSNR: reason``."""
        reasons: dict[str, list[str]] = {}
        for quantity in quantities:
            value = self.values.get(quantity.name)
            if value is not None and value.reason:
                reasons.setdefault(value.reason, []).append(quantity.title)
        return "; ".join(f"{', '.join(titles)}: {reason}" for reason, titles in reasons.items())


@dataclass(frozen=True)
class Table:
    """Rows with the same quantities, in order.

    Attributes
    ----------
    quantities : tuple of Quantity
        Columns.
    rows : tuple of Row
        As shown.
    """

    quantities: tuple[Quantity, ...]
    rows: tuple[Row, ...] = field(default=())

    def __add__(self, other: Table) -> Table:
        """Return the rows of both; quantities of the first, then those of the second only."""
        new = [q for q in other.quantities if q not in self.quantities]
        return Table((*self.quantities, *new), self.rows + other.rows)

    def headings(self) -> tuple[str, ...]:
        """Return the headings of all columns, region and volume first."""
        return ("Region", "Volume", *(quantity.heading for quantity in self.quantities))

    def cells(self, row: Row, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return one row as on screen."""
        texts = (row.text(quantity) for quantity in self.quantities)
        return (row.region, self._label(row.volume, labels), *texts)

    def text(self, labels: Mapping[str, str]) -> str:
        """Return tab-separated text for the clipboard: headings, then one line per row."""
        lines = [self.headings(), *(self.cells(row, labels) for row in self.rows)]
        return "".join("\t".join(safe_cell(_one_line(c)) for c in line) + "\n" for line in lines)

    def csv(self, labels: Mapping[str, str], regions: Mapping[str, str] | None = None) -> str:
        """Return CSV with all digits and the protocol of every row.

        Parameters
        ----------
        labels : mapping of str to str
            Names of the volumes. The name of a layer may identify a patient, so volumes
            without a label become ``volume 1`` ….
        regions : mapping of str to str, optional
            Other names of regions, for the same reason.

        Returns
        -------
        str
            Undefined numbers are empty; ``notes`` has the reason.
        """
        parts = [entry.name for entry in fields(Basis)]
        names = [quantity.name + quantity.suffix for quantity in self.quantities]
        lines = [["region", "volume", "role", *names, *parts, "notes", "made_by"]]
        made_by = f"napari-mrisr {__version__}; research use, not for diagnosis"
        for row in self.rows:
            numbers = [_plain(row.values.get(quantity.name)) for quantity in self.quantities]
            role = "reference" if row.is_reference else "compared"
            basis = [_one_line(getattr(row.basis, part)) for part in parts]
            notes = row.notes(self.quantities)
            label = self._label(row.volume, labels)
            region = (regions or {}).get(row.region, row.region)
            lines.append([region, label, role, *numbers, *basis, notes, made_by])
        return csv_text(lines)

    def _label(self, key: str, labels: Mapping[str, str]) -> str:
        keys = list(dict.fromkeys(row.volume for row in self.rows))
        return labels.get(key, f"volume {keys.index(key) + 1}" if key in keys else key)


def _plain(value: Value | None) -> str:
    if value is None or math.isnan(value.value):
        return ""
    return str(round(value.value)) if value.style.endswith("d") else format(value.value, ".10g")


def _one_line(text: str) -> str:
    return " ".join(text.split())
