"""Train the text encoder and the UNet together, as latent diffusion does (Rombach et al., 2022).

Noise prediction on the noise levels of `SCHEDULER_CONFIG`, a loss in which every noise level counts alike and at last what the decoder sees, caption dropout for
classifier-free guidance, and a share of wrong captions, which makes the unguided model doubt its prompt, so that guidance pays
up to the values Stable Diffusion 1.5 is used at. All that a step needs lies on the device.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from .losses import decoder_features
from .model import FULL, SCHEDULER_CONFIG, Size, make_text_encoder, make_unet
from .tokenizer import make_tokenizer
from .training import Average, Budget, Checkpoint, Clock, autocast, descend, learning_rate


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to train.

    Attributes
    ----------
    batch : int
        32 on two cores; on a GPU 256.
    peak, most : float
        Learning rate at a batch of 64; it grows with the root of the batch, up to ``most``.
    seen, seen_from : float
        What the error of `vitrine.losses.DecoderFeatures` counts, and from which share of the time on.
    empty, wrong : float
        Share of captions emptied, and exchanged for another picture's.
    """

    batch: int = 64
    peak: float = 8e-4
    most: float = 1e-3
    seen: float = 1.5
    seen_from: float = 0.5
    empty: float = 0.10
    wrong: float = 0.15


class Denoiser(nn.Module):
    """Text encoder and UNet as one trainable module."""

    def __init__(self, size: Size):
        super().__init__()
        self.tokenizer = make_tokenizer()
        self.text = make_text_encoder(self.tokenizer, size)
        self.unet = make_unet(size)

    @torch.no_grad()
    def start_from(self, folder: Path) -> None:
        """Take over the weights of a saved pipeline."""
        self.text.load_state_dict(CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).state_dict())
        self.unet.load_state_dict(UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32).state_dict())

    def forward(self, noisy: torch.Tensor, t: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return self.unet(noisy, t, self.text(ids)[0], return_dict=False)[0]


class Noise:
    """The noise levels of the model's scheduler file, and what an error counts at each."""

    def __init__(self, device: torch.device):
        self.alphas = DDPMScheduler.from_config(SCHEDULER_CONFIG).alphas_cumprod.to(device)
        self.log_snr = (self.alphas / (1 - self.alphas)).log()  # falls with t

    def draw(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """Timesteps: half uniform, half Laplace(-1, 1) in log SNR, near where most is learnt (arXiv:2407.03297)."""
        device = self.alphas.device
        u = torch.rand(n // 2, generator=rng, device=device) - 0.5
        wanted = -1 - u.sign() * torch.log1p(-2 * u.abs().clamp(max=0.4999))
        near = torch.searchsorted(-self.log_snr, -wanted).clamp(max=len(self.alphas) - 1)
        return torch.cat([near, torch.randint(len(self.alphas), (n - n // 2,), generator=rng, device=device)])

    def add(self, z: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a = self.alphas[t][:, None, None, None]
        return a.sqrt() * z + (1 - a).sqrt() * noise

    def weight(self, t: torch.Tensor) -> torch.Tensor:
        """What a squared error of the noise counts at timesteps ``t``: SNR to the power -1/2.

        The errors of a trained Vitrine fall with the root of the SNR, from 0.09 to 0.0016 (at t = 30 and 980 of Stable Diffusion's betas), so that with this
        weight every noise level counts alike, as in EDM2 (Karras et al., 2024, arXiv:2312.02696), which learns such weights. Under
        min-SNR weights (arXiv:2303.09556) the noisiest quarter of a batch, where a caption tells most, had 8 % of the loss.
        """
        return (-0.5 * self.log_snr[t]).exp()


def train(
    data: Path,
    latents: torch.Tensor,
    texts: tuple[np.ndarray, np.ndarray],
    seconds: float,
    device: torch.device,
    plan: Plan = Plan(),
    size: Size = FULL,
    start: Path | None = None,
    saved: Callable[[], None] = lambda: None,
) -> None:
    """Train for ``seconds``, on a GPU with loading and compiling in them, resuming from ``data/denoiser.pt``, or beginning as `Denoiser.start_from` does with ``start``.

    Parameters
    ----------
    latents : Tensor of shape (N, K, C, h, w)
        From `make_latents`, with the autoencoder in ``data/vae``.
    texts : pair of ndarrays
        From `draw_texts`, in the latents' order.
    saved : callable
        Called after each checkpoint but the last.
    """
    began = time.monotonic()
    torch.manual_seed(1)
    model = Denoiser(size)
    if start:
        model.start_from(start)
    model = model.to(device)
    if device.type == "cuda":
        model = model.to(memory_format=torch.channels_last)
    peak = min(plan.peak * (plan.batch / 64) ** 0.5, plan.most)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.99), fused=device.type == "cuda")
    average, budget, noise = Average(model), Budget(seconds), Noise(device)
    checkpoint = Checkpoint(data / "denoiser.pt", model=model, optimiser=optimiser, average=average, budget=budget)
    step = checkpoint.load(device)
    ids, empty = (torch.from_numpy(tokens).to(device) for tokens in texts)
    features = decoder_features(data, device)
    rng, clock, smooth = torch.Generator(device), Clock("denoiser", budget), None

    def loss_at(share: float) -> torch.Tensor:
        rng.manual_seed(31_000_000 + step)
        z, tokens = draw_batch(latents, ids, empty, plan, rng)
        e = torch.randn(z.shape, generator=rng, device=device)
        t = noise.draw(len(z), rng)
        noisy = noise.add(z, e, t)
        with autocast(device):
            predicted = model(noisy, t, tokens)
        loss = (noise.weight(t) * (predicted.float() - e).square().mean((1, 2, 3))).mean()
        if share < plan.seen_from:
            return loss
        near = slice(len(t) // 2)  # those that `Noise.draw` lays where most is learnt
        with autocast(device):
            return loss + plan.seen * features.error(noisy[near], predicted[near].float(), e[near], noise.weight(t[near]))

    if device.type == "cuda":
        model.unet.compile(dynamic=False)
        loss_at(1).backward()  # compiles, before the time that the learning rate follows
        torch.cuda.synchronize()
        print(f"denoiser compiled, {time.monotonic() - began:.0f} s", flush=True)
        budget.seconds -= time.monotonic() - began
    budget.start()
    while (share := budget.tick()) < 1:
        loss = loss_at(share)
        descend(loss, optimiser, peak * learning_rate(share, floor=0.05))
        average.update(model)
        smooth = loss.detach() if smooth is None else smooth.lerp(loss.detach(), 0.02)
        step += 1
        if step % 10 == 0:
            clock.tell(step, 10 * plan.batch, f"loss {smooth.item():.4f}")
        if checkpoint.save(step):
            saved()
    checkpoint.save(step, force=True)


def draw_batch(source: torch.Tensor, ids: torch.Tensor, empty: torch.Tensor, plan: Plan, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (B, C, h, w), float32, and the tokens (B, 77) of their captions; some emptied, some another picture's."""
    n, device = plan.batch, source.device
    pick = lambda high: torch.randint(high, (n,), generator=rng, device=device)
    pictures, fate = pick(len(source)), torch.rand(n, generator=rng, device=device)
    told = torch.where((fate >= plan.empty) & (fate < plan.empty + plan.wrong), pick(len(source)), pictures)
    tokens = ids[told, pick(ids.shape[1])]
    tokens = torch.where((fate < plan.empty)[:, None], empty, tokens).long()
    return source[pictures, pick(source.shape[1])].float(), tokens
