"""The menu of live columns: what may be computed of which layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtWidgets import QMenu

from napari_mrisr.bank.model import bank_for
from napari_mrisr.errors import MrisrError
from napari_mrisr.methods import available_methods
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.common.choices import fitting_banks, offered_scales
from napari_mrisr.viewer.common.labels import scale_label

Foresee = Callable[[Any, UpscaleParameters], None]
IsOn = Callable[[Any, UpscaleParameters], bool]
Toggle = Callable[[Any, UpscaleParameters], None]


def fill_menu(
    menu: QMenu,
    layers: Mapping[str, Any],
    measured: str | None,
    is_on: IsOn,
    toggle: Toggle,
    foresee: Foresee,
) -> None:
    """Offer methods, scales and banks for each layer; those that are on are ticked.

    Parameters
    ----------
    menu : QMenu
        Emptied first.
    layers : mapping of str to layer
        What may be super-resolved.
    measured : str or None
        The low-resolution one, which comes first; others are below it.
    is_on : callable
        Whether a layer's result is a live column.
    toggle : callable
        Called when an entry is chosen.
    foresee : callable
        Called when one is likely to be: the first at once, others when pointed at.
    """
    empty(menu)
    first = measured if measured in layers else next(iter(layers), None)
    if first is None:
        menu.addAction("needs a volume").setEnabled(False)
        return
    menu.addAction(f"Of {_short(first)}").setEnabled(False)
    _offer(menu, layers[first], is_on, toggle, foresee)
    usual = choices(UpscaleParameters().method)
    if usual and not is_on(layers[first], usual[0][1]):
        foresee(layers[first], usual[0][1])
    others = [key for key in layers if key != first]
    if others:
        menu.addSeparator()
        more = menu.addMenu("Of another layer")
        for key in others:
            # Filled when opened: each entry asks the layer.
            below = more.addMenu(_short(key))
            below.aboutToShow.connect(_offering(below, layers[key], is_on, toggle, foresee))


def empty(menu: QMenu) -> None:
    """Take all out of a menu, and let go of the layers in it."""
    menu.clear()
    for below in menu.findChildren(QMenu):
        below.setParent(None)
        below.deleteLater()


def _offering(
    menu: QMenu, layer: Any, is_on: IsOn, toggle: Toggle, foresee: Foresee
) -> Callable[[], None]:
    def offer() -> None:
        if menu.isEmpty():
            _offer(menu, layer, is_on, toggle, foresee)

    return offer


def _offer(menu: QMenu, layer: Any, is_on: IsOn, toggle: Toggle, foresee: Foresee) -> None:
    usual = UpscaleParameters().method
    for method in sorted(available_methods(), key=lambda name: name != usual):
        found = choices(method)
        if not found:
            continue
        below = menu.addMenu(method)
        for text, parameters in found:
            action = below.addAction(text)
            action.setCheckable(True)
            action.setChecked(is_on(layer, parameters))
            action.triggered.connect(_choosing(toggle, layer, parameters))
            if not action.isChecked():
                action.hovered.connect(_choosing(foresee, layer, parameters))


def _choosing(toggle: Toggle, layer: Any, parameters: UpscaleParameters) -> Callable[..., None]:
    return lambda *_: toggle(layer, parameters)


def choices(method: str) -> list[tuple[str, UpscaleParameters]]:
    """What a method offers, with what to call it; nothing where its banks cannot be read."""
    try:
        found = []
        for scale in offered_scales(method)[0]:
            found.append((scale_label(scale), UpscaleParameters(scale, method)))
            if method != "hashed":
                continue
            usual = bank_for(scale, None).name
            for bank in fitting_banks(scale):
                if bank != usual:
                    parameters = UpscaleParameters(scale, method, bank)
                    found.append((f"{scale_label(scale)}   {bank}", parameters))
        return found
    except MrisrError:
        return []


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:24]}…{name[-15:]}"
