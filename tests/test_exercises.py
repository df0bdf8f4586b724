"""The course's questions: right on their own solution, telling on planted wrong answers, patient with a stub."""

from __future__ import annotations

import ast
import itertools
import json
import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from PIL import Image
from plotted import fake_run, picture

from tp2lib import paths
from tp2lib.course import exercises
from tp2lib.course.exercises import OpenQuestion, progress_line, questions
from tp2lib.course.exercises_04_06 import CANDIDATES, interactions, positions, product_distance
from tp2lib.course.progress import FILE, open_answers, read_events, summary
from tp2lib.engine.axes import Place
from tp2lib.engine.generate import generate
from tp2lib.engine.sweep import Cell, Sweep, sweep
from tp2lib.evaluation.experiments import BACKPACK, EXPERIMENTS
from tp2lib.metrics.measures import measure
from tp2lib.plots.curves import Point
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import read_recipe, save_picture
from tp2lib.widgets.exports import export_run

BASELINE = EXPERIMENTS["t2i_run01_baseline"].recipe
SMOKE = EXPERIMENTS["smoke"].recipe
BOOKS = {path.name[:2]: path for path in paths.NOTEBOOKS.glob("0*.ipynb")}
DIFFICULTIES = ("easy", "medium", "hard")
SLOW = {"q2_1", "q2_2", "q3_5", "q5_3", "q6_1", "q6_3"}  # they make pictures; q6_1 replays one in a fresh process


@pytest.fixture(autouse=True)
def outputs(tmp_path, monkeypatch):
    """Keep the record of these learners apart."""
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    return tmp_path / "outputs"


@dataclass
class Bench:
    """What a learner's notebook has when it comes to a question: names, and what the check gets."""

    names: dict[str, Any] = field(default_factory=dict)
    given: tuple[Any, ...] = ()


def timed_run(**timings):
    return replace(fake_run(steps=20), timings={"text": 0.2, "denoise": 8.0, "decode": 0.8, "total": 9.0, **timings})


def curve(late=0.5):
    """Points of a convergence curve: DDIM falls, EulerA does not."""
    falls = {10: 6.0, 15: 2.0, 30: late}
    made = [Point(x=x, y=y + seed / 100, seed=seed, group="DDIM") for x, y in falls.items() for seed in (1, 2, 3)]
    return made + [Point(x=x, y=20.0, seed=1, group="EulerA") for x in falls]


def study_of(axes: dict[str, tuple], seeds: tuple, image: Any) -> Sweep:
    """A sweep that was never sampled; `image` makes the picture of a place."""
    cells = []
    for values in itertools.product(*axes.values(), seeds):
        place: Place = dict(zip((*axes, "seed"), values, strict=True))
        run = fake_run(image=image(place), **({"source": "photo.png"} if "strength" in axes else {}), **place)
        cells.append(Cell(place=place, recipe=run.recipe, key="0" * 8, run=run))
    return Sweep(axes=axes, seeds=seeds, cells=tuple(cells))


def grey(level: float) -> Image.Image:
    """A picture with a contrast of about level / 255."""
    pixels = np.full((64, 64, 3), 128.0)
    pixels[::2] += level
    pixels[1::2] -= level
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def strength_study() -> Sweep:
    def image(place):
        return Image.fromarray((np.asarray(picture()) * (1 - 0.5 * place["strength"]) - place["seed"]).clip(0).astype(np.uint8))

    return study_of({"strength": (0.15, 0.35, 0.6, 0.85, 1.0)}, (1, 2, 3), image)


def spot(left: int, top: int) -> Image.Image:
    pixels = np.asarray(picture()).copy()
    pixels[top : top + 15, left : left + 15] = 0
    return Image.fromarray(pixels)


def notebook_cell(number: str, starts: str) -> str:
    """The source of a notebook's own cell."""
    cells = json.loads(BOOKS[number].read_text(encoding="utf-8"))["cells"]
    (source,) = ["".join(cell["source"]) for cell in cells if "".join(cell["source"]).startswith(starts)]
    return source


@pytest.fixture
def bench(request):
    """Set the bench of one question."""
    return lambda name: globals()[f"bench_{name}"](request)


def engine(request) -> tuple[Any, Any]:
    return request.getfixturevalue("model"), Ledger(paths.OUTPUTS)


def bench_q1_1(request):
    run = timed_run()
    return Bench({"run": run}, (run,))


def bench_q1_2(request):
    return Bench({"smoke": SMOKE})


