"""The first blocks of EfficientNet-lite0 (Tan and Le, 2019, arXiv:1905.11946): what the judge and the cut-out network see with."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tp2lib.errors import ModelError, ModelNotFound

BLOCKS = (  # EfficientNet-lite0's blocks 0 to 11: kernel, stride, expansion, channels out
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
        net = cls()
        try:
            net.load_state_dict({key: value.float() for key, value in load_file(path).items()})
        except (SafetensorError, RuntimeError) as error:
            reason = (str(error).splitlines() or [""])[0]
            raise ModelError(f"the weights of the {what} in {path} cannot be used ({reason}). Install tp2lib again.") from None
        return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)
