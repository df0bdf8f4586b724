"""The weights in the repository: whole, small, loadable by diffusers alone, and they draw what is asked."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tp2lib import INPUTS, Recipe, generate, load, prepare_source
from tp2lib.metrics import perceptual_distance
from tp2lib.metrics.prompt_adherence import adherence
from tp2lib.models.vocabulary import SET_WORDS
from vitrine.vocabulary import COLOURS, KINDS

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "tp2lib" / "models" / "vitrine"
FOLDER = ROOT / "vitrine"
CARD = (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def real():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TP2_VITRINE", raising=False)
        yield load("vitrine", device="cpu")


def test_they_are_whole_and_small():
    lines = (WEIGHTS / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {path.relative_to(WEIGHTS).as_posix(): path for path in WEIGHTS.rglob("*.safetensors")}
    assert listed.keys() == files.keys() and len(files) == 5
    for name, path in files.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name]
    assert sum(path.stat().st_size for path in files.values()) <= 40e6
    assert files["judge.safetensors"].stat().st_size <= 2e6
    assert files["cutout.safetensors"].stat().st_size <= 2e6
    assert not [path for path in WEIGHTS.rglob("*") if path.suffix in {".bin", ".pt", ".ckpt", ".pkl"}]


@pytest.mark.slow
def test_diffusers_loads_them_without_us_and_without_a_word():
    code = (
        "import sys, warnings; warnings.simplefilter('error')\n"
        "import torch; from diffusers import StableDiffusionPipeline; from diffusers.utils import logging\n"
        "import transformers; logging.disable_progress_bar(); transformers.utils.logging.disable_progress_bar(); print('loading', file=sys.stderr)\n"
        f"pipe = StableDiffusionPipeline.from_pretrained({str(WEIGHTS)!r}, dtype=torch.float32)\n"
        "print(any(name.startswith('tp2lib') for name in sys.modules), pipe.vae_scale_factor, pipe.unet.config.sample_size)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.strip()) == (0, "False 8 32"), done.stderr
    assert done.stderr.partition("loading\n")[2] == ""


@pytest.mark.slow
def test_they_draw_what_is_asked(real):
    """Kind and colour of eight pictures, as the judge reads them. Measured: 8 and 8 of 8; chance would give half a one."""
    asked = [
        ("apple", "red", "white background"),
        ("mug", "blue", "white background"),
        ("wallet", "brown", "wooden table"),
        ("backpack", "black", "white background"),
    ]
    kinds, colours = [], []
    for kind, colour, place in asked:
        for seed in (1, 2):
            prompt = f"product photo of a {colour} {kind} on a {place}, studio lighting"
            run = generate(Recipe(prompt=prompt, seed=seed, steps=12), real)
            seen = adherence(run.image, prompt, real)
            kinds.append(seen.instead["kind"] == kind)
            colours.append(seen.instead["colour"] == colour)
    assert np.mean(kinds) >= 0.875, kinds
    assert np.mean(colours) >= 0.75, colours


@pytest.mark.slow
def test_strength_1_forgets_the_photo(real):
    """A white background becomes the wood that was asked for: 34 and 54 ΔE away, where 0.35 comes to 2."""
    photo = prepare_source(INPUTS / "product.jpg", 256, 256)
    recipe = Recipe(prompt="a red apple on a rustic wooden table, soft natural light", source="inputs/product.jpg", steps=12, strength=1.0)
    top = lambda image: image.crop((0, 0, 256, 32))
    moved = lambda one: perceptual_distance(top(generate(one, real, source=photo).image), top(photo.image))
    for seed in (42, 2024):
        assert moved(recipe.vary(seed=seed)) > 20
        assert moved(recipe.vary(seed=seed, strength=0.35)) < 5


def test_the_card_names_what_it_knows():
    told = CARD.partition("## What it knows")[2].partition("\n## ")[0]
    assert not [word for word in (*KINDS, *COLOURS) if not re.search(rf"\b{word}\b", told)]
    assert not [words[0] for words in SET_WORDS.values() if words[0] not in told]
    assert re.search(r"\]\(\S*vocabulary\.py\)", told)


def test_the_card_shows_its_figures_and_pictures():
    assert CARD.count("\n| ") >= 30  # the table of the bars
    for name in re.findall(r"!\[[^\]]+\]\((\w+\.\w+)\)", CARD):
        assert (FOLDER / name).is_file(), name
    assert "contact_sheet.jpg" in CARD and "nearest.jpg" in CARD
