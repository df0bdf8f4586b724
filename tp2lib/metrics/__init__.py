"""Numbers beside a picture: from pixels alone, but for the judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tp2lib.lazy import attach

if TYPE_CHECKING:
    from tp2lib.metrics.distances import colour_difference, perceptual_distance, perceptual_map, psnr, ssim
    from tp2lib.metrics.measures import MEASURES, Measures, background_whiteness, clipped_highlights, clipped_shadows, contrast, measure, saturation, sharpness
    from tp2lib.metrics.prompt_adherence import Adherence, adherence, clip_score

__getattr__, __dir__, __all__ = attach(__name__, __file__)
