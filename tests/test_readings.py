"""tp2lib.metadata.readings and tools: what other tools write is read, and what is not read is said."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import time
from collections.abc import Callable

import pytest
from foreign_files import A1111, DREAM, FOOOCUS, INVOKE, NOVEL, SD_METADATA, SWARM, comfy, comfy_png, draw_things_png, node, png, with_exif
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tp2lib.errors import RecordError, TP2Error
from tp2lib.metadata.infotext import from_infotext
from tp2lib.metadata.readings import Reading, foreign_syntax
from tp2lib.metadata.tools import MAX_TEXT, read_texts
from tp2lib.recipe import Recipe, setting
from tp2lib.storage.pictures import read_recipe

APPLE = {"prompt": "a red apple", "negative_prompt": "blurry", "seed": 7, "width": 512, "height": 640}
TUNED = APPLE | {"steps": 25, "guidance": 6.5}
COMFY = APPLE | {"seed": 2**63 + 1, "steps": 21, "guidance": 6.0, "scheduler": "DPM++ 2M", "schedule": "karras"}

FILES = {
    "A1111 PNG": ("A1111", png(parameters=A1111), TUNED | {"scheduler": "DPM++ 2M", "schedule": "karras"}),
    "A1111 JPEG": ("A1111", with_exif(comment=A1111), TUNED),
    "UserComment in the byte order of Windows": ("A1111", with_exif(comment=A1111, order="utf-16-le"), TUNED),
    "UserComment with a byte order mark": ("A1111", with_exif(comment="\ufeff" + A1111, order="utf-16-le"), TUNED),
    "WebP, byte order of Windows": ("A1111", with_exif("WEBP", comment=A1111, order="utf-16-le"), TUNED),
    "UserComment in ASCII": ("A1111", with_exif(raw=b"ASCII\0\0\0" + A1111.encode()), TUNED),
    "UserComment of no named kind": ("A1111", with_exif(raw=bytes(8) + A1111.encode()), TUNED),
    "SwarmUI": ("SwarmUI", png(parameters=json.dumps(SWARM)), APPLE | {"height": 512, "steps": 20, "model": "sd15", "scheduler": "EulerA", "schedule": "default"}),
    "SwarmUI JPEG": ("SwarmUI", with_exif(comment=json.dumps(SWARM)), {"prompt": "a red apple", "steps": 20}),
    "Fooocus": (
        "Fooocus", png(parameters=json.dumps(FOOOCUS), fooocus_scheme="fooocus"),
        APPLE | {"width": 896, "height": 512, "steps": 30, "guidance": 4.0, "scheduler": "DPM++ 2M SDE", "schedule": "karras"},
    ),
    "ComfyUI": ("ComfyUI", comfy_png(), COMFY),
    "ComfyUI WebP": ("ComfyUI", with_exif("WEBP", tags={0x0110: "prompt:" + json.dumps(comfy()), 0x010F: 'workflow:{"links": []}'}), COMFY),
    "InvokeAI": ("InvokeAI", png(invokeai_metadata=json.dumps(INVOKE)), TUNED | {"scheduler": "DPM++ 2M", "schedule": "karras"}),
    "InvokeAI 2": ("InvokeAI", png(**{"sd-metadata": json.dumps(SD_METADATA)}), TUNED | {"scheduler": "EulerA"}),
    "InvokeAI 1": ("InvokeAI", png(Dream=DREAM), TUNED | {"scheduler": "LMS"}),
    "NovelAI": (
        "NovelAI", png(Comment=json.dumps(NOVEL), Description="a red apple", Software="NovelAI", Source="Stable Diffusion 1D44365E"),
        APPLE | {"steps": 28, "guidance": 5.0, "scheduler": "Euler", "schedule": "karras"},
    ),
    "Draw Things": ("Draw Things", draw_things_png(), TUNED | {"scheduler": "DPM++ 2M", "schedule": "karras"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_tools_file_is_read(name: str) -> None:
    tool, data, settings = FILES[name]
    reading = read_recipe(data)
    assert reading.tool == tool
    assert {key: getattr(reading.recipe, key) for key in settings} == settings
    assert settings.items() <= reading.found.items()


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_assumed_in_silence(name: str) -> None:
    reading = read_recipe(FILES[name][1])
    assert not {*reading.found} & {*reading.assumed}
    assert {*reading.found, *reading.assumed} == {*Recipe.__dataclass_fields__} - {"strength", "strength_mode", "source", "mask", "grow", "feather"}
    assert reading.recipe.vary(**reading.found, **reading.assumed) == reading.recipe
    for key, value in reading.assumed.items():
        assert value == setting(key).default and f"{key} {value!r}" in str(reading)
    assert str(reading).count("\n") >= 3


# -- the WebUI's text ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "ignored"), [
    ("\nTemplate: a {red|green} apple\nNegative Template: blurry", {"Template": "a {red|green} apple", "Negative Template": "blurry"}),
    ("\nTemplate:a {red|green}\napple, Steps: 3, Seed: 4, CFG scale: 5", {"Template": "a {red|green}\napple, Steps: 3, Seed: 4, CFG scale: 5"}),
    ("\nsaved by somebody", {"not understood": "saved by somebody"}),
    (",\nENSD: 31337", {"ENSD": "31337"}),
    (', Civitai resources: [{"type":"checkpoint","modelVersionId":1}, {"weight":0.8,"a":"x, y: z"}], Clip skip: 2', {
        "Civitai resources": '[{"type":"checkpoint","modelVersionId":1}, {"weight":0.8,"a":"x, y: z"}]', "Clip skip": "2"}),
    (', Lora hashes: "a: 1, b: 2"', {"Lora hashes": "a: 1, b: 2"}),
    (', Hashes: {"model": "6ce0", "lora:x": "77"}, TI: x', {"Hashes": '{"model": "6ce0", "lora:x": "77"}', "TI": "x"}),
    (', Lora hashes: "a: 1,\n b: 2"', {"Lora hashes": '"a: 1,\n b: 2"'}),
    (", Broken: [1, 2", {"Broken": "[1", "not understood": "2"}),
], ids=range(9))  # fmt: skip
def test_what_follows_the_settings_is_kept_and_takes_nothing_with_it(more: str, ignored: dict) -> None:
    reading = from_infotext(A1111 + more)
    assert {**TUNED}.items() <= reading.found.items() and reading.recipe.negative_prompt == "blurry"
    assert {key: reading.ignored[key] for key in ignored} == ignored


def test_a_line_break_inside_the_settings_costs_none_of_them() -> None:
    for at in (", Sampler", ", CFG", ", Seed", ", Size", ", Model:"):
        reading = from_infotext(A1111.replace(at, ",\n" + at[2:]))
        assert (reading.recipe, reading.ignored) == (from_infotext(A1111).recipe, from_infotext(A1111).ignored)


@pytest.mark.parametrize("text", ["a red apple", "a red apple\nSteps: 20, Seed: 1"])  # two pairs do not make a parameters line
def test_a_prompt_without_settings_is_never_completed_in_silence(text: str) -> None:
    reading = read_recipe(png(parameters=text))
    assert reading.recipe == Recipe(prompt=text)
    assert {*reading.assumed} == {"seed", "steps", "guidance", "width", "height", "scheduler", "schedule", "model"}
    assert "no settings line" in reading.notes[0]
    assert "steps 30" in str(reading) and "seed 42" in str(reading)


@pytest.mark.parametrize("seed", [0, 2**32, 2**53 + 1, 2**64 - 1])
def test_every_seed_of_forge_and_comfyui_is_a_seed(seed: int) -> None:
    assert from_infotext(A1111.replace("Seed: 7", f"Seed: {seed}")).found["seed"] == seed


def test_a_seed_of_minus_one_is_drawn_and_said() -> None:
    readings = [from_infotext(A1111.replace("Seed: 7", "Seed: -1")) for _ in range(3)]
    assert len({reading.recipe.seed for reading in readings}) == 3
    for reading in readings:
        assert reading.assumed["seed"] == reading.recipe.seed and "seed" not in reading.found
        assert any(str(reading.recipe.seed) in note and "-1" in note for note in reading.notes)


@pytest.mark.parametrize(("line", "scheduler", "schedule"), [
    ("DPM++ 2M Karras", "DPM++ 2M", "karras"), ("DPM++ 2M SDE Karras", "DPM++ 2M SDE", "karras"), ("DPM++ 2M, Schedule type: Karras", "DPM++ 2M", "karras"),
    ("DPM++ 2M", "DPM++ 2M", "default"), ("DPM++ 2M, Schedule type: Automatic", "DPM++ 2M", "karras"),
    ("DPM++ 2M SDE, Schedule type: Automatic", "DPM++ 2M SDE", "exponential"), ("Euler a, Schedule type: Automatic", "EulerA", "default"),
    ("LMS Karras", "LMS", "karras"), ("Euler, Schedule type: SGM Uniform", "Euler", "trailing"), ("Euler, Schedule type: Simple", "Euler", "trailing"),
    ("Euler, Schedule type: Exponential", "Euler", "exponential"), ("Euler, Schedule type: Beta", "Euler", "beta"),
    ("Euler, Schedule type: Uniform", "Euler", "default"), ("DPM2 a Karras", "KDPM2A", "karras"),
    ("DPM++ 2M SDE Exponential", "DPM++ 2M SDE", "exponential"), ("UniPC", "UniPC", "default"),
])  # fmt: skip
def test_samplers_and_schedule_types_are_two_settings(line: str, scheduler: str, schedule: str) -> None:
    reading = from_infotext(A1111.replace("DPM++ 2M, Schedule type: Karras", line))
    assert (reading.recipe.scheduler, reading.recipe.schedule) == (scheduler, schedule)
    assert reading.found["scheduler"] == scheduler


@pytest.mark.parametrize(("line", "scheduler", "schedule"), [
    ("DPM++ SDE", "DPM++ 2M SDE", "default"), ("DPM++ 3M SDE Exponential", "DPM++ 2M SDE", "exponential"), ("Restart", "Heun", "default"),
    ("DPM++ 2S a Karras", "DPM++ 2S", "karras"), ("Eulr a", "EulerA", "default"), ("Something else", "EulerA", "default"),
])  # fmt: skip
def test_a_sampler_nobody_can_offer_costs_nothing_else_and_names_the_nearest(line: str, scheduler: str, schedule: str) -> None:
    reading = from_infotext(A1111.replace("DPM++ 2M, Schedule type: Karras", line))
    assert TUNED.items() <= reading.found.items()
    assert reading.assumed["scheduler"] == scheduler == reading.recipe.scheduler and "scheduler" not in reading.found
    assert reading.recipe.schedule == schedule and reading.ignored["sampler"] == line
    assert any(line in note and scheduler in note for note in reading.notes)


@pytest.mark.parametrize("pair", ["Euler a, Schedule type: Karras", "Euler, Schedule type: KL Optimal", "LCM, Schedule type: Beta"])
def test_a_schedule_that_the_sampler_has_not_is_said_and_left(pair: str) -> None:
    reading = from_infotext(A1111.replace("DPM++ 2M, Schedule type: Karras", pair))
    assert TUNED.items() <= reading.found.items() and reading.assumed["schedule"] == "default"
    assert reading.ignored["schedule"] == pair.partition("type: ")[2] and any("schedule is" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("old", "new", "name"), [("25", "200", "steps"), ("6.5", "nan", "guidance"), ("Seed: 7", "Seed: x", "seed"), ("512x640", "1216x832", "width")]
)
def test_a_value_that_cannot_be_costs_nothing_else(old: str, new: str, name: str) -> None:
    reading = from_infotext(A1111.replace(old, new))
    assert reading.recipe.prompt == "a red apple" and reading.assumed[name] == setting(name).default
    assert name in reading.ignored and any(name in note for note in reading.notes)


BESIDE = {
    "a drawing": {"workflow": '{"nodes": []}'},
    "a graph with a sampler of its own": {"prompt": json.dumps({"1": node("MySampler", seed=1)})},
    "a comment in JSON": {"Comment": '{"a": 1}'},
    "a Dream of nothing": {"Dream": "x"},
    "two megabytes of drawing": {"workflow": "x" * (MAX_TEXT + 1)},
}


@pytest.mark.parametrize("name", BESIDE)
def test_parameters_are_read_beside_a_text_that_cannot_be(name: str) -> None:
    with pytest.raises(RecordError) as alone:
        read_texts({**BESIDE[name]})
    assert read_texts({**BESIDE[name], "parameters": A1111}) == from_infotext(A1111)
    with pytest.raises(RecordError) as caught:
        read_texts({**BESIDE[name], "parameters": '{"prompt": "x"}'})
    assert str(caught.value) == str(alone.value)


def test_damaged_json_of_another_tool_is_not_taken_for_a_prompt() -> None:
    with pytest.raises(RecordError, match="SwarmUI"):
        read_texts({"parameters": json.dumps(SWARM)[:-1]})


# -- words of other tools in a prompt ----------------------------------------------------------------------


@pytest.mark.parametrize("part", ["(red:1.3)", "((red))", "[dark]", "BREAK", "<lora:x:0.8>", "<hypernet:y:1>", "__colour__", "{red|green}", "[red:green:0.5]"])
def test_syntax_of_another_tool_is_named(part: str) -> None:
    told = foreign_syntax(f"a {part} apple")
    assert "plain words" in told and part.strip("()") in told
    assert any("plain words" in note for note in from_infotext(A1111.replace("a red", f"a {part} red")).notes)


@pytest.mark.parametrize("text", ["a red apple", "50 % off, 2:1", r"a \(red\) apple", "breakfast", "a_b_c", "", "<b>bold</b>"])
def test_plain_words_are_left_alone(text: str) -> None:
    assert foreign_syntax(text) == ""


# -- ComfyUI's graphs --------------------------------------------------------------------------------------


def test_a_graph_without_a_drawing_is_read() -> None:
    assert read_recipe(png(prompt=json.dumps(comfy()))).recipe == read_recipe(comfy_png()).recipe


def test_a_lora_loader_and_reroutes_are_passed_by_and_named() -> None:
    reading = read_recipe(comfy_png(
        n4=node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned.safetensors"), n10=node("LoraLoader", lora_name="x", strength_model=0.8, model=["4", 0], clip=["4", 1]),
        n6=node("CLIPTextEncode", text="a red apple", clip=["10", 1]), n11=node("Reroute", **{"": ["6", 0]}), n12=node("Reroute", **{"": ["5", 0]}),
        n13=node("Reroute", **{"": ["3", 0]}), n8=node("VAEDecode", samples=["13", 0], vae=["4", 2]),
        n3=comfy()["3"] | {"inputs": comfy()["3"]["inputs"] | {"model": ["10", 0], "positive": ["11", 0], "latent_image": ["12", 0]}},
    ))  # fmt: skip
    assert COMFY.items() <= reading.found.items()
    assert reading.ignored["model"] == "v1-5-pruned.safetensors" and any("lora" in text for text in reading.ignored.values())


def test_of_two_samplers_the_one_that_began_is_read_and_the_other_named() -> None:
    second = node("KSampler", seed=9, steps=10, cfg=3.0, sampler_name="euler", scheduler="normal", denoise=0.5,
                  model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["20", 0])  # fmt: skip
    reading = read_recipe(comfy_png(n1=second, n20=node("LatentUpscale", samples=["3", 0], width=1024, height=1024)))
    assert COMFY.items() <= reading.found.items()
    assert "2 samplers" in reading.notes[0] and '"steps": 10' in reading.ignored["sampler 1"]


def test_samplers_made_of_parts_and_linked_constants_are_read() -> None:
    graph = comfy(
        n3=node("SamplerCustomAdvanced", noise=["10", 0], guider=["11", 0], sampler=["12", 0], sigmas=["13", 0], latent_image=["5", 0]),
        n10=node("RandomNoise", noise_seed=["14", 0]), n11=node("CFGGuider", cfg=6.0, model=["4", 0], positive=["15", 0], negative=["15", 1]),
        n12=node("KSamplerSelect", sampler_name="dpmpp_2m"), n13=node("BasicScheduler", scheduler="karras", steps=21, denoise=1.0, model=["4", 0]),
        n14=node("PrimitiveInt", value=2**63 + 1), n15=node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], strength=1.0, image=["16", 0]),
        n16=node("LoadImage", image="pose.png"), n6=node("CLIPTextEncode", text=["17", 0], clip=["4", 1]), n17=node("PrimitiveString", value="a red apple"),
    )  # fmt: skip
    reading = read_recipe(png(prompt=json.dumps(graph)))
    assert COMFY.items() <= reading.found.items()


def test_a_graph_that_starts_from_a_photo_says_so() -> None:
    sampler = comfy()["3"]["inputs"] | {"latent_image": ["10", 0], "denoise": 0.6}
    reading = read_recipe(
        comfy_png(n3=node("KSampler", **sampler), n10=node("VAEEncode", pixels=["11", 0], vae=["4", 2]), n11=node("LoadImage", image="a.png"))
    )
    assert reading.recipe.source is None and reading.ignored["strength"] == "0.6" and any("photo" in note for note in reading.notes)


# -- what cannot be read ---------------------------------------------------------------------------------------

CIRCLE = comfy(n6=node("Reroute", **{"": ["7", 0]}), n7=node("Reroute", **{"": ["6", 0]}), n5=node("Reroute", **{"": ["5", 0]}))
CHAIN = comfy(**{f"n{n}": node("Reroute", x=[str(n + 1), 0]) for n in range(100, 1050)}, n6=node("Reroute", x=["100", 0]))
FULL = comfy(**{f"n{n}": node("X", x=[str(n + 1), 0]) for n in range(100, 5000)})
HOSTILE = {
    "5 MB of text": lambda: png(parameters="x" * 5_000_000),
    "5 MB of UserComment": lambda: with_exif("WEBP", comment="x" * 2_500_000),
    "ten thousand brackets": lambda: png(parameters='{"sui_image_params": ' + "[" * 10_000 + "]" * 10_000 + "}"),
    "ten thousand braces": lambda: png(prompt='{"a":' * 10_000 + "1" + "}" * 10_000),
    "a graph in a circle": lambda: png(prompt=json.dumps(CIRCLE)),
    "a graph of a thousand in a row": lambda: png(prompt=json.dumps(CHAIN)),
    "a graph of thousands": lambda: png(prompt=json.dumps(FULL)),
    "two megabytes of graph": lambda: png(prompt=json.dumps({"1": "x" * MAX_TEXT})),
    "only the drawing": lambda: png(workflow='{"nodes": []}'),
    "no sampler": lambda: png(prompt=json.dumps({"1": node("SaveImage", images=["2", 0])})),
    "a graph of numbers": lambda: png(prompt='{"1": 2, "3": {"inputs": 4}}'),
    "a list for an object": lambda: png(invokeai_metadata="[]"),
    "a name for an object": lambda: png(parameters='{"sui_image_params": "x"}'),
    "JSON of nobody's": lambda: png(parameters='{"prompt": "x"}'),
    "no prompt": lambda: png(parameters='{"sui_image_params": {"steps": 3}}'),
    "a Fooocus of numbers": lambda: png(parameters='{"version": "Fooocus v2", "prompt": 3}', fooocus_scheme="fooocus"),
    "blanks without end": lambda: png(Dream='"x"' + " " * 60_000),
    "a Dream of nothing": lambda: png(Dream="x"),
    "a comment": lambda: png(Comment="made with love"),
    "a comment in JSON": lambda: png(Comment='{"a": 1}'),
    "a number of thousands of digits": lambda: png(invokeai_metadata='{"seed": ' + "9" * 6000 + "}"),
    "XMP of another kind": lambda: draw_things_png({"a": 1}),
}


def cpu_seconds(work: Callable[[], object]) -> float:
    """What it costs, refused or not: the least of three."""
    took = []
    for _ in range(3):
        began = time.process_time()
        with contextlib.suppress(RecordError):
            work()
        took.append(time.process_time() - began)
    return min(took)


@pytest.mark.slow
@pytest.mark.parametrize("data", [lambda: png(parameters="x" * 50_000_000), lambda: with_exif("WEBP", comment="x" * 25_000_000)], ids=["PNG", "WebP"])
def test_fifty_megabytes_of_text_are_refused_quickly(data: Callable[[], bytes]) -> None:
    file = data()
    with pytest.raises(RecordError, match="at most"):
        read_recipe(file)
    assert cpu_seconds(lambda: read_recipe(file)) < 50 * cpu_seconds(lambda: hashlib.sha256(file))


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_is_refused_quickly_and_in_words(name: str) -> None:
    data, usual = HOSTILE[name](), png(parameters=A1111)
    with pytest.raises(RecordError) as caught:
        read_recipe(data)
    assert cpu_seconds(lambda: read_recipe(data)) < 1000 * cpu_seconds(lambda: read_recipe(usual))
    assert 40 < len(str(caught.value)) < 600 and str(caught.value).endswith(".")


# -- anything ------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["Steps: 5", "Seed: -1", "Negative prompt: ", "CFG scale: ", "Template:", ", ", "\n", '"', "[", "{", "}", "]", "\\", ":", "Size: 8x8", "\0", "é", "苹"]
)
TEXTS = st.lists(WORDS | st.text(max_size=12), max_size=25).map("".join)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=4)
LINKS = st.tuples(st.integers(0, 6).map(str), st.integers(0, 2)).map(list)
NODES = st.builds(
    lambda kind, inputs: {"class_type": kind, "inputs": inputs},
    st.sampled_from(["KSampler", "CLIPTextEncode", "EmptyLatentImage", "LoraLoader", "Reroute"]) | VALUES,
    st.dictionaries(st.sampled_from(["text", "seed", "steps", "cfg", "sampler_name", "scheduler", "model", "positive", "negative", "latent_image", "width", "height",
                                     "image", "guider", "sampler", "clip", ""]), LINKS | VALUES, max_size=9) | VALUES,
)  # fmt: skip
GRAPHS = st.dictionaries(st.integers(0, 6).map(str), NODES | VALUES, max_size=7)


def _changed(known: dict) -> st.SearchStrategy[str]:
    """A tool's own settings, some of them replaced by anything."""
    return st.dictionaries(st.sampled_from([*known]), VALUES, max_size=4).map(lambda changes: json.dumps({**known, **changes}))