def bench_q1_3(request):
    return Bench({}, (request.getfixturevalue("model"),))


bench_q5_2 = bench_q1_3


def bench_q2_1(request):
    model, ledger = engine(request)
    questions()["q2_1"].prepare(model, ledger)
    return Bench({"read_recipe": read_recipe, "OUTPUTS": ledger.outputs}, (model, ledger))


def bench_q2_2(request):
    import torch
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(request.getfixturevalue("tiny_folder"))
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = EulerAncestralDiscreteScheduler.from_config(pipe.scheduler.config)
    prompt, generator = "a red apple", torch.Generator("cpu").manual_seed(42)
    how = {"num_inference_steps": 5, "guidance_scale": 7.5}
    trap = [pipe(prompt, generator=generator, **how).images[0] for _ in range(2)]
    return Bench({"pipe": pipe, "torch": torch, "prompt": prompt, "trap": trap}, (trap,))


def bench_q2_3(request):
    model, ledger = engine(request)
    return Bench({"short": EXPERIMENTS["baseline"].recipe.vary(steps=4), "Recipe": Recipe}, (model, ledger))


def bench_q3_1(request):
    names = {"baseline": BASELINE}
    exec(notebook_cell("03", "plans = {"), names)
    return Bench(names, (names["plans"],))


def bench_q3_2(request):
    return Bench({"points": curve(), "median": median}, (curve(),))


def bench_q3_3(request):
    return Bench({"baseline": BASELINE}, (request.getfixturevalue("model"),))


bench_q3_4 = bench_q3_3


def bench_q3_5(request):
    model, ledger = engine(request)
    return Bench({"baseline": BASELINE, "model": model, "ledger": ledger, "generate": generate, "measure": measure})


def bench_q4_1(request):
    run = fake_run(image=spot(45, 2))
    return Bench({"runs": [None, None, run], "photo": picture()}, (run, picture()))


def bench_q4_2(request):
    return Bench()


bench_q4_3 = bench_q4_4 = bench_q5_4 = bench_q6_2 = bench_q6_4 = bench_q4_2


def bench_q4_5(request):
    study = strength_study()
    names = {"fidelity_study": study, "five": list(study.axes["strength"]), "photo": picture()}
    return Bench({**names, "changed": lambda run: {"product": product_distance(run, picture())}}, (study, picture()))


def bench_q5_1(request):
    pair = questions()["q5_1"].prepare(*engine(request))
    return Bench({"pair": pair, "read_recipe": read_recipe}, (pair,))


def bench_q5_3(request):
    model, ledger = engine(request)
    backpack = generate(SMOKE.vary(prompt=BACKPACK, steps=2), model, ledger=ledger)
    ledger.publish(backpack, "small.png")
    bare, oblong = Image.new("RGB", (1000, 1000)), Image.new("RGB", (1200, 1000))
    bare.save(paths.OUTPUTS / "bare.webp")
    save_picture(oblong, paths.OUTPUTS / "oblong.png", {}, SMOKE)
    apple = generate(SMOKE.vary(steps=2), model, ledger=ledger)
    copies = [export_run(run, paths.OUTPUTS, kind=kind, preset="marketplace") for run, kind in ((apple, "webp"), (backpack, "jpeg"))]
    return Bench({"OUTPUTS": paths.OUTPUTS, "backpack": backpack, "copies": copies})


def bench_q6_1(request):
    model, ledger = engine(request)
    reports = questions()["q6_1"].prepare(model, ledger)
    return Bench({"reports": reports}, (reports, ledger))


def bench_q6_3(request):
    model, ledger = engine(request)
    return Bench({"my_plan": EXAMPLE_PLAN, "model": model, "ledger": ledger, "sweep": sweep, "measure": measure})


EXAMPLE_PLAN = """
seeds = [1, 2, 3]
[recipe]
prompt = "a red apple"
width = 64
height = 64
[axes]
steps = [2, 4]
guidance = [2.0, 10.0]
"""

