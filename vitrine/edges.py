"""Teach the encoder that a picture's last rows are like any others.

Its strided convolutions pad with zeros, below and on the right, and what they make of the
zeros grows on the way: in a trained Vitrine the lowest row of one channel lay four widths
from its mean, and half of that channel's variance was this row. Whitening then makes the
rest of the channel too quiet, and a UNet that misses the row by a little draws a pale line.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from .checkpoint import Clock, learning_rate

RING = 4  # latents from the border that the zeros reach


def moments(vae: AutoencoderKL, x: torch.Tensor) -> torch.Tensor:
    """Mean and log variance of the latents: (N, 3, 8h, 8w) to (N, 8, h, w)."""
    return vae.encode(x).latent_dist.parameters


@torch.no_grad()
def borderless(vae: AutoencoderKL, x: torch.Tensor) -> torch.Tensor:
    """What `moments` would be if the picture went on beyond its border, as its last pixels do."""
    plain = moments(vae, x)
    scale = x.shape[-1] // plain.shape[-1]
    wide = moments(vae, F.pad(x, (RING * scale,) * 4, mode="replicate"))[..., RING:-RING, RING:-RING]
    wide[..., RING:-RING, RING:-RING] = plain[..., RING:-RING, RING:-RING]
    return wide


def mend_edges(vae: AutoencoderKL, pictures: torch.Tensor, steps: int, batch: int = 4, peak: float = 1e-3) -> float:
    """Train the encoder, in place, towards what it makes of the same pictures without a border.

    Parameters
    ----------
    vae : AutoencoderKL
        Only its encoder changes; its decoder has to be trained on afterwards.
    pictures : Tensor of shape (N, 3, H, W)
        In [-1, 1].
    steps : int

    Returns
    -------
    float
        Root mean square that is left between the two in the outermost latents.
    """
    teacher = copy.deepcopy(vae).eval().requires_grad_(False)
    learnt = [p.requires_grad_(True) for p in vae.encoder.parameters()]
    optimiser = torch.optim.AdamW(learnt, lr=peak, weight_decay=0.0)
    clock, left = Clock("edges", 0, steps), 0.0
    for step in range(steps):
        x = pictures[torch.from_numpy(np.random.default_rng([25, step]).integers(0, len(pictures), batch))]
        error = (moments(vae, x) - borderless(teacher, x)).square()
        error.mean().backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = peak * learning_rate(step, steps, min(20, steps // 10 + 1), floor=0.02)
        optimiser.step()
        vae.zero_grad(set_to_none=True)
        inner = error[..., 1:-1, 1:-1].sum()
        left = ((error.sum() - inner) / (error.numel() - error[..., 1:-1, 1:-1].numel())).sqrt().item()
        clock.tell(step + 1, f"error {error.mean().sqrt().item():.3f}, outermost {left:.3f}")
    return left
