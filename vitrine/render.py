"""Path-trace records into clean 256×256 product photos, with masks, in resumable shards.

A few samples a pixel through a box filter are noisy; albedo and normals let Intel's Open
Image Denoise turn them into a catalogue picture in a fraction of a second. Four samples
come within 38 to 44 dB of eight, which is closer than the autoencoder reaches.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import mitsuba as mi
import numpy as np
import pyoidn
from PIL import Image, ImageFilter

from .scene import draw
from .stage import make_scene

# How bright a perfect white surface of the set appears, by light (1 = the sensor's white).
EXPOSURE = {"studio": 1.10, "natural": 0.95, "dramatic": 0.64, "golden": 0.84}
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def trace(record: dict, size: int = 256, spp: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Render one record to exposed linear light.

    Returns
    -------
    picture : ndarray of shape (size, size, 3), float32
        Linear light, 1 = sensor white, before the tone curve.
    mask : ndarray of shape (size, size), bool
        True where the product is seen.
    """
    scene, pinhole, count = make_scene(record, size)
    seed = record["seed"] & 0x7FFFFFFF
    colour = _film(scene, {"type": "path", "max_depth": 6, "rr_depth": 3}, spp, seed).clip(0, 40)
    guides = _film(scene, {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"}, max(2, spp // 4), seed + 1)
    albedo, normal = guides[..., :3].clip(0, 1).copy(), guides[..., 3:6].clip(-1, 1).copy()
    picture = pyoidn.denoise(colour, albedo, normal, hdr=True)
    mask = _film(scene, {"type": "aov", "aovs": "shape:shape_index"}, 1, 0, pinhole)[..., 0]
    mask = (mask > 0.5) & (mask < count + 0.5)  # shapes are numbered from 1; 0 is empty space
    return picture * (EXPOSURE[record["light"]] / _illumination(picture, albedo, mask)), mask


def _film(scene, integrator: dict, spp: int, seed: int, sensor=0) -> np.ndarray:
    """One pass, as a (H, W, C) float32 array; guides in a pass of their own cost a third."""
    film = mi.render(scene, integrator=mi.load_dict(integrator), sensor=sensor, spp=spp, seed=seed)
    return np.nan_to_num(np.ascontiguousarray(film, np.float32), posinf=0)


def _illumination(picture: np.ndarray, albedo: np.ndarray, mask: np.ndarray) -> float:
    """Light that falls on the set near the product: what a hand-held meter would read."""
    ground = ~mask & (albedo @ _LUMA > 5e-3)
    if ground.sum() < 64:
        return 1.0
    return float(np.percentile((picture @ _LUMA)[ground] / (albedo @ _LUMA)[ground], 65))


def develop(picture: np.ndarray, record: dict) -> Image.Image:
    """Tone curve, palette and the recorded defect: linear light to an 8-bit sRGB photo."""
    rng = np.random.default_rng([9, record["seed"]])
    defect = record["defect"]
    gain = {"dark": rng.uniform(0.035, 0.09), "overexposed": rng.uniform(2.6, 4.2)}.get(defect, 1.0)
    x = picture.clip(0) * gain
    x = np.where(x < 0.88, x, 0.88 + 0.12 * (1 - np.exp(-(x - 0.88) / 0.12)))
    x = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-8) ** (1 / 2.4) - 0.055)
    saturation = {"neutral": 0.58, "vivid": 1.32}.get(record["palette"], 1.0) * (2.6 if defect == "oversaturated" else 1.0)
    grey = (x @ _LUMA)[..., None]
    x = grey + (x - grey) * saturation
    if defect == "oversaturated":
        x = (x - 0.5) * 1.35 + 0.5
    if defect == "grainy":
        coarse = rng.normal(0, 1, (x.shape[0] // 2, x.shape[1] // 2, 3)).repeat(2, 0).repeat(2, 1)
        x = x + rng.uniform(0.07, 0.13) * (0.7 * rng.normal(0, 1, x.shape) + 0.6 * coarse)
    image = Image.fromarray((x.clip(0, 1) * 255 + 0.5).astype(np.uint8))
    if defect == "blurry":
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(3.0, 5.5) * image.width / 256))
    if defect == "lowres":
        small = image.resize((image.width // 8,) * 2, Image.Resampling.BOX)
        image = small.resize(image.size, Image.Resampling.NEAREST if rng.random() < 0.6 else Image.Resampling.BILINEAR)
    return image


def photograph(record: dict, size: int = 256, spp: int = 8, coarse: int = 1) -> tuple[Image.Image, np.ndarray]:
    """Render and develop one record; the light is traced at ``size // coarse`` pixels and enlarged."""
    picture, mask = trace(record, size // coarse, spp)
    if coarse > 1:
        mask = mask.repeat(coarse, 0).repeat(coarse, 1)
        bands = [Image.fromarray(picture[..., c]).resize((size, size), Image.Resampling.BICUBIC) for c in range(3)]
        picture = np.stack([np.asarray(band) for band in bands], -1)
    return develop(picture, record), mask


def render_split(folder: Path, seeds: Iterable[int], size: int = 256, spp: int = 4, coarse: int = 1) -> Iterator[int]:
    """Render and keep the pictures of ``seeds``.

    Each picture is three files, ``NNNNNN.png``, ``.mask.png`` and ``.json``; the record is
    renamed into place last, so a killed run leaves nothing half-done behind it.

    Yields
    ------
    int
        Each seed, as soon as its files stand.
    """
    for seed in seeds:
        base = picture_path(folder, seed)
        base.parent.mkdir(parents=True, exist_ok=True)
        record = draw(seed)
        image, mask = photograph(record, size, spp, coarse)
        for suffix, picture in ((".png", image), (".mask.png", Image.fromarray(mask))):
            part = base.with_suffix(suffix + ".tmp")
            picture.save(part, "PNG")
            os.replace(part, base.with_suffix(suffix))
        done = base.with_suffix(".json")
        part = done.with_suffix(".tmp")
        part.write_text(json.dumps(record))
        os.replace(part, done)
        yield seed


def picture_path(folder: Path, index: int) -> Path:
    """Where a picture lives, a thousand to a folder."""
    return Path(folder) / f"{index // 1000:03d}" / f"{index:06d}.png"
