"""Measure a picture, or the distance between two.

All are computed offline from 8-bit sRGB pixels; none needs weights. None says whether a picture is
*good*: grain counts as sharpness, a cut-out on white as clipped. Compare pictures of one size, one
prompt and one seed, and only then.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, laplace
from skimage.color import deltaE_ciede2000, rgb2lab, rgb2xyz, xyz2lab
from skimage.metrics import structural_similarity

from tp2lib.errors import SourceError, did_you_mean, shown

Picture = Image.Image | np.ndarray

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, which Pillow's "L" and OpenCV's grey use too
_BORDER = 16  # the frame's outer band is a sixteenth of the shorter side
_SSIM_WINDOW = 11  # pixels a side: Wang et al.'s Gaussian window, cut at 3.5 sigma
_BLUR = 128  # sigma of the perceptual distance, as a fraction of the shorter side


def as_pixels(image: Picture) -> np.ndarray:
    """Return an RGB picture of at least 3 x 3 pixels as an array of shape (height, width, 3), uint8; the one guard of every measure."""
    if isinstance(image, Image.Image) and image.mode == "RGB":
        image = np.asarray(image)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"an array of shape {image.shape}, {image.dtype}" if isinstance(image, np.ndarray) else shown(image)
        raise SourceError(f"the picture is {what}; it must be a PIL image of mode RGB, or a uint8 array of shape (height, width, 3). Use image.convert('RGB').")
    if min(image.shape[:2]) < 3:
        raise SourceError(f"the picture is {image.shape[1]}x{image.shape[0]}; give one of at least 3x3 pixels.")
    return image


def _pair(image: Picture, reference: Picture) -> tuple[np.ndarray, np.ndarray]:
    a, b = as_pixels(image), as_pixels(reference)
    if a.shape != b.shape:
        raise SourceError(
            f"the picture is {a.shape[1]}x{a.shape[0]} and its reference {b.shape[1]}x{b.shape[0]}; they must have "
            "one size. Resize the reference, or use the prepared source of the run."
        )
    return a, b


def sharpness(image: Picture) -> float:
    """Variance of the Laplacian of the luma: 0 for a flat picture, larger the finer the detail.

    Notes
    -----
    LAPV in Pertuz et al., "Analysis of focus measure operators for shape-from-focus", Pattern
    Recognition 46 (2013), after Pech-Pacheco et al. (ICPR 2000): var(Y * [0 1 0; 1 -4 1; 0 1 0]),
    Y being BT.601 luma in 0..255, away from the border. Grain and ringing raise it like detail does.
    """
    return float(laplace(as_pixels(image) @ _LUMA)[1:-1, 1:-1].var())


def contrast(image: Picture) -> float:
    """Standard deviation of the luma in 0..1: from 0 (flat) to 0.5 (half black, half white).

    Notes
    -----
    RMS contrast of Peli, "Contrast in complex images", J. Opt. Soc. Am. A 7 (1990), on BT.601 luma.
    """
    return float((as_pixels(image) @ _LUMA).std() / 255)


def saturation(image: Picture) -> float:
    """Mean CIELAB chroma, sqrt(a*² + b*²): 0 for greys; sRGB's purest blue has 134.

    Notes
    -----
    C*ab of CIE 15, "Colorimetry", under D65. Unlike the S of HSV it does not make near-black
    pixels count as saturated.
    """
    lab = rgb2lab(as_pixels(image))
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def clipped_highlights(image: Picture) -> float:
    """Share of pixels, 0 to 1, in which at least one channel is at its upper end (254 or 255).

    Notes
    -----
    The any-channel rule of photo editors' clipping warning: a channel at its end has lost its
    detail, whether the pixel is white or a colour too strong for sRGB. A pure white background is clipped.
    """
    return float((as_pixels(image) >= 254).any(axis=2).mean())


def clipped_shadows(image: Picture) -> float:
    """Share of pixels, 0 to 1, in which at least one channel is at its lower end (0 or 1)."""
    return float((as_pixels(image) <= 1).any(axis=2).mean())


def background_whiteness(image: Picture) -> float:
    """Mean whiteness of the frame's outer band: 1 is pure white (255, 255, 255), as marketplaces ask.

    Notes
    -----
    Whiteness is min(R, G, B) / 255, the W of HWB (Smith and Lyons, J. Graphics Tools 1(1), 1996):
    a shade and a tint both lower it. The band is a sixteenth of the shorter side; a product that
    is cut off by the frame lowers the number too.
    """
    white = as_pixels(image).min(axis=2)
    band = max(1, min(white.shape) // _BORDER)
    border = np.ones(white.shape, bool)
    border[band:-band, band:-band] = False
    return float(white[border].mean() / 255)


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
    ignores grain and shifts by a pixel; unlike LPIPS it knows nothing of objects, and needs no weights.

    Raises
    ------
    SourceError
        The two differ in size.
    """
    return float(perceptual_map(image, reference).mean())


