"""tp2lib.models.devices: the same pictures but for the last bits, in less time."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tp2lib import Ledger, Recipe, generate, load, replay
from tp2lib.engine.attention import map_words
from tp2lib.errors import ModelError, RecipeError
from tp2lib.models.devices import with_engine

pytestmark = pytest.mark.slow  # OpenVINO takes seconds to read a model
WORDS = Recipe(prompt="a red apple", steps=4, width=64, height=64)


@pytest.fixture(scope="module")
def fast(tiny_folder):
    pytest.importorskip("openvino", reason="OpenVINO is in the extra 'fast'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TP2_VITRINE", str(tiny_folder))
        return load("vitrine", device="cpu", fast="openvino")


@pytest.fixture(autouse=True)
def stand_in(vitrine):
    """The tiny model stands for vitrine."""


@pytest.mark.parametrize("recipe", [WORDS, WORDS.vary(guidance=1, width=96), WORDS.vary(seed=3, height=128), WORDS.vary(width=72, height=88)])
def test_it_gives_the_same_picture_within_a_level(fast, recipe) -> None:
    exact, run = generate(recipe, load("vitrine", device="cpu")), generate(recipe, fast)
    assert np.abs(np.int16(exact.image) - np.int16(run.image)).max() <= 1
    assert run.effective["fast"] == "openvino" and "fast" not in exact.effective and run.key != exact.key


def test_the_size_that_comes_first_does_not_matter(monkeypatch) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is in the extra 'fast'")
    monkeypatch.delenv("TP2_VITRINE")  # the real one, whose deepest maps have an eighth of the latents' sides
    unet = load("vitrine", device="cpu").pipe.unet
    engine, draw = with_engine(unet), torch.Generator().manual_seed(0)
    for side in (8, 28, 32):
        latents, words = torch.randn(2, 8, side, side, generator=draw), torch.randn(2, 77, 192, generator=draw)
        with torch.no_grad():
            exact, found = (one(latents, torch.full((2,), 999.0), encoder_hidden_states=words, return_dict=False)[0] for one in (unet, engine))
        assert (exact - found).abs().max() < 1e-4


def test_the_exact_model_stays_exact_beside_it(fast) -> None:
    exact = load("vitrine", device="cpu")
    before = generate(WORDS, exact).image.tobytes()
    generate(WORDS, fast)
    assert generate(WORDS, exact).image.tobytes() == before and exact.fast is None


def test_plain_diffusers_can_call_it_too(fast) -> None:
    image = fast.pipe("a red apple", num_inference_steps=2, height=64, width=64, generator=torch.Generator().manual_seed(0)).images[0]
    assert isinstance(image, Image.Image)


def test_what_cannot_be_is_said(fast, monkeypatch) -> None:
    with pytest.raises(ModelError, match="fast is 'openvin'.*'openvino', or None.*Did you mean"):
        load("vitrine", device="cpu", fast="openvin")
    with pytest.raises(RecipeError, match="attention cannot be watched"):
        map_words(WORDS, fast)
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(ModelError, match=r"not installed.*`uv sync --inexact --extra fast`, or `pip install -e '.\[fast\]'`"):
        load("vitrine", device="cpu", fast="openvino")


def test_a_replay_uses_the_same_engine(fast, tmp_path, in_this_process) -> None:
    run = generate(WORDS, fast, ledger=Ledger(tmp_path))
    found = replay(run.path)
    assert found.grade == "identical" and "fast" not in found.suspects


DROPPED_ELSEWHERE = """
import gc, signal, threading

from openvino import Model, opset13

from tp2lib.models.devices import _core

heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append("interrupt"))
number = opset13.parameter([1])
kept = [_core().compile_model(Model([opset13.relu(number)], [number]), "CPU")]
thread = threading.Thread(target=lambda: (kept.clear(), gc.collect()))
thread.start(), thread.join()
signal.raise_signal(signal.SIGINT)
print(*heard)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="OpenVINO gives signals a stack of its own on Linux only")
def test_an_interrupt_is_survived_after_another_thread_dropped_the_model() -> None:
    pytest.importorskip("openvino", reason="OpenVINO is in the extra 'fast'")
    done = subprocess.run([sys.executable, "-c", DROPPED_ELSEWHERE], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.strip()) == (0, "interrupt"), done.stderr
