"""Read the rendered pictures and their records back, from a renderer's folders or from archives."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .scene import EDITION, SPLITS


class Renders:
    """The pictures of a split that stand in a folder, in the order of their seeds.

    Parameters
    ----------
    folder : Path
        Holds what `render_split` wrote (``NNN/NNNNNN.png``, ``.mask.png``, ``.json``), or archives (``*.zip`` with
        ``NNNNNN.webp`` and ``NNNNNN.mask.png``, the records in a ``records.jsonl.gz`` in or beside them), or both. Where a seed
        stands twice the renderer's own counts; pictures of an older edition of their scene are left out.
    split : {"train", "judge", "test"}
    older : bool, default False
        Take pictures of older editions, too: their masks are as exact as any.
    """

    def __init__(self, folder: Path, split: str, older: bool = False):
        first, stop = SPLITS[split]
        found = {seed: picture for seed, picture in _find(folder, older).items() if first <= seed < stop}
        if not found:
            raise FileNotFoundError(f"no {split} pictures in {folder}; run: python -m vitrine render --split {split}")
        self.records, self._readers = zip(*(found[seed] for seed in sorted(found)), strict=True)
        self.picture = lru_cache(maxsize=None)(self._decode)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def side(self) -> int:
        """Width and height of the pictures, in pixels."""
        return len(self._decode(0))

    def _decode(self, k: int) -> np.ndarray:
        """Picture ``k`` as ndarray of shape (H, W, 3), uint8."""
        with Image.open(io.BytesIO(self._readers[k]("picture"))) as image:
            return np.array(image.convert("RGB"))

    def mask(self, k: int) -> np.ndarray:
        """Where picture ``k`` shows the product: ndarray of shape (H, W), bool."""
        with Image.open(io.BytesIO(self._readers[k]("mask"))) as image:
            return np.asarray(image.convert("1"))

    def tensor(self, workers: int | None = None) -> torch.Tensor:
        """All pictures: Tensor of shape (N, H, W, 3), uint8."""
        side = self.side
        out = torch.empty((len(self), side, side, 3), dtype=torch.uint8)

        def fill(k: int) -> None:
            out[k] = torch.from_numpy(self._decode(k))

        with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            list(pool.map(fill, range(len(self))))
        return out


def missing(folder: Path, seeds: Iterable[int]) -> list[int]:
    """Those of ``seeds`` whose picture does not stand in a folder, in the present edition of its scene."""
    found = _find(folder)
    return [seed for seed in seeds if seed not in found]


def _find(folder: Path, older: bool = False) -> dict[int, tuple[dict, Callable[[str], bytes]]]:
    """Record and reader of every picture in a folder, by seed."""
    found = {}
    for record, read in (*_archived(Path(folder)), *_rendered(Path(folder))):
        if older or record.get("edition", 1) == EDITION.get(record["kind"], 1):
            found[record["seed"]] = record, read
    return found


def _rendered(folder: Path):
    for path in sorted(folder.glob("[0-9]*/*.json")):
        files = {"picture": path.with_suffix(".png"), "mask": path.with_suffix(".mask.png")}
        yield json.loads(path.read_text()), lambda what, files=files: files[what].read_bytes()


def _archived(folder: Path):
    beside = folder / "records.jsonl.gz"
    records = _records(beside.read_bytes()) if beside.exists() else {}
    for path in sorted(folder.glob("*.zip")):
        archive = zipfile.ZipFile(path)
        names = set(archive.namelist())
        known = _records(archive.read("records.jsonl.gz")) if "records.jsonl.gz" in names else records
        for seed, record in known.items():
            stem = f"{seed:06d}"
            if f"{stem}.webp" in names:
                members = {"picture": f"{stem}.webp", "mask": f"{stem}.mask.png"}
                yield record, lambda what, archive=archive, members=members: archive.read(members[what])


def _records(packed: bytes) -> dict[int, dict]:
    return {record["seed"]: record for record in map(json.loads, gzip.decompress(packed).decode().splitlines())}
