"""Numbers with their protocol, in rows; as CSV and as text for the clipboard."""

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
    """A column of the table.

    Attributes
    ----------
    name : str
        In code and, with ``suffix``, in CSV files.
    title, unit : str
        Shown. The unit ``intensity`` is the scan's own.
    style : str
        ``.2f`` and the like, or ``4g``: that many significant digits.
    formula : str
        What it is, for the tooltip.
    suffix : str
        Of the CSV column, such as ``_db``.
    """

    name: str
    title: str
    unit: str
    style: str
    formula: str
    suffix: str = ""

    @property
    def heading(self) -> str:
        """Such as ``PSNR, dB``."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


PSNR = Quantity("psnr", "PSNR", "dB", ".2f", "20 log10(data range / RMSE)", "_db")
SSIM = Quantity("ssim", "SSIM", "", ".4f", "mean structural similarity (Wang 2004)")
RMSE = Quantity("rmse", "RMSE", INTENSITY, "4g", "root mean square of volume − truth")
MAE = Quantity("mae", "MAE", INTENSITY, "4g", "mean of |volume − truth|")
BIAS = Quantity("bias", "Bias", INTENSITY, "+3g", "mean of volume − truth")
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
CONSISTENCY = Quantity(
    "consistency",
    "LR error",
    "%",
    "3g",
    "RMSE of the degraded volume against the measured LR volume, of the LR's data range",
    "_percent",
)
CONSISTENCY_DB = Quantity(
    "consistency_db", "LR PSNR", "dB", ".2f", "20 log10(100 % / LR error)", ""
)
CNR = Quantity("cnr", "CNR", "", "3g", "|mean₁ − mean₂| / √((SD₁² + SD₂²) / 2)")

AGAINST_TRUTH = (PSNR, SSIM, RMSE, MAE, BIAS, VOXELS, MEAN, SD)
WITHOUT_TRUTH = (CONSISTENCY, CONSISTENCY_DB, SHARPNESS, VOXELS, MEAN, SD)


@dataclass(frozen=True)
class Value:
    """One number.

    Attributes
    ----------
    value : float
        NaN where it is undefined; infinite for the PSNR of equal images.
    why : str
        Why it is undefined or infinite; empty for an ordinary number.
    protocol : str
        Everything that decides it, in words.
    style : str
        See :class:`Quantity`.
    """

    value: float
    why: str = ""
    protocol: str = ""
    style: str = "4g"

    @property
    def text(self) -> str:
        """With sensible digits; a dash where it is undefined."""
        if math.isnan(self.value):
            return DASH
        if math.isinf(self.value):
            return "∞" if self.value > 0 else "−∞"
        return _digits(self.value, self.style)

    @property
    def tooltip(self) -> str:
        """Reason and protocol, a line each."""
        return "\n".join(part for part in (self.why, self.protocol) if part)


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
    """What decides the numbers of a row.

    Attributes
    ----------
    mask : str
        Region and voxels.
    grid : str
        Where it was computed.
    resampling : str
        How the volume came there.
    data_range : str
        Of PSNR and SSIM.
    ssim_window : str
        And what became of windows that overhang.
    consistency : str
        Mask, degradation and data range of the comparison with the measured volume.
    """

    mask: str
    grid: str = ""
    resampling: str = ""
    data_range: str = ""
    ssim_window: str = ""
    consistency: str = ""

    def say(self, quantity: Quantity) -> str:
        """The parts that matter to a quantity, a line each."""
        lines = [f"{quantity.title}: {quantity.formula}"]
        if quantity in (CONSISTENCY, CONSISTENCY_DB) and self.consistency:
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
    """The numbers of one volume in one region.

    Attributes
    ----------
    region : str
        The region's name, or ``head``.
    volume : str
        The volume's key.
    values : mapping of str to Value
        By the name of the quantity; one that does not apply is left out.
    basis : Basis
        The protocol, in parts.
    is_truth : bool
        Whether the volume is the truth itself.
    """

    region: str
    volume: str
    values: Mapping[str, Value]
    basis: Basis
    is_truth: bool = False

    def text(self, quantity: Quantity) -> str:
        """A cell; empty where the quantity does not apply."""
        value = self.values.get(quantity.name)
        return value.text if value else ""

    def notes(self, quantities: Iterable[Quantity]) -> str:
        """Why numbers are missing: ``SSIM, Bias: reason; PSNR: reason``."""
        reasons: dict[str, list[str]] = {}
        for quantity in quantities:
            value = self.values.get(quantity.name)
            if value is not None and value.why:
                reasons.setdefault(value.why, []).append(quantity.title)
        return "; ".join(f"{', '.join(titles)}: {why}" for why, titles in reasons.items())


@dataclass(frozen=True)
class Table:
    """Rows, in order, with the same quantities.

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
        """Rows of both; quantities of the first, then what only the second has."""
        new = [q for q in other.quantities if q not in self.quantities]
        return Table((*self.quantities, *new), self.rows + other.rows)

    def headings(self) -> tuple[str, ...]:
        """Of all columns, region and volume first."""
        return ("Region", "Volume", *(quantity.heading for quantity in self.quantities))

    def cells(self, row: Row, labels: Mapping[str, str]) -> tuple[str, ...]:
        """One row as shown."""
        texts = (row.text(quantity) for quantity in self.quantities)
        return (row.region, self._label(row.volume, labels), *texts)

    def text(self, labels: Mapping[str, str]) -> str:
        """Tab-separated, for the clipboard; one line a row and one with the headings."""
        lines = [self.headings(), *(self.cells(row, labels) for row in self.rows)]
        return "".join("\t".join(safe_cell(_one_line(c)) for c in line) + "\n" for line in lines)

    def csv(self, labels: Mapping[str, str], regions: Mapping[str, str] | None = None) -> str:
        """Comma-separated, full digits, with the protocol of every row.

        Parameters
        ----------
        labels : mapping of str to str
            What to call each volume; the name of a layer may be a patient's, so
            volumes that are not among them become ``volume 1`` ....
        regions : mapping of str to str, optional
            Other names for regions, for the same reason; the rest keep theirs.

        Returns
        -------
        str
            Undefined numbers are empty, with the reason under ``notes``.
        """
        parts = [entry.name for entry in fields(Basis)]
        names = [quantity.name + quantity.suffix for quantity in self.quantities]
        lines = [["region", "volume", "role", *names, *parts, "notes", "made_by"]]
        made_by = f"napari-mrisr {__version__}; research use, not for diagnosis"
        for row in self.rows:
            numbers = [_plain(row.values.get(quantity.name)) for quantity in self.quantities]
            role = "truth" if row.is_truth else "compared"
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
