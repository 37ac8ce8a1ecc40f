"""The memory that this process may still use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from napari_mrisr.errors import MemoryEstimateError, MrisrError, explain

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def free_memory() -> int:
    """Return the bytes that this process may still allocate.

    The smallest of the machine's available memory, what the limits of the process's
    control groups (version 1 and 2) leave, what its limit of address space
    (``ulimit -v``) leaves, and what a SLURM job was granted.
    """
    import psutil

    process = psutil.Process().memory_info()
    found = [int(psutil.virtual_memory().available), *_left_by_cgroups()]
    found += [limit - process.vms for limit in _address_space_limit()]
    found += [limit - process.rss for limit in _slurm_limit()]
    return max(0, min(found))


def require_memory(need: int, found: str, mend: str) -> None:
    """Raise :class:`MemoryEstimateError` if fewer than ``need`` bytes are free.

    Parameters
    ----------
    need : int
        Bytes.
    found : str
        Subject and verb of the message, such as ``"an output of 9 x 9 x 9 voxels needs"``.
    mend : str
        Instruction for the user.
    """
    have = free_memory()
    if need > have:
        text = f"{found} {gigabytes(need)}, {gigabytes(have)} are free"
        raise MemoryEstimateError(explain("not enough memory", text, mend))


def gigabytes(count: int) -> str:
    """Format bytes, such as ``4.2 GB`` (of 2³⁰ bytes)."""
    return f"{count / 2**30:.1f} GB"


@contextlib.contextmanager
def memory_errors_explained(mend: str) -> Iterator[None]:
    """Turn ``MemoryError`` into the one-line :class:`MemoryEstimateError`."""
    try:
        yield
    except MrisrError:
        raise
    except MemoryError as error:
        text = f"an allocation failed, {gigabytes(free_memory())} are free"
        raise MemoryEstimateError(explain("not enough memory", text, mend)) from error


def _left_by_cgroups() -> Iterator[int]:
    """Yield what each control group of this process, and each one above it, leaves."""
    with contextlib.suppress(OSError):
        for line in _OWN_CGROUPS.read_text("ascii", "replace").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                yield from _left_below(_CGROUPS, path, "memory.max", "memory.current", "")
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
                yield from _left_below(_CGROUPS / "memory", path, *names)


def _left_below(root: Path, path: str, limit: str, usage: str, prefix: str) -> Iterator[int]:
    # Inside a container the group's path may not exist; its root is the container's group.
    folder = root / path.strip("/")
    for group in (folder, *folder.parents):
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            allowed = int((group / limit).read_text("ascii"))
            used = int((group / usage).read_text("ascii"))
            yield allowed - used + _file_cache(group / "memory.stat", f"{prefix}inactive_file")
        if group == root:
            break


def _file_cache(statistics: Path, name: str) -> int:
    """Return the bytes of cached files, which the kernel drops when memory is short."""
    with contextlib.suppress(OSError, ValueError):
        for line in statistics.read_text("ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _address_space_limit() -> Iterator[int]:
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            yield soft


def _slurm_limit() -> Iterator[int]:
    """Yield the memory of a SLURM job on this node, in bytes; SLURM counts in MiB."""
    with contextlib.suppress(KeyError, ValueError):
        if node := int(os.environ["SLURM_MEM_PER_NODE"]):  # 0 is all
            yield node * 2**20
    with contextlib.suppress(KeyError, ValueError):
        cpus = int(os.environ["SLURM_CPUS_ON_NODE"])
        if cpu := int(os.environ["SLURM_MEM_PER_CPU"]):
            yield cpu * cpus * 2**20
