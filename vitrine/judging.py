"""Train the judge on renders of its own, calibrate it, and measure it on held-out ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tp2lib.models.judge import SIZE, JudgeNet, save_judge
from tp2lib.models.vocabulary import ATTRIBUTES

from .checkpoint import Average, Checkpoint, Clock, autocast, learning_rate
from .muon import Muon
from .renders import Renders

MUON_RATE = 2.5  # its learning rate over AdamW's


def _labels(records: list[dict]) -> dict[str, torch.Tensor]:
    index = {name: {value: k for k, value in enumerate(values)} for name, values in ATTRIBUTES.items()}
    return {name: torch.tensor([index[name][r[name]] for r in records]) for name in ATTRIBUTES}


def _inputs(pictures: list[np.ndarray]) -> torch.Tensor:
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return F.avg_pool2d(x, x.shape[-1] // SIZE) if x.shape[-1] > SIZE else x


def _batch(renders: Renders, picks: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Flipped and shifted pictures with a little gain and softness, (N, 3, 128, 128) in [-1, 1]."""
    out = []
    for k in picks:
        picture = renders.picture(int(k))
        picture = picture[:, ::-1] if rng.random() < 0.5 else picture
        out.append(np.roll(np.pad(picture, ((12, 12), (12, 12), (0, 0)), "edge"), rng.integers(-12, 13, 2), (0, 1))[12:-12, 12:-12])
    x = _inputs(out)
    gain = torch.from_numpy(rng.normal(1, 0.03, (len(x), 1, 1, 1)).astype(np.float32))
    x = ((x + 1) * gain - 1).clamp(-1, 1)
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    mix = torch.from_numpy((rng.random((len(x), 1, 1, 1)) * (rng.random((len(x), 1, 1, 1)) < 0.4)).astype(np.float32))
    return torch.lerp(x, soft, mix).contiguous(memory_format=torch.channels_last)


def train(data: Path, out: Path, steps: int = 5000, batch: int = 32, peak: float = 1.5e-3) -> None:
    """Train for ``steps`` steps, resuming from ``data/judge.pt``, calibrate, and write ``out``."""
    torch.manual_seed(2)
    renders = Renders(data / "renders", "judge")
    order = np.random.default_rng(41).permutation(len(renders))
    held, used = order[: max(1, len(order) // 12)], order[max(1, len(order) // 12) :]
    labels = _labels(renders.records)
    net = JudgeNet().to(memory_format=torch.channels_last)
    inner = [p for name, p in net.named_parameters() if p.ndim == 4 and name != "trunk.0.weight"]
    rest = [p for p in net.parameters() if all(p is not q for q in inner)]
    muon, adam = Muon(inner, MUON_RATE * peak, weight_decay=0.05), torch.optim.AdamW(rest, lr=peak, weight_decay=0.05)
    rates = {muon: MUON_RATE * peak, adam: peak}
    average = Average(net, 0.998)
    checkpoint = Checkpoint(data / "judge.pt", {"net": net, "muon": muon, "adam": adam}, {"net": average})
    first = checkpoint.load()
    clock, smooth = Clock("judge", first, steps), 0.0
    for step in range(first, steps):
        rng = np.random.default_rng([42, step])
        picks = rng.choice(used, batch)
        with autocast():
            logits = net(_batch(renders, picks, rng))
        loss = sum(F.cross_entropy(logits[name].float(), labels[name][picks], label_smoothing=0.02) for name in ATTRIBUTES)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        for optimiser, rate in rates.items():
            for group in optimiser.param_groups:
                group["lr"] = rate * learning_rate(step, steps, min(300, steps // 10 + 1), floor=0.02)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        average.update(net)
        smooth = loss.item() if not smooth else 0.97 * smooth + 0.03 * loss.item()
        checkpoint.save(step + 1, force=step + 1 == steps)
        clock.tell(step + 1, f"loss {smooth:.3f}")
    calibrate(average.module, renders, held)
    save_judge(average.module, out)


@torch.no_grad()
def _logits(net: JudgeNet, renders: Renders, picks: np.ndarray) -> dict[str, torch.Tensor]:
    chunks = []
    for k in range(0, len(picks), 32):
        chunks.append(net(_inputs([renders.picture(int(i)) for i in picks[k : k + 32]])))
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in ATTRIBUTES}


def calibrate(net: JudgeNet, renders: Renders, picks: np.ndarray) -> None:
    """Fit one temperature an attribute on pictures not trained on (Guo et al., 2017)."""
    logits, labels = _logits(net, renders, picks), _labels([renders.records[int(k)] for k in picks])
    grid = torch.logspace(-0.7, 0.7, 57)
    for k, name in enumerate(ATTRIBUTES):
        losses = torch.stack([F.cross_entropy(logits[name] / t, labels[name]) for t in grid])
        net.temperature[k] *= grid[losses.argmin()]


def accuracy(net: JudgeNet, renders: Renders) -> dict[str, dict[str, float]]:
    """Share right and expected calibration error (10 bins) for each attribute."""
    picks = np.arange(len(renders))
    logits, labels = _logits(net, renders, picks), _labels(renders.records)
    out = {}
    for name in ATTRIBUTES:
        confidence, guess = logits[name].softmax(1).max(1)
        right = (guess == labels[name]).float()
        bins = (confidence * 10).long().clamp(max=9)
        gaps = [(bins == b).float().mean() * (confidence[bins == b].mean() - right[bins == b].mean()).abs() for b in range(10) if (bins == b).any()]
        out[name] = {"right": right.mean().item(), "calibration_error": float(sum(gaps))}
    return out
