"""Train the text encoder and the UNet together, as latent diffusion does (Rombach et al., 2022).

Noise prediction on Stable Diffusion's betas, a loss in which every noise level counts
alike, caption dropout for classifier-free guidance, and a share of wrong captions, which
makes the unguided model doubt its prompt, so that guidance pays up to the values Stable
Diffusion 1.5 is used at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from . import latents
from .captions import caption
from .checkpoint import Average, Checkpoint, Clock, autocast, learning_rate
from .model import FULL, SCHEDULER_CONFIG, Size, make_text_encoder, make_tokenizer, make_unet
from .parallel import average_gradients, is_first, share

FULL_COST = 2.6  # measured: seconds of a step on 32×32 latents over one on 16×16


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to train; the steps and their low share sum up the legs behind the committed weights, the captions' shares are the last one's (see the card).

    Attributes
    ----------
    low_share : float
        First part of the steps, on half-size latents at a quarter of the cost and with the
        text cut after ``low_tokens``, which no caption reaches: the rest is padding.
    empty, wrong : float
        Share of captions emptied, and exchanged for another picture's.
    """

    steps: int = 10_750
    batch: int = 64
    peak: float = 8e-4
    warmup: int = 100
    low_share: float = 0.42
    low_tokens: int = 40
    empty: float = 0.10
    wrong: float = 0.2

    def rate(self, step: int) -> float:
        """Learning rate by the work done, a step at full size being worth ``FULL_COST`` at half size."""
        low = self.low_share * self.steps
        spent = lambda k: min(k, low) + FULL_COST * max(0.0, k - low)
        return self.peak * learning_rate(round(spent(step)), round(spent(self.steps)), self.warmup)


class Denoiser(nn.Module):
    """Text encoder and UNet as one trainable module."""

    def __init__(self, size: Size):
        super().__init__()
        self.tokenizer = make_tokenizer()
        self.text = make_text_encoder(self.tokenizer, size)
        self.unet = make_unet(size)

    def start_from(self, folder: Path) -> None:
        """Take over the weights of a saved pipeline of the same shape."""
        self.text.load_state_dict(CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).state_dict())
        self.unet.load_state_dict(UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32).state_dict())

    def forward(self, noisy: torch.Tensor, t: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        states = self.text(ids)[0]
        return self.unet(noisy, t, states, return_dict=False)[0]


def draw_timesteps(alphas: torch.Tensor, n: int, rng: np.random.Generator) -> torch.Tensor:
    """Half uniform, half Laplace(-1, 1) in log SNR, near where most is learnt (arXiv:2407.03297)."""
    log_snr = (alphas / (1 - alphas)).log().numpy()
    wanted = rng.laplace(-1.0, 1.0, n // 2)
    near = np.abs(log_snr[None] - wanted[:, None]).argmin(1)
    return torch.from_numpy(np.concatenate([near, rng.integers(0, len(log_snr), n - n // 2)]))


def weights(alphas: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """What a squared error of the noise counts at timesteps ``t``: SNR to the power -1/2.

    The errors of a trained Vitrine fall with the root of the SNR, from 0.09 at t = 30 to 0.0016 at
    t = 980, so that with this weight every noise level counts alike, as in EDM2 (Karras et al., 2024,
    arXiv:2312.02696), which learns such weights. Under min-SNR weights (arXiv:2303.09556) the
    noisiest quarter of a batch, where a caption tells most and set and colour are decided, had 8 % of the loss.
    """
    return ((1 - alphas[t]) / alphas[t]).sqrt()


def draw_captions(records: list[dict], picks: np.ndarray, plan: Plan, rng: np.random.Generator) -> list[str]:
    """One fresh caption a picture; some empty, some another picture's."""
    out = []
    for k in picks:
        fate = rng.random()
        if fate < plan.empty:
            out.append("")
        elif fate < plan.empty + plan.wrong:
            out.append(caption(records[int(rng.integers(len(records)))], rng))
        else:
            out.append(caption(records[int(k)], rng))
    return out


def train(data: Path, plan: Plan = Plan(), size: Size = FULL, start: Path | None = None) -> None:
    """Train ``plan.steps`` steps, resuming from ``data/denoiser.pt``, or from the weights in the folder ``start``."""
    torch.manual_seed(1)
    high, low, records = latents.load(data)
    model = Denoiser(size)
    if start:
        model.start_from(start)
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=plan.peak, betas=(0.9, 0.99))
    averages = {"fast": Average(model, 0.995), "slow": Average(model, 0.998)}
    checkpoint = Checkpoint(data / "denoiser.pt", {"model": model, "optimiser": optimiser}, averages)
    first = checkpoint.load()
    alphas = DDPMScheduler.from_config(SCHEDULER_CONFIG).alphas_cumprod
    clock, smooth = Clock("denoiser", first, plan.steps), 0.0
    for step in range(first, plan.steps):
        rng = np.random.default_rng([31, step])
        source, tokens = (low, plan.low_tokens) if step < plan.low_share * plan.steps else (high, 77)
        loss = _step_loss(model, source, records, alphas, plan, rng, tokens)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        for average in averages.values():
            average.update(model)
        smooth = loss.item() if not smooth else 0.98 * smooth + 0.02 * loss.item()
        if is_first():
            checkpoint.save(step + 1, force=step + 1 == plan.steps)
            clock.tell(step + 1, f"loss {smooth:.4f}")


def _step_loss(
    model: Denoiser, source: torch.Tensor, records: list[dict], alphas: torch.Tensor, plan: Plan, rng: np.random.Generator, tokens: int = 77
) -> torch.Tensor:
    """Weighted squared error of this process's share of a batch; all its randomness comes from ``rng``."""
    picks, mine = rng.integers(0, len(source), plan.batch), share()
    z = source[torch.from_numpy(picks), torch.from_numpy(rng.integers(0, 2, plan.batch))].float()
    noise = torch.from_numpy(rng.standard_normal(z.shape, dtype=np.float32))[mine]
    t = draw_timesteps(alphas, plan.batch, rng)[mine]
    texts = draw_captions(records, picks, plan, rng)[mine]
    a = alphas[t][:, None, None, None]
    noisy = a.sqrt() * z[mine] + (1 - a).sqrt() * noise
    ids = model.tokenizer(texts, padding="max_length", truncation=True, max_length=tokens, return_tensors="pt").input_ids
    with autocast():
        predicted = model(noisy, t, ids)
    return (weights(alphas, t) * (predicted.float() - noise).square().mean((1, 2, 3))).mean()
