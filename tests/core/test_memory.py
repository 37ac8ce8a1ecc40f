"""Free memory: the smallest of machine, control groups, address space and SLURM job."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from napari_mrisr.core import memory
from napari_mrisr.core.memory import free_memory, memory_errors_explained, require_memory
from napari_mrisr.errors import MemoryEstimateError, OutputError


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with 8 GiB free and no other limit."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**33))
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(memory, "_address_space_limit", lambda: iter(()))
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def group(folder, limit, used, cache, names=("memory.max", "memory.current", "inactive_file")):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (f"{limit}\n", f"{used}\n", None), strict=True):
        if value is not None:
            (folder / name).write_text(value, "ascii")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cache}\n", "ascii")


def test_without_other_limits_the_machine_decides(machine):
    assert free_memory() == 2**33


def test_control_group_version_2(machine):
    (machine / "own").write_text("0::/user/job\n", "ascii")
    group(machine / "cgroup/user/job", "max", 0, 0)
    group(machine / "cgroup/user", 2**31, 2**30, 2**20)
    assert free_memory() == 2**30 + 2**20


def test_control_group_version_1_inside_a_container(machine):
    (machine / "own").write_text("4:memory:/docker/abc\n1:cpu:/\n0::/\n", "ascii")
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    group(machine / "cgroup/memory", 2**30, 2**29, 4096, names)
    assert free_memory() == 2**29 + 4096


def test_a_control_group_over_its_limit_leaves_nothing(machine):
    (machine / "own").write_text("0::/\n", "ascii")
    group(machine / "cgroup", 2**20, 2**21, 0)
    assert free_memory() == 0


def test_slurm_job(machine, monkeypatch):
    rss = psutil.Process().memory_info().rss
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "2048")
    assert abs(free_memory() - (2**31 - rss)) < 2**26
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "0")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1024")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2")
    assert abs(free_memory() - (2**31 - rss)) < 2**26


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of address space")
def test_address_space_limit():
    code = """
import resource
from napari_mrisr.core.memory import free_memory
resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
print(free_memory())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 2**32


def test_what_does_not_fit_is_refused_in_one_line(machine):
    require_memory(2**33, "this needs", "crop it")
    with pytest.raises(MemoryEstimateError) as caught:
        require_memory(2**34, "this needs", "crop it")
    assert str(caught.value) == "not enough memory: this needs 16.0 GB, 8.0 GB are free; crop it"


def test_a_failed_allocation_becomes_one_line(machine):
    match = r"an allocation failed, 8\.0 GB are free; crop"
    with pytest.raises(MemoryEstimateError, match=match), memory_errors_explained("crop it"):
        raise MemoryError
    with pytest.raises(OutputError), memory_errors_explained("crop it"):
        raise OutputError("full")
