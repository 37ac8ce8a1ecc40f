"""What a live layer wants now: told by the GUI's thread, asked by those that compute. No Qt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from napari_mrisr.viewer.preview.array import LiveArray, PlaneName
from napari_mrisr.viewer.preview.compute import Subject, Taken


class Wishes:
    """A result, and the planes of it that are wanted.

    Attributes
    ----------
    subject : Subject or None
        What is shown, or will be as soon as it is there.
    array : LiveArray or None
        What it is shown with; None until the first plane is there.
    planes, ahead : deque of (axis, index)
        Wanted, and likely to be. The GUI's thread replaces them, and never changes them;
        the others take from them.
    """

    def __init__(self) -> None:
        self.subject: Subject | None = None
        self.array: LiveArray | None = None
        self.planes: deque[PlaneName] = deque()
        self.ahead: deque[PlaneName] = deque()

    def want(self, names: Iterable[PlaneName]) -> None:
        """These, as far as they are not there, and nothing else."""
        array = self.array
        self.ahead = deque()
        self.planes = deque(n for n in names if array is None or not array.holds(n))

    def taker(self, subject: Subject) -> Callable[[], Taken | None]:
        """Gives the next plane of a subject, as long as that is what is wanted."""

        def take() -> Taken | None:
            planes, ahead = self.planes, self.ahead
            # Read before asking whose they are: what is asked for next must be left to the next.
            if self.subject is not subject:
                return None
            if planes:
                return Taken(planes.popleft(), True)
            return Taken(ahead.popleft(), False) if ahead else None

        return take

    def supersede(self, taken: Taken) -> bool:
        """Whether a plane is better left for another."""
        planes = self.planes
        return not taken.asked and bool(planes) and taken.plane not in planes

    def interruption(self) -> Callable[[], bool]:
        """Says, from now on, whether something has come that goes before what is done unasked."""
        subject, array, planes = self.subject, self.array, self.planes

        def interrupted() -> bool:
            elsewhere = self.subject is not subject or self.planes is not planes
            return elsewhere or bool(self.ahead) or (array is not None and array.is_begun)

        return interrupted
