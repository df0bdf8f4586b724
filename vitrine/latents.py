"""Encode the training pictures once, at full and at half size, both ways round."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from .autoencoder import encode, to_tensor
from .training import autocast


@torch.no_grad()
def make_latents(data: Path, pictures: torch.Tensor, device: torch.device, batch: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of all pictures, kept in ``data/latents.safetensors`` for the next sitting.

    Parameters
    ----------
    pictures : Tensor of shape (N, H, W, 3), uint8

    Returns
    -------
    high, low : Tensor of shape (N, 2, C, H/8, W/8) and (N, 2, C, H/16, W/16)
        Float16 on ``device``; the second axis is the picture and its mirror image, ``low`` is of the picture at half its size.
    """
    path = data / "latents.safetensors"
    if path.exists():
        kept = load_file(path, device=str(device))
        if len(kept["high"]) == len(pictures):
            return kept["high"], kept["low"]
    vae = AutoencoderKL.from_pretrained(data / "vae").to(device, memory_format=torch.channels_last).eval()
    parts: dict[str, list[torch.Tensor]] = {"high": [], "low": []}
    for k in range(0, len(pictures), batch):
        x = to_tensor(pictures[k : k + batch].to(device))
        both = torch.cat([x, x.flip(-1)])
        with autocast(device):
            for name, size in (("high", both), ("low", F.avg_pool2d(both, 2))):
                parts[name].append(
                    encode(vae, size.contiguous(memory_format=torch.channels_last)).half().unflatten(0, (2, len(x))).transpose(0, 1).contiguous()
                )
        if k // batch % 50 == 0:
            print(f"latents {k} of {len(pictures)}", flush=True)
    latents = {name: torch.cat(found) for name, found in parts.items()}
    save_file(latents, path)
    return latents["high"], latents["low"]
