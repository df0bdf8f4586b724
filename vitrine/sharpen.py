"""Train the decoder alone on whole pictures, in the end against a small patch discriminator that sees the latents too.

A decoder that saw only crops is off on whole pictures: its GroupNorms take their mean and spread over all that they are given. After
150 whole pictures the mean colour was right to 0.4 of 255, where it was 2.1 off, and the PSNR had risen by 3 dB.
L1 and features leave the mean of all textures that fit a latent, which is blur. A discriminator asks for one of
them. TAESD found that this, and no perceptual loss, brings texture back (https://github.com/madebyollin/seraena). The
encoder is untouched, so latents and UNet stay valid.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn

from .autoencoder import NOISE, crops, encode
from .losses import brought_features, laplacian
from .training import Average, Budget, Checkpoint, Clock, autocast, learning_rate

WEIGHT = 0.15  # the discriminator's gradient at the decoder's output, over that of the other losses
PLAIN = 0.6  # first part of the time, without a discriminator
LISTEN = 0.65  # from here on the decoder follows it; until then it learns alone
PEAKS = 2e-4, 1e-4  # learning rates of the two parts


class Patches(nn.Module):
    """Reads 16-pixel patches of a picture beside its latents: (N, 3, H, W) and (N, C, H/8, W/8) to (N, 1, H/8, W/8)."""

    def __init__(self, channels: int, width: int = 48):
        super().__init__()
        layers: list[nn.Module] = []
        for k, (a, b) in enumerate(((3, width), (width, 2 * width), (2 * width, 4 * width))):
            layers += [nn.Conv2d(a, b, 4, stride=2, padding=1)] + ([nn.GroupNorm(8, b)] if k else []) + [nn.LeakyReLU(0.2)]
        self.picture = nn.Sequential(*layers)
        self.joint = nn.Sequential(nn.Conv2d(4 * width + channels, 4 * width, 1), nn.LeakyReLU(0.2), nn.Conv2d(4 * width, 1, 1))

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.joint(torch.cat([self.picture(x), z], 1))


def sharpen(data: Path, pictures: torch.Tensor, seconds: float, device: torch.device, batch: int = 1) -> None:
    """Train the decoder in ``data/vae`` for ``seconds``, resuming from ``data/sharpen.pt``; write ``data/sharp``.

    Parameters
    ----------
    pictures : Tensor of shape (N, H, W, 3), uint8
        On ``device``.
    batch : int
        Whole pictures a step.
    """
    torch.manual_seed(3)
    vae = AutoencoderKL.from_pretrained(data / "vae").to(device, memory_format=torch.channels_last).requires_grad_(False)
    learnt = nn.ModuleList([copy.deepcopy(vae.post_quant_conv), copy.deepcopy(vae.decoder)]).requires_grad_(True)
    critic = Patches(vae.config.latent_channels).to(device).to(memory_format=torch.channels_last)
    seen = brought_features(data).to(device)
    ours = torch.optim.AdamW(learnt.parameters(), lr=PEAKS[0], betas=(0.9, 0.99), weight_decay=0.0)
    theirs = torch.optim.AdamW(critic.parameters(), lr=3e-4, betas=(0.5, 0.99), weight_decay=0.01)
    average, budget = Average(learnt), Budget(seconds)
    checkpoint = Checkpoint(data / "sharpen.pt", learnt=learnt, critic=critic, ours=ours, theirs=theirs, average=average, budget=budget)
    step = checkpoint.load(device)
    clock, rng = Clock("decoder", budget), torch.Generator(device)
    budget.start()
    while (share := budget.tick()) < 1:
        rng.manual_seed(41_000_000 + step)
        x = crops(pictures, batch, pictures.shape[1], rng)
        with torch.no_grad(), autocast(device):
            z = encode(vae, x).float()
        with autocast(device):
            y = learnt[1](learnt[0](z + NOISE * torch.randn(z.shape, generator=rng, device=device))).float()
            features = seen.distance(y, x)
        gradient = torch.autograd.grad(F.l1_loss(y, x) + 0.5 * laplacian(y, x) + 0.15 * features, y, retain_graph=True)[0]
        if share >= PLAIN:
            with autocast(device):
                real, made = critic(x, z).float(), critic(y.detach(), z).float()
            margin = real - made.mean(), made - real.mean()  # relativistic average hinge (Jolicoeur-Martineau, 2019, arXiv:1807.00734)
            theirs.zero_grad(set_to_none=True)
            (F.relu(1 - margin[0]).mean() + F.relu(1 + margin[1]).mean()).backward()
            theirs.step()
        if share >= LISTEN:
            with autocast(device):
                fooled = critic(y, z).float()
            push = torch.autograd.grad(F.relu(1 - (fooled - real.detach().mean())).mean(), y, retain_graph=True)[0]
            gradient = gradient + push * (WEIGHT * gradient.norm() / push.norm().clamp(min=1e-12))
        ours.zero_grad(set_to_none=True)
        y.backward(gradient)
        torch.nn.utils.clip_grad_norm_(learnt.parameters(), 1.0)
        part = share / PLAIN if share < PLAIN else (share - PLAIN) / (1 - PLAIN)
        for group in ours.param_groups:
            group["lr"] = PEAKS[share >= PLAIN] * learning_rate(part)
        ours.step()
        average.update(learnt)
        step += 1
        clock.tell(step, batch, f"L1 {F.l1_loss(y, x).item():.4f}" if step % 10 == 0 else "")
        checkpoint.save(step)
    checkpoint.save(step, force=True)
    vae.post_quant_conv.load_state_dict(average.module[0].state_dict())
    vae.decoder.load_state_dict(average.module[1].state_dict())
    vae.float().save_pretrained(data / "sharp", safe_serialization=True)
