"""Carry a training to another machine and back: one file there, a few small ones home."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import save

from tp2lib.models.judge import SIZE

from .losses import EARLY, imagenet_weights
from .renders import Renders

LIMIT = 45 * 2**20  # bytes a pack may have
PART = 15 * 10**6  # bytes a part of the way back may have
QUALITY = 80  # WebP: 2.9 kB a picture at 41.6 dB


def pack(data: Path, to: Path, count: int = 12_000, quality: int = QUALITY, split: str = "train") -> int:
    """Write one zip with a split's pictures (the judge's as small as it sees them), their records, and what their training starts from.

    For the autoencoder that is what stands in ``data/vae``, and the first layers of a network that its loss reads; for the
    judge's teacher all layers of that network, in half precision.

    Parameters
    ----------
    split : {"train", "judge"}
    count : int
        The first pictures, at most; fewer where ``LIMIT`` would be passed.

    Returns
    -------
    int
        How many pictures it holds.
    """
    renders = Renders(data / "renders", split)

    def shrink(k: int) -> bytes:
        buffer, image = io.BytesIO(), Image.fromarray(renders._decode(k))
        if split == "judge":
            image = image.reduce(max(1, image.width // SIZE))
        image.save(buffer, "WEBP", quality=quality, method=6)
        return buffer.getvalue()

    kept = []
    part = to.with_suffix(".tmp")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as file, ThreadPoolExecutor() as pool:
        weights = {key: value.contiguous() for key, value in imagenet_weights().items() if not key.startswith("_fc.")}
        if split == "judge":
            file.writestr("teacher.safetensors", save({key: value.half() if value.is_floating_point() else value for key, value in weights.items()}))
        else:
            file.writestr("features.safetensors", save({key: value for key, value in weights.items() if key.startswith(EARLY)}))
        if split == "train" and (data / "vae").exists():
            with tempfile.TemporaryDirectory() as folder:
                AutoencoderKL.from_pretrained(data / "vae", dtype=torch.float16).save_pretrained(folder)
                for path in sorted(Path(folder).iterdir()):
                    file.write(path, f"start/{path.name}")
        size = sum(member.compress_size for member in file.infolist())
        for k, picture in enumerate(pool.map(shrink, range(min(count, len(renders))))):
            size += len(picture) + 200  # zip's own entries, and the record compressed
            if size > LIMIT:
                break
            file.writestr(f"{renders.records[k]['seed']:06d}.webp", picture)
            kept.append(renders.records[k])
        file.writestr("records.jsonl.gz", gzip.compress("\n".join(map(json.dumps, kept)).encode(), mtime=0))
    part.replace(to)
    return len(kept)


def unpack(path: Path, data: Path) -> None:
    """Lay a pack out in ``data``: the pictures where `Renders` finds them, the rest where `autoencoder.train` does."""
    (data / "renders").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        strange = [name for name in names if name.startswith(("/", "\\")) or ".." in name]
        if "records.jsonl.gz" not in names or strange:
            raise ValueError(f"{path} is no pack: {strange or 'it has no records.jsonl.gz'}; `python -m vitrine pack` makes one")
        for name in names:
            if name.startswith("start/") or name in ("features.safetensors", "teacher.safetensors"):
                file.extract(name, data)
    target = data / "renders" / path.name
    if target.resolve() != path.resolve():
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(path.resolve())
        except OSError:  # another file system
            shutil.copyfile(path, target)


def split(path: Path, to: Path, size: int = PART) -> list[Path]:
    """Cut a file into ``to/NAME.part0of3``, ``.part1of3``, …, none larger than ``size`` bytes; old parts go."""
    to.mkdir(parents=True, exist_ok=True)
    for old in to.glob(f"{path.name}.part*"):
        old.unlink()
    count = max(1, -(-path.stat().st_size // size))
    parts = [to / f"{path.name}.part{k}of{count}" for k in range(count)]
    with path.open("rb") as file:
        for part in parts:
            part.write_bytes(file.read(size))
    return parts


def join(folder: Path, data: Path) -> list[Path]:
    """Join all parts in a folder into files of ``data``; none of them is touched where a part is missing."""
    wholes = sorted({(found[1], int(found[2])) for path in folder.iterdir() if (found := re.fullmatch(r"(.+)\.part\d+of(\d+)", path.name))})
    parts = {name: [folder / f"{name}.part{k}of{count}" for k in range(count)] for name, count in wholes}
    if not parts:
        raise FileNotFoundError(f"no parts (*.part0of3, …) in {folder}")
    gone = [part.name for each in parts.values() for part in each if not part.exists()]
    if gone:
        raise FileNotFoundError(f"{folder} lacks {', '.join(gone)}: bring it from where the training ran.")
    data.mkdir(parents=True, exist_ok=True)
    for name, each in parts.items():
        temporary = data / f"{name}.tmp"
        temporary.write_bytes(b"".join(part.read_bytes() for part in each))
        temporary.replace(data / name)
    return [data / name for name in parts]
