"""Orthogonal updates; skipped, visibly, where PyTorch is not installed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from napari_mrisr.training.networks.architecture import ThickSliceNetwork  # noqa: E402
from napari_mrisr.training.networks.optimizer import MuonAdam, orthogonal  # noqa: E402


def test_an_update_has_singular_values_near_one_and_the_directions_of_the_gradient():
    torch.manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(6, 6))
    right, _ = torch.linalg.qr(torch.randn(20, 6))
    values = torch.tensor([5.0, 3.0, 1.0, 0.5, 0.2, 0.1])
    found = left.T @ orthogonal(left @ torch.diag(values) @ right.T) @ right
    diagonal = found.diagonal()
    assert 0.6 < diagonal.min() <= diagonal.max() < 1.3
    torch.testing.assert_close(found, torch.diag(diagonal), rtol=0, atol=1e-4)


def test_every_weight_with_a_gradient_is_changed():
    torch.manual_seed(0)
    network = ThickSliceNetwork(4, 1)
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = MuonAdam(network, 0.02, 1e-3)
    optimizer.zero_grad()
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step(1.0)
    for old, new in zip(before, network.parameters(), strict=True):
        assert not torch.equal(old, new)
