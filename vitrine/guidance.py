"""Distil a better guidance into the UNet, so that plain guidance 7.5 makes pictures that took four predictions a step before.

Guidance by words alone strengthens what a caption names and nothing else; at 7.5 it also blackens dark sets and strews specks along edges. The teacher adds three things:

- *perturbed-attention guidance* (Ahn et al., 2024, arXiv:2403.17377) moves away from what the same UNet predicts when each position of its innermost
  self-attentions sees itself alone. That is a picture without structure; away from it backpacks get straps, wallets flaps and wood its grain.
- *autoguidance* (Karras et al., 2024, arXiv:2406.02507) moves away from what a weaker UNet of the same kind predicts (`vitrine.weak`). Away from its smears,
  edges are sharp, and dark leather shows its stitches and lights.
- *adaptive projected guidance* (Sadat et al., 2024, arXiv:2410.02416) leaves out the part of a push that lies along the picture itself,
  which is what oversaturates and clips.

The student learns to reach the teacher's prediction by ordinary classifier-free guidance of 7.5 on its own two predictions (Meng et al., 2023,
arXiv:2210.03142, distil guidance into one), in the states that the teacher's sampling passes through, from noise and from photos. What autoguidance adds does not come from words, so both
of the student's predictions learn it whole, and nothing of it is multiplied by 7.5. No picture is a target, so captions are all it needs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler
from diffusers.models.attention_processor import PAGCFGIdentitySelfAttnProcessor2_0
from torch import nn

from .captions import caption
from .denoiser import Denoiser, Noise
from .losses import DecoderFeatures, without_noise
from .model import SCHEDULER_CONFIG
from .scene import SPLITS, draw
from .training import Average, Budget, Checkpoint, Clock, autocast, descend, learning_rate
from .weak import weaken

SCALE = 7.5  # the guidance at which the student is to be as the teacher
PEAK = 1e-4  # of the blocks with attention, where words and structure come in
OUTER = 0.5  # of it for the others, which draw edges and grain
WEAKER = 0.2  # share of the time that the weaker UNet gets
FRESH = 0.45  # states that the teacher makes for each that the student is shown
SEEN = 0.4  # what the error of `DecoderFeatures` counts
LEAST = 24  # batches of states before the first step

State = tuple[torch.Tensor, ...]  # noisy latents, timestep, tokens, and the noise that the student shall predict without words, and with guidance


def amounts(sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How far the teacher follows the words, leaves the perturbed prediction, and leaves the weak one, where the noise is ``sigma`` times as wide as the picture.

    Words decide in the noisiest levels (7.5 above 8), structure between (from 8 to 1), and at the end nothing is pushed far.
    Structure 3 at every level beside guidance 3 showed as much, but one of five white backgrounds was dark. The weak one is left where structure is and below; left
    at the noisiest levels too, it makes white backgrounds grey, and twice as far, it turns leather grey and strews coloured specks along edges. Between 8 and 1, 1.5 beside words of 4
    looked no sharper than 1 beside 4.5 (16 pictures), and made dark things paler: of 64 prompts with black, grey, dark or concrete in them the teacher had all three right in 48, and in 51.
    """
    above = lambda level: torch.sigmoid(4 * (sigma / level).log())
    return 2.5 + 2 * above(1) + 3 * above(8), 3 * above(1) - 2 * above(8), 0.7 + 0.3 * above(1) - above(8)