def perceptual_map(image: Picture, reference: Picture) -> np.ndarray:
    """Return :func:`perceptual_distance` pixel by pixel; shape (height, width), ΔE00."""
    pair = _pair(image, reference)
    sigma = min(pair[0].shape[:2]) / _BLUR
    glances = (gaussian_filter(rgb2xyz(one), (sigma, sigma, 0), mode="nearest") for one in pair)  # XYZ is linear in light
    return deltaE_ciede2000(*map(xyz2lab, glances))


def _measure(label: str, form: str, compute: Any, compares: bool = False) -> Any:
    about = {"label": label, "form": form, "compute": compute, "compares": compares}
    return field(default=None if compares else MISSING, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The measures of one picture; those that compare are None without a reference."""

    sharpness: float = _measure("sharpness", "{:.0f}", sharpness)
    contrast: float = _measure("contrast", "{:.3f}", contrast)
    saturation: float = _measure("saturation", "{:.1f}", saturation)
    clipped_highlights: float = _measure("clipped highlights", "{:.1%}", clipped_highlights)
    clipped_shadows: float = _measure("clipped shadows", "{:.1%}", clipped_shadows)
    background_whiteness: float = _measure("background whiteness", "{:.2f}", background_whiteness)
    psnr: float | None = _measure("PSNR", "{:.1f} dB", psnr, compares=True)
    ssim: float | None = _measure("SSIM", "{:.3f}", ssim, compares=True)
    perceptual_distance: float | None = _measure("distance", "{:.1f} ΔE", perceptual_distance, compares=True)


_FIELDS = {f.name: f.metadata for f in fields(Measures)}
MEASURES = tuple(_FIELDS)


def measure(image: Picture, reference: Picture | None = None) -> Measures:
    """Take every measure of a picture.

    Parameters
    ----------
    image : PIL.Image.Image of mode RGB, or ndarray of shape (height, width, 3), uint8
    reference : the same, optional
        What to compare with: a source photo, prepared to the same size, or another run's picture.

    Returns
    -------
    Measures

    Raises
    ------
    SourceError
        A picture that cannot be measured, or a reference of another size.

    Examples
    --------
    >>> from PIL import Image
    >>> measure(Image.new("RGB", (32, 32), "white")).background_whiteness
    1.0
    """
    names = [name for name, about in _FIELDS.items() if reference is not None or not about["compares"]]
    return Measures(**{name: take(name, image, reference) for name in names})


def take(name: str, image: Picture, reference: Picture | None = None) -> float:
    """Take one measure, by its name in `MEASURES`; see :func:`measure`."""
    about = _about(name)
    if not about["compares"]:
        return about["compute"](image)
    if reference is None:
        raise SourceError(f"{name} compares with a reference, and there is none. Give reference=…, a picture.")
    return about["compute"](image, reference)


def in_words(name: str, value: float) -> str:
    """Return a measure as it stands under a picture, such as ``"contrast 0.213"``."""
    about = _about(name)
    return f"{about['label']} {about['form'].format(value) if math.isfinite(value) else '∞ dB (equal)'}"


def axis_title(name: str) -> str:
    """Return a measure's name and unit, as an axis bears them: ``"distance (ΔE)"``."""
    about = _about(name)
    _, _, unit = about["form"].partition("} ")
    return f"{about['label']} ({unit})" if unit else about["label"]


def _about(name: str) -> Any:
    if name not in _FIELDS:
        hint = did_you_mean(name, MEASURES) or " Choose one of these."
        raise SourceError(f"there is no measure {shown(name)}; there are {', '.join(MEASURES)}.{hint}")
    return _FIELDS[name]
