"""Encode the training pictures once: whitened latents at full and at half size, both ways round."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image

from .autoencoder import to_tensor
from .checkpoint import Clock
from .renders import Renders

CHUNK = 250  # pictures a file; what a kill can cost


@torch.no_grad()
def encode(data: Path, worker: int = 0, workers: int = 1) -> None:
    """Write ``data/latents/NNNN.npz`` for this worker's chunks of training pictures that are not there yet.

    Each holds ``high`` (N, 2, 4, h, w) and ``low`` (N, 2, 4, h/2, w/2), float16, the second
    axis being the picture and its mirror image, and ``records`` as JSON text.
    """
    renders = Renders(data / "renders", "train")
    vae = AutoencoderKL.from_pretrained(data / "vae").eval()
    folder = data / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    chunks = [range(k, min(k + CHUNK, len(renders))) for k in range(0, len(renders), CHUNK)]
    clock = Clock("latents", 0, len(chunks))
    for number, chunk in [*enumerate(chunks)][worker::workers]:
        path = folder / f"{number:04d}.npz"
        ids = [renders.records[k]["seed"] for k in chunk]
        if not (path.exists() and [r["seed"] for r in load_chunk(path)[2]] == ids):
            high, low = [], []
            for k in chunk:
                image = Image.fromarray(renders.picture(k))
                small = image.resize((image.width // 2,) * 2, Image.Resampling.BOX)
                high.append(_both_ways(vae, image))
                low.append(_both_ways(vae, small))
            part = path.with_suffix(".tmp.npz")
            np.savez(part, high=np.stack(high), low=np.stack(low), records=json.dumps([renders.records[k] for k in chunk]))
            part.replace(path)
        clock.tell(number + 1)


def _both_ways(vae: AutoencoderKL, image: Image.Image) -> np.ndarray:
    x = to_tensor(np.asarray(image))
    return vae.encode(torch.stack([x, x.flip(-1)])).latent_dist.mean.numpy().astype(np.float16)


def load_chunk(path: Path) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    with np.load(path) as file:
        return file["high"], file["low"], json.loads(str(file["records"]))


def load(data: Path) -> tuple[torch.Tensor, torch.Tensor, list[dict]]:
    """All latents, as (high, low, records); Tensors of shape (N, 2, 4, h, w), float16."""
    chunks = [load_chunk(path) for path in sorted((data / "latents").glob("[0-9]*.npz")) if ".tmp" not in path.name]
    if not chunks:
        raise FileNotFoundError(f"no latents in {data / 'latents'}; run: python -m vitrine latents")
    high, low, records = zip(*chunks)
    return (torch.from_numpy(np.concatenate(high)), torch.from_numpy(np.concatenate(low)), [record for chunk in records for record in chunk])