SYNTHETIC = study_of(  # the effect of guidance is 10 at 2 steps and 30 at 4, give or take the seed
    {"steps": (2, 4), "guidance": (2.0, 10.0)}, (1, 2, 3),
    lambda at: grey(20 + at["seed"] + (at["guidance"] == 10) * (10 if at["steps"] == 2 else 30)),
)  # fmt: skip
LONE = study_of({"steps": (2, 4)}, (1, 2, 3), lambda at: grey(20))
PLAN = 'seeds = [1, 2, 3]\n[recipe]\nprompt = "a mug"\n[axes]\nsteps = [5, 9]\nguidance = [2.0, 9.0]\n'
PAIRS = PLAN.replace("steps = [5, 9]\nguidance = [2.0, 9.0]", 'scheduler = ["DPM++ 2M", "UniPC"]\nschedule = ["default", "karras"]')
RUNS = {
    name: fake_run(image=grey(level), guidance=guidance, negative_prompt=words)
    for name, level, guidance, words in [
        ("usual", 20, 7.5, ""), ("broken", 60, 30, ""), ("mended", 30, 30, "blurry"), ("still", 58, 30, "dark"),
        ("softer", 20, 12, ""),
    ]
}  # fmt: skip

# question: the wrong answers, each with what has to be said of it. Functions get the bench's names.
PLANTED: dict[str, list[tuple[Any, str]]] = {
    "q1_1": [
        (9.0, "too short: it is 1.0 times the 9.0 s that 20 steps took"), (90, "too long"), ("25", "take the quotes off"),
        (float("nan"), "can only be"), ((4, 2), "the decimal sign is a point: 4.2"), (True, "True or False, not a number"), (-4, "0 or more"),
    ],
    "q1_2": [
        (SMOKE, "green and mug is not in it"), (SMOKE.vary(prompt="a green mug", steps=10), "seed is 42"),
        (SMOKE.vary(prompt="a green mug", steps=10, seed=7, guidance=9), "guidance is 9.0 and was 7.5"),
        (SMOKE.vary(prompt="evergreen mugs", steps=10, seed=7), "green and mug is not in it"),
        (SMOKE.vary(prompt=SMOKE.prompt + ", and a green mug", steps=10, seed=7), "takes the place of the apple"),
        ("a green mug", "is text, not a Recipe"), (fake_run(), "A run has it in run.recipe"),
    ],
    "q1_3": [
        ("a red apple on white table", "does not know 0 words of the prompt"), ("a unicorn", "2 words; it must have six"),
        ("the quick brown fox jumps over", r"of the prompt: the, quick.*exactly two"), (7, "is not text"),
        (["a photo of a unicorn dragon"], "is not text"),
    ],
    "q2_1": [
        (EXPERIMENTS["baseline"].recipe.vary(steps=10), "Not as in the file: seed, guidance"),
        (lambda at: at["read_recipe"](at["OUTPUTS"] / "mystery.png").recipe.vary(guidance=3), "Not as in the file: guidance."),
        (lambda at: at["read_recipe"](at["OUTPUTS"] / "mystery.png").recipe.vary(steps=150, scheduler="Heun"), "model calls"),
        ("mystery.png", "is text, not a Recipe"),
    ],
    "q2_2": [
        (lambda at: at["trap"][0], "the first picture of the trap itself"), (lambda at: at["trap"][1], "the second picture of the trap"),
        (picture(side=128), "other pixels than both"),
        (picture(side=64), "64×64 pixels and the first picture 128×128"), (lambda at: at["pipe"], "not a picture"),
        (lambda at: type("Out", (), {"images": at["trap"]})(), r"in \.images\[0\]"), (42, "a number, not a picture"),
    ],
    "q2_3": [
        (lambda at: (at["short"], at["short"]), "one recipe, not two"),
        (lambda at: (at["short"], at["short"].vary(seed=1)), "seed, noise_sha256 differ"),
        (lambda at: (at["short"], at["short"].vary(steps=150, scheduler="Heun")), "takes 303 model calls"), (lambda at: [at["short"]], "these are 1"),
        (lambda at: at["short"], "give two recipes, in brackets"), (("a", "b"), "is text, not a Recipe"),
    ],
    "q3_1": [
        ("A", "A differ in steps only"), ("C", "C differ in scheduler only"), ("F", "F differ in scheduler only"),
        ("G", "must be one of A, B"), (4, "must be one of"), (["D"], "must be one of"),
    ],
    "q3_2": [
        ((1.0, 10, "because nobody sees it"), "some later change is not below it"),
        ((3.0, 30, "because nobody sees it"), "fewer steps are below it already"), ((0.1, 30, "it is small enough now"), "none stays below"),
        ((1.0, 30, "so"), "defend it in a sentence"), ((1.0, 50, "because nobody sees it"), "must be one of 10, 15, 30"),
        ((1000, 10, "because nobody sees it"), "from 0 to 100"), ((99, 10, "anything goes for a sketch"), "lets every one pass"), ((1.0, 30), "is not a limit"), (30, "is not a limit"),
    ],
    "q3_3": [
        (BASELINE.vary(scheduler="Heun"), "30 steps of Heun make 59 calls, and DDIM makes 30"),
        (BASELINE.vary(scheduler="DDIM"), "its scheduler is DDIM"),
        (BASELINE.vary(scheduler="Heun", steps=15, seed=1), "seed is not as in baseline"), (15, "not a Recipe"),
    ],
    "q3_4": [
        (BASELINE.vary(guidance=1), "no negative prompt"), (BASELINE.vary(negative_prompt="blurry"), "it is heard: with guidance 7.5"),
        (BASELINE.vary(negative_prompt="blurry", guidance=1.5), "it is heard"), ("blurry", "not a Recipe"),
        (BASELINE.vary(prompt="a mug", negative_prompt="blurry", guidance=1), "prompt is not as in baseline"),
        (BASELINE.vary(negative_prompt="x", guidance=1, seed=7, steps=3), "steps, seed is not as in baseline|seed, steps is not as in baseline"),
    ],
    "q3_5": [
        ((RUNS["usual"], RUNS["broken"], RUNS["still"], "contrast"), "less than a quarter of the damage"),
        ((RUNS["usual"], RUNS["softer"], fake_run(image=grey(20), guidance=12, negative_prompt="x"), "contrast"), "nothing is broken"),
        ((RUNS["usual"], RUNS["broken"], RUNS["usual"], "contrast"), "broken and mended differ in guidance"),
        ((RUNS["usual"], RUNS["mended"], RUNS["broken"], "contrast"), "usual and broken differ in negative_prompt and guidance"),
        ((RUNS["broken"], RUNS["usual"], RUNS["mended"], "contrast"), "a usual one is 9 at most"),
        ((RUNS["usual"], RUNS["broken"], RUNS["mended"], "sharpness"), "must be one of saturation, contrast"),
        ((RUNS["usual"].recipe, RUNS["broken"], RUNS["mended"], "contrast"), "usual is a Recipe, and no picture yet"),
        ((RUNS["usual"], fake_run(outcome="nan", guidance=30), RUNS["mended"], "contrast"), "broken is .*it must be a run with a picture"),
    ],
    "q4_1": [
        ("centre", "of the nine changed more"), ("bottom left", "of the nine changed more"), ("upper edge", "must be one of top left"),
        (3, "must be one of"), ("bottom center", "^bottom has changed by"), ("center", "^centre has changed by"),
        ("middle center", "^centre has changed by"),
    ],
    "q4_2": [
        (((0.41, 0.52), 8), "8 steps at 0.41 and 10 steps at 0.52, so they give two"), (((0.41, 0.44), 9), "not because 9 steps run"),
        (((0.41, 0.41), 8), "not two of the five"), (((0.40, 0.44), 8), "not two of the five"), ((("a", "b"), 8), "not a number"),
        ((0.41, 0.44), "give two strengths, in brackets"), (((0.41, 0.44), 8.5), "not a whole number"),
    ],
    "q4_3": [
        (0.083, "at 0.083, 0 steps run"), (1 / 12, "to three decimals it is 0.083, and then 0 steps run"),
        (0.1, "0.001 lower there still run 1"), (84, "from 0 to 1"), ("0.084", "take the quotes off"),
    ],
    "q4_4": [
        ((24, 0.6), "of 24 steps asked for, 9 run"), ((61, 0.6), "with the fewest"), ((60, 0.4), "would be 24 steps skipped"),
        ((60, 60), "from 0 to 1"), ((60.5, 0.6), "not a whole number"),
    ],
    "q4_5": [
        (lambda at: (at["fit"], 1.0, "that is what it is"), "or this one, is beyond it"),
        (lambda at: (at["fit"], 0.15, "that is what it is"), "a higher one is within it"),
        ((99, 1.0, "that is what it is"), "lets all five through"), (lambda at: (at["fit"], 0.35, "so"), "defend it in a sentence"),
        (lambda at: (at["fit"], 0.5, "that is what it is"), "must be one of 0, 0.15"), (("5", 0.35, "that is what it is"), "quotes"),
    ],
    "q5_1": [
        (["seed", "steps"], "steps is the same in both: 6"), (["seed"], "right so far: seed; 2 more differ"), (["sed"], "Did you mean 'seed'"),
        ("seed", "in brackets"), ([], "no setting is named; 3 more differ"),
    ],
    "q5_2": [
        (9, "too many: some places"), (3, "too few: some places"), (4.5, "not a whole number"), ("4", "take the quotes off"),
    ],
    "q5_3": [
        (lambda at: at["OUTPUTS"] / "small.png", "it has 128×128 pixels"), (lambda at: at["OUTPUTS"] / "bare.webp", "but no mark of origin"),
        (lambda at: str(at["OUTPUTS"] / "oblong.png"), "it has 1200×1000 pixels"), ("nowhere.png", "there is no file 'nowhere.png'"), (5, "is not a path"),
        (lambda at: at["copies"][0], "export the backpack of section 1"), (lambda at: at["copies"][1].path.name, "1000×1000 pixels, as JPEG; it must be"),
    ],
    "q5_4": [
        ("It should say more.", "4 words, too few"), ("settings " * 20, "nearly all are the same"), (7, "is a number"),
        (" ".join(questions()["q5_4"].hints[:2]), "a hint's own wording"),
    ],
    "q6_1": [
        (lambda at: at["honest"][0], "a replay calls them identical"), (lambda at: at["honest"][1].lower(), "a replay calls them identical"),
        ("D", "must be one of A, B, C"), (2, "must be one of"),
    ],
    "q6_2": [
        (PLAN.replace("guidance = [2.0, 9.0]\n", ""), "has the axis steps alone"), (PLAN.replace("[5, 9]", "[5]"), "steps has one value"),
        (PLAN.replace("[1, 2, 3]", "[1, 2]"), "it has 2 seeds"), (PLAN.replace("seeds = [1, 2, 3]\n", ""), "it has 1 seed;"),
        (PLAN.replace("steps", "step"), "Did you mean 'steps'"), (PLAN.replace("[recipe]", "[recipes]"), "the plan has 'recipes'"),
        (PLAN.replace("[5, 9]", "[5, 999]"), "steps is 999"), (PLAN.replace("[5, 9]", "[5, 5]"), "each value once"),
        (PLAN.replace("[1, 2, 3]", str(list(range(40)))), "160 pictures"), ("seeds = [1,\n", "plan.toml"), (12, "is not text"),
        ("no\nplan = " + "x" * 30_000, "a plan has a few hundred"), (PLAN + "negative_prompt = ['', 'x']\n", "must have one or two"),
        (PAIRS.replace("[recipe]", '[recipe]\nscheduler = "DPM++ 2M"').replace('"DPM++ 2M", "UniPC"', '"EulerA", "DPM++ 2M"'), "karras"),
    ],
    "q6_3": [
        ((SYNTHETIC, "contrast", lambda at: -at["size"]), "the wrong sign"), ((SYNTHETIC, "contrast", 0.5), "is not the mean over the seeds"),
        ((SYNTHETIC, "contrast", lambda at: 1.5 * at["size"]), "the effect at one value of the other axis"),
        ((LONE, "contrast", 0.1), "an interaction takes two"), ((SYNTHETIC, "contrst", 0.1), "Did you mean 'contrast'"),
        ((PLAN, "contrast", 0.1), "must be what sweep"), ((SYNTHETIC, "contrast", "0.1"), "take the quotes off"),
    ],
    "q6_4": [
        ("I would sign all of it.", "6 words, too few"), ("no " * 30, "nearly all are the same"), (None.__class__, "is of type type"),
        (" ".join(questions()["q6_4"].hints[:2]), "a hint's own wording"),
    ],
}  # fmt: skip


