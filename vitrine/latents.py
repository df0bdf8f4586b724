"""Encode the training pictures once: as they are and mirrored."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from .autoencoder import encode, to_tensor
from .training import autocast


@torch.no_grad()
def make_latents(data: Path, pictures: torch.Tensor, device: torch.device, batch: int = 1, mirrored: bool = True, every: float = 120.0) -> torch.Tensor:
    """Latents of all pictures; ``data/latents.safetensors`` keeps them, and only what is new or another autoencoder's is encoded.

    Parameters
    ----------
    pictures : Tensor of shape (N, H, W, 3), uint8
    mirrored : bool
        Whether those of their mirror images are.
    every : float
        Seconds between two savings: what a kill costs.

    Returns
    -------
    Tensor of shape (N, K, C, H/8, W/8)
        Float16 on ``device``; the second axis is the picture and, where wanted, its mirror image.
    """
    path, ways = data / "latents.safetensors", 2 if mirrored else 1
    encoder = hashlib.sha256((data / "vae" / "diffusion_pytorch_model.safetensors").read_bytes()).digest()
    digest = lambda picture: hashlib.blake2b(picture.numpy(), digest_size=8, key=encoder).digest()
    marks = [int.from_bytes(digest(picture), "big", signed=True) for picture in pictures.cpu().contiguous()]
    wanted = {*marks}
    kept = load_file(path) if path.exists() else {}
    rows: dict[int, torch.Tensor] = {}
    if kept.keys() >= {"marks", "latents"} and kept["latents"].shape[1] == ways:
        rows = {mark: row for mark, row in zip(kept["marks"].tolist(), kept["latents"]) if mark in wanted}
    vae = AutoencoderKL.from_pretrained(data / "vae").to(device, memory_format=torch.channels_last).eval()

    def save() -> None:
        save_file({"latents": torch.stack([*rows.values()]), "marks": torch.tensor([*rows])}, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    new = [k for k, mark in enumerate(marks) if mark not in rows]
    saved = time.monotonic()
    for k in range(0, len(new), batch):
        x = to_tensor(pictures[new[k : k + batch]].to(device))
        turned = torch.cat([x, x.flip(-1)][:ways]).contiguous(memory_format=torch.channels_last)
        with autocast(device):
            codes = encode(vae, turned).half().unflatten(0, (ways, len(x))).transpose(0, 1).contiguous().cpu()
        rows |= {marks[which]: row for which, row in zip(new[k : k + batch], codes)}
        if time.monotonic() - saved > every or k + batch >= len(new):
            save()
            saved = time.monotonic()
            print(f"latents {min(k + batch, len(new))} of {len(new)}", flush=True)
    return torch.stack([rows[mark] for mark in marks]).to(device)
