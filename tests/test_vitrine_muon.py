"""Orthogonal momentum: what it makes of a matrix, and that it descends."""

from __future__ import annotations

import pytest
import torch

from vitrine.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (24, 24)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    torch.manual_seed(0)
    g = torch.randn(shape)
    u, values, v = torch.linalg.svd(g, full_matrices=False)
    made = orthogonal(g)
    after = torch.linalg.svdvals(made)
    large = values > 0.1 * values.max()
    assert after[: int(large.sum())].min() > 0.6 and after.max() < 1.3
    inside = u.T @ made @ v.T  # diagonal where the directions are kept
    assert (inside - inside.diag().diag()).abs().max() < 1e-4


def test_the_size_of_an_update_is_the_learning_rate_times_a_fifth_whatever_the_shape():
    torch.manual_seed(0)
    for shape in ((8, 4, 3, 3), (64, 8, 3, 3), (32, 32)):
        weight = torch.nn.Parameter(torch.zeros(shape))
        weight.grad = torch.randn(shape)
        Muon([weight], lr=0.1).step()
        assert weight.detach().square().mean().sqrt() == pytest.approx(0.02, rel=0.2)


def test_it_solves_least_squares():
    torch.manual_seed(0)
    goal, x = torch.randn(6, 9), torch.randn(9, 50)
    weight = torch.nn.Parameter(torch.zeros(6, 9))
    optimiser = Muon([weight], lr=0.1)
    first = None
    for k in range(200):
        loss = (weight @ x - goal @ x).square().mean()
        first = first or loss.item()
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = 0.5 * (1 - k / 200)
        optimiser.step()
    assert loss.item() < 1e-2 * first