def asked(*left_out):
    """The names of the questions, as parameters."""
    return [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in questions() if name not in left_out]


def more_names(name: str, made: Bench) -> dict[str, Any]:
    """What planted answers need and no learner has."""
    if name == "q4_5":
        worst = [max(product_distance(cell.run, picture()) for cell in made.names["fidelity_study"].at(strength=s)) for s in (0.35, 0.6)]
        return {"fit": sum(worst) / 2}
    if name == "q6_1":
        question = questions()["q6_1"]
        return {"honest": [letter for letter in "ABC" if question.check(letter, *made.given).kind == "wrong"]}
    if name == "q6_3":
        return {"size": median(interactions(SYNTHETIC, "contrast"))}
    return {}


def filled(value: Any, names: dict[str, Any]) -> Any:
    """A planted answer: functions in it are called with the bench's names."""
    if callable(value) and getattr(value, "__name__", "") == "<lambda>":
        return value(names)
    return tuple(filled(one, names) for one in value) if type(value) is tuple else value


# -- every question -----------------------------------------------------------------------------------


def test_there_are_enough_and_they_build_up():
    assert len(questions()) >= 18
    for notebook in BOOKS:
        mine = list(questions(notebook).values())
        assert len(mine) >= 3
        assert [question.number for question in mine] == [f"{int(notebook)}.{n}" for n in range(1, len(mine) + 1)]
    levels = [DIFFICULTIES.index(question.difficulty) for question in questions().values()]
    third = len(levels) // 3
    assert sum(levels[:third]) < sum(levels[-third:]) and set(levels) == {0, 1, 2}


