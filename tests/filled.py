"""What the tests of the evaluation share: an outputs folder with the report's eleven pictures, made without any model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tp2lib.engine.runs import Run
from tp2lib.evaluation.experiments import EXPERIMENTS, Experiment
from tp2lib.evaluation.rubric import JUDGED
from tp2lib.evaluation.run_measures import Evidence
from tp2lib.evaluation.scoring import BlindScoring
from tp2lib.metadata.source import Source, prepare_source
from tp2lib.storage.ledger import Ledger

SIDE = 96
NINE = [name for name in EXPERIMENTS if "run" in name]  # without smoke and baseline


def apple(number: int = 0, side: int = SIDE) -> Image.Image:
    """A red ball on white; it drifts away from number 0 the larger the number."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    pixels = np.full((side, side, 3), 255.0) - 2 * np.abs(y)[..., None]
    ball = np.hypot(x - 0.01 * number, y) < 0.28
    pixels[ball] = np.array([190 - 3 * number, 40 + 8 * number, 45 + 4 * number]) + 50 * (x - y)[ball][:, None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def photo() -> Source:
    """The photo that image to image started from."""
    return replace(prepare_source(apple(0), SIDE, SIDE), path="inputs/product.jpg")


def made(experiment: Experiment, number: int, image: Image.Image | None = None, **known: Any) -> Run:
    """A run as `generate` would leave it."""
    recipe = experiment.recipe
    source = photo() if recipe.source else None
    effective = {
        "model": "vitrine", "weights_sha256": "ab" * 32, "mode": "img2img" if source else "text2img", "width": SIDE, "height": SIDE,
        "device": "cpu", "dtype": "float32", "threads": 2, "rungs": [], "steps": recipe.effective_steps, "prompt": recipe.prompt,
        "nominal_steps": recipe.nominal_steps, "model_calls": recipe.effective_steps, "guidance_active": True,
        "noise_sha256": "cd" * 32, "source_sha256": source.pixels_sha256 if source else None, "seed": recipe.seed,
    }  # fmt: skip
    described = {"path": source.path, "pixels_sha256": source.pixels_sha256, "chain": list(source.chain)} if source else None
    return Run(
        recipe=recipe, effective=effective | known, timings={"denoise": 0.1 * recipe.effective_steps, "total": 0.5 + 0.1 * recipe.effective_steps},
        environment={"torch": "2.15.0", "python": "3.11.7", "system": "Linux x86_64"}, source=described, outcome="ok",
        key=f"{number + 1:032x}", image=image or apple(number),
    )  # fmt: skip


def fill(outputs: Path, names: Any = EXPERIMENTS, **pictures: Run) -> dict[str, Run]:
    """Put the report's pictures into an outputs folder, as `run_experiment` would; some may be given."""
    ledger, found = Ledger(outputs), {}
    ledger.keep_source(photo())
    for number, name in enumerate(names):
        run = pictures.get(name) or made(EXPERIMENTS[name], number)
        ledger.start(run.key)
        extra = {"composite": run.source is not None, "infotext": run.infotext()}
        found[name] = replace(run, path=ledger.finish(run.key, run.image, run.recipe, run.record(), **extra))
        ledger.publish(run.key, EXPERIMENTS[name].file)
    ledger.close()
    return found


def prove(outputs: Path, runs: dict[str, Run], **grades: str) -> None:
    """Note grades of replays: identical, but for those that are given."""
    evidence = Evidence(outputs)
    for name, run in runs.items():
        evidence.note("replayed", run, grade=grades.get(name, "identical"), psnr_db=None, max_difference=0, suspects=[])


def scored(outputs: Path, runs: dict[str, Run], rater: str, points: Any, *, lock: bool = True, seed: int = 0) -> BlindScoring:
    """A session in which every point is what a function of (key, criterion) says."""
    session = BlindScoring(list(runs.values()), rater, outputs=outputs, seed=seed)
    keys = {item.code: item.key for item in session.items}
    for code, key in keys.items():
        for criterion in JUDGED:
            session.score(code, criterion, points(key, criterion))
    if lock:
        session.lock()
    return session
