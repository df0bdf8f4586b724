"""Masks: which pixels of a photo stay as they are. White is what is kept, everywhere in this library.

A1111 and diffusers have it the other way round, for they ask what to paint: white is what changes. Their masks
are inverted before they are given here.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, ImageOps
from scipy.ndimage import distance_transform_edt

from tp2lib.errors import SourceError, shown
from tp2lib.metadata.pixels import eight_bits, loaded, open_image

WHITE = 128  # of 255: from here on a pixel of a mask is white, and is kept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mask:
    """What is kept of a photo: True in `kept` (height, width) where its own pixels stay.

    `origin` says where it comes from, such as ``"the alpha channel"``; `confidence` is 0 to 1 for a mask that was found, None for one that was given.
    """

    kept: np.ndarray = field(repr=False)
    origin: str
    confidence: float | None = None

    @classmethod
    def of(cls, image: Image.Image, origin: str) -> Mask:
        """Make a mask of a grey picture: what has a level of 128 and more is kept."""
        return cls(kept=np.asarray(image.convert("L")) >= WHITE, origin=origin)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in pixels."""
        return self.kept.shape[1], self.kept.shape[0]

    @property
    def image(self) -> Image.Image:
        """The mask as a grey picture: 255 where the photo is kept, 0 elsewhere."""
        return Image.fromarray(self.kept.astype(np.uint8) * 255)

    @property
    def share(self) -> float:
        """Share of the photo that is kept, 0 to 1."""
        return float(self.kept.mean())

    @property
    def sha256(self) -> str:
        """64 hex digits that depend on size and kept pixels, and on nothing else."""
        return hashlib.sha256(f"{self.size}\n".encode() + np.packbits(self.kept).tobytes()).hexdigest()

    def grown(self, pixels: int) -> Mask:
        """Return the mask with its edge moved outwards by so many pixels, inwards where `pixels` is below 0."""
        if pixels == 0 or self.kept.all() or not self.kept.any():
            return self
        away = distance_transform_edt(~self.kept if pixels > 0 else self.kept)
        return replace(self, kept=away <= pixels if pixels > 0 else away > -pixels)

    def check(self) -> Mask:
        """Return the mask itself; raise SourceError if it keeps nothing, or all."""
        if self.kept.any() and not self.kept.all():
            return self
        what = "the whole photo, so there is nothing left to paint" if self.kept.any() else "nothing of the photo, so there is nothing to put back"
        raise SourceError(
            f"the mask ({self.origin}) keeps {what}. White or opaque pixels are kept; black or transparent pixels are painted. "
            "Give another mask, move its edge less (grow closer to 0), or leave mask out for image to image."
        )


def read_mask(given: str | os.PathLike[str] | bytes | Image.Image | np.ndarray, size: tuple[int, int]) -> tuple[Mask, list[str]]:
    """Read a mask that belongs to an upright photo of `size` (width, height), and say what was done to it; one of the same shape is scaled to it.

    White is kept; of an array, 0.5 and more if it has nothing above 1, otherwise 128 and more. Colours count as their grey; a picture with transparent pixels
    counts by its opacity. SourceError is raised if there is no such file, it is no picture, or of another shape than the photo.
    """
    if isinstance(given, np.ndarray):
        if given.ndim != 2:
            raise SourceError(f"the mask is an array of shape {given.shape}; it must have two dimensions, height and width. Take one channel.")
        if given.dtype.kind not in "biuf" or not np.isfinite(given).all():
            raise SourceError(f"the mask is an array of {given.dtype}, not of finite real numbers. Give bool, 0 to 1, or 0 to 255.")
        whole = 1 if given.max(initial=0) <= 1 else 255
        levels = np.rint(np.clip(given * (255 / whole), 0, 255)).astype(np.uint8)
        image, origin = Image.fromarray(levels), "an array"
    elif isinstance(given, Image.Image):
        image, origin = loaded(given, "the mask"), "a picture"
    else:
        image, origin = open_image(given)[0], "a file"
    try:
        upright = eight_bits(ImageOps.exif_transpose(image))
        grey = upright.convert("RGBA").getchannel("A") if upright.has_transparency_data else upright.convert("L")
        if upright.has_transparency_data and not any(grey.histogram()[:255]):  # all opaque
            grey = upright.convert("L")
    except Exception as error:  # damaged EXIF and key colours raise anything, from SyntaxError to struct.error
        raise SourceError(f"the mask cannot be converted to grey ({shown(error)}). Save it again as PNG.") from error
    acts = [f"mask from {origin}, {grey.width}x{grey.height}"]
    if grey.size != size:
        if abs(grey.width * size[1] - grey.height * size[0]) > max(*grey.size, *size):  # more than a pixel's rounding
            raise SourceError(
                f"the mask has {grey.width}x{grey.height} pixels and the photo {size[0]}x{size[1]}, once it is upright; a mask must have the photo's shape. "
                f"Make it from the upright photo, or give {shown('found')} to have the product found."
            )
        grey = grey.resize(size, Image.Resampling.BILINEAR)
        acts.append(f"mask scaled to the photo's {size[0]}x{size[1]}")
    mask = Mask.of(grey, origin)
    border = np.concatenate([mask.kept[0], mask.kept[-1], mask.kept[:, 0], mask.kept[:, -1]])
    if border.mean() > 0.9 and not mask.kept.all():
        acts.append("the mask keeps the photo's border: white is what is kept; invert a mask that was made for A1111 or diffusers")
    return mask, acts
