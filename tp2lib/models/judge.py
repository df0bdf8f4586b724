"""A small classifier that reads a product photo back into words: kind, colour, set, light, …

It is the pack's offline measure of prompt adherence. It is trained on renders the generator
never saw and never on the generator's own pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from tp2lib.models.vocabulary import ATTRIBUTES

WEIGHTS = Path(__file__).parent / "vitrine" / "judge.safetensors"
SIZE = 128  # pixels a side: enough to tell a pen from a pencil, at a third of the cost of 256


class _Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class JudgeNet(nn.Module):
    """Residual network on (N, 3, 128, 128) pictures in [-1, 1]; one linear head an attribute."""

    def __init__(self):
        super().__init__()
        widths = (32, 56, 112, 160)
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 5, stride=2, padding=2)]
        for a, b in zip(widths, [*widths[1:], None]):
            layers += [_Block(a)]
            if b:
                layers += [nn.Conv2d(a, b, 3, stride=2, padding=1)]
        layers += [_Block(widths[-1]), nn.GroupNorm(8, widths[-1]), nn.SiLU()]
        self.trunk = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * widths[-1], len(values)) for name, values in ATTRIBUTES.items()})
        self.temperature = nn.Buffer(torch.ones(len(ATTRIBUTES)))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.trunk(x)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return {name: head(pooled) / self.temperature[k] for k, (name, head) in enumerate(self.heads.items())}


class Judge:
    """Reads pictures into calibrated probabilities."""

    def __init__(self, net: JudgeNet):
        self.net = net.eval().requires_grad_(False)

    def read(self, images: Sequence[Image.Image]) -> list[dict[str, dict[str, float]]]:
        """Return, for each picture, attribute -> value -> probability; each attribute sums to 1. Pictures of any size are resampled to 128×128."""
        if not images:
            return []
        out: list[dict[str, dict[str, float]]] = []
        for start in range(0, len(images), 32):
            x = torch.stack([_input(image) for image in images[start : start + 32]])
            with torch.no_grad():
                logits = self.net(x.contiguous(memory_format=torch.channels_last))
            probability = {name: value.softmax(1).tolist() for name, value in logits.items()}
            out += [{name: dict(zip(values, probability[name][k])) for name, values in ATTRIBUTES.items()} for k in range(len(x))]
        return out


def _input(image: Image.Image) -> torch.Tensor:
    image = image.convert("RGB")
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.BOX if image.width >= 2 * SIZE else Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float().div(127.5).sub(1)


@lru_cache(maxsize=2)
def load_judge(path: Path = WEIGHTS) -> Judge:
    """Load the judge once; float32 on the CPU."""
    net = JudgeNet()
    net.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return Judge(net.to(memory_format=torch.channels_last))
