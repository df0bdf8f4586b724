"""A small classifier that reads a product photo back into words: kind, colour, set, light, …

It is the pack's offline measure of prompt adherence. It is trained on renders the generator
never saw and never on the generator's own pictures. The cut-out network sees with the same blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tp2lib.errors import ModelError, ModelNotFound
from tp2lib.models.vocabulary import ATTRIBUTES
from tp2lib.models.weights import LOADING

WEIGHTS = Path(__file__).parent / "vitrine" / "judge.safetensors"
SIZE = 128  # pixels a side: enough to tell a pen from a pencil, at a third of the cost of 256
BLOCKS = (  # EfficientNet-lite0's first twelve (Tan and Le, 2019, arXiv:1905.11946): kernel, stride, expansion, channels out
    (3, 1, 1, 16),
    *((3, 2, 6, 24), (3, 1, 6, 24)),
    *((5, 2, 6, 40), (5, 1, 6, 40)),
    *((3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80)),
    *((5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112)),
    (5, 2, 6, 192),
)


class _Block(nn.Module):
    """Inverted bottleneck, its normalisation folded into the convolutions."""

    def __init__(self, kernel: int, stride: int, expansion: int, a: int, b: int):
        super().__init__()
        self.expand = nn.Conv2d(a, a * expansion, 1) if expansion > 1 else None
        self.depth = nn.Conv2d(a * expansion, a * expansion, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=a * expansion)
        self.project = nn.Conv2d(a * expansion, b, 1)
        self.pad = (kernel // 2 - 1, kernel // 2) * 2 if stride == 2 else None
        self.residual = stride == 1 and a == b

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu6(self.expand(x)) if self.expand else x
        h = self.project(F.relu6(self.depth(F.pad(h, self.pad) if self.pad else h)))
        return x + h if self.residual else h


class Encoder(nn.Module):
    """Stem and the first `count` blocks; a network that sees with them inherits from it."""

    def __init__(self, count: int = len(BLOCKS)):
        super().__init__()
        self.mean = nn.Buffer(torch.tensor([0.485, 0.456, 0.406])[None, :, None, None])
        self.std = nn.Buffer(torch.tensor([0.229, 0.224, 0.225])[None, :, None, None])
        self.stem = nn.Conv2d(3, 32, 3, stride=2)
        ins = (32, *(block[3] for block in BLOCKS))
        self.blocks = nn.ModuleList(_Block(k, s, e, a, b) for (k, s, e, b), a in zip(BLOCKS[:count], ins, strict=False))

    def maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What each block gives, from pictures less `mean`, divided by `std`; their sides are multiples of 32."""
        maps = [F.relu6(self.stem(F.pad(x, (0, 1, 0, 1))))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps[1:]

    @classmethod
    def load(cls, path: Path, what: str) -> Self:
        """Make the network that a file holds, float32 on the CPU, to be read from only; raise ModelNotFound or ModelError if it is missing or damaged."""
        if not path.is_file():
            raise ModelNotFound(f"the weights of the {what} are missing: no {path.name} in {path.parent}. Install tp2lib again.")
        with LOADING:
            net = cls()
        try:
            net.load_state_dict({key: value.float() for key, value in load_file(path).items()})
        except (SafetensorError, RuntimeError) as error:
            reason = (str(error).splitlines() or [""])[0]
            raise ModelError(f"the weights of the {what} in {path} cannot be used ({reason}). Install tp2lib again.") from None
        return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)


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
