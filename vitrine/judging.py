"""Train the judge on renders of its own: a teacher with pretrained features first, then the small network that learns from it.

A network that starts from nothing learns its renders by heart (100 % of the kinds it saw, 92 to 95 % of others). The teacher
starts from EfficientNet-lite0's ImageNet weights, which see shape and texture from the first step; the judge starts from the
teacher's first blocks, and learns what the whole of it answers, on pictures changed at random.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader, Dataset

from tp2lib.models.judge import SIZE, JudgeNet
from tp2lib.models.vocabulary import ATTRIBUTES

from .autoencoder import decode, encode, to_tensor
from .losses import Features, fold_into
from .renders import Renders
from .training import Average, Budget, Checkpoint, Clock, autocast, descend, learning_rate

SHIFT = 12  # pixels of 256, each way
TEACHER = 0.4  # its share of the time
SOFT = 2.0  # temperature at which the judge hears the teacher (Hinton et al., 2015, arXiv:1503.02531)

Answers = dict[str, torch.Tensor]


class Teacher(nn.Module):
    """EfficientNet-lite0 with one linear head an attribute, on (N, 3, 128, 128) pictures in [-1, 1]."""

    def __init__(self, weights: dict[str, torch.Tensor] | None = None):
        super().__init__()
        self.trunk = Features(weights, whole=True).requires_grad_(True)
        self.heads = nn.ModuleDict({name: nn.Linear(1280, len(values)) for name, values in ATTRIBUTES.items()})

    def forward(self, x: torch.Tensor) -> Answers:
        seen = self.trunk.net.extract_features(((x + 1) / 2 - self.trunk.mean) / self.trunk.std).mean((2, 3))
        return {name: head(seen) for name, head in self.heads.items()}


def labels_of(records: list[dict]) -> Answers:
    index = {name: {value: k for k, value in enumerate(values)} for name, values in ATTRIBUTES.items()}
    return {name: torch.tensor([index[name][r[name]] for r in records]) for name in ATTRIBUTES}


def inputs_of(pictures: list[np.ndarray]) -> torch.Tensor:
    """As the judge reads them: (N, 3, 128, 128) in [-1, 1]."""
    x = to_tensor(np.stack(pictures))
    return F.avg_pool2d(x, x.shape[-1] // SIZE) if x.shape[-1] > SIZE else x


def change(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same photo by another camera: mirrored, shifted, nearer or farther, in other light, saved as JPEG."""
    side = len(picture)
    image = Image.fromarray(picture[:, ::-1] if rng.random() < 0.5 else picture)
    around = Image.fromarray(np.pad(np.asarray(image), ((SHIFT * 2,) * 2, (SHIFT * 2,) * 2, (0, 0)), "edge"))
    width = side * rng.uniform(0.9, 1.08)
    left, top = (SHIFT * 2 + (side - width) / 2 + rng.uniform(-SHIFT, SHIFT, 2)).tolist()
    image = around.resize((side, side), Image.Resampling.BILINEAR, box=tuple(np.clip((left, top, left + width, top + width), 0, around.width)))
    if rng.random() < 0.3:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(40, 96)))
        image = Image.open(buffer).convert("RGB")
    light = rng.normal(1, 0.03) * rng.normal(1, 0.012, 3)
    return (np.asarray(image) * light).clip(0, 255).astype(np.uint8)