KEYWORDS = {
    "parameters": TEXTS.map(lambda text: A1111[:40] + text) | TEXTS | _changed(FOOOCUS) | _changed(SWARM["sui_image_params"]).map(lambda s: '{"sui_image_params": ' + s + "}"),
    "prompt": (GRAPHS | GRAPHS.map(lambda graph: {**comfy(), **graph})).map(json.dumps) | TEXTS, "workflow": VALUES.map(json.dumps),
    "fooocus_scheme": TEXTS, "invokeai_metadata": _changed(INVOKE) | VALUES.map(json.dumps), "sd-metadata": _changed(SD_METADATA) | TEXTS,
    "Dream": TEXTS.map(lambda text: DREAM[:30] + text), "Comment": _changed(NOVEL) | TEXTS, "Description": TEXTS, "Source": TEXTS, "draw things": VALUES.map(json.dumps),
}  # fmt: skip
ONE = st.sampled_from([*KEYWORDS]).flatmap(lambda key: KEYWORDS[key].map(lambda text: {key: text}))
CARRIED = ONE | st.tuples(ONE, ONE).map(lambda two: two[0] | two[1])
EXIF = st.builds(lambda kind, head, body: with_exif(kind, raw=head + body), st.sampled_from(["JPEG", "WEBP"]),
                 st.sampled_from([b"UNICODE\0", b"ASCII\0\0\0", bytes(8), b""]), st.binary(min_size=1, max_size=60) | TEXTS.map(lambda t: t.encode("utf-16-le", "replace")))  # fmt: skip