@pytest.mark.parametrize("name", questions())
def test_a_question_is_whole(name):
    question = questions()[name]
    assert len(question.hints) == 3 and len(set(question.hints)) == 3 and all(len(hint) > 20 for hint in question.hints)
    assert question.title and question.wants and len(question.why.split()) >= 10 and 2 <= question.minutes <= 20
    assert question.__doc__ and question.__doc__ != type(question).__mro__[1].__doc__
    ast.parse(question.answer)
    for hint in question.hints:
        assert question.answer not in hint


def test_every_question_has_planted_answers():
    assert PLANTED.keys() == questions().keys()
    assert all(len(planted) >= 3 for planted in PLANTED.values())


def stub_of(question):
    return [None, ..., ""] + ([(None,) * len(question.parts), [None] * (len(question.parts) - 1) + [""]] if question.parts else [])


@pytest.mark.parametrize("name", questions())
def test_a_stub_is_not_attempted(name):
    question = questions()[name]
    for stub in stub_of(question):
        said = question.check(stub, *([object()] * len(question.needs)))
        assert said.kind == "not attempted" and question.wants in said.text
    assert question.check().kind == "not attempted"


@pytest.mark.parametrize("name", [name for name, question in questions().items() if question.parts])
def test_what_is_missing_of_several_parts_is_named(name):
    question = questions()[name]
    said = question.check((1, *[None] * (len(question.parts) - 1)), *([object()] * len(question.needs)))
    assert said.kind == "not attempted" and said.text.startswith(", ".join(question.parts[1:]))


