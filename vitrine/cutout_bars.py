"""Measure the cut-out network on pictures it never saw: renders, their products on other backgrounds, the photos of `inputs/`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from skimage import data as photos

from tp2lib import INPUTS
from tp2lib.models.cutout import SURE, Cutout, find_mask

from .bench import Row
from .composites import UNSEEN_PHOTOS, backgrounds, blurred
from .cutout import with_masks
from .renders import Renders

MISSED = 64.0  # pixels of boundary error where nothing was found: a quarter of the picture


@dataclass(frozen=True, kw_only=True)
class Score:
    """How one mask agrees with the true one."""

    overlap: float
    error: float
    confidence: float


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks, bool; 1 where both are empty."""
    return float((mask & truth).sum() / max(1, (mask | truth).sum())) if (mask | truth).any() else 1.0


def boundary_error(mask: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance in pixels from each outline to the other, both ways; 64 where one of them is missing."""
    edges = [one & ~ndimage.binary_erosion(one, border_value=1) for one in (mask, truth)]
    if not all(edge.any() for edge in edges):
        return 0.0 if mask.all() == truth.all() and mask.any() == truth.any() else MISSED
    far = [ndimage.distance_transform_edt(~edge) for edge in edges]
    return float((far[1][edges[0]].mean() + far[0][edges[1]].mean()) / 2)


def score(found: Cutout, truth: np.ndarray) -> Score:
    mask = found.mask > 0.5
    return Score(overlap=overlap(mask, truth), error=boundary_error(mask, truth) * 256 / len(truth), confidence=found.confidence)


def on_new_backgrounds(pictures: torch.Tensor, seed: int = 9_000) -> torch.Tensor:
    """The products where they were, on backgrounds that the training never had.

    Parameters
    ----------
    pictures : Tensor of shape (N, 4, S, S), uint8
        Colours, and the mask as 0 or 255.

    Returns
    -------
    Tensor of shape (N, 3, S, S), uint8
    """
    bank = backgrounds(pictures, UNSEEN_PHOTOS, len(pictures), seed)
    bank = bank[torch.randperm(len(bank), generator=torch.Generator().manual_seed(seed))]
    out = []
    for scene, behind in zip(pictures.split(32), bank.split(32), strict=True):
        alpha = blurred(scene[:, 3:].float() / 255, 0.6)
        out.append(torch.lerp(behind.float(), scene[:, :3].float(), alpha).round().byte())
    return torch.cat(out)


def as_image(picture: torch.Tensor) -> Image.Image:
    return Image.fromarray(picture.permute(1, 2, 0).numpy())


def inputs() -> dict[str, tuple[Image.Image, np.ndarray]]:
    """The photos of `inputs/` with their masks, which the scene code rendered in the edition of each photo."""
    masks = {path.stem: np.asarray(Image.open(path)) for path in sorted((INPUTS / "masks").glob("*.png"))}
    return {name: (Image.open(INPUTS / f"{name}.jpg").convert("RGB"), mask) for name, mask in masks.items()}


def calibration(scores: Sequence[Score], bins: int = 10) -> float:
    """Expected calibration error: confidence against overlap, over bins of as many pictures each."""
    ordered = sorted(scores, key=lambda one: one.confidence)
    groups = [group for group in np.array_split(np.array([(one.confidence, one.overlap) for one in ordered]), bins) if len(group)]
    return float(sum(len(group) * abs(group[:, 0].mean() - group[:, 1].mean()) for group in groups) / len(ordered))


def cutting_out(data: Path, folder: Path, out: Path, share: float = 1.0) -> list[Row]:
    """All bars of the cut-out network in ``folder``, and a contact sheet in ``out``. ``share`` shrinks the sample."""
    find = lambda image: find_mask(image, folder / "cutout.safetensors")
    renders = Renders(data / "renders", "test")
    n = min(len(renders), max(4, int(500 * share)))
    pictures, truths = with_masks(renders, renders.side)[:n], [renders.mask(k) for k in range(n)]
    clean = [k for k in range(n) if renders.records[k]["defect"] == "none"]
    composites = on_new_backgrounds(pictures)
    plain = [score(find(as_image(p[:3])), truth) for p, truth in zip(pictures, truths, strict=True)]
    moved = [score(find(as_image(p)), truth) for p, truth in zip(composites, truths, strict=True)]
    six = {name: score(find(image), mask) for name, (image, mask) in inputs().items()}
    worst = min(six, key=lambda name: six[name].overlap)
    white = find(Image.new("RGB", (256, 256), "white")).confidence
    rows = [
        *_figures(f"{n} held-out renders", plain, 0.97),
        _mean(f"cut-out: IoU ({len(clean)} of them without a defect)", [plain[k].overlap for k in clean], 0.97),
        *_figures(f"{n} held-out products on new backgrounds", moved, 0.97),
        *_figures("the six photos of `inputs/`", list(six.values()), 0.95),
        Row("cut-out: IoU, worst photo of `inputs/`", "≥ 0.95", f"{six[worst].overlap:.3f} ({worst})", six[worst].overlap >= 0.95),
    ]
    both = plain + moved
    wrong, right = [one for one in both if one.overlap < 0.85], [one for one in both if one.overlap >= 0.95]
    said = sum(one.confidence < SURE for one in wrong)
    rows += [
        Row("cut-out: calibration error of the confidence", "≤ 0.05", f"{calibration(both):.3f}", calibration(both) <= 0.05),
        Row(f"cut-out: doubt is said of masks with IoU < 0.85 ({len(wrong)})", "≥ 80%", f"{said / max(1, len(wrong)):.0%}", said >= 0.8 * len(wrong)),
        _falsely(right),
        Row("cut-out: confidence on a blank white picture", "≤ 0.5", f"{white:.2f}", white <= 0.5),
    ]
    out.mkdir(parents=True, exist_ok=True)
    some = [as_image(p[:3]) for p in pictures[:12]] + [as_image(p) for p in composites[12:24]]
    sheet([*(image for image, _ in inputs().values()), Image.fromarray(photos.coffee()), *some], find).save(out / "cutout.png")
    return rows


def _mean(what: str, values: Sequence[float], bar: float) -> Row:
    figure = float(np.mean(values))
    return Row(what, f"≥ {bar}", f"{figure:.3f} (median {np.median(values):.3f})", figure >= bar)


def _figures(what: str, scores: Sequence[Score], bar: float) -> list[Row]:
    error = float(np.mean([one.error for one in scores]))
    median = float(np.median([one.error for one in scores]))
    return [
        _mean(f"cut-out: IoU ({what})", [one.overlap for one in scores], bar),
        Row(f"cut-out: boundary error at 256² ({what})", "≤ 1.5 px", f"{error:.2f} px (median {median:.2f})", error <= 1.5),
    ]


def _falsely(right: Sequence[Score]) -> Row:
    said = sum(one.confidence < SURE for one in right) / max(1, len(right))
    return Row(f"cut-out: doubt is said of masks with IoU ≥ 0.95 ({len(right)})", "≤ 10%", f"{said:.0%}", said <= 0.1)


def sheet(images: Sequence[Image.Image], find: Callable[[Image.Image], Cutout], columns: int = 4, side: int = 192) -> Image.Image:
    """Each picture beside itself with everything but the product in green."""
    tiles = []
    for image in images:
        mask = find(image).mask[..., None]
        picture = np.asarray(image, np.float32)
        shown = picture * mask + (picture * 0.3 + np.array([0, 120, 0], np.float32)) * (1 - mask)
        tiles.append([Image.fromarray(one.clip(0, 255).astype(np.uint8)) for one in (picture, shown)])
    page = Image.new("RGB", (2 * columns * side, -(-len(tiles) // columns) * side), "white")
    for k, pair in enumerate(tiles):
        for half, one in enumerate(pair):
            one.thumbnail((side, side))
            page.paste(one, ((2 * (k % columns) + half) * side, k // columns * side))
    return page
