"""tp2lib.metadata.infotext: written so that the WebUI reads it, read as the WebUI does, hostile text included."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import TEXT, recipes

from tp2lib.errors import RecordError
from tp2lib.metadata.infotext import MAX_INFOTEXT, from_infotext, to_infotext
from tp2lib.metadata.readings import KNOWN_MODELS
from tp2lib.recipe import SCHEDULER_NAMES, Recipe
from tp2lib.settings import SCHEDULES_OF

APPLE = Recipe(prompt="a red apple")

# A line of prompt as the grammar keeps it: no blanks around it, no "Negative prompt:" in front.
LINES = TEXT.map(lambda text: "\n".join(line.strip() for line in text.strip().split("\n")).strip())
KEEPABLE = LINES.filter(lambda text: "Negative prompt:" not in text)


@given(recipes(text=KEEPABLE, from_photo=False))
def test_what_the_grammar_can_keep_is_kept(recipe: Recipe) -> None:
    reading = from_infotext(to_infotext(recipe))
    expected = recipe if recipe.model in KNOWN_MODELS else recipe.vary(model="auto")
    if recipe.width is None or recipe.height is None:
        expected = expected.vary(width=None, height=None)  # half a size cannot be written
    assert reading.recipe == expected
    assert reading.ignored == ({} if recipe.model in KNOWN_MODELS else {"model": recipe.model})
    assert {*reading.assumed} == {name for name in ("width", "height", "model", "schedule") if getattr(expected, name) in (None, "auto", "default")} - {
        *(["schedule"] if expected.scheduler in ("DPM++ 2M", "DPM++ 2M SDE", "KDPM2", "KDPM2A") else [])
    }


@given(recipes(from_photo=True))
def test_a_photo_is_never_named_but_its_strength_is(recipe: Recipe) -> None:
    text = to_infotext(recipe)
    read, extra, notes = (reading := from_infotext(text)).recipe, reading.ignored, reading.notes
    assert recipe.source not in text.splitlines()[-1]
    assert read.source is None and read.strength is None
    assert float(extra["Denoising strength"]) == recipe.strength
    assert extra["Strength mode"] == recipe.strength_mode
    assert any(("vary(source=…, mask=…)" if recipe.mask else "vary(strength") in note for note in notes)


@pytest.mark.parametrize(("name", "schedule"), [(name, schedule) for name in SCHEDULER_NAMES for schedule in SCHEDULES_OF[name]])
def test_every_pair_has_a_name_of_theirs_and_comes_back(name: str, schedule: str) -> None:
    read = from_infotext(to_infotext(APPLE.vary(scheduler=name, schedule=schedule))).recipe
    assert (read.scheduler, read.schedule) == (name, schedule)


@pytest.mark.parametrize(("name", "schedule", "line"), [
    ("EulerA", "default", "Sampler: Euler a, CFG"), ("Euler", "trailing", "Sampler: Euler, Schedule type: SGM Uniform,"),
    ("DPM++ 2M", "default", "Sampler: DPM++ 2M, Schedule type: Uniform,"),  # without it the WebUI would take Karras
    ("DPM++ 2M", "karras", "Sampler: DPM++ 2M, Schedule type: Karras,"),
    ("DPM++ 2M SDE", "default", "Sampler: DPM++ 2M SDE, Schedule type: Uniform,"), ("PNDM", "default", "Sampler: PLMS,"),
])  # fmt: skip
def test_schedulers_bear_the_webui_names(name: str, schedule: str, line: str) -> None:
    assert line in to_infotext(APPLE.vary(scheduler=name, schedule=schedule))


def test_the_text_is_laid_out_as_the_webui_does() -> None:
    recipe = Recipe(prompt="an apple,\nred", negative_prompt="blur", seed=7, steps=20, guidance=7, width=512, height=256)
    assert to_infotext(recipe, Version="tp2lib", **{"Model hash": "ab, c"}) == (
        'an apple,\nred\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 7, Size: 512x256, Version: tp2lib, Model hash: "ab, c"'
    )
    assert "Negative prompt" not in to_infotext(APPLE)


def test_a_real_webui_text_is_read() -> None:
    # grammar and names of AUTOMATIC1111's WebUI 1.10, as its users paste them
    reading = from_infotext(
        "photo of a (red:1.2) apple, <lora:x:0.6>\nstudio light\nNegative prompt: blurry,\nlow quality\n"
        "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 965400086, Size: 512x768, "
        'Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Lora hashes: "x: 5a8e, y: 77", Version: v1.10.1'
    )
    assert reading.recipe == Recipe(
        prompt="photo of a (red:1.2) apple, <lora:x:0.6>\nstudio light", negative_prompt="blurry,\nlow quality",
        steps=25, scheduler="DPM++ 2M", schedule="karras", guidance=6.5, seed=965400086, width=512, height=768,
    )  # fmt: skip
    assert reading.ignored == {"Model hash": "6ce0161689", "Lora hashes": "x: 5a8e, y: 77", "Version": "v1.10.1", "model": "v1-5-pruned-emaonly"}
    assert reading.assumed == {"model": "auto"} and len(reading.notes) == 2 and "v1-5-pruned-emaonly" in reading.notes[0]


@pytest.mark.parametrize(("prompt", "reads"), [
    ("Negative prompt: trap", ("", "trap")), ("  a  \n b ", ("a\nb", "")),
])  # fmt: skip
def test_the_known_lossy_cases_are_just_these(prompt: str, reads: tuple[str, str]) -> None:
    read = from_infotext(to_infotext(APPLE.vary(prompt=prompt))).recipe
    assert (read.prompt, read.negative_prompt) == reads


@pytest.mark.parametrize("model", ["../../etc/passwd", "evil/repo", "C:\\models", "https://evil", "AUTO", "vitrine "])
def test_no_model_is_taken_from_a_text(model: str) -> None:
    recipe = from_infotext(to_infotext(APPLE, Model=model)).recipe
    assert recipe.model in KNOWN_MODELS
    assert recipe.model == "auto" or recipe.model == model.strip()


@pytest.mark.parametrize("key", ["a", "k.", "a(b)", "", "a,b", "x" * 63, "Negative prompt: "])
def test_keys_that_the_grammar_loses_are_refused(key: str) -> None:
    with pytest.raises(RecordError, match="key"):
        to_infotext(APPLE, **{key: 1})


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80))
def test_any_extra_value_survives(value: str) -> None:
    assert from_infotext(to_infotext(APPLE, Remark=value)).ignored["Remark"] == value


LAST = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"


@pytest.mark.parametrize(("text", "words"), [
    ("", "must be text"), ("  \n ", "must be text"), (None, "must be text"), ("x" * (MAX_INFOTEXT + 1), "at most"),
    ("a\0b\n" + LAST, "U+0000"),
])  # fmt: skip
def test_what_is_no_text_of_settings_is_refused_with_a_reason(text: str, words: str) -> None:
    with pytest.raises(RecordError) as caught:
        from_infotext(text)
    assert words in str(caught.value) and len(str(caught.value)) < 700


@pytest.mark.parametrize(("old", "new", "name", "words"), [
    ("20", "abc", "steps", "steps is 'abc'"), ("20", "-5", "steps", "steps is -5"), ("20", "9999", "steps", "1 to 150"), (": 7", ": nan", "guidance", "guidance is 'nan'"),
    (": 7", ": 1e999", "guidance", "guidance is inf"), (": 7", ": __import__('os')", "guidance", "guidance is"), ("512x512", "99999x8", "width", "width is 99999"),
    ("Euler a", "Eulr a", "scheduler", "nearest is EulerA"), ("Euler a", "Euler a, Schedule type: Karras", "schedule", "schedule is 'karras'"),
])  # fmt: skip
def test_what_cannot_be_is_left_with_a_reason_and_named_as_assumed(old: str, new: str, name: str, words: str) -> None:
    reading = from_infotext("x\n" + LAST.replace(old, new))
    assert name in reading.assumed and any(words in note for note in reading.notes) and all(len(note) < 700 for note in reading.notes)
    assert len(reading.found) >= 6


@pytest.mark.parametrize("settings", ["", "Steps: 1, Seed: 2, CFG scale: 3"])
@pytest.mark.parametrize("unit", ["a b ", 'ab:"', 'ab:"\\', "x:,", '\\"', "  ", "ab:", "ab: ,", '"', "a-/ ", "\n", "\x1f"])
def test_hostile_lines_cost_little_time(unit: str, settings: str) -> None:
    def cost(length: int, end: str) -> float:
        """CPU seconds, the least of three; two milliseconds and less count as two."""
        took = []
        for _ in range(3):
            begin = time.process_time()
            with contextlib.suppress(RecordError):
                from_infotext(f"p\n{settings}{unit * (length // len(unit))}{end}")
            took.append(time.process_time() - begin)
        return max(min(took), 0.002)

    for length, end in ((16_000, "!"), (60_000, "x")):
        assert cost(length, end) < 30 * cost(length // 8, end)  # it is 64 times where matching is quadratic
