"""What a mask keeps of a photo, and new surroundings for it: on the model's grid while it paints, and back at the photo's own size.

A model of text and image to image does not know of a mask, so what is kept is put into the latents after every step, as diffusers'
StableDiffusionInpaintPipeline does it (Avrahami et al., "Blended Latent Diffusion", SIGGRAPH 2023, arXiv:2206.02779). Latents are 8 pixels
wide, and those on the product's edge hold the photo's old background too: they would draw a halo of it. So what is put in is renewed, after
the first step and after half of them: the product on the background that the model then expects. For the first half, two cells around the
product are put in as well, continued from the background beyond, or the model paints a second, larger product behind the one that is kept.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import KDPM2DiscreteScheduler
from PIL import Image
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

from tp2lib.errors import SourceError
from tp2lib.metadata.mask import Mask, read_mask
from tp2lib.metadata.source import Source, mask_source
from tp2lib.models.cutout import find_mask

SURELY = 0.8  # share of the product in a pixel from which on it is kept: pixels with much of the old background would be a rim on the new one


def cut_out(photo: Image.Image | str | os.PathLike[str] | bytes, mask: str | os.PathLike[str] | bytes | Image.Image | np.ndarray = "auto") -> Source:
    """Open a photo and say what of it is kept.

    Parameters
    ----------
    photo : PIL image, path, or bytes
        PNG, JPEG or WebP. It is turned upright and brought to sRGB, and keeps its own size.
    mask : str, path, bytes, PIL image or ndarray, default "auto"
        ``"alpha"``: what is opaque is kept. ``"found"``: the cut-out network finds the product. ``"auto"``: the first where the photo
        has transparency, else the second. Anything else is a mask, white where the photo is kept: see `read_mask`.

    Returns
    -------
    Source
        With its `mask`; `chain` says how that came about.

    Raises
    ------
    SourceError
        If photo or mask cannot be read, do not fit, or the mask keeps nothing or all.
    """

    def find(image: Image.Image, alpha: Image.Image | None) -> tuple[Mask, Sequence[str]]:
        varies = alpha is not None and any(alpha.histogram()[:255])
        named = mask if isinstance(mask, str) else None
        if named in ("auto", "alpha") and alpha is not None and varies:
            return Mask.of(alpha, "the alpha channel").check(), ["mask from the alpha channel"]
        if named == "alpha":
            raise SourceError("mask is 'alpha' and the photo has no transparency. Use mask='found', give a mask, or cut the product out first.")
        if named in ("auto", "found"):
            return _found(image)
        found, acts = read_mask(mask, image.size)
        return found.check(), acts

    return mask_source(photo, find)


def _found(image: Image.Image) -> tuple[Mask, Sequence[str]]:
    found = find_mask(image)
    mask = Mask(kept=found.mask >= SURELY, origin="found by the cut-out network", confidence=round(found.confidence, 3))
    if not mask.kept.any():
        raise SourceError(found.doubt)
    acts = [f"mask found by the cut-out network, confidence {mask.confidence:.2f}", *filter(None, [found.doubt])]
    return mask.check(), acts


_EDGE = 0.02  # share of a cell from which on it holds some of the product
_APART = 2  # cells around the product that are background at first
_STRETCH = 1.07  # by which a photo's shape may change while the model paints: rounding to the model's cells
_LIMITS = (64, 1024)  # pixels a side, as a recipe's


def painting_size(photo: tuple[int, int], native: int, width: int | None = None, height: int | None = None) -> tuple[int, int]:
    """Return the size at which a model paints around a whole photo: the photo's shape, and the area of the model's own size, `native` pixels a side.

    `width` and `height` insist on a side. SourceError is raised if the size would distort the photo by more than 7 %.
    """
    shape = photo[0] / photo[1]
    most = _LIMITS[1] * min(1, shape)  # what is wide at the longest side allowed
    wide = width or (height * shape if height else min(native * math.sqrt(shape), most))
    size = width or _side(wide), height or _side(wide / shape)
    stretch = size[0] / size[1] / shape
    if max(stretch, 1 / stretch) > _STRETCH:
        asked = "Leave out width and height" if width or height else "Crop the photo to a shape between 8:1 and 1:8"
        raise SourceError(
            f"the photo has {photo[0]}x{photo[1]} pixels, and painting at {size[0]}x{size[1]} would distort it: with a mask the whole photo is used. {asked}."
        )
    return size


def _side(pixels: float) -> int:
    return min(max(round(pixels / 8) * 8, _LIMITS[0]), _LIMITS[1])


class Region:
    """What is kept of a photo, on the grid of a model that paints at `width` x `height` pixels and whose latents are `factor` pixels wide.

    `photo` is the photo at that size; `share` of shape (height, width) says how much of each pixel is kept, 0 to 1; `cells` of shape (height / factor, width /
    factor) are the latents that hold some of the product, `around` the same and those around them.
    """

    def __init__(self, image: Image.Image, mask: Mask, width: int, height: int, factor: int = 8) -> None:
        self.photo = image.resize((width, height), Image.Resampling.LANCZOS)
        self.factor = factor
        self.share = _share(mask, width, height)
        self.cells = held_cells(mask, width, height, factor)
        around = binary_dilation(self.cells, np.ones((3, 3)), iterations=_APART)
        self.around = self.cells if around.all() else around

    def on(self, background: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Put the product on a background (height, width, 3) from -1 to 1, which is continued where latents are held: they say nothing of it."""
        unknown = np.kron(held, np.ones((self.factor, self.factor), bool))
        nearest = distance_transform_edt(unknown, return_distances=False, return_indices=True)
        smooth = gaussian_filter(background[tuple(nearest)], (self.factor / 4, self.factor / 4, 0))
        background = np.where(unknown[..., None], smooth, background)
        share = self.share[..., None]
        return share * (np.asarray(self.photo, np.float64) / 127.5 - 1) + (1 - share) * background