@pytest.mark.parametrize("name", [name for name, question in questions().items() if question.needs])
def test_a_check_without_the_learners_runs_asks_for_them(name):
    said = questions()[name].check((1,) * max(len(questions()[name].parts), 1))
    assert said.kind == "not attempted" and "Run the cells above first" in said.text and questions()[name].needs[0] in said.text


@pytest.mark.parametrize("name", asked())
def test_the_solution_is_right(name, bench, in_this_process):
    question, made = questions()[name], bench(name)
    exec(question.answer, names := dict(made.names))
    said = question.check(answer_of(question, names), *made.given)
    assert said.kind == ("saved" if isinstance(question, OpenQuestion) else "right"), said


def answer_of(question, names):
    """The answer that the solution leaves: the names of its parts, or the last name that it sets."""
    if question.parts:
        return tuple(names[part] for part in question.parts)
    (target,) = ast.parse(question.answer).body[-1].targets
    return names[target.id]


@pytest.mark.parametrize("name", asked())
def test_wrong_answers_are_caught_and_told_why(name, bench):
    question, made = questions()[name], bench(name)
    names = made.names | more_names(name, made)
    for value, telling in PLANTED[name]:
        answer = filled(value, names)
        said = question.check(answer, *made.given)
        assert said.kind == "wrong", (answer, said)
        assert re.search(telling, said.text), (answer, said)
        assert "cannot be looked at" not in said.text


HOSTILE = [
    "x" * 10**6, b"bytes", object(), [[]], {"a": 1}, {1, 2}, 10**400, -(10**400), math.inf, math.nan, 1j, print, Recipe,
    type("Rude", (), {"__eq__": lambda self, other: 1 / 0, "__hash__": None, "__repr__": lambda self: 1 / 0})(),
    "__import__('os').abort()", Path("/dev/zero"), "\x00", np.zeros((3, 3)), (1,) * 50, [None, 1, object()],
]  # fmt: skip


@pytest.mark.parametrize("name", asked("q2_2", "q3_5", "q6_3"))
def test_whatever_is_given_is_answered_and_nothing_is_run(name, bench):
    question, made = questions()[name], bench(name)
    for answer in HOSTILE:
        answers = [answer, (answer,) * len(question.parts)] if question.parts else [answer]
        for one in answers:
            said = question.check(one, *made.given)
            assert said.kind in ("wrong", "not attempted"), (one, said)
            assert len(said.text) < 1500 and said._repr_html_()


