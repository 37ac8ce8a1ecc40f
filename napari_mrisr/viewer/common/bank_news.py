"""News of filter banks, from the widget that trains them to those that use them."""

from __future__ import annotations

import functools

from qtpy.QtCore import QObject, Signal


class BankNews(QObject):
    """Tells that there is a new bank."""

    saved = Signal(str)
    """Path of its file."""


@functools.cache
def bank_news() -> BankNews:
    """The one that everybody listens to."""
    return BankNews()
