"""Encode the training pictures once: at full size and at half, as they are and mirrored."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from .autoencoder import encode, to_tensor
from .training import autocast


@torch.no_grad()
def make_latents(
    data: Path, pictures: torch.Tensor, device: torch.device, batch: int = 1, half: bool = True, mirrored: bool = True, every: float = 120.0
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Latents of all pictures; ``data/latents.safetensors`` keeps them, and only what is new or another autoencoder's is encoded.

    Parameters
    ----------
    pictures : Tensor of shape (N, H, W, 3), uint8
    half : bool
        Whether those of the pictures at half their size are wanted too.
    mirrored : bool
        Whether those of their mirror images are.
    every : float
        Seconds between two savings: what a kill costs.

    Returns
    -------
    high, low : Tensor of shape (N, K, C, H/8, W/8) and (N, K, C, H/16, W/16)
        Float16 on ``device``; the second axis is the picture and, where wanted, its mirror image. ``low`` is None without ``half``.
    """
    path, names, ways = data / "latents.safetensors", ("high", "low") if half else ("high",), 2 if mirrored else 1
    encoder = hashlib.sha256((data / "vae" / "diffusion_pytorch_model.safetensors").read_bytes()).digest()
    digest = lambda picture: hashlib.blake2b(picture.numpy(), digest_size=8, key=encoder).digest()
    marks = [int.from_bytes(digest(picture), "big", signed=True) for picture in pictures.cpu().contiguous()]
    wanted = {*marks}
    kept = load_file(path) if path.exists() else {}
    rows: dict[int, tuple[torch.Tensor, ...]] = {}
    if kept.keys() >= {"marks", *names} and kept["high"].shape[1] == ways:
        rows = {mark: row for mark, row in zip(kept["marks"].tolist(), zip(*(kept[name] for name in names))) if mark in wanted}
    vae = AutoencoderKL.from_pretrained(data / "vae").to(device, memory_format=torch.channels_last).eval()

    def save() -> None:
        found = dict(zip(names, map(torch.stack, zip(*rows.values()))))
        save_file(found | {"marks": torch.tensor([*rows])}, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    new = [k for k, mark in enumerate(marks) if mark not in rows]
    saved = time.monotonic()
    for k in range(0, len(new), batch):
        x = to_tensor(pictures[new[k : k + batch]].to(device))
        turned = torch.cat([x, x.flip(-1)][:ways])
        with autocast(device):
            sizes = [size.contiguous(memory_format=torch.channels_last) for size in (turned, F.avg_pool2d(turned, 2))[: len(names)]]
            codes = [encode(vae, size).half().unflatten(0, (ways, len(x))).transpose(0, 1).contiguous().cpu() for size in sizes]
        rows |= {marks[which]: row for which, row in zip(new[k : k + batch], zip(*codes))}
        if time.monotonic() - saved > every or k + batch >= len(new):
            save()
            saved = time.monotonic()
            print(f"latents {min(k + batch, len(new))} of {len(new)}", flush=True)
    latents = [torch.stack(found).to(device) for found in zip(*(rows[mark] for mark in marks))]
    return latents[0], latents[1] if half else None
