"""Make a weaker UNet whose faults are those of a given one, only larger.

Autoguidance (Karras et al., 2024, arXiv:2406.02507) moves away from what such a UNet predicts: where both smear, the smear goes, whatever the words say.
It works only if the weaker one fails at the same things, so it is a copy with fewer hidden channels, and a short training of what is left.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from .captions import caption
from .denoiser import Denoiser, Noise, Plan
from .training import Average, Budget, Checkpoint, Clock, autocast, descend, learning_rate

KEPT = 0.35  # of the hidden channels of every residual block
PEAK = 3e-4


def silenced(unet: nn.Module) -> list[tuple[nn.Parameter, torch.Tensor]]:
    """The weights that read the hidden channels of the residual blocks of ``unet``, and 1 where a channel that counts most is read, else 0."""
    masks = []
    for block in unet.modules():
        if isinstance(block, ResnetBlock2D):
            counts = block.conv1.weight.square().sum((1, 2, 3)) * block.conv2.weight.square().sum((0, 2, 3))
            kept = torch.zeros_like(counts)
            kept[counts.topk(int(KEPT * len(counts))).indices] = 1
            masks.append((block.conv2.weight, kept[None, :, None, None]))
    return masks


def weaken(
    data: Path, model: Denoiser, photos: Callable[[np.ndarray], torch.Tensor], records: Sequence[dict], seconds: float, device: torch.device, batch: int
) -> nn.Module:
    """Train a weaker copy of the UNet of ``model`` for ``seconds``, resuming from ``data/weak.pt``; return its average.

    Parameters
    ----------
    photos, records
        As for `vitrine.guidance.distil`.
    batch : int
        Pictures a step.
    """
    unet, noise = copy.deepcopy(model.unet).train(), Noise(device)
    masks = silenced(unet)

    @torch.no_grad()
    def silence() -> None:
        for weight, kept in masks:
            weight.mul_(kept)

    silence()
    optimiser = torch.optim.AdamW(unet.parameters(), lr=PEAK, betas=(0.9, 0.99), weight_decay=0.0, fused=device.type == "cuda")
    average, budget = Average(unet), Budget(seconds)
    checkpoint = Checkpoint(data / "weak.pt", unet=unet, optimiser=optimiser, average=average, budget=budget)
    step = checkpoint.load(device)
    clock, smooth, dice, rng = Clock("weak", budget), None, np.random.default_rng([79, step]), torch.Generator(device).manual_seed(53_000_000 + step)
    budget.start()
    while (share := budget.tick()) < 1:
        picks = dice.integers(len(records), size=batch)
        told = [int(dice.integers(len(records))) if dice.random() < Plan.wrong else k for k in picks]  # it trusts captions as its teacher does
        texts = ["" if dice.random() < Plan.empty else caption(records[k], dice) for k in told]
        ids = model.tokenizer(texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids.to(device)
        with torch.no_grad():
            z, text = photos(picks), model.text(ids)[0]
        e, t = torch.randn(z.shape, generator=rng, device=device), noise.draw(batch, rng)
        with autocast(device):
            predicted = unet(noise.add(z, e, t), t, text, return_dict=False)[0].float()
        loss = (noise.weight(t) * (predicted - e).square().mean((1, 2, 3))).mean()
        descend(loss, optimiser, PEAK * learning_rate(share))
        silence()
        average.update(unet)
        smooth = loss.detach() if smooth is None else smooth.lerp(loss.detach(), 0.05)
        step += 1
        clock.tell(step, batch, f"loss {smooth.item():.4f}")
        checkpoint.save(step)
    checkpoint.save(step, force=True)
    return average.module
