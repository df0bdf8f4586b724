"""Measure Vitrine against all its bars: one table, three contact sheets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .bars import guidance, judging, negative, obedience, report_prompts, schedulers, speed, steps, strength
from .bench import REPORT_PROMPTS, Bench, Row
from .cutout_bars import cutting_out
from .fidelity import realism, reconstruction
from .renders import Renders


def diversity(bench: Bench, data: Path, n: int = 64) -> tuple[list[Row], list[tuple[Image.Image, Image.Image]]]:
    """Seeds of one prompt against each other and against every training picture.

    Distances are RMSE over 32×32 thumbnails. The yardstick for "near-copy" is how near
    different training pictures come to each other: the 5th percentile of nearest distances.

    Returns
    -------
    rows, nearest
        The table rows, and the six (picture, nearest training picture) pairs closest together.
    """
    prompt, _ = REPORT_PROMPTS["wallet"]
    images = bench.draw([prompt] * n, list(range(n)))
    mine = _thumbnails(images)
    renders = Renders(data / "renders", "train")
    theirs = _thumbnails([Image.fromarray(renders.picture(k)) for k in range(len(renders))])
    among = np.sqrt(((mine[:, None] - mine[None]) ** 2).mean(-1)) + np.eye(n) * 9
    across = np.stack([np.sqrt(((theirs - one) ** 2).mean(-1)) for one in mine])
    some = theirs[np.random.default_rng(56).permutation(len(theirs))[:2000]]
    yard = np.sqrt(np.maximum((some**2).sum(1)[:, None] + (some**2).sum(1) - 2 * some @ some.T, 0) / some.shape[1])
    yard += np.eye(len(some)) * 9
    yardstick = float(np.percentile(yard.min(1), 5))
    closest = np.argsort(across.min(1))[:6]
    pairs = [(images[k], Image.fromarray(renders.picture(int(across[k].argmin())))) for k in closest]
    bar = f"> {yardstick:.4f}"
    return [
        Row(f"diversity: nearest two of {n} seeds", bar, f"{among.min():.4f}", among.min() > yardstick),
        Row("diversity: nearest training picture", bar, f"{across.min():.4f}", across.min() > yardstick),
    ], pairs


def _thumbnails(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(im.convert("RGB").resize((32, 32), Image.Resampling.BOX), np.float32).ravel() / 255 for im in images])


def contact_sheet(images: list[Image.Image], columns: int, size: int = 160) -> Image.Image:
    """Pictures in reading order on one sheet."""
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * size, rows * size), "white")
    for k, image in enumerate(images):
        sheet.paste(image.resize((size, size), Image.Resampling.LANCZOS), (k % columns * size, k // columns * size))
    return sheet


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | bar | measured | |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {r.what} | {r.bar} | {r.figure} | {'✓' if r.holds else '✗'} |" for r in rows)])


def report(bench: Bench, data: Path, out: Path, share: float = 1.0) -> str:
    """Measure everything, write the table and three contact sheets to ``out``, return the table.

    ``share`` shrinks every sample, for a quick look.
    """
    some = lambda n: max(4, int(n * share))
    varied, pairs = diversity(bench, data, some(64))
    rows = [
        *reconstruction(bench, data, some(200)),
        *judging(bench, data),
        *obedience(bench, some(300)),
        *report_prompts(bench, some(16)),
        *realism(bench, data, some(500)),
        *guidance(bench, some(64)),
        *steps(bench, some(16)),
        *schedulers(bench),
        *strength(bench, data, some(32)),
        *negative(bench, some(100)),
        *varied,
        *cutting_out(data, bench.folder, out, share),
        *speed(bench),
    ]
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(table(rows) + "\n")
    prompts = [prompt for prompt, _ in REPORT_PROMPTS.values()]
    count = min(36, some(720))  # whole even for a quick look
    sheet = bench.draw([prompts[k % len(prompts)] for k in range(count)], list(range(count)))
    contact_sheet(sheet, 9).save(out / "contact_sheet.png")
    contact_sheet([image for column in zip(*pairs) for image in column], len(pairs)).save(out / "nearest.png")
    return table(rows)
