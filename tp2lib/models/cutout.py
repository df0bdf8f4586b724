"""Find the product in a photo with a small network: a soft mask and a confidence.

`vitrine/cutout.py` trains it on renders, whose masks are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from torch import nn

from tp2lib.errors import SourceError, shown
from tp2lib.models.judge import Encoder

WEIGHTS = Path(__file__).parent / "vitrine" / "cutout.safetensors"
SIDE = 256  # the network works on about 256² pixels, whatever the photo's shape
STEP = 32  # the sides it works on are multiples of this
OPEN = 0.3  # mean probability up to which a hole in the product is one
BAND = 3  # pixels at that size, each side of the outline, in which the mask may be soft
RADIUS, EPSILON = 4, 1e-4  # of the guided filter: pixels at that size, and the variance of colour that counts as none
CUT_OFF = 0.25  # share of the border from which a product leaves the photo, and every mask is doubted
SURE = 0.9  # confidence from which nothing is said


class CutoutNet(Encoder):
    """U-Net on (N, 3, H, W) pictures in [0, 1], sides multiples of 32; logits of shape (N, 1, H, W)."""

    def __init__(self):
        super().__init__(11)
        self.temperature = nn.Buffer(torch.ones(1))
        conv = lambda a, b, kernel: nn.Sequential(nn.Conv2d(a, b, kernel, padding=kernel // 2), nn.ReLU())
        self.far, self.wide = conv(112, 96, 3), conv(192, 96, 1)
        self.up16 = nn.Sequential(conv(112 + 96, 96, 1), conv(96, 64, 3))
        self.up8 = nn.Sequential(conv(64 + 40, 64, 1), conv(64, 48, 3))
        self.up4 = nn.Sequential(conv(48 + 24, 40, 1), conv(40, 32, 3))
        self.up2 = conv(32 + 16 + 12, 24, 3)
        self.head = nn.Conv2d(24, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x - self.mean) / self.std
        maps = self.maps(x)
        seen = [one / 8 for one in maps]  # about the scale of everything else
        h = maps[-1] / 4
        far = self.far(F.avg_pool2d(h, 2))
        far = self.wide(torch.cat([far, far.mean((2, 3), keepdim=True).expand_as(far)], 1))
        h = self.up16(torch.cat([h, _twice(far)], 1))
        h = self.up8(torch.cat([_twice(h), seen[4]], 1))
        h = self.up4(torch.cat([_twice(h), seen[2]], 1))
        h = self.up2(torch.cat([_twice(h), seen[0], F.pixel_unshuffle(x, 2)], 1))
        return F.pixel_shuffle(self.head(h), 2) / self.temperature


def _twice(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """Where a photo shows its product: its share of each pixel of the photo in `mask` (H, W), float32, from 0 to 1; and why that needs a look, in `doubt`.

    `confidence`, 0 to 1, is the intersection over union with the true mask that the network expects: the sum of its probabilities inside the outline, divided
    by the outline's area plus the sum of those outside. It is calibrated on renders by one temperature, and lowered where the product covers more than a
    quarter of the photo's border: by as much as it covers more. 0 where nothing was found.
    """

    mask: np.ndarray = field(repr=False)
    confidence: float
    doubt: str = ""


def find_mask(image: Image.Image, weights: Path = WEIGHTS) -> Cutout:
    """Find the product in a photo of any shape, from 16×16 pixels on; raise SourceError if it is no picture, or smaller.

    The network sees it and its mirror image at about 256×256 pixels, the shape kept. The orientation in its EXIF data is not applied, and an alpha channel is
    not looked at: it is a mask already. ModelNotFound or ModelError is raised if the network's weights are missing or damaged.
    """
    if not isinstance(image, Image.Image):
        raise SourceError(f"the photo is {shown(image)}; it must be a PIL image. Open the file with PIL.Image.open, or use prepare_source.")
    if min(image.size) < 16:
        raise SourceError(f"the photo has {image.width}×{image.height} pixels; at least 16×16 are needed to find a product. Use a larger photo.")
    image = image.convert("RGBA" if "transparency" in image.info else "RGB").convert("RGB")
    photo = np.asarray(image, np.float32) / 255
    small = np.asarray(image.resize(_working_size(*image.size), Image.Resampling.LANCZOS), np.float32) / 255
    with torch.inference_mode():
        x = torch.from_numpy(small).permute(2, 0, 1)[None]
        there, mirrored = load_cutout(weights)(torch.cat([x, x.flip(3)]).contiguous(memory_format=torch.channels_last)).split(1)
        logits = (there + mirrored.flip(3)) / 2
    probability = logits.sigmoid()[0, 0].numpy()
    inside = _whole(_main_parts(probability > 0.5), probability)
    if inside.mean() < 0.002:
        doubt = "No product was found. Draw the mask by hand, or take a photo in which the product stands out from what is behind it."
        return Cutout(mask=np.zeros(photo.shape[:2], np.float32), confidence=0.0, doubt=doubt)
    expected = float(probability[inside].sum() / (inside.sum() + probability[~inside].sum()))
    border = float(np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).mean())
    confidence = expected * min(1.0, 1 + CUT_OFF - border)
    sure = np.where(ndimage.binary_erosion(inside, iterations=BAND, border_value=1), 1, probability)
    sure = np.where(ndimage.binary_dilation(inside, iterations=BAND), sure, 0)  # soft only near the outline
    return Cutout(mask=_along_edges(sure.astype(np.float32), small, photo), confidence=confidence, doubt=_doubt(confidence, border))


def _working_size(width: int, height: int) -> tuple[int, int]:
    """About 256² pixels in the photo's shape, both sides multiples of 32; photos longer than 4:1 are squeezed."""
    ratio = min(max(width / height, 0.25), 4.0) ** 0.5
    return STEP * round(SIDE * ratio / STEP), STEP * round(SIDE / ratio / STEP)


