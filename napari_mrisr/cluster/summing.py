"""Training on a cluster: sums of volumes, added up in a tree.

A piece is a few volumes of one half, whose sums a worker adds up by itself, so that
less travels; pieces are merged in pairs where they lie. What comes back is a round:
all pieces that keep the workers busy for a while. It is then added here and saved,
as after a volume otherwise; two rounds are under way at a time, so that no worker
waits for the end of one. Sums are exact (:mod:`napari_mrisr.training.hands`): a bank
that was trained on a cluster is the same, bit for bit, where processors are alike.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_mrisr.cluster.pieces import Cluster
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import MrisrError, VolumeError, explain
from napari_mrisr.training.halves import in_first_half
from napari_mrisr.training.hands import Here, Part, StageJob, TrainingVolume
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.on_device import accumulator
from napari_mrisr.training.sources import TrainingFile

if TYPE_CHECKING:
    from distributed import Future

Value = TypeVar("Value")

# A worker that dies loses a piece; fewer would let more sums travel.
_VOLUMES_A_PIECE = 4
_PIECES_A_SLOT = 2
# Merging frees memory: before everything else.
_FIRST = 10


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of some volumes, and how many samples they had."""

    equations: NormalEquations
    samples: int


@dataclass(frozen=True, eq=False)
class _Round:
    """Volumes, and the sums of those of each half that are to come."""

    volumes: int
    halves: tuple[Future[Sums] | None, Future[Sums] | None]


@dataclass(frozen=True)
class Away:
    """A training's hands on a cluster; see :class:`~napari_mrisr.training.hands.Hands`.

    Attributes
    ----------
    cluster : Cluster
    pool : ThreadPool
        Its check is asked while waiting.
    device : str
        Where workers add samples up.
    """

    cluster: Cluster
    pool: ThreadPool
    device: str = "auto"

    def sums(
        self, job: StageJob, volumes: Sequence[TrainingVolume], *, singly: bool
    ) -> Iterator[Part]:
        """See the protocol."""
        shared = self.cluster.send(job)
        slots = self.cluster.slots
        size = 1 if singly else piece_size(len(volumes), slots)
        rounds = deque(batches(volumes, 1 if singly else size * slots * _PIECES_A_SLOT))
        ahead = slots + 1 if singly else 2
        under_way: deque[_Round] = deque()
        began = time.perf_counter()
        while rounds or under_way:
            while rounds and len(under_way) < ahead:
                under_way.append(self._begin(shared, rounds.popleft(), size))
            done = under_way.popleft()
            first, second = (self._fetch(half) for half in done.halves)
            now = time.perf_counter()
            yield Part(
                done.volumes,
                (first.equations if first else None, second.equations if second else None),
                sum(half.samples for half in (first, second) if half),
                now - began,
            )
            began = now

    def each(
        self, task: Callable[..., Value], volumes: Iterable[TrainingVolume], *shared: Any
    ) -> Iterator[Value]:
        """See the protocol."""
        sent = [self.cluster.send(value) for value in shared]
        pieces = [_elsewhere(volume) for volume in volumes]
        for found in self.cluster.each(task, pieces, self.pool.progress, *sent):
            if isinstance(found, MrisrError):
                raise found
            yield found

    def _begin(self, job: Future[StageJob], volumes: Sequence[TrainingVolume], size: int) -> _Round:
        found: list[Future[Sums] | None] = []
        for first in (True, False):
            half = [_elsewhere(v) for v in volumes if in_first_half(v.index) is first]
            pieces = [
                self.cluster.submit(sums_of, job, self.device, piece)
                for piece in batches(half, size)
            ]
            found.append(self._tree(pieces))
        return _Round(len(volumes), (found[0], found[1]))

    def _tree(self, sums: list[Future[Sums]]) -> Future[Sums] | None:
        """Merge in pairs, and those in pairs, until one is left."""
        while len(sums) > 1:
            sums = [
                self.cluster.submit(merged, *pair, priority=_FIRST) if len(pair) > 1 else pair[0]
                for pair in batches(sums, 2)
            ]
        return sums[0] if sums else None

    def _fetch(self, half: Future[Sums] | None) -> Sums | None:
        return None if half is None else self.cluster.result(half, self.pool.check)


def piece_size(volumes: int, slots: int) -> int:
    """Volumes of a piece: few enough for every slot to have some of either half."""
    return max(1, min(_VOLUMES_A_PIECE, volumes // (slots * _PIECES_A_SLOT)))


def batches(items: Sequence[Value], size: int) -> list[Sequence[Value]]:
    """Items in their order, so many at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def sums_of(
    job: StageJob, device: str, volumes: Sequence[TrainingVolume], pool: ThreadPool
) -> Sums:
    """The sums of a piece, whose volumes are of one half: on a worker."""
    total, samples = None, 0
    for part in Here(pool, accumulator(device, _unheard)).sums(job, volumes, singly=True):
        first, second = part.halves
        sums = first or second
        assert sums is not None
        if total is None:
            total = sums
        else:
            total.merge(sums)
        samples += part.samples
    assert total is not None, "a piece has volumes"
    return Sums(total, samples)


def _unheard(text: str) -> None:
    """What a worker says of its device, nobody hears."""


def merged(a: Sums, b: Sums, pool: ThreadPool) -> Sums:
    """Two sums in one: on a worker. What is merged may be asked for again, so it is kept."""
    total = a.equations.copy()
    total.merge(b.equations)
    return Sums(total, a.samples + b.samples)


def _elsewhere(volume: TrainingVolume) -> TrainingVolume:
    """The volume as a worker finds it."""
    path = volume.source.path
    if path is None:
        mend = "save it, and train on the file"
        raise VolumeError(explain(volume.source.name, "is no file, which a cluster needs", mend))
    return replace(volume, source=TrainingFile(path.absolute()))
