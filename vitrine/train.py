"""One command for the whole training, within a number of minutes, on whatever machine there is.

The stages and what each gets of the time: the autoencoder, the latents (as long as they take), text encoder and UNet, the
guidance, the decoder on whole pictures. A stage whose result stands already is skipped and its share goes to the others; a stage that was
cut off goes on from its checkpoint. Text encoder and UNet are done once the guidance has begun: to train them further, delete ``weak.pt`` and ``guided.pt``.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.utils import SAFETENSORS_WEIGHTS_NAME

from . import autoencoder, denoiser, guidance, latents, pack, sharpen
from .denoiser import Denoiser
from .losses import decoder_features
from .model import FULL, TINY, Size, save_pipeline, seal
from .renders import Renders
from .tokenizer import draw_texts
from .training import choose_device


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How the time is split."""

    autoencoder: float = 0.17
    denoiser: float = 0.60
    guidance: float = 0.15
    sharpen: float = 0.08


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Pictures or crops a step."""

    autoencoder: int = 16
    latents: int = 1  # 0.09 s each on two cores, 0.14 by 16
    denoiser: int = 32
    guidance: int = 16
    sharpen: int = 1


CPU, CUDA = Batches(), Batches(autoencoder=128, latents=256, denoiser=256, guidance=128, sharpen=8)
SMALL = Batches(autoencoder=2, latents=4, denoiser=4, guidance=2, sharpen=2)
PHOTOS = 2_000  # renders that `guide` encodes: 152 s on two cores


def train(data: Path, to: Path, minutes: float, device: str = "auto", tiny: bool = False, start: Path | None = None, parts: Path | None = None) -> None:
    """Train what is not trained yet, and write the pipeline.

    Parameters
    ----------
    data : Path
        Working folder: ``renders`` (or a pack, unpacked), checkpoints, results.
    to : Path
        Where the finished diffusers folder goes.
    minutes : float
        For this call, loading included.
    device : {"auto", "cuda", "cpu"}
    tiny : bool
        Small networks and batches, to see that everything works.
    start : Path, optional
        A pipeline to go on from: its autoencoder stays, its text encoder and UNet are trained further.
    parts : Path, optional
        Where the result goes besides, as a zip in parts of at most 15 MB, every two minutes: what is there survives the machine.
    """
    began = time.monotonic()
    where, size = choose_device(device), TINY if tiny else FULL
    batches = SMALL if tiny else CUDA if where.type == "cuda" else CPU
    if where.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    renders = Renders(data / "renders", "train")
    pictures = renders.tensor().to(where)
    print(f"{len(renders)} pictures on {where}, {time.monotonic() - began:.0f} s after the start", flush=True)
    left = lambda: 60 * minutes - (time.monotonic() - began)
    if start:
        keep_autoencoder(start, data)
    todo = {
        "autoencoder": not (data / "vae" / "config.json").exists(),
        "denoiser": not (data / "weak.pt").exists(),
        "guidance": True,
        "sharpen": not start and not (data / "sharp" / "config.json").exists(),
    }
    if todo["denoiser"]:
        beside = ProcessPoolExecutor(1, mp_context=get_context("spawn"))  # a fork would inherit CUDA
        texts = beside.submit(draw_texts, renders.records)
        beside.shutdown(wait=False)
    total = sum(getattr(Shares(), name) for name, wanted in todo.items() if wanted)
    share = lambda name: getattr(Shares(), name) / total
    if todo["autoencoder"]:
        autoencoder.train(data, pictures, share("autoencoder") * left(), where, batches.autoencoder, size=size)
    # on a CPU a picture comes up some six times in two hours, so its mirror image is left out
    codes = latents.make_latents(data, pictures, where, batches.latents, mirrored=where.type == "cuda")
    late = share("guidance") + (share("sharpen") if todo["sharpen"] else 0)

    def deliver() -> None:
        export(data, to, size)
        if parts:
            archive = shutil.make_archive(str(data / "trained"), "zip", to)
            print("parts:", *(path.name for path in pack.split(Path(archive), parts)), flush=True)

    if todo["denoiser"]:
        plan = denoiser.Plan(batch=batches.denoiser)
        denoiser.train(data, codes, texts.result(), left() * share("denoiser") / (share("denoiser") + late), where, plan, size, start, deliver)
        deliver()
    features = decoder_features(data, where)
    seconds = left() * share("guidance") / late
    guidance.distil(data, averaged(data, size).to(where), photos_of(codes), renders.records, features, seconds, where, batches.guidance, saved=deliver)
    deliver()
    if todo["sharpen"]:
        sharpen.sharpen(data, pictures, max(1.0, left()), where, batches.sharpen)
        deliver()


def guide(data: Path, start: Path, to: Path, minutes: float, device: str = "auto", tiny: bool = False) -> None:
    """Distil the guidance into the UNet of the pipeline in ``start``, which has none distilled yet, and write the pipeline.

    The first `PHOTOS` renders are enough. Their latents and the checkpoints lie in ``data/guide-HASH``, the hash being that of the UNet, so that no other start resumes them.
    """
    began = time.monotonic()
    where, size = choose_device(device), TINY if tiny else FULL
    batches = SMALL if tiny else CUDA if where.type == "cuda" else CPU
    model, renders = Denoiser(size), Renders(data / "renders", "train")
    model.start_from(start)
    folder = data / f"guide-{hashlib.sha256((start / 'unet' / SAFETENSORS_WEIGHTS_NAME).read_bytes()).hexdigest()[:8]}"
    shutil.copytree(start / "vae", folder / "vae", dirs_exist_ok=True)
    pictures = torch.from_numpy(np.stack([renders.picture(k) for k in range(min(PHOTOS, len(renders)))]))
    codes = latents.make_latents(folder, pictures, where, batches.latents, mirrored=False)
    left = 60 * minutes - (time.monotonic() - began)
    unet = guidance.distil(
        folder, model.to(where), photos_of(codes), renders.records[: len(codes)], decoder_features(folder, where), left, where, batches.guidance
    )
    save_pipeline(to, model.text, AutoencoderKL.from_pretrained(start / "vae", dtype=torch.float32), unet, model.tokenizer)
    seal(to)


def keep_autoencoder(start: Path, data: Path) -> None:
    """Copy the autoencoder of the pipeline in ``start`` to ``data/vae``, or stop where another one stands, whose latents are other ones."""
    theirs, ours = (folder / "vae" / SAFETENSORS_WEIGHTS_NAME for folder in (start, data))
    if not ours.exists():
        shutil.copytree(start / "vae", data / "vae", dirs_exist_ok=True)
    elif theirs.read_bytes() != ours.read_bytes():
        raise SystemExit(f"{data / 'vae'} holds another autoencoder than --start {start}. Give another --data, or delete that folder with its checkpoints.")


def photos_of(codes: torch.Tensor) -> Callable[[np.ndarray], torch.Tensor]:
    """Return what gives the latents of pictures by their numbers, from those of `latents.make_latents`, (N, K, C, h, w)."""
    return lambda picks: codes[torch.from_numpy(picks).to(codes.device), 0].float()


def averaged(data: Path, size: Size) -> Denoiser:
    """Return text encoder and UNet as `denoiser.train` left them, averaged."""
    model = Denoiser(size)
    model.load_state_dict(torch.load(data / "denoiser.pt", weights_only=True, map_location="cpu")["average"]["module"])
    return model


def export(data: Path, to: Path, size: Size = FULL) -> None:
    """Write the pipeline of the averaged weights, with guidance and the decoder of whole pictures where they are distilled and trained."""
    model = averaged(data, size)
    if (data / "guided.pt").exists():
        model.unet.load_state_dict(torch.load(data / "guided.pt", weights_only=True, map_location="cpu")["average"]["module"])
    vae = AutoencoderKL.from_pretrained(data / ("sharp" if (data / "sharp" / "config.json").exists() else "vae"))
    save_pipeline(to, model.text, vae, model.unet, model.tokenizer)
    seal(to)