def _main_parts(inside: np.ndarray) -> np.ndarray:
    """The largest connected region, and those of at least a tenth of its size."""
    pieces, count = ndimage.label(inside)
    if count < 2:
        return inside
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.isin(pieces, np.flatnonzero(sizes >= max(1, sizes.max() / 10)))


def _whole(inside: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Close the holes of which the network is not sure, such as a reflection or a label; the hole of a handle is sure, and stays."""
    holes, _ = ndimage.label(ndimage.binary_fill_holes(inside) & ~inside)
    doubtful = ndimage.mean(probability, holes, np.arange(holes.max() + 1)) > OPEN
    return inside | (doubtful[holes] & (holes > 0))


def _along_edges(probability: np.ndarray, small: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """The map at the photo's own size, its edge laid along the photo's.

    The fast guided filter (He and Sun, 2015, arXiv:1505.00996): near each pixel of the small picture the map is fitted as a linear function of the
    colours; that function, enlarged, is read at the colours of the full photo. What it says of less than a tenth, or more than nine, is cut.
    """
    mean = lambda x: ndimage.uniform_filter(x, (2 * RADIUS + 1, 2 * RADIUS + 1, *(1,) * (x.ndim - 2)), mode="nearest")
    colour, p = mean(small), mean(probability)
    spread = mean(small[..., :, None] * small[..., None, :]) - colour[..., :, None] * colour[..., None, :]
    shared = mean(small * probability[..., None]) - colour * p[..., None]
    slope = np.linalg.solve(spread + EPSILON * np.eye(3, dtype=np.float32), shared[..., None])[..., 0]
    line = torch.from_numpy(mean(np.concatenate([slope, (p - (slope * colour).sum(-1))[..., None]], -1)))
    large = F.interpolate(line.permute(2, 0, 1)[None], size=photo.shape[:2], mode="bilinear", align_corners=False, antialias=True)[0].numpy()
    mask = np.einsum("chw,hwc->hw", large[:3], photo) + large[3]
    return (1.25 * mask - 0.125).clip(0, 1).astype(np.float32)


def _doubt(confidence: float, border: float) -> str:
    if confidence >= SURE:
        return ""
    if border > CUT_OFF:
        return "The product runs out of the photo. Check the mask, or take a photo that shows all of it."
    return "Product and background are hard to tell apart here, as white on white, glass or blur are. Check the mask, and correct it."


@lru_cache(maxsize=2)
def load_cutout(path: Path = WEIGHTS) -> CutoutNet:
    """Load the network once; raise ModelNotFound or ModelError if its file is missing or damaged."""
    return CutoutNet.load(path, "cut-out network")
