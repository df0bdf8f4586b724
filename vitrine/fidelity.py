"""How true reconstructions are, and how near generated pictures come to renders."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import skimage.data
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageOps
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.image.kid import KernelInceptionDistance

from tp2lib.paths import INPUTS

from .autoencoder import to_tensor
from .bench import Bench, Row, prompt_for
from .losses import PooledFeatures
from .renders import Renders


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, picture: np.ndarray) -> np.ndarray:
    """Encode and decode one (H, W, 3) uint8 picture."""
    y = vae.decode(vae.encode(to_tensor(picture[None])).latent_dist.mean).sample[0]
    return ((y.permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()


def reconstruction_error(vae: AutoencoderKL, pictures: list[np.ndarray]) -> dict[str, float]:
    """PSNR, SSIM and colour error of encode-decode over 8-bit pictures.

    Returns
    -------
    dict
        Means of ``psnr`` (dB), ``ssim`` (Wang et al. 2004 settings) and ``colour`` (mean absolute difference of the
        pictures' mean colours, 0-255 levels).
    """
    rows = []
    for picture in pictures:
        back = reconstruct(vae, picture)
        ssim = structural_similarity(picture, back, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        colour = np.abs(picture.mean((0, 1)) - back.mean((0, 1))).mean()
        rows.append((peak_signal_noise_ratio(picture, back, data_range=255), ssim, colour))
    return dict(zip(("psnr", "ssim", "colour"), np.mean(rows, 0).tolist()))


def reconstruction(bench: Bench, data: Path, n: int = 200) -> list[Row]:
    """Encode and decode held-out renders, the photos of ``inputs/`` and photos of the real world."""
    renders = Renders(data / "renders", "test")
    shown = [renders.picture(k) for k in range(min(n, len(renders)))]
    vae = bench.pipe.vae
    got, photos = reconstruction_error(vae, shown), reconstruction_error(vae, [square(Image.open(path)) for path in sorted(INPUTS.glob("*.jpg"))])
    rows = [
        Row(f"reconstruction: PSNR ({len(shown)} held-out renders)", "≥ 38 dB", f"{got['psnr']:.2f} dB", got["psnr"] >= 38),
        Row("reconstruction: PSNR (the photos of inputs/)", "≥ 35 dB", f"{photos['psnr']:.2f} dB", photos["psnr"] >= 35),
        Row("reconstruction: SSIM", "≥ 0.96", f"{got['ssim']:.3f}", got["ssim"] >= 0.96),
        Row("reconstruction: error of the mean colour", "≤ 1 of 255", f"{got['colour']:.2f}", got["colour"] <= 1),
    ]
    for name, bar in {"coffee": 28.5, "rocket": 31.0, "chelsea": 30.5}.items():  # photos of the real world, in scikit-image's wheel
        psnr = reconstruction_error(vae, [square(Image.fromarray(getattr(skimage.data, name)()))])["psnr"]
        rows.append(Row(f"reconstruction: PSNR ({name}, scikit-image)", f"≥ {bar} dB", f"{psnr:.2f} dB", psnr >= bar))
    for name, wanted in {"wood": {"set": "wood"}, "linen": {"set": "linen"}, "marble": {"set": "marble"}, "leather": {"material": "leather"}}.items():
        some = [k for k, r in enumerate(renders.records[:n]) if r["defect"] == "none" and r["focus"] == "deep" and wanted.items() <= r.items()]
        kept = texture_kept(vae, [renders.picture(k) for k in some]) if some else math.nan
        rows.append(Row(f"reconstruction: gradient energy kept, {name} ({len(some)} renders)", "0.85–1.1", f"{kept:.2f}", 0.85 <= kept <= 1.1))
    return rows


def square(image: Image.Image, side: int = 256) -> np.ndarray:
    """The middle of a photo, (side, side, 3) uint8."""
    return np.array(ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS))


def texture_kept(vae: AutoencoderKL, pictures: list[np.ndarray]) -> float:
    """Gradient energy of the reconstructions over that of the pictures: 0 where all is blurred, 1 where all is kept, more where some is invented."""
    energy = lambda x: sum(np.square(np.diff(np.float64(x), axis=axis)).sum() for axis in (0, 1))
    return sum(energy(reconstruct(vae, picture)) for picture in pictures) / sum(map(energy, pictures))


def realism(bench: Bench, data: Path, n: int = 500) -> list[Row]:
    """Kernel distance (KID, Bińkowski et al., 2018, arXiv:1801.01401) of pictures to held-out renders, on EfficientNet-lite0's features."""
    renders = Renders(data / "renders", "test")
    records = [r for r in renders.records if r["defect"] == "none"][:n]
    seen = [renders.picture(k) for k, r in enumerate(renders.records) if r["defect"] == "none"][:n]
    made = [np.asarray(image) for image in bench.draw([prompt_for(r) for r in records], [r["seed"] for r in records])]
    half = len(seen) // 2
    between, own = kernel_distance(made, seen), kernel_distance(seen[:half], seen[half:])
    what = f"realism: KID (on EfficientNet-lite0's features, not Inception's) to {len(seen)} held-out renders (renders to renders)"
    return [Row(what, "reported", f"{between:.4f} ({own:.4f})", True)]


def kernel_distance(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    net = PooledFeatures()
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that it keeps 1,280 numbers a picture in memory
        kid = KernelInceptionDistance(feature=net, subset_size=max(2, min(100, len(some), len(others))), subsets=50)
    for real, pictures in ((True, others), (False, some)):
        for k in range(0, len(pictures), 25):
            kid.update(torch.from_numpy(np.stack(pictures[k : k + 25])).permute(0, 3, 1, 2), real=real)
    return kid.compute()[0].item()