def held_cells(mask: Mask, width: int, height: int, factor: int) -> np.ndarray:
    """Return which latents hold some of the product, of shape (height / factor, width / factor); raise SourceError if all do."""
    cells = _share(mask, width // factor, height // factor) > _EDGE
    if cells.all():
        raise SourceError(
            f"the mask keeps so much that at {width}x{height} no square of {factor}x{factor} pixels is left to paint. "
            "Shrink the mask, or give a photo with more room around the product."
        )
    return cells


def _share(mask: Mask, width: int, height: int) -> np.ndarray:
    return np.asarray(mask.image.resize((width, height), Image.Resampling.BOX), np.float64) / 255


def hold(
    region: Region,
    index: int,
    latents: torch.Tensor,
    *,
    anchor: torch.Tensor | None,
    noise: torch.Tensor,
    scheduler: Any,
    timesteps: torch.Tensor,
    expected: Callable[[bool], torch.Tensor],
    encode: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put what is kept into the latents after a step, with the noise that belongs to the next one; return latents and anchor.

    `anchor` are the latents of what was put in last, None before the first step. ``expected(rough)`` gives the picture that the model expects to end up with,
    of shape (1, 3, height, width), -1 to 1, and a rough one where that will do; `encode` gives the latents of such a picture.
    """
    calls = len(timesteps)
    held = region.around if index < calls // 2 else region.cells
    if anchor is None or index in (0, calls // 2):
        pixels = expected(index < calls // 2)[0].float().nan_to_num().clamp(-1, 1).permute(1, 2, 0).cpu().numpy()
        anchor = encode(torch.from_numpy(region.on(pixels, held)).float().permute(2, 0, 1)[None])
    noisy = anchor if index == calls - 1 else _noisy(scheduler, anchor, noise, timesteps[index + 1])
    kept = torch.from_numpy(held).to(latents.device)
    return torch.where(kept, noisy, latents), anchor


def _noisy(scheduler: Any, anchor: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """Add the noise of the next model call. Every second one of KDPM2 is between two levels of noise, which its add_noise does not know."""
    if isinstance(scheduler, KDPM2DiscreteScheduler) and not scheduler.state_in_first_order:
        return anchor + noise * scheduler.sigmas_interpol[scheduler.step_index]
    return scheduler.add_noise(anchor, noise, torch.tensor([timestep]))


def put_back(image: Image.Image, photo: Image.Image, mask: Mask, feather: int) -> Image.Image:
    """Put the kept pixels of a photo on a picture of any size, scaled (Lanczos) to the photo's own.

    Over `feather` pixels the edge fades, outside the mask, in the colours of the nearest kept pixels.
    """
    ground = np.asarray(image.resize(photo.size, Image.Resampling.LANCZOS)).copy()
    rows, columns = (np.flatnonzero(mask.kept.any(axis)) for axis in (1, 0))
    part = tuple(slice(max(one[0] - feather, 0), one[-1] + feather + 1) for one in (rows, columns))
    kept, own, new = mask.kept[part], np.asarray(photo)[part], ground[part].astype(np.float64)
    away, nearest = distance_transform_edt(~kept, return_indices=True)
    weight = np.clip(1 - away / (feather + 1), 0, 1)[..., None]
    mixed = np.rint(weight * own[tuple(nearest)] + (1 - weight) * new).astype(np.uint8)
    ground[part] = np.where(kept[..., None], own, mixed)
    return Image.fromarray(ground)


def differing(image: Image.Image, photo: Image.Image, mask: Mask) -> int:
    """Count the kept pixels that are not the photo's own."""
    other = (np.asarray(image) != np.asarray(photo)).any(axis=2)
    return int((other & mask.kept).sum())
