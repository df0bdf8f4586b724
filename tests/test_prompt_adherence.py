"""tp2lib.metrics.prompt_adherence: which words count, and what becomes of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from PIL import Image
from safetensors.torch import save_file
from strategies import TEXT, noise_image

from tp2lib.errors import ModelError, ModelNotFound, RecipeError
from tp2lib.metrics.prompt_adherence import Adherence, adherence, clip_score, named_values
from tp2lib.models import judge
from tp2lib.models.vocabulary import ATTRIBUTES

PICTURE = Image.new("RGB", (32, 32), "red")


class Judge:
    """Sure of a red apple on a dark set, and undecided of everything else."""

    def read(self, images: list[Image.Image]) -> list[dict[str, dict[str, float]]]:
        even = {attribute: dict.fromkeys(values, 1 / len(values)) for attribute, values in ATTRIBUTES.items()}
        sure = {"kind": "apple", "colour": "red", "set": "dark"}
        for attribute, value in sure.items():
            even[attribute] = dict.fromkeys(ATTRIBUTES[attribute], 0.0) | {value: 1.0}
        return [even for _ in images]


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("a red apple on a white background", {"kind": ("apple",), "colour": ("red",), "set": ("white",)}),
        ("A sleek black pen on a minimalist white desk, soft natural lighting",
         {"kind": ("pen",), "colour": ("black",), "set": ("desk",), "light": ("natural",)}),
        ("high-quality professional product photo of a vintage leather wallet, on a rustic wooden table, soft natural "
         "light, shallow depth of field, neutral colors",
         {"kind": ("wallet",), "set": ("wood",), "light": ("natural",), "focus": ("shallow",)}),
        ("ultra-realistic product photo of a backpack on a white background, studio lighting, soft shadow, very sharp",
         {"kind": ("backpack",), "set": ("white",), "light": ("studio",), "focus": ("deep",)}),
        ("red apple, white plate", {"kind": ("apple",), "colour": ("red",)}),
        ("on a white plate, a green\n  MUG", {"kind": ("mug",), "colour": ("green",)}),
        ("a mug, teal", {"kind": ("mug",), "colour": ("turquoise",)}),
        ("apples, not blurry, without any bokeh", {"kind": ("apple",)}),
        ("a pineapple and a penguin", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_a_prompt_names_what_it_names(prompt: str, named: dict) -> None:
    assert named_values(prompt) == named


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_every_wording_names_its_value(attribute: str) -> None:
    for value, wordings in ATTRIBUTES[attribute].items():
        for wording in wordings:
            assert value in named_values(f"photo, {wording}.").get(attribute, ()), wording


@given(TEXT)
def test_any_prompt_can_be_read(text: str) -> None:
    assert set(named_values(text)) <= set(ATTRIBUTES)


def test_only_what_is_named_is_scored() -> None:
    found = adherence(PICTURE, "a red apple on marble", judge=Judge())
    assert isinstance(found, Adherence)
    assert found.seen == {"kind": 1, "colour": 1, "set": 0} and found.score == pytest.approx(2 / 3)
    assert str(found) == "0.67: kind apple 1.00, colour red 1.00, set marble 0.00 (dark?)"


def test_a_dark_colour_is_no_wish_for_a_dark_picture() -> None:
    found = adherence(PICTURE, "a dark red apple on marble, a noisy street", judge=Judge())
    assert found is not None and set(found.seen) == {"kind", "colour", "set"}
    assert adherence(PICTURE, "something dark", judge=Judge()) is None


def test_no_judge_or_nothing_to_judge_is_none() -> None:
    assert adherence(PICTURE, "a red apple", "sd15") is None
    assert adherence(PICTURE, "a telescope", judge=Judge()) is None
    with pytest.raises(RecipeError, match="prompt is 7"):
        adherence(PICTURE, 7)  # type: ignore[arg-type]


def test_the_real_judge_is_asked_the_same_way() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = judge.Judge(judge.JudgeNet())
    found = adherence(PICTURE, "a red apple on marble, studio lighting", judge=untrained)
    assert set(found.seen) == {"kind", "colour", "set", "light"} and 0 < found.score < 1
    assert str(found).startswith(f"{found.score:.2f}: kind apple 0.")


@pytest.mark.parametrize("content", [None, b"version https://git-lfs.github.com/spec/v1", "another network"])
def test_a_judge_without_its_weights_says_so(content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "judge.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        save_file({"one.weight": torch.zeros(1)}, path)
    monkeypatch.setattr("tp2lib.models.judge.load_judge", partial(judge.load_judge, path))
    with pytest.raises(ModelError if content else ModelNotFound, match="weights of the judge.*Install tp2lib again"):
        adherence(PICTURE, "a red apple")


def test_a_missing_clip_is_not_fetched() -> None:
    with pytest.raises(ModelNotFound, match="hf download"):
        clip_score(PICTURE, "a red apple", "nobody/no-such-clip")


def test_clip_score_is_a_cosine(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    from vitrine.tokenizer import make_tokenizer

    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    marks = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "vocab_size": len(tokenizer)}
    config = CLIPConfig(text_config=tiny | marks, vision_config=tiny | {"image_size": 32, "patch_size": 8}, projection_dim=8)
    with torch.random.fork_rng():
        torch.manual_seed(1)  # cosines above 0, below which the score is cut
        CLIPModel(config).save_pretrained(tmp_path)
    scores = [clip_score(noise_image(48, 40, seed=seed), "a red apple", str(tmp_path)) for seed in range(3)]
    assert scores == [clip_score(noise_image(48, 40, seed=seed), "a red apple", str(tmp_path)) for seed in range(3)]
    assert all(0 < score <= 100 for score in scores) and len(set(scores)) == 3
