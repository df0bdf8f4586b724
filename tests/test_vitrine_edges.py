"""An encoder that has been mended makes of a picture's border what it makes of its middle."""

from __future__ import annotations

import pytest
import torch

from vitrine.edges import RING, borderless, mend_edges, moments
from vitrine.model import TINY, make_autoencoder


@pytest.fixture
def vae():
    """An untrained encoder that takes padding's zeros for darkness: its pictures are brighter than they are."""
    torch.manual_seed(5)
    vae = make_autoencoder(TINY)
    with torch.no_grad():
        for block in vae.encoder.down_blocks[:-1]:
            block.downsamplers[0].conv.bias += 0.5
    return vae


@pytest.fixture
def pictures():
    torch.manual_seed(6)
    return torch.nn.functional.interpolate(torch.rand(6, 3, 8, 8), scale_factor=16, mode="bilinear")


def outermost(a, b):
    error = (a - b).square()
    return torch.cat([error[..., 0, :], error[..., -1, :], error[..., 0], error[..., -1]], -1).mean().sqrt().item()


def test_only_the_ring_that_the_zeros_reach_is_taken_from_the_wider_picture(vae, pictures):
    inner = (..., slice(RING, -RING), slice(RING, -RING))
    plain, wide = moments(vae, pictures), borderless(vae, pictures)
    assert plain.shape == wide.shape == (6, 8, 16, 16)
    assert torch.equal(plain[inner], wide[inner])
    assert outermost(plain, wide) > 1e-3


def test_a_flat_picture_is_flatter_without_its_border(vae):
    flat = torch.full((1, 3, 128, 128), 0.4)
    away = lambda z: outermost(z, z[..., 7:8, 7:8])
    assert away(borderless(vae, flat)) < 0.7 * away(moments(vae, flat))


def test_mending_brings_the_border_nearer_and_leaves_the_decoder_alone(vae, pictures):
    before, wanted = outermost(moments(vae, pictures), borderless(vae, pictures)), borderless(vae, pictures)
    decoder = [p.clone() for p in vae.decoder.parameters()]
    left = mend_edges(vae, pictures, steps=40, batch=3)
    assert left < 0.7 * before
    assert outermost(moments(vae, pictures), wanted) < 0.7 * before
    assert all(torch.equal(a, b) for a, b in zip(decoder, vae.decoder.parameters()))
    assert all(p.grad is None for p in vae.parameters())
