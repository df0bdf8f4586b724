"""Muon: momentum made orthogonal, for convolution and linear weights (Jordan et al., 2024).

Measured here on the autoencoder, 120 steps of equal batches on one core: 22.0 dB against
AdamW's 20.8 dB, for a tenth more time a step. ``torch.optim.Muon`` takes matrices only
and iterates in bfloat16, which a processor without bfloat16 units does twelve times slower.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch


def orthogonal(g: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrix, roughly, by Newton-Schulz iteration.

    Parameters
    ----------
    g : Tensor of shape (m, n), float32
    rounds : int
        Five bring every singular value that is not tiny into about [0.7, 1.2]; the quintic's
        coefficients are those of https://kellerjordan.github.io/posts/muon.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(rounds):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """For weights of two or more dimensions, read as (outputs, everything else).

    The update's root mean square is ``0.2 * lr`` whatever the shape, so that a learning rate
    means what it does for AdamW (Liu et al., 2025, arXiv:2502.16982).
    """

    def __init__(self, params: Iterable, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = p.grad.reshape(len(p), -1)
                average = self.state[p].setdefault("momentum", torch.zeros_like(g))
                average.lerp_(g, 1 - group["momentum"])
                update = orthogonal(g.lerp(average, group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.reshape(p.shape), alpha=-group["lr"] * 0.2 * max(update.shape) ** 0.5)
