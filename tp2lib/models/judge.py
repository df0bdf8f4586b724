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
from torch import nn

from tp2lib.models.encoder import BLOCKS, Encoder
from tp2lib.models.vocabulary import ATTRIBUTES

WEIGHTS = Path(__file__).parent / "vitrine" / "judge.safetensors"
SIZE = 128  # pixels a side: enough to tell a pen from a pencil, at a third of the cost of 256


class JudgeNet(Encoder):
    """Reads (N, 3, 128, 128) pictures in [-1, 1]; one linear head an attribute, on the mean and the largest of each of the last block's maps."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(2 * BLOCKS[-1][3], len(values)) for name, values in ATTRIBUTES.items()})
        self.temperature = nn.Buffer(torch.ones(len(ATTRIBUTES)))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        seen = self.maps(((x + 1) / 2 - self.mean) / self.std)[-1] / 4
        pooled = torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], 1)
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
    """Load the judge once; raise ModelNotFound or ModelError if its file is missing or damaged."""
    return Judge(JudgeNet.load(path, "judge"))
