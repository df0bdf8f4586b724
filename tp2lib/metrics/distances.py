"""How far a picture is from another one: in decibels, in structure, and as an eye would have it.

All work on 8-bit sRGB pixels; none needs weights.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from tp2lib.errors import SourceError, shown

__all__ = ["Picture", "as_pixels", "colour_difference", "perceptual_distance", "perceptual_map", "psnr", "ssim"]

Picture = Image.Image | np.ndarray

_SSIM_WINDOW = 11  # pixels a side: Wang et al.'s Gaussian window, cut at 3.5 sigma
_BLUR = 128  # sigma of the perceptual distance, as a fraction of the shorter side


def as_pixels(image: Picture) -> np.ndarray:
    """Return a picture as an array of shape (height, width, 3), uint8; the one guard of every measure.

    Raises
    ------
    SourceError
        Not RGB, not 8-bit, or smaller than 3 x 3 pixels.
    """
    if isinstance(image, Image.Image) and image.mode == "RGB":
        image = np.asarray(image)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"an array of shape {image.shape}, {image.dtype}" if isinstance(image, np.ndarray) else shown(image)
        raise SourceError(f"the picture is {what}; it must be a PIL image of mode RGB, or a uint8 array of shape (height, width, 3). Use image.convert('RGB').")
    if min(image.shape[:2]) < 3:
        raise SourceError(f"the picture is {image.shape[1]}x{image.shape[0]}; give one of at least 3x3 pixels.")
    return image


def psnr(image: Picture, reference: Picture) -> float:
    """Peak signal-to-noise ratio in dB, 20·log10(255 / RMSE); infinite for equal pictures.

    Raises
    ------
    SourceError
        The two differ in size.
    """
    a, b = _pair(image, reference)
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return math.inf if error == 0 else float(10 * math.log10(255**2 / error))


def ssim(image: Picture, reference: Picture) -> float:
    """Structural similarity: 1 for equal pictures, around 0 for unrelated ones.

    Notes
    -----
    Wang et al., IEEE Trans. Image Processing 13(4), 2004, with the paper's window (Gaussian,
    sigma 1.5) and constants, on each channel, averaged; scikit-image's implementation. A shift by
    a few pixels, which nobody sees, costs much of it.

    Raises
    ------
    SourceError
        The two differ in size, or are smaller than the window of 11 x 11 pixels.
    """
    a, b = _pair(image, reference)
    if min(a.shape[:2]) < _SSIM_WINDOW:
        raise SourceError(f"the picture is {a.shape[1]}x{a.shape[0]}; SSIM needs {_SSIM_WINDOW}x{_SSIM_WINDOW} pixels. Use psnr.")
    paper = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(a, b, data_range=255, channel_axis=-1, **paper))


def colour_difference(image: Picture, reference: Picture) -> np.ndarray:
    """CIEDE2000 colour difference, pixel by pixel: about 1 is just noticeable, 100 is black against white.

    Returns
    -------
    ndarray of shape (height, width), float
        ΔE00 of CIE 142 (2001), as Sharma et al., Color Res. Appl. 30 (2005), spell it out.

    Raises
    ------
    SourceError
        The two differ in size.
    """
    a, b = _pair(image, reference)
    return deltaE_ciede2000(rgb2lab(a), rgb2lab(b))


def perceptual_distance(image: Picture, reference: Picture) -> float:
    """Mean CIEDE2000 difference after the blur of a glance: 0 for equal pictures, 1 just noticeable.

    Notes
    -----
    The idea of S-CIELAB (Zhang and Wandell, J. SID 5(1), 1997: blur as the eye does, then compare
    colours) with one Gaussian instead of its six: sigma is 1/128 of the shorter side, about 5
    minutes of arc for a picture that spans 10 degrees, and works on linear light. Unlike PSNR it
    forgives grain and shifts by a pixel; unlike LPIPS it knows nothing of objects, and needs no weights.

    Raises
    ------
    SourceError
        The two differ in size.
    """
    return float(perceptual_map(image, reference).mean())


def perceptual_map(image: Picture, reference: Picture) -> np.ndarray:
    """Return :func:`perceptual_distance` pixel by pixel; shape (height, width), ΔE00."""
    a, b = (_glance(one) for one in _pair(image, reference))
    return deltaE_ciede2000(a, b)


def _glance(image: np.ndarray) -> np.ndarray:
    """Blur in linear light and return CIELAB; shape (height, width, 3)."""
    sigma = min(image.shape[:2]) / _BLUR
    linear = gaussian_filter(_TO_LINEAR[image], (sigma, sigma, 0), mode="nearest")
    return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


_CODED = np.arange(256) / 255
_TO_LINEAR = np.where(_CODED <= 0.04045, _CODED / 12.92, ((_CODED + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1


def _pair(image: Picture, reference: Picture) -> tuple[np.ndarray, np.ndarray]:
    a, b = as_pixels(image), as_pixels(reference)
    if a.shape != b.shape:
        raise SourceError(
            f"the picture is {a.shape[1]}x{a.shape[0]} and its reference {b.shape[1]}x{b.shape[0]}; they must have "
            "one size. Resize the reference, or use the prepared source of the run."
        )
    return a, b
