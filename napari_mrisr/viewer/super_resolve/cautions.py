"""What to be cautious of in the chosen layer, found beside the form while nobody waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtCore import Qt

from napari_mrisr.bank.model import FilterBank, bank_for
from napari_mrisr.core.progress import Progress
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.scan.traits import Traits, measure_traits
from napari_mrisr.trust import Caution, cautions_for
from napari_mrisr.viewer.common.jobs import Ended, Finished, Jobs, Message
from napari_mrisr.viewer.common.mailbox import Mailbox
from napari_mrisr.viewer.layers.convert import LayerSnapshot

Key = tuple[int, int | None, tuple[int, ...], tuple[float, ...]]
Show = Callable[[tuple[Caution, ...]], None]


@dataclass(frozen=True)
class _Look:
    """A layer to look at, and the bank to compare it with."""

    source: LayerSnapshot
    bank: FilterBank

    @property
    def key(self) -> Key:
        """Changes when the voxels or their size do."""
        source = self.source
        return id(source.data), source.frame, source.grid.shape, source.grid.voxel_size

    def measure(self, progress: Progress) -> Traits:
        """For the working thread."""
        volume = self.source.to_volume()
        progress.token.check()
        # Not the progress itself: nobody is to see a bar of this.
        return measure_traits(volume, Progress(progress.token))


class CautionWatch:
    """Looks at the chosen layer on a thread of its own, and shows what it finds.

    Parameters
    ----------
    show : callable
        Given the cautions, on the GUI's thread; none while they are not known.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._mailbox = Mailbox()
        self._mailbox.posted.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self.jobs = Jobs(self._mailbox.post)
        self._wanted: _Look | None = None
        self._looking: _Look | None = None
        self._known: tuple[Key, LayerSnapshot, Traits] | None = None

    def look(self, source: LayerSnapshot, parameters: UpscaleParameters) -> None:
        """Look at a layer, with the bank of some parameters, which fits its scale."""
        self._wanted = _Look(source, bank_for(parameters.scale, parameters.bank, any_order=True))
        self._go_on()

    def clear(self) -> None:
        """There is nothing to look at."""
        self._wanted = None
        self.jobs.cancel()
        self._show(())

    def abandon(self) -> None:
        """End the thread and forget the layer."""
        self._wanted, self._known = None, None
        self.jobs.abandon()

    def _go_on(self) -> None:
        look = self._wanted
        if look is None:
            return
        # The snapshot is kept, so that no other array can come to have its id.
        if self._known is not None and self._known[0] == look.key:
            self._show(cautions_for(self._known[2], look.bank))
        elif not self.jobs.running:
            self._show(())
            self._looking = look
            self.jobs.start(look.measure)
        elif self._looking is not None and self._looking.key != look.key:
            self._show(())
            self.jobs.cancel()  # its answer starts the next

    def _receive(self, message: Message) -> None:
        accepted = self.jobs.accept(message)
        if not isinstance(accepted, Ended):
            return
        looking, self._looking = self._looking, None
        if looking is None:
            return
        if isinstance(accepted, Finished):
            self._known = (looking.key, looking.source, accepted.result)
            self._go_on()
        elif self._wanted is not None and self._wanted.key != looking.key:
            self._go_on()
