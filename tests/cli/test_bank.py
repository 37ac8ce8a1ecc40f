"""bank: list and describe."""

from __future__ import annotations

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
