"""Word maps: the picture stays as it is, shares sum to one, words are found again."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tp2lib import Recipe, generate, load
from tp2lib.engine.attention import REST, START, map_words, tokens_of
from tp2lib.errors import RecipeError
from tp2lib.plots import make_words

APPLE = Recipe(prompt="a red apple, on a table", seed=3, steps=3, guidance=7.5)


@pytest.fixture(scope="module")
def watched(tiny_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TP2_VITRINE", str(tiny_folder))
        model = load("vitrine", device="cpu")
        yield model, *map_words(APPLE, model)


@pytest.mark.slow
def test_the_picture_is_the_one_that_nobody_watches(watched):
    model, run, _ = watched
    plain = generate(APPLE, model)
    assert np.array_equal(np.asarray(run.image), np.asarray(plain.image)) and run.key == plain.key
    assert not any(module._forward_pre_hooks for module in model.pipe.unet.modules())  # nothing is left behind


@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize("size", [(128, 128), (200, 128)])
def test_shares_of_all_words_sum_to_one_at_every_cell_of_every_step(watched, guidance, size):
    recipe = APPLE.vary(guidance=guidance, width=size[0], height=size[1])
    maps = map_words(recipe, watched[0])[1]
    assert maps.steps.shape == (3, len(maps.words), size[1] // 8, size[0] // 8)
    assert np.allclose(maps.steps.sum(1), 1, atol=1e-5) and maps.steps.min() >= 0


def test_words_are_those_of_the_prompt_in_its_order(watched):
    _, _, maps = watched
    assert maps.words == (START, "a", "red", "apple", ",", "on", "a", "table", REST)
    assert np.allclose(maps.of("a"), maps.steps.mean(0)[[1, 6]].sum(0))
    words, owner = tokens_of("Red-ish  apple zebra", watched[0].pipe.tokenizer)
    assert words == (START, "Red", "-", "ish", "apple", "zebra", REST)
    assert len(owner) == 77 and owner[0] == 0 and owner[-1] == len(words) - 1 and (np.diff(owner) >= 0).all()


def test_a_word_past_the_tokenizers_length_is_not_among_them(watched):
    words, owner = tokens_of("apple " * 100 + "pear", watched[0].pipe.tokenizer)
    assert "pear" not in words and len(owner) == 77


def test_the_share_inside_a_mask_is_the_masks_own_for_even_attention(watched):
    _, _, maps = watched
    half = np.zeros((128, 128), bool)
    half[:, :64] = True
    assert maps.inside(half, "apple") + maps.inside(~half, "apple") == pytest.approx(1, abs=1e-5)
    even = type(maps)(words=maps.words, steps=np.full_like(maps.steps, 1 / len(maps.words)))
    assert even.inside(half, "apple") == pytest.approx(0.5)


def test_a_word_or_a_step_that_is_not_there_is_refused_by_name(watched):
    _, _, maps = watched
    with pytest.raises(RecipeError, match=r"no word 'aple'\. Its words: .*\. Did you mean 'apple'\?$"):
        maps.of("aple")
    with pytest.raises(RecipeError, match="give 0 to 2"):
        maps.of("apple", 3)


def test_another_threads_run_is_not_mixed_in(watched):
    model = watched[0]
    other = APPLE.vary(steps=4)
    maps = map_words(APPLE, model, on_step=lambda info: run_once(info, lambda: generate(other, model)))[1]
    assert len(maps.steps) == 3 and np.allclose(maps.steps, watched[2].steps, atol=1e-6)


def run_once(info, work):
    if info.index == 0:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()


def test_the_figure_has_a_panel_a_word_and_says_what_lies_inside(watched):
    _, run, maps = watched
    mask = np.zeros((128, 128), bool)
    mask[32:96, 32:96] = True
    titles = [axis.get_title() for axis in make_words(run.image, maps, mask=mask).axes]
    assert titles[0] == "picture" and [t.split("”")[0] for t in titles[1:4]] == ["“red", "“apple", "“table"]
    assert titles[2].endswith(f"{maps.inside(mask, 'apple'):.0%} inside")
    with pytest.raises(RecipeError, match="no word to draw"):
        make_words(run.image, maps, words=[])
