"""What the tests of the guidance and of the weaker UNet train with: captions, latents, and a tiny model."""

from __future__ import annotations

import numpy as np
import torch

from vitrine.denoiser import Denoiser
from vitrine.losses import DecoderFeatures
from vitrine.model import TINY, make_autoencoder
from vitrine.scene import draw

CPU = torch.device("cpu")
RECORDS = [draw(k) for k in range(6)]


def make_denoiser() -> Denoiser:
    torch.manual_seed(0)
    return Denoiser(TINY)


def make_features() -> DecoderFeatures:
    torch.manual_seed(0)
    return DecoderFeatures(make_autoencoder(TINY))


def photos(picks: np.ndarray) -> torch.Tensor:
    return torch.randn(len(picks), 8, 16, 16, generator=torch.Generator().manual_seed(0))
