"""New surroundings for the six photos of inputs/, measured: kept pixels, the seam, the set that the judge reads, the time.

``python tests/bench/surroundings.py [SEEDS] [STEPS]`` prints a table; pictures are kept in outputs/, and none is made twice.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from tp2lib import INPUTS, OUTPUTS, Ledger, Recipe, adherence, cut_out, generate, load, prepare_source, sweep  # before torch: tp2lib.startup
from tp2lib.models.vocabulary import SET_WORDS

import numpy as np  # isort: skip
from PIL import Image
from scipy.ndimage import distance_transform_edt
from skimage.color import deltaE_ciede2000, rgb2lab

PHOTOS = {
    "product": "a red apple", "wallet": "a brown leather wallet", "backpack": "a blue fabric backpack", "mug": "a turquoise ceramic mug",
    "perfume": "a pink perfume bottle", "headphones": "black headphones",
}  # fmt: skip
SETS = [words[0] for words in SET_WORDS.values()]
STEPS, TIMED = 12, 30
STRENGTHS = (0.5, 0.7, 0.85, 1.0)


def background(name: str, model: Any, seeds: list[int], steps: int = STEPS, sets: list[str] = SETS) -> list[Any]:
    """Return the runs of one photo on every set, seeds fastest."""
    source = cut_out(INPUTS / f"{name}.jpg")
    recipe = Recipe(prompt=PHOTOS[name], source=f"inputs/{name}.jpg", mask="auto", steps=steps)
    prompts = [f"{PHOTOS[name]} on a {one}, soft natural light" for one in sets]
    return sweep(recipe, model, source=source, seeds=seeds, ledger=Ledger(OUTPUTS), prompt=prompts, say=lambda line: None).runs


def step(image: Image.Image, kept: np.ndarray) -> float:
    """Measure the step at the seam: mean ΔE00 from the 3 pixels outside the mask to what lies 8 pixels further out."""
    lab = rgb2lab(np.asarray(image))
    away = distance_transform_edt(~kept)
    rows, columns = np.nonzero((away > 0) & (away <= 3))
    down, right = np.gradient(away)
    out = [
        np.clip(np.rint(at + 8 * slope[rows, columns]).astype(int), 0, side - 1)
        for at, slope, side in ((rows, down, kept.shape[0]), (columns, right, kept.shape[1]))
    ]
    clear = away[out[0], out[1]] > 6
    return float(deltaE_ciede2000(lab[rows, columns], lab[out[0], out[1]])[clear].mean())


def change(image: Image.Image, photo: Image.Image, kept: np.ndarray) -> float:
    """Measure how much the background changed: mean ΔE00 where nothing is kept."""
    return float(deltaE_ciede2000(rgb2lab(np.asarray(image)), rgb2lab(np.asarray(photo)))[~kept].mean())


def measured(seeds: int = 4, steps: int = STEPS) -> Iterator[tuple[str, str, str]]:
    """Yield rows of what was measured, over six photos, eight sets and so many seeds."""
    model = load("vitrine")
    differing, read, ours, theirs, took = 0, [], [], [], []
    for name, what in PHOTOS.items():
        source = cut_out(INPUTS / f"{name}.jpg")
        size = model.native_size
        small = prepare_source(INPUTS / f"{name}.jpg", size, size)
        kept = np.asarray(source.mask.image.resize((size, size), Image.Resampling.BOX)) > 127
        for run in background(name, model, list(range(seeds)), steps):
            differing += int((np.asarray(run.image) != np.asarray(source.image))[source.mask.kept].any(axis=1).sum())
            told = adherence(run.image, run.recipe.prompt, model)
            read.append(told.instead["set"] in told.named["set"])
        run = background(name, model, [0], steps, SETS[1:2])[0]
        picture = run.image.resize((size, size), Image.Resampling.LANCZOS)
        ours.append((change(picture, small.image, kept), step(picture, kept)))
        recipe = Recipe(prompt=run.recipe.prompt, source=f"inputs/{name}.jpg", strength=1, steps=steps, seed=0)
        others = [generate(recipe.vary(strength=one, strength_mode="constant"), model, source=small, ledger=Ledger(OUTPUTS)).image for one in STRENGTHS]
        changes = [change(one, small.image, kept) for one in others]
        theirs.append(float(np.interp(ours[-1][0], changes, [step(one, kept) for one in others])))
        long = run.recipe.vary(steps=TIMED)
        times = [[generate(asked, model).timings["total"] for asked in (long, long.vary(source=None, strength=None, mask=None))] for _ in range(2)]
        took.append(min(one for one, _ in times) / min(other for _, other in times))
        print(
            f"{name}: {what}, confidence {source.mask.confidence}, seam {ours[-1][1]:.1f} against {theirs[-1]:.1f}, time {took[-1]:.2f}",
            file=sys.stderr,
            flush=True,
        )
    yield "new surroundings: kept pixels that differ", str(differing), "0"
    yield "new surroundings: set read by the judge", f"{np.mean(read):.0%} of {len(read)} pictures", "≥ 85 %"
    yield "new surroundings: step at the seam, ΔE00", f"{np.mean([one for _, one in ours]):.1f}, image to image {np.mean(theirs):.1f}", "less"
    yield "new surroundings: time against text to image", f"{np.median(took):.2f} x at {TIMED} steps", "≤ 1.2 x"


if __name__ == "__main__":
    for what, found, wanted in measured(*map(int, sys.argv[1:])):
        print(f"{what:<55} {found:<40} {wanted}")
