"""Form of the Super-resolve dock. No logic."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.notice import Caution
from napari_mrisr.methods import available_methods, method_summary
from napari_mrisr.operators.degrade import DEGRADATION_SUMMARIES
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.common.dock import FormPanel, note
from napari_mrisr.viewer.common.fields import BankField, LayerField, NamedChoice, ScaleField
from napari_mrisr.viewer.super_resolve.phase import PhaseField


class Panel(FormPanel):
    """Layer, method, scale, bank, options; Run; simulation of a low-resolution scan."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer = LayerField(self, results=False)
        self.phase = PhaseField(self)
        self.source = note(self)
        self.method = NamedChoice(
            {name: method_summary(name) for name in available_methods()}, self
        )
        self.method.suggest(UpscaleParameters().method)
        self.scale = ScaleField(self, real=True)
        self.bank = BankField(self)
        self.blend = QCheckBox("Blend with the interpolation", self)
        self.blend.setToolTip(
            "Census blending: where the filters changed the local structure, the result is closer\n"
            "to the interpolation. Gains with banks of few volumes, loses with the bundled ones."
        )
        self.plan = note(self)
        self.live = QCheckBox("Live preview", self)
        self.live.setToolTip(
            "Show the result while you choose, the slice on screen first.\nRun keeps it as a layer."
        )
        self.trust = QCheckBox("Trust maps", self)
        self.trust.setToolTip("Maps of expected error, training support and consistency")
        self.cautions = note(self)
        self.cautions.setTextFormat(Qt.TextFormat.RichText)
        self.cautions.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.methods_button = QPushButton("Compare methods…", self)
        self.methods_button.setToolTip(
            "Run several methods on this layer and compare their results"
        )
        self.run_button = QPushButton("Run", self)
        self.save_button = QPushButton("Save…", self)
        self.save_menu = QMenu(self)
        self.save_file = self.save_menu.addAction("Save as file…")
        self.save_series = self.save_menu.addAction("Save as DICOM series…")
        self.save_anonymous = self.save_menu.addAction("Save as anonymous DICOM series…")
        self.offer_save("")
        self.degradation = NamedChoice(DEGRADATION_SUMMARIES, self)
        self.simulate_button = QPushButton("Simulate a low-resolution scan", self)
        self.simulate_button.setToolTip(
            "Simulate a low-resolution scan from this layer, at the scale above"
        )
        self.fields = (
            self.layer,
            self.phase,
            self.method,
            self.scale,
            self.bank,
            self.blend,
            self.methods_button,
            self.live,
            self.trust,
            self.degradation,
            self.run_button,
            self.simulate_button,
        )
        self._lay_out()
        self.offer_phases(None, ())
        self.show_cautions(())
        self.show_plan("", "", can_run=False, can_simulate=False)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        form.addRow("Layer", self.layer)
        form.addRow("Phase", self.phase)
        form.addRow("", self.source)
        form.addRow("Method", self.method)
        form.addRow("Scale", self.scale)
        form.addRow("Bank", self.bank)
        form.addRow("", self.blend)
        form.addRow("", self.methods_button)
        form.addRow("Result", self.plan)
        form.addRow("", self.live)
        form.addRow("", self.trust)
        self._form = form
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        buttons.addWidget(self.save_button, 1)
        group = QGroupBox("No low-resolution scan?", self)
        simulate = QFormLayout(group)
        simulate.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        simulate.addRow(self.simulate_button)
        simulate.addRow("Degradation", self.degradation)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.cautions)
        layout.addWidget(group)
        layout.addStretch(1)
        layout.addWidget(note(self, "Research use. Not for diagnosis."))
        self.pin(self.bar, self.status, buttons)

    def show_bank(self, shown: bool, *, blend: bool, trust: bool) -> None:
        """Show or hide the rows for filter banks, for blending, and for trust maps."""
        self._form.setRowVisible(self.bank, shown)
        self._form.setRowVisible(self.blend, blend)
        self._form.setRowVisible(self.trust, trust)

    def offer_phases(self, magnitude: Any, layers: Sequence[Any]) -> None:
        """Offer the phases for a layer; hide the row if there is none."""
        self.phase.offer(magnitude, layers)
        self._form.setRowVisible(self.phase, self.phase.count() > 1)

    def offer_save(self, name: str, *, dicom: bool = False) -> None:
        """Enable *Save…* for the layer of a name; disable it for an empty one.

        With ``dicom`` the button opens a menu, which offers DICOM series too.
        """
        self.save_button.setEnabled(bool(name))
        self.save_button.setMenu(self.save_menu if dicom else None)
        kinds = "a file or DICOM series" if dicom else "a file"
        tip = f"Save “{name}” as {kinds}" if name else "No result to save yet"
        self.save_button.setToolTip(tip)

    def show_cautions(self, cautions: tuple[Caution, ...]) -> None:
        """Show what is unusual about the layer."""
        lines = [f"<p><b>{escape(c.kind.capitalize())}:</b> {escape(c.text)}</p>" for c in cautions]
        self.cautions.setText("".join(lines))
        self.cautions.setVisible(bool(lines))

    def show_plan(self, source: str, plan: str, *, can_run: bool, can_simulate: bool) -> None:
        """Show the size of the layer and of the result."""
        self.source.setText(source)
        self.plan.setText(plan or "–")
        self.run_button.setEnabled(can_run)
        self.simulate_button.setEnabled(can_simulate)

    def show_idle(self, text: str = "") -> None:
        """Enable the fields, and the list of layers if there are any."""
        super().show_idle(text)
        self.layer.setEnabled(self.layer.count() > 0)
