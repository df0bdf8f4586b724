"""Train the network that cuts products out: on renders and composites, half-size pictures first, then full-size ones."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from tp2lib.models.cutout import CutoutNet

from .composites import SEEN_PHOTOS, Composer, backgrounds
from .losses import Features, fold_into
from .renders import Renders
from .training import Average, Budget, Checkpoint, Clock, autocast, descend, learning_rate

PEAK, ENCODER = 1.5e-3, 0.15  # the learning rate, and the encoder's share of it
FROZEN = 3  # the stem and so many blocks stay as ImageNet left them: their maps are the largest
SMALL = 0.35  # share of the time on half-size pictures
HARD = {"cluttered": 4.0, "cropped": 3.0}  # drawn so many times as often
HELD = 24  # one picture in so many is kept out, to fit the temperature on


def with_masks(renders: Renders, side: int) -> torch.Tensor:
    """All pictures with their masks as a fourth channel: Tensor of shape (N, 4, side, side), uint8."""
    out = torch.empty((len(renders), 4, side, side), dtype=torch.uint8)

    def put(k: int) -> None:
        layers = np.concatenate([renders._decode(k), renders.mask(k)[..., None] * np.uint8(255)], -1)
        out[k] = torch.from_numpy(layers).permute(2, 0, 1)

    with ThreadPoolExecutor(int(os.environ.get("OMP_NUM_THREADS", "0")) or None) as pool:
        list(pool.map(put, range(len(renders))))
    return out


def halved(pictures: torch.Tensor) -> torch.Tensor:
    """The same pictures at half the size, each pixel the mean of four."""
    return torch.cat([F.avg_pool2d(chunk.float(), 2).round().byte() for chunk in pictures.split(64)])


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy that counts five times near the outline, and one minus the soft intersection over union."""
    band = F.max_pool2d(target, 7, 1, 3) + F.max_pool2d(1 - target, 7, 1, 3) - 1
    weight = 1 + 4 * band
    entropy = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight).mean((1, 2, 3)) / weight.mean((1, 2, 3))
    p = logits.sigmoid()
    both = (p * target).sum((1, 2, 3))
    share = both / ((p + target).sum((1, 2, 3)) - both).clamp_min(1e-3)
    there = (target.sum((1, 2, 3)) > 20).float()
    return (2 * entropy + (1 - share) * there).mean()


def train(data: Path, out: Path, seconds: float, device: torch.device, batch: int = 16) -> None:
    """Train for ``seconds``, resuming from ``data/cutout.pt``; fit the temperature; write ``out``."""
    torch.manual_seed(4)
    source = Renders(data / "renders", "train", older=True)
    pictures = with_masks(source, source.side)
    mine = torch.arange(len(pictures)) % HELD != 0
    held, used = pictures[~mine], pictures[mine]
    often = torch.tensor([HARD.get(record["defect"], 1.0) for record in source.records])[mine]
    bank = backgrounds(used, SEEN_PHOTOS, min(2400, 2 * len(used)), 5)
    full, half = Composer(used, bank, often), Composer(halved(used), halved(bank), often)
    net = CutoutNet()
    fold_into(net, Features().net)
    for part in (net.stem, *net.blocks[:FROZEN]):
        part.requires_grad_(False)
    net = net.to(device).to(memory_format=torch.channels_last)
    encoder = [p for name, p in net.named_parameters() if name.startswith(("stem", "blocks")) and p.requires_grad]
    rest = [p for name, p in net.named_parameters() if not name.startswith(("stem", "blocks"))]
    groups = [{"params": encoder, "share": ENCODER}, {"params": rest, "share": 1.0}]
    optimiser = torch.optim.AdamW(groups, lr=PEAK, weight_decay=0.01)
    average, budget = Average(net), Budget(seconds)
    checkpoint = Checkpoint(data / "cutout.pt", net=net, optimiser=optimiser, average=average, budget=budget)
    step, clock = checkpoint.load(device), Clock("cutout", budget)
    budget.start()
    while (share := budget.tick()) < 1:
        rng = torch.Generator().manual_seed(step)
        small = share < SMALL
        x, target = half.draw(2 * batch, rng) if small else full.draw(batch, rng)
        x, target = x.to(device).contiguous(memory_format=torch.channels_last), target.to(device)
        with autocast(device):
            logits = net(x)
        loss = loss_of(logits.float(), target)
        descend(loss, optimiser, PEAK * learning_rate(share, hold=0.3), 2.0)
        average.update(net)
        step += 1
        clock.tell(step, len(x), f"loss {loss.item():.3f}")
        checkpoint.save(step)
    checkpoint.save(step, force=True)
    best = average.module.eval().cpu()
    calibrate(best, Composer(held, bank), max(1, len(held) // batch), batch)
    save_cutout(best, out)


@torch.no_grad()
def calibrate(net: CutoutNet, composer: Composer, count: int, batch: int) -> None:
    """Fit the temperature at which the expected intersection over union is nearest to the real one, on pictures not trained on."""
    pairs = [composer.draw(batch, torch.Generator().manual_seed(10_000 + k)) for k in range(count)]
    seen = lambda x: net(x.contiguous(memory_format=torch.channels_last))
    logits = torch.cat([(seen(x) + seen(x.flip(3)).flip(3)) / 2 for x, _ in pairs])  # as `find_mask` does it
    truth = torch.cat([target for _, target in pairs]) > 0.5
    mask = logits > 0
    sums = lambda x: x.sum((1, 2, 3)).float()
    found = sums(mask) > 0
    real = sums(mask & truth) / sums(mask | truth).clamp_min(1)
    grid = torch.logspace(-0.7, 0.7, 57)
    wrong = []
    for temperature in grid:
        p = (logits / temperature).sigmoid()
        expected = sums(p * mask) / (sums(mask) + sums(p * ~mask)).clamp_min(1)
        wrong.append((expected - real)[found].square().mean())
    net.temperature.mul_(grid[int(torch.stack(wrong).argmin())])


def save_cutout(net: CutoutNet, path: Path) -> None:
    """Write the weights as fp16 safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in net.state_dict().items()}, path)