@pytest.mark.parametrize("path", sorted((Path(paths.ROOT) / "tp2lib" / "course").glob("exercises*.py")), ids=lambda path: path.stem)
def test_no_check_runs_text_as_code(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}
    imported = {name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in (one.name for one in node.names)}
    assert not imported & {"pickle", "subprocess", "marshal"}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


# -- every right way ----------------------------------------------------------------------------------

RIGHT = {
    "q1_1": [26.0, 25, np.float32(24.9), 20.5],  # the stages give 25.0, and a quarter off is near enough
    "q1_2": [SMOKE.vary(prompt="Photo: GREEN mug!", seed=7, steps=10), Recipe.from_dict({**SMOKE.to_dict(), "prompt": "mug, green", "steps": 10, "seed": 7})],
    "q2_3": [
        (SMOKE.vary(guidance=1, negative_prompt="a"), SMOKE.vary(guidance=1, negative_prompt="b")),
        [SMOKE.vary(width=128), SMOKE],
        (SMOKE.vary(steps=2, prompt="apple " * 80), SMOKE.vary(steps=2, prompt="apple " * 90)),
    ],
    "q3_1": ["D", "d", " d "],
    "q3_2": [(1, 30, "a customer sees one picture only"), (2.5, 15, "a customer sees one picture only")],
    "q3_3": [BASELINE.vary(scheduler="heun", steps=15), BASELINE.vary(scheduler="Heun", steps=16)],
    "q3_4": [BASELINE.vary(negative_prompt="x", guidance=0), BASELINE.vary(negative_prompt="x", guidance=0.5)],
    "q3_5": [(RUNS["usual"], RUNS["broken"], RUNS["mended"], "contrast"), [RUNS["usual"], RUNS["broken"], RUNS["mended"], "Contrast"]],
    "q4_1": ["top right", "Top-Right", "upper right", " top_right-"],
    "q4_2": [((0.41, 0.44), 8), ([0.44, 0.41], 8), ({0.41, 0.44}, 8.0)],
    "q4_3": [0.084, 0.0840000001, np.float64(0.084)],
    "q4_4": [(60, 0.6), (60.0, 36 / 60), [60, 0.603]],
    "q4_5": [(0.001, 0, "not one of them is this apple")],
    "q5_1": [["seed", "guidance", "negative prompt"], {"negative_prompt", "guidance", "seed"}, ("Seed", "Guidance", "negative_prompt")],
    "q5_2": [4, 4.0, np.int64(4)],
    "q6_2": [PLAN, PAIRS, PLAN.replace("steps = [5, 9]", 'scheduler = ["DDIM", "EulerA", "UniPC"]'), PLAN.replace("\n", "\r\n")],
    "q6_3": [(SYNTHETIC, "contrast", median(interactions(SYNTHETIC, "contrast")))],
}  # fmt: skip


@pytest.mark.parametrize("shown_as", [lambda copy, at: copy, lambda copy, at: copy.path.relative_to(at).as_posix()])
def test_an_export_is_found_by_its_path_as_the_tool_shows_it(bench, shown_as):
    copy = export_run(bench("q5_3").names["backpack"], paths.OUTPUTS / "exports", kind="webp", preset="marketplace")
    assert questions()["q5_3"].check(shown_as(copy, paths.OUTPUTS)).kind == "right"


@pytest.mark.parametrize("name", RIGHT)
def test_every_right_way_is_accepted(name, bench):
    question, made = questions()[name], bench(name)
    for answer in RIGHT[name]:
        said = question.check(answer, *made.given)
        assert said.kind == "right", (answer, said)


def test_a_plan_may_be_a_file(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN, encoding="utf-8")
    assert questions()["q6_2"].check(path).kind == questions()["q6_2"].check(str(path)).kind == "right"


def test_other_models_without_a_list_of_words_pass(model):
    said = questions()["q1_3"].check("any six words will surely do", replace(model, words=None))
    assert said.kind == "right" and "no list of words" in said.text


def test_the_five_strengths_have_one_pair_of_twins():
    ran = [int(20 * strength) for strength in CANDIDATES]
    assert len(set(ran)) == 4 and len(positions()) == 9


def test_a_check_before_its_prepare_cell_is_not_attempted(model):
    said = questions()["q2_1"].check(SMOKE, model, Ledger(paths.OUTPUTS))
    assert said.kind == "not attempted" and "Run the cell with `q2_1.prepare(model, ledger)` first" in said.text


