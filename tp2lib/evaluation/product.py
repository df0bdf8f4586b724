"""Find the product in a picture by its colour against the background, and measure how it changed.

The product is the largest connected region whose colour differs from the frame's border. That works for a product
on a plain or softly lit background; elsewhere nothing is found, and None is returned.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import binary_closing, binary_fill_holes, gaussian_filter, label
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.filters import threshold_otsu

from tp2lib.metrics.measures import Picture, as_pixels, border_of, perceptual_map

_LEAST_CONTRAST = 8.0  # ΔE00: a smaller difference from the background is not detected
_PLAIN = 8.0  # ΔE00: 60 % of the band must be this near to its median colour, or the background is not plain
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.95  # of the frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product in its frame."""

    mask: np.ndarray = field(repr=False)  # shape (height, width), bool
    share: float  # of the frame, 0 to 1
    touching: float  # share of the frame's outermost pixels that belong to the product, 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How a product changed between its photo and a picture."""

    colour: float  # perceptual distance (ΔE00), mean over the photo's product: 1 is just noticeable
    shape: float | None  # overlap of both outlines, intersection over union, 0 to 1; None where the picture shows no product that differs from its background


def find_product(image: Picture) -> Product | None:
    """Find the product of a picture; None where nothing stands out, or the ground is of several colours.

    Notes
    -----
    ΔE00 of each pixel, slightly blurred, from the median colour of the frame's outer band; cut by Otsu's threshold (IEEE
    Trans. SMC 9, 1979), at 8 ΔE00 at least; the largest connected region, its holes filled.
    """
    lab = rgb2lab(as_pixels(image))
    sigma = min(lab.shape[:2]) / 128
    lab = gaussian_filter(lab, (sigma, sigma, 0), mode="nearest")
    border = border_of(*lab.shape[:2])
    apart = deltaE_ciede2000(lab, np.median(lab[border], axis=0)[None, None, :])
    if apart.max() < _LEAST_CONTRAST or np.percentile(apart[border], 60) > _PLAIN:
        return None
    mask = np.pad(apart > max(threshold_otsu(apart), _LEAST_CONTRAST), 4, mode="edge")  # or closing would eat the frame's edge
    mask = binary_closing(mask, iterations=2)[4:-4, 4:-4]
    pieces, count = label(mask)
    if not count:
        return None
    sizes = np.bincount(pieces.ravel())[1:]
    mask = binary_fill_holes(pieces == 1 + int(sizes.argmax()))
    share = float(mask.mean())
    if not _LEAST_SHARE <= share <= _MOST_SHARE:
        return None
    edge = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    return Product(mask=mask, share=share, touching=float(edge.mean()))


def fidelity_to(image: Picture, photo: Picture) -> Fidelity | None:
    """Measure how the product of a photo changed; None where the photo shows none apart from its background.

    Parameters
    ----------
    image, photo : PIL.Image.Image of mode RGB, or ndarray of shape (height, width, 3), uint8
        Of one size: the prepared photo, and what image to image made of it.

    Raises
    ------
    SourceError
        The two differ in size.
    """
    there = find_product(photo)
    if there is None:
        return None
    colour = float(perceptual_map(image, photo)[there.mask].mean())
    now = find_product(image)
    shape = None if now is None else float((there.mask & now.mask).sum() / (there.mask | now.mask).sum())
    return Fidelity(colour=colour, shape=shape)
