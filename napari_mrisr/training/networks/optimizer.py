"""Optimizer of the training: Muon for the inner convolutions, Adam for all other weights.

Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks") replaces
the averaged gradient of a weight matrix by the nearest orthogonal matrix, found by five
Newton–Schulz iterations, so that rare directions learn as fast as common ones. Here a
convolution's matrix has a row per output channel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_QUINTIC = (3.4445, -4.7750, 2.0315)  # coefficients of the iteration in the source
_MOMENTUM = 0.95


class MuonAdam:
    """Both optimizers behind one interface.

    Parameters
    ----------
    network : nn.Module
        Convolutions in ``body`` are trained by Muon.
    rate, adam_rate : float
        Highest learning rates.
    """

    def __init__(self, network: nn.Module, rate: float, adam_rate: float) -> None:
        named = list(network.named_parameters())
        self._inner = [p for name, p in named if name.startswith("body")]
        self._rates = rate, adam_rate
        self._momentum = [torch.zeros_like(p) for p in self._inner]
        others = [p for name, p in named if not name.startswith("body")]
        self._adam = torch.optim.Adam(others, lr=adam_rate)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._adam.zero_grad()
        for parameter in self._inner:
            parameter.grad = None

    def step(self, share: float) -> None:
        """Change the weights, with this share of the highest learning rates."""
        for group in self._adam.param_groups:
            group["lr"] = self._rates[1] * share
        self._adam.step()
        with torch.no_grad():
            for parameter, momentum in zip(self._inner, self._momentum, strict=True):
                assert parameter.grad is not None
                momentum.lerp_(parameter.grad, 1.0 - _MOMENTUM)
                update = orthogonal(parameter.grad.lerp(momentum, _MOMENTUM).flatten(1))
                parameter.add_(update.view_as(parameter), alpha=-self._rates[0] * share)

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold to resume exactly, without the step."""
        tensors = {f"momentum.{n}": m for n, m in enumerate(self._momentum)}
        for number, entry in self._adam.state_dict()["state"].items():
            tensors[f"first.{number}"] = entry["exp_avg"]
            tensors[f"second.{number}"] = entry["exp_avg_sq"]
        return tensors

    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Take over the state of a checkpoint."""
        for number, momentum in enumerate(self._momentum):
            momentum.copy_(tensors[f"momentum.{number}"])
        state = self._adam.state_dict()
        state["state"] = {
            number: {
                "step": torch.tensor(float(step)),
                "exp_avg": tensors[f"first.{number}"],
                "exp_avg_sq": tensors[f"second.{number}"],
            }
            for number in range(len(self._adam.param_groups[0]["params"]))
        }
        self._adam.load_state_dict(state)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix with orthonormal rows; singular values are 0.7 to 1.2.

    Parameters
    ----------
    matrix : (rows, columns) Tensor
        With at least as many columns as rows.
    """
    a, b, c = _QUINTIC
    found = matrix / (matrix.norm() + 1e-12)
    for _ in range(5):
        square = found @ found.T
        found = a * found + (b * square + c * square @ square) @ found
    return found