@pytest.mark.slow
def test_the_forger_is_another_one_for_another_learner_and_the_same_one_next_time(model):
    def forger(learner):
        ledger = Ledger(paths.OUTPUTS / str(learner))
        reports = questions()["q6_1"].prepare(model, ledger)
        return "".join(letter for letter in "ABC" if questions()["q6_1"].check(letter, reports, ledger).kind == "right")

    for learner in range(5):  # what each one's ledger begins with
        (folder := paths.OUTPUTS / str(learner)).mkdir(parents=True)
        line = {"event": "started", "key": "0" * 64, "at": f"2026-01-0{learner + 1}T09:00:00+00:00", "session": "1" * 32}
        (folder / "ledger.jsonl").write_text(json.dumps(line) + "\n")
    assert {forger(learner) for learner in range(5)} == {"A", "B", "C"}
    assert forger(3) == forger(3)


@pytest.mark.slow
def test_no_report_is_the_fake_where_the_pictures_are_gone(model):
    ledger, question = Ledger(paths.OUTPUTS), questions()["q6_1"]
    reports = question.prepare(model, ledger)
    for path in (ledger.outputs / "runs").glob("*.png"):
        path.unlink()
    said = [question.check(letter, reports, ledger) for letter in reports]
    assert all("is gone from the ledger. Run `reports = q6_1.prepare(model, ledger)` again" in one.text and one.kind == "not attempted" for one in said)
    assert "right" in {question.check(letter, question.prepare(model, ledger), ledger).kind for letter in reports}


# -- hints, solutions, the record ---------------------------------------------------------------------


@pytest.mark.parametrize("name", questions())
def test_hints_come_one_after_the_other_and_end(name):
    question = replace(questions()[name])
    said = [question.hint() for _ in range(4)]
    assert [one.kind for one in said] == ["hint"] * 4
    assert [one.text.partition(") ")[0] for one in said] == ["(1 of 3", "(2 of 3", "(3 of 3", "(3 of 3"]
    assert said[0].text.endswith(question.hints[0]) and f"{name}.solution()" in said[3].text
    assert question.hint(2).text.endswith(question.hints[1])
    assert "not a hint number" in question.hint(0).text and "not a hint number" in question.hint("all").text
    assert summary()[0].hints == 3


def test_a_solution_is_shown_explained_and_remembered():
    question = questions()["q4_2"]
    said = question.solution()
    assert said.kind == "solution" and question.answer in str(said) and question.why in str(said)
    question.check(((0.41, 0.44), 8))
    assert summary()[0].questions == {"4.2": "right after the solution"}


def test_a_check_is_recorded_with_what_was_found(outputs):
    questions()["q4_3"].check(0.5)
    (event,) = read_events()
    assert (event["question"], event["outcome"]) == ("4.3", "wrong") and "6 steps" in event["found"]
    assert (outputs / FILE).is_file()


def test_a_folder_that_cannot_be_written_still_gets_its_verdict(outputs):
    outputs.write_text("in the way")
    said = questions()["q4_3"].check(0.084)
    assert said.kind == "right" and "Not recorded" in said.text
    words = "The maker needs all settings and the customer needs a single line that says where the picture came from."
    assert "could not be kept" in questions()["q5_4"].check(words).text


def test_an_open_answer_is_saved_for_the_report():
    text = "I would no longer say that fifty steps are better, since two of my three seeds became softer, not sharper at all."
    said = questions()["q6_4"].check(f"{text}\x00<i>")
    assert said.kind == "saved" and "<i>" not in said._repr_html_()
    (kept,) = open_answers()
    assert kept["text"] == f"{text} <i>" and kept["question"] == "6.4"


def test_an_open_answer_is_kept_whole_or_refused():
    words = " ".join(f"word{number}" for number in range(900))
    assert "at most 4000 are kept. Shorten it" in questions()["q6_4"].check(words).text


def test_the_line_at_the_end_counts_what_was_done():
    assert str(progress_line("04")) == "04 progress: 0 of 5 exercises done."
    question = replace(questions()["q4_3"])
    question.check(0.5)
    question.hint()
    question.check(0.084)
    questions()["q4_4"].solution()
    questions()["q4_4"].check((60, 0.6))
    said = progress_line("04").text
    assert said.startswith("2 of 5 exercises done (1 after the solution), 1 hint read, 0 predictions of your own, 0 minutes.")


def test_questions_are_names_of_the_package():
    assert exercises.q3_2 is questions()["q3_2"] and "q3_2.check" in repr(exercises.q3_2)
    for name in ("q9_9", "q0_1", "q3_99", "quiz"):
        with pytest.raises(AttributeError, match=name):
            getattr(exercises, name)
