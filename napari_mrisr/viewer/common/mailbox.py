"""From the working thread to the GUI's, by a Qt signal."""

from __future__ import annotations

import logging

from qtpy.QtCore import QObject, Signal

from napari_mrisr.viewer.common.jobs import Message

_log = logging.getLogger(__name__)


class Mailbox(QObject):
    """Brings messages from the working thread to the GUI's."""

    posted = Signal(object)

    def post(self, message: Message) -> None:
        """For the working thread."""
        # RuntimeError: the application has gone meanwhile, and Qt's part of us with it.
        try:
            self.posted.emit(message)
        except RuntimeError:
            _log.debug("message after the end: %s", message)
