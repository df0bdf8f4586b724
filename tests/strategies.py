"""What the tests of the records share: hypothesis set up to repeat itself, recipes, small pictures."""

from __future__ import annotations

import io
import random
import tempfile
from pathlib import Path

from hypothesis import configuration, settings
from hypothesis import strategies as st
from PIL import Image

from tp2lib.recipe import SCHEDULER_NAMES, STRENGTH_MODES, Recipe
from tp2lib.settings import SCHEDULES_OF
from tp2lib.storage.files import Journal

_HOME = tempfile.TemporaryDirectory(prefix="hypothesis-")  # gone with the process
configuration.set_hypothesis_home_dir(_HOME.name)
settings.register_profile("tp2", deadline=None, derandomize=True, database=None, max_examples=100)
settings.load_profile("tp2")

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t,:\"'"), max_size=60)
SIZES = st.none() | st.integers(8, 128).map(lambda n: 8 * n)


@st.composite
def recipes(draw: st.DrawFn, text: st.SearchStrategy[str] = TEXT, from_photo: bool | None = None) -> Recipe:
    """Any recipe that is allowed."""
    steps = draw(st.integers(1, 150))
    values = {
        "prompt": draw(text),
        "negative_prompt": draw(text),
        "seed": draw(st.integers(0, 2**64 - 1)),
        "steps": steps,
        "guidance": draw(st.floats(0, 30)),
        "scheduler": draw(st.sampled_from(SCHEDULER_NAMES)),
        "width": draw(SIZES),
        "height": draw(SIZES),
        "model": draw(st.sampled_from(["auto", "vitrine", "sd15", "somebody/a-model", "./a folder"])),
    }
    values["schedule"] = draw(st.sampled_from(SCHEDULES_OF[values["scheduler"]]))
    if from_photo or (from_photo is None and draw(st.booleans())):
        # below 0.15 either mode may refuse: 150 constant steps need a schedule of at most 1000
        values |= {
            "strength": draw(st.floats(max(0.15, 1.001 / steps if steps > 1 else 1), 1)),
            "strength_mode": draw(st.sampled_from(STRENGTH_MODES)),
            "source": draw(st.sampled_from(["inputs/product.jpg", "C:\\photos\\été.png", "a b.webp"])),
        }
        if draw(st.booleans()):
            values |= {"mask": draw(st.sampled_from(["auto", "found", "m/a sk.png"])), "grow": draw(st.integers(-64, 64)), "feather": draw(st.integers(0, 64))}
    return Recipe(**values)


def noise_image(width: int = 24, height: int = 16, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """An image of reproducible noise, in which every shift and swap of channels shows."""
    bands = Image.new(mode, (1, 1)).getbands()
    data = random.Random(seed).randbytes(width * height * len(bands))
    return Image.frombytes(mode, (width, height), data)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of an image's file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def damaged(outputs: Path) -> int:
    """Count the whole lines of a ledger that cannot be read."""
    path = outputs / "ledger.jsonl"
    return len([line for line in path.read_bytes().split(b"\n")[:-1] if line]) - len(Journal(path).read()[1])
