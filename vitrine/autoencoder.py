"""Train the factor-8 autoencoder from a linear start, with latents that are white as they come."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from .linear_start import POSTERIOR, start_linear
from .losses import brought_features, laplacian
from .model import FULL, Size, fold_whitening, make_autoencoder
from .training import Average, Budget, Checkpoint, Clock, autocast, descend, learning_rate

PEAK, MOST = 5e-4, 1e-3
WHOLE = 0.7  # from this share of the budget on, whole pictures instead of crops, as many pixels: GroupNorm's mean and spread are other ones there
NOISE = float(np.exp(POSTERIOR / 2))  # what the decoder learns to live with: the latents' own spread


def crops(pictures: torch.Tensor, count: int, side: int, rng: torch.Generator) -> torch.Tensor:
    """Random flipped crops, cut where the pictures are.

    Parameters
    ----------
    pictures : Tensor of shape (N, H, W, 3), uint8

    Returns
    -------
    Tensor of shape (count, 3, side, side)
        Float32 in [-1, 1], channels last in memory.
    """
    n, height, width, _ = pictures.shape
    draw = lambda high: torch.randint(high, (count, 1), generator=rng, device=pictures.device)
    span = torch.arange(side, device=pictures.device)
    rows, columns = draw(height - side + 1) + span, draw(width - side + 1) + span
    columns = torch.where(draw(2) == 1, columns.flip(1), columns)
    cut = pictures[draw(n)[:, :, None], rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2).float().div(127.5).sub(1)


def encode(vae: AutoencoderKL, x: torch.Tensor) -> torch.Tensor:
    """The posterior's mean: (N, 3, H, W) to (N, C, H/8, W/8)."""
    return vae.quant_conv(vae.encoder(x))[:, : vae.config.latent_channels]


def decode(vae: AutoencoderKL, z: torch.Tensor) -> torch.Tensor:
    return vae.decoder(vae.post_quant_conv(z))


def whiteness(z: torch.Tensor) -> torch.Tensor:
    """How far latents are from mean 0 and covariance 1."""
    flat = z.movedim(1, -1).flatten(0, 2)
    return (flat.T @ flat / len(flat) - torch.eye(flat.shape[1], device=z.device)).square().mean() + flat.mean(0).square().mean()


def train(
    data: Path,
    pictures: torch.Tensor,
    seconds: float,
    device: torch.device,
    batch: int = 16,
    side: int = 64,
    size: Size = FULL,
) -> None:
    """Train for ``seconds``, resuming from ``data/autoencoder.pt``, then write ``data/vae``.

    Where a pack has brought them, it begins with the autoencoder in ``data/start`` instead of a linear one, and the features
    of its loss come from ``data/features.safetensors``.

    Parameters
    ----------
    pictures : Tensor of shape (N, H, W, 3), uint8
        On ``device``.
    batch, side : int
        Crops a step and their width; the learning rate grows with the root of the batch, up to ``MOST``.
    """
    torch.manual_seed(0)
    if (data / "start").exists():
        vae = AutoencoderKL.from_pretrained(data / "start", dtype=torch.float32)
    else:
        vae = make_autoencoder(size)
        start_linear(vae, to_tensor(pictures[:200].cpu()))
    vae = vae.to(device, memory_format=torch.channels_last)
    seen = brought_features(data).to(device)
    begun = copy.deepcopy(vae).requires_grad_(False)
    peak = min(PEAK * (batch / 16) ** 0.5, MOST)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=peak, betas=(0.9, 0.99), weight_decay=0.0, fused=device.type == "cuda")
    average, budget = Average(vae), Budget(seconds)
    checkpoint = Checkpoint(data / "autoencoder.pt", vae=vae, optimiser=optimiser, average=average, budget=budget)
    step = checkpoint.load(device)
    clock, rng = Clock("autoencoder", budget), torch.Generator(device)
    budget.start()
    while (share := budget.tick()) < 1:
        rng.manual_seed(21_000_000 + step)
        wide = pictures.shape[1] if share >= WHOLE else side
        x = crops(pictures, max(1, batch * side**2 // wide**2), wide, rng)
        with autocast(device):
            z = encode(vae, x).float()
            y = decode(vae, z + NOISE * torch.randn(z.shape, generator=rng, device=device)).float()
            features = seen.distance(y, x)
        pixel = F.l1_loss(y, x)
        loss = pixel + 0.5 * laplacian(y, x) + 0.15 * features + 0.1 * whiteness(z)
        descend(loss, optimiser, peak * learning_rate(share, hold=0.6))
        average.update(vae)
        step += 1
        clock.tell(step, batch, f"L1 {pixel.item():.4f}" if step % 10 == 0 else "")
        checkpoint.save(step)
    checkpoint.save(step, force=True)
    finished = average.module.float()
    if (data / "start").exists():  # a short training can end below what it was brought
        finished = max(begun, finished, key=lambda one: psnr(one, pictures))
    whiten(finished, pictures)
    finished.save_pretrained(data / "vae", safe_serialization=True)


@torch.no_grad()
def psnr(vae: AutoencoderKL, pictures: torch.Tensor, count: int = 100) -> float:
    """Mean over pictures of their reconstruction's PSNR, in dB: a mean of squared errors is that of the grainy ones."""
    parts = [to_tensor(part) for part in pictures[:count].split(4)]
    mean = -10 * torch.cat([((decode(vae, encode(vae, x)) - x) / 2).square().mean((1, 2, 3)).log10() for x in parts]).mean().item()
    print(f"autoencoder: {mean:.2f} dB on {min(count, len(pictures))} training pictures", flush=True)
    return mean


@torch.no_grad()
def whiten(vae: AutoencoderKL, pictures: torch.Tensor, count: int = 1000) -> None:
    """Make the latents' mean 0 and covariance 1 over ``count`` pictures, in place; training has brought them close."""
    picks = np.random.default_rng(22).permutation(len(pictures))[:count]
    rows = []
    for k in range(0, len(picks), 8):
        x = to_tensor(pictures[picks[k : k + 8]])
        rows.append(encode(vae, x).movedim(1, -1).flatten(0, 2).double())
    flat = torch.cat(rows)
    variance = vae.quant_conv.bias[vae.config.latent_channels :].double().exp()
    fold_whitening(vae, flat.mean(0), torch.cov(flat.T) + torch.diag(variance), variance)


def to_tensor(pictures: np.ndarray | torch.Tensor) -> torch.Tensor:
    """(N, H, W, 3) uint8 to a (N, 3, H, W) float32 Tensor in [-1, 1]."""
    return torch.as_tensor(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1)