def _reads(read, what) -> None:
    began = time.process_time()
    try:
        reading = read(what)
    except TP2Error as error:
        assert len(str(error)) > 30
    else:
        assert isinstance(reading, Reading) and Recipe.from_dict(reading.recipe.to_dict()) == reading.recipe
        assert {*reading.found, *reading.assumed} >= {"prompt", "seed", "steps", "scheduler", "schedule"} and str(reading)
    assert time.process_time() - began < 10  # of the processor: what is quadratic takes minutes


@given(CARRIED | EXIF)
@example({"parameters": "x\nSteps: 1,Seed:1,CFG scale:[" + "[" * 10_000})
def test_anything_is_read_or_refused_by_name(what: dict[str, str] | bytes) -> None:
    _reads(read_recipe if isinstance(what, bytes) else read_texts, what)


def _mutated(what: dict[str, str] | bytes, chance: random.Random) -> dict[str, str] | bytes:
    """The same with a piece left out, repeated or moved: what a crossed wire makes of it."""
    if isinstance(what, dict):
        return {key: _mutated(text, chance) for key, text in what.items()}
    start, stop, to = (chance.randrange(len(what) + 1) for _ in range(3))
    start, stop = min(start, stop), max(start, stop)
    piece, rest = what[start:stop], what[:start] + what[stop:]
    return chance.choice([rest, what[:to] + piece + what[to:], rest[:to] + piece + rest[to:], what[:stop]])


@pytest.mark.slow
@settings(max_examples=1000)
@given(CARRIED | EXIF, st.integers(0, 2**32))
def test_twenty_thousand_of_anything_are_read_or_refused_by_name(what: dict[str, str] | bytes, seed: int) -> None:
    """A thousand inputs and nineteen mutations of each: drawing is what takes long."""
    chance, read = random.Random(seed), read_recipe if isinstance(what, bytes) else read_texts
    _reads(read, what)
    for _ in range(19):
        _reads(read, _mutated(what, chance))