class Teacher:
    """Frozen weights, and the four predictions that they and the weaker ones are asked for."""

    def __init__(self, model: Denoiser, weak: nn.Module, noise: Noise):
        self.weak, self.noise = weak, noise
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        unet = self.model.unet
        innermost = f"down_blocks.{len(unet.down_blocks) - 1}.", "mid_block.", "up_blocks.0."
        perturbed = PAGCFGIdentitySelfAttnProcessor2_0()  # of a batch in three parts, the last sees each position alone
        unet.set_attn_processor({name: perturbed if name.startswith(innermost) and "attn1" in name else one for name, one in unet.attn_processors.items()})

    def sigma(self, t: torch.Tensor) -> torch.Tensor:
        """Noise over picture, which is what an error counts, at timesteps that need not be whole numbers; shape (N,)."""
        return self.noise.weight(t.floor().long()).lerp(self.noise.weight(t.ceil().long()), t.frac())

    @torch.no_grad()
    def predict(self, noisy: torch.Tensor, t: torch.Tensor, text: torch.Tensor, blank: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the student shall predict without words, and with guidance; both of the shape of ``noisy``."""
        texts = torch.cat([blank.expand_as(text), text, text])
        unguided, worded, perturbed = self.model.unet(noisy.repeat(3, 1, 1, 1), t.repeat(3), texts, return_dict=False)[0].chunk(3)
        sigma = self.sigma(t)
        words, structure, detail = amounts(sigma[:, None, None, None])
        picture = without_noise(noisy, worded, sigma)  # that the words predict
        across = lambda push: push - (push * picture).sum((1, 2, 3), keepdim=True) / picture.square().sum((1, 2, 3), keepdim=True) * picture
        # brightness and hue are the words' business: with the pushes' own means, four dark scenes had 50 of 255 instead of 39 (32 are right)
        level = lambda push: push - push.mean((2, 3), keepdim=True)
        finer = detail * level(across(worded - self.weak(noisy, t, text, return_dict=False)[0]))
        return unguided + finer, worded - (words - 1) * across(unguided - worded) + structure * level(worded - perturbed) + finer

    @torch.no_grad()
    def walk(
        self, ids: torch.Tensor, empty: torch.Tensor, rng: torch.Generator, steps: int, ancestral: bool, start: torch.Tensor | None, strength: float
    ) -> Iterator[State]:
        """Sample with the teacher's guidance, and give every state on the way.

        Parameters
        ----------
        ids : Tensor of shape (N, 77), int64
        start : Tensor of shape (N, C, h, w), optional
            Latents of photos, which get the noise of the last ``strength`` of the steps.
        """
        scheduler = (EulerAncestralDiscreteScheduler if ancestral else EulerDiscreteScheduler).from_config(SCHEDULER_CONFIG)
        scheduler.set_timesteps(steps, device=ids.device)
        text, blank = (self.model.text(one)[0] for one in (ids, empty[None]))
        config = self.model.unet.config
        first = 0 if start is None else steps - max(1, int(steps * strength))
        x = torch.randn((len(ids), config.in_channels, config.sample_size, config.sample_size), generator=rng).to(ids.device) * scheduler.sigmas[first]
        x = x if start is None else start + x
        for t in scheduler.timesteps[first:]:
            noisy, at = scheduler.scale_model_input(x, t), t.float().expand(len(ids))
            unguided, guided = self.predict(noisy, at, text, blank)
            yield from zip(noisy.half(), at, ids, unguided.half(), guided.half(), strict=True)
            x = scheduler.step(guided, t, x, generator=rng).prev_sample

    def states(self, photos: Callable[[np.ndarray], torch.Tensor], records: Sequence[dict], empty: torch.Tensor, count: int, seed: int) -> Iterator[State]:
        """Walk for ever, ``count`` pictures at a time, now from noise and now from photos, whose captions may be another's."""
        rng, dice = torch.Generator().manual_seed(52_000_000 + seed), np.random.default_rng([77, seed])
        while True:
            told, start = [draw(int(k)) for k in dice.integers(*SPLITS["train"], count)], None
            if dice.random() < 0.5:
                picks = dice.integers(len(records), size=count)
                start = photos(picks)
                told = [records[k] if dice.random() < 0.4 else other for k, other in zip(picks, told, strict=True)]
            texts = [caption(record, dice) for record in told]
            ids = self.model.tokenizer(texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids.to(empty.device)
            yield from self.walk(ids, empty, rng, int(dice.integers(12, 41)), dice.random() < 0.7, start, float(dice.uniform(0.3, 0.95)))


def distil(
    data: Path,
    model: Denoiser,
    photos: Callable[[np.ndarray], torch.Tensor],
    records: Sequence[dict],
    features: DecoderFeatures,
    seconds: float,
    device: torch.device,
    batch: int = 16,
    saved: Callable[[], None] = lambda: None,
) -> nn.Module:
    """Train a weaker UNet, then the one of ``model``, for ``seconds`` together, resuming from ``data/weak.pt`` and ``data/guided.pt``; return the average of the latter.

    One step is made at least, so that no time, however short, gives back the weights as they were.

    Parameters
    ----------
    model : Denoiser
        On ``device``: the teacher, and where the student starts.
    photos : callable
        Latents of the pictures with these numbers, (N, C, h, w), float32, on ``device``.
    records : sequence of dict
        Theirs, in their order.
    features : DecoderFeatures
        In which the student's prediction with guidance is to look like the teacher's.
    batch : int
        States a step of the student; the teacher samples half as many pictures together.
    saved : callable
        Called after each checkpoint but the last.
    """
    torch.manual_seed(5)
    begun = (data / "guided.pt").exists()
    weak = weaken(data, model, photos, records, 0 if begun else WEAKER * seconds, device, batch)
    teacher, unet = Teacher(model, weak, Noise(device)), model.unet.train()
    inner = [one for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks) if getattr(block, "attentions", None) for one in block.parameters()]
    within = set(map(id, inner))
    groups: list[dict[str, Any]] = [{"params": inner}, {"params": [one for one in unet.parameters() if id(one) not in within], "share": OUTER}]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.0, fused=device.type == "cuda")
    average, budget = Average(unet), Budget(seconds if begun else (1 - WEAKER) * seconds)
    checkpoint = Checkpoint(data / "guided.pt", unet=unet, optimiser=optimiser, average=average, budget=budget)
    step = checkpoint.load(device)
    empty = model.tokenizer([""], padding="max_length", max_length=77, return_tensors="pt").input_ids[0].to(device)
    blank = teacher.model.text(empty[None])[0]
    count, began = max(1, batch // 2), step
    source, seen = teacher.states(photos, records, empty, count, step), list[State]()
    clock, smooth, rng = Clock("guidance", budget), None, np.random.default_rng([78, step])
    budget.start()
    while (share := budget.tick()) < 1 or step == 0:  # the first states may take a slow machine all its time
        if len(seen) < batch * (LEAST + FRESH * (step - began)):
            seen += [next(source) for _ in range(8 * count)]
            continue
        noisy, t, ids, unguided, guided = (torch.stack(column) for column in zip(*(seen[k] for k in rng.integers(len(seen), size=batch)), strict=True))
        noisy, unguided, guided, text = noisy.float(), unguided.float(), guided.float(), teacher.model.text(ids)[0]
        with autocast(device):
            free, worded = unet(noisy.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([blank.expand_as(text), text]), return_dict=False)[0].float().chunk(2)
        errors = (free.lerp(worded, SCALE) - guided) / 2, worded - unguided.lerp(guided, 1 / SCALE)  # undivided, the first would drown the second
        sigma, some = teacher.sigma(t), slice((batch + 1) // 2)
        with autocast(device):
            seen_apart = features.error(noisy[some], free.lerp(worded, SCALE)[some], guided[some], sigma[some])
        loss = (sigma * sum(error.square().mean((1, 2, 3)) for error in errors)).mean() + SEEN * seen_apart  # weighted as in `Noise.weight`
        descend(loss, optimiser, PEAK * learning_rate(share))
        average.update(unet)
        smooth = loss.detach() if smooth is None else smooth.lerp(loss.detach(), 0.05)
        step += 1
        clock.tell(step, batch, f"loss {smooth.item():.4f}, {len(seen)} states")
        if checkpoint.save(step):
            saved()
    checkpoint.save(step, force=True)
    return average.module