class Batches(Dataset):
    """One item a step: changed pictures and their labels; some as the autoencoder in ``vae`` gives them back, some softened."""

    def __init__(self, renders: Renders, picks: np.ndarray, vae: Path, size: int, seed: int):
        self.picks, self.size, self.seed = picks, size, seed
        self.labels = labels_of(renders.records)
        self.vae = AutoencoderKL.from_pretrained(vae, dtype=torch.float32).eval() if (vae / "config.json").exists() else None
        self.pictures = renders.tensor().numpy()  # in memory: processes that share an open archive lose their place in it

    def picture(self, k: int) -> np.ndarray:
        """A picture at twice the judge's size or more, so that changing it costs no sharpness."""
        picture = self.pictures[k]
        return picture if len(picture) >= 2 * SIZE else np.asarray(Image.fromarray(picture).resize((2 * SIZE, 2 * SIZE), Image.Resampling.LANCZOS))

    @torch.no_grad()
    def __getitem__(self, step: int) -> tuple[torch.Tensor, Answers]:
        rng = np.random.default_rng([self.seed, step])
        picks = rng.choice(self.picks, self.size)
        x = inputs_of([change(self.picture(int(k)), rng) for k in picks])
        few = max(1, len(x) // 32)
        if self.vae:
            x[:few] = decode(self.vae, encode(self.vae, x[:few])).clamp(-1, 1)
        soft = F.avg_pool2d(F.pad(x[few : few + len(x) // 3], (1, 1, 1, 1), mode="replicate"), 3, 1)
        x[few : few + len(x) // 3] = torch.lerp(x[few : few + len(x) // 3], soft, torch.from_numpy(rng.random((len(soft), 1, 1, 1), np.float32)))
        return x.contiguous(memory_format=torch.channels_last), {name: value[picks] for name, value in self.labels.items()}


def cross_entropy(answers: Answers, labels: Answers) -> torch.Tensor:
    return torch.stack([F.cross_entropy(answers[name].float(), labels[name], label_smoothing=0.02) for name in ATTRIBUTES]).sum()


def learn(net: Any, name: str, path: Path, seconds: float, batches: Batches, device: torch.device, peak: float, loss_of: Callable) -> Any:
    """Train a network for ``seconds``, resuming from ``path``; its averaged weights."""
    net = net.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak, weight_decay=0.05)
    average, budget = Average(net), Budget(seconds)
    checkpoint = Checkpoint(path, net=net, optimiser=optimiser, average=average, budget=budget)
    step, clock = checkpoint.load(device), Clock(name, budget)
    ready = iter(DataLoader(batches, batch_size=None, sampler=count(step), num_workers=min(4, (os.cpu_count() or 1) // 4)))
    budget.start()
    while (share := budget.tick()) < 1:
        x, labels = next(ready)
        x, labels = x.to(device), {key: value.to(device) for key, value in labels.items()}
        loss = loss_of(net, x, labels)
        descend(loss, optimiser, peak * learning_rate(share), 2.0)
        average.update(net)
        step += 1
        clock.tell(step, batches.size, f"loss {loss.item():.3f}")
        checkpoint.save(step)
    checkpoint.save(step, force=True)
    return average.module.eval()


def train(data: Path, out: Path, seconds: float, device: torch.device, batch: int = 32) -> None:
    """Train teacher and judge for ``seconds``, resuming from ``data/teacher.pt`` and ``data/judge.pt``, calibrate, write ``out``."""
    torch.manual_seed(2)
    renders = Renders(data / "renders", "judge")
    order = np.random.default_rng(41).permutation(len(renders))
    held, used = order[: max(1, len(order) // 12)], order[max(1, len(order) // 12) :]
    batches = Batches(renders, used, data / ("vae" if (data / "vae").exists() else "start"), batch, 42)
    brought = data / "teacher.safetensors"

    def taught(net: nn.Module, x: torch.Tensor, labels: Answers) -> torch.Tensor:
        with autocast(device):
            return cross_entropy(net(x), labels)

    teacher = learn(Teacher(load_file(brought) if brought.exists() else None), "teacher", data / "teacher.pt", TEACHER * seconds, batches, device, 5e-4, taught)

    def told(net: nn.Module, x: torch.Tensor, labels: Answers) -> torch.Tensor:
        with autocast(device):
            answers = net(x)
            with torch.no_grad():
                wanted = teacher(x)
        heard = sum(
            F.kl_div((answers[name].float() / SOFT).log_softmax(1), (wanted[name].float() / SOFT).log_softmax(1), log_target=True, reduction="batchmean")
            for name in ATTRIBUTES
        )
        return SOFT**2 * heard + 0.3 * cross_entropy(answers, labels)

    net = JudgeNet()
    fold_into(net, teacher.trunk.net)
    net = learn(net, "judge", data / "judge.pt", (1 - TEACHER) * seconds, batches, device, 5e-4, told).cpu()
    calibrate(net, renders, held)
    save_judge(net, out)


def save_judge(net: JudgeNet, path: Path) -> None:
    """Write the weights as fp16 safetensors, with the attribute tables they were trained for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = {name: list(values) for name, values in ATTRIBUTES.items()}
    save_file({k: v.half().contiguous() for k, v in net.state_dict().items()}, path, {"attributes": json.dumps(tables)})


@torch.no_grad()
def answers_to(net: JudgeNet, renders: Renders, picks: np.ndarray) -> Answers:
    chunks = [net(inputs_of([renders.picture(int(i)) for i in picks[k : k + 32]])) for k in range(0, len(picks), 32)]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in ATTRIBUTES}


def calibrate(net: JudgeNet, renders: Renders, picks: np.ndarray) -> None:
    """Fit one temperature an attribute on pictures not trained on (Guo et al., 2017)."""
    logits, labels = answers_to(net, renders, picks), labels_of([renders.records[int(k)] for k in picks])
    grid = torch.logspace(-0.7, 0.7, 57)
    for k, name in enumerate(ATTRIBUTES):
        losses = torch.stack([F.cross_entropy(logits[name] / t, labels[name]) for t in grid])
        net.temperature[k] *= grid[losses.argmin()]


def accuracy(net: JudgeNet, renders: Renders) -> dict[str, dict[str, float]]:
    """Share right of all pictures, expected calibration error (10 bins), and share right of those without a defect, for each attribute."""
    logits, labels = answers_to(net, renders, np.arange(len(renders))), labels_of(renders.records)
    clear = torch.tensor([record["defect"] == "none" for record in renders.records])
    out = {}
    for name in ATTRIBUTES:
        confidence, guess = logits[name].softmax(1).max(1)
        right = (guess == labels[name]).float()
        bins = (confidence * 10).long().clamp(max=9)
        gaps = [(bins == b).float().mean() * (confidence[bins == b].mean() - right[bins == b].mean()).abs() for b in range(10) if (bins == b).any()]
        out[name] = {"right": right.mean().item(), "calibration_error": float(sum(gaps)), "clear": right[clear].mean().item()}
    return out
