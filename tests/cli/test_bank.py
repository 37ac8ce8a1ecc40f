"""bank: list and describe."""

from __future__ import annotations

from helpers.networks import copy_model, save_model

FAST = ("--methods", "nearest,tricubic")


def test_bank_show_and_list(run, bank, tmp_path):
    found = run("bank", "show", bank)
    assert found.code == 0
    assert "scale 2" in found.out
    assert "2.nii" in found.out
    assert run("bank", "list").code == 0
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(bank.read_bytes()[:-100])
    found = run("bank", "show", broken)
    assert found.code == 2
    assert str(broken) in found.error


def test_bank_show_describes_a_network(run, tmp_path):
    path = save_model(copy_model(4, 1, 1), tmp_path / "mine.onnx")
    found = run("bank", "show", f"{path}:halo=3")
    assert found.code == 0
    assert found.out.startswith("mine.onnx: network of volumes, scale 4x1x1")
    assert "  halo 3x3x3 (option)" in found.out
    assert "  input low-resolution (found by probing)" in found.out
