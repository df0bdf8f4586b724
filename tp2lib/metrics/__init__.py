"""Measure pictures: from their pixels alone, or with the judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tp2lib.startup import attach

if TYPE_CHECKING:
    from tp2lib.metrics.measures import (  # noqa: I001 (those of one picture, then those of two)
        MEASURES, Measures, background_whiteness, clipped_highlights, clipped_shadows, contrast, measure, saturation, sharpness,
        colour_difference, perceptual_distance, perceptual_map, psnr, ssim,
    )  # fmt: skip
    from tp2lib.metrics.prompt_adherence import Adherence, adherence, clip_score

__getattr__, __dir__, __all__ = attach(__name__, __file__)
