"""Thousands of bad recipes, photos and records: each ends in a TP2Error that tells a person what to do.

The generator is seeded, so a failure names a case that fails again. Inputs that damage happened to
leave valid are not counted.
"""

from __future__ import annotations

import json
import math
import random
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from strategies import encoded, noise_image

from tp2lib.errors import RecipeError, RecordError, SourceError, TP2Error, shown
from tp2lib.metadata.infotext import from_infotext, to_infotext
from tp2lib.metadata.source import prepare_source
from tp2lib.recipe import SCHEDULER_NAMES, Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import pixels_sha256, read_recipe, read_record, save_picture

AT_LEAST = 2000
Case = tuple[str, Callable[[], object], type[TP2Error]]
GOOD = Recipe(prompt="a red apple", strength=0.6, source="apple.jpg").to_dict()


def complaint(message: str) -> str | None:
    """Return why a person could not use this message, or None if they could."""
    if not 30 <= len(message) <= 900:
        return f"{len(message)} characters"
    if not re.search(r"[.?!]$", message):
        return "does not end like a sentence"
    if re.search(r"Traceback|object at 0x|\n|\x00", message):
        return "shows its inside"
    if any(0xD800 <= ord(c) <= 0xDFFF for c in message):
        return "cannot be printed"
    return None if len(re.findall(r"[A-Za-z]{2,}", message)) >= 5 else "says too little"


def bad_value(chance: random.Random, name: str) -> object:
    """Return a value that the setting `name` must refuse."""
    wrong_type = [True, False, [], {}, b"x", object(), (1,), [1] * 1000, 1j]
    not_number = [math.nan, math.inf, -math.inf, "7", "", "x" * 10_000, "1e3", *wrong_type, 10**5000, -(10**400)]
    far = chance.choice([-1, 1]) * 10 ** chance.randint(4, 40)
    text = chance.choice(["a\0b", "\ud800", "\x1b[31m", "\x85", "x" * chance.randint(5000, 20_000), 5, 1.5, None])
    by_name: dict[str, list[object]] = {
        "prompt": [text, *wrong_type], "negative_prompt": [text, *wrong_type],
        "seed": [*not_number, None, -2, 2**64, -(2**63), 1.0, 0.5, -abs(far)],
        "steps": [*not_number, None, 0, -1, 151, far, 20.0, 1e9],
        "guidance": [*not_number, None, -0.001, 30.0001, far],
        "scheduler": [text, *wrong_type, None, "Euler b", "", "eval('1')",
                      chance.choice(SCHEDULER_NAMES) + chance.choice("xyz!?")[0] + "q"],
        "schedule": [text, *wrong_type, None, "karas", "", "eval('1')", "karras"],
        "strength": [*not_number, 0, -0.0, -0.5, 1.0000001, far, 0.01, 1e-300, 5e-324],
        "strength_mode": [text, *wrong_type, None, "Constant", "diffuser"],
        "width": [*not_number, 0, 63, 65, 1025, 1032, 512.0, far, -64], "height": [*not_number, 56, 100, 511, 512.5],
        "model": [text, *wrong_type, None, "", "  \n"], "source": ["", " ", "a\0b", *wrong_type, None, 5],
        "mask": ["a\0b", "x" * 5000, 5, *wrong_type, "", " "], "grow": [*not_number, None, 65, -65, 1.5, far], "feather": [*not_number, None, -1, 65, 1.5, far],
    }  # fmt: skip
    return chance.choice(by_name[name])


def bad_recipes(chance: random.Random) -> Iterator[Case]:
    for number in range(900):
        values = dict(GOOD)
        way = chance.random()
        if way < 0.8:
            name = chance.choice(list(GOOD))
            values[name] = bad_value(chance, name)
        elif way < 0.9:
            values[chance.choice(["stepz", "cfg", "", "eval", "__class__", "x" * 10_000, 5, None])] = 1
        elif way < 0.95:
            del values[chance.choice(["prompt", "strength", "source"])]
        else:
            values = chance.choice([None, [], "x", 5, {}, [("prompt", "x")]])
        yield f"recipe {number}: {shown(values, 200)}", lambda v=values: Recipe.from_dict(v), RecipeError


def damaged(chance: random.Random, data: bytes) -> bytes:
    """Return `data` cut, flipped, overwritten, doubled in the middle, or with a part removed."""
    at, size = chance.randrange(len(data)), chance.randint(1, 40)
    return chance.choice([
        lambda: data[:at],
        lambda: data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :],
        lambda: data[:at] + chance.randbytes(size) + data[at + size :],
        lambda: data[:at] + data[max(0, at - size) :],
        lambda: data[:at] + data[at + size :],
        lambda: data[at:],
    ])()  # fmt: skip


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data


def bad_images(chance: random.Random) -> Iterator[Case]:
    files = []
    for name in ("PNG RGB", "PNG RGBA", "PNG L", "PNG P", "PNG 1", "JPEG RGB", "JPEG CMYK", "WEBP RGB", "WEBP RGBA"):
        kind, mode = name.split()
        files.append((name, encoded(noise_image(20, 12).convert(mode), kind)))
    foreign = [(kind, encoded(noise_image(20, 12), kind)) for kind in ("GIF", "BMP", "TIFF", "PPM", "ICO", "TGA")]
    for number in range(1300):
        way = chance.random()
        if way < 0.8:
            name, data = chance.choice(files)
            data = damaged(chance, data)
        elif way < 0.87:
            name, data = chance.choice(foreign)
        elif way < 0.94:  # any header on few pixels: bombs, zero sizes, impossible depths
            size = [chance.choice([0, 1, 20, 2**15, 2**20, 2**31 - 1, 2**32 - 1]) for _ in range(2)]
            depth = chance.choice([(8, 2), (16, 6), (8, 3), (1, 0), (99, 99), (0, 0)])
            header = (b"IHDR", struct.pack(">IIBBBBB", *size, *depth, 0, 0, 0))
            name, data = f"PNG header {size} {depth}", png(header, (b"IDAT", zlib.compress(b"\0" * 9)), (b"IEND", b""))
        else:
            start = chance.choice([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF"])
            name, data = "garbage", start + chance.randbytes(90)
        yield f"image {number}: {name}, {len(data)} bytes", lambda d=data: prepare_source(d, 16, 16), SourceError


def bad_json(chance: random.Random, record: dict) -> str:
    """Return the text of a record with something wrong in it."""
    values = {**record, "recipe": dict(record["recipe"])}
    way = chance.random()
    if way < 0.5:
        name = chance.choice(list(GOOD))
        value = bad_value(chance, name)
        values["recipe"][name] = value if isinstance(value, (str, int, float, list, dict, type(None))) else [1]
    elif way < 0.6:
        values["recipe"] = chance.choice([None, [], {}, "x", 5, {"prompt": "x", "__import__": 1}])
    elif way < 0.8:
        value = chance.choice([None, 0, 2, -1, "1", 1.5, [], {}, True, "x" * 64])
        values[chance.choice(["tp2", "pixels_sha256"])] = value
    else:
        text = json.dumps(values)
        at = chance.randrange(len(text) - 1)
        return chance.choice([text[:at], text[at + 1 :], "[" * 9999, "NaN", text + "}", "\0", "1" * 9999])
    try:
        return json.dumps(values)
    except ValueError:  # 10**5000 cannot be written by Python, but others can
        return json.dumps({**values, "recipe": 0}).replace('"recipe": 0', '"recipe": ' + "9" * 5000)


def bad_metadata(chance: random.Random, folder: Path) -> Iterator[Case]:
    image = noise_image(64, 64)
    save_picture(image, folder / "good.png", {"x": 1}, Recipe.from_dict(GOOD))
    good, record = (folder / "good.png").read_bytes(), read_record(folder / "good.png")
    infotext = to_infotext(Recipe.from_dict({**GOOD, "strength": None, "source": None}), Size="64x64")
    for number in range(900):
        way = chance.random()
        if way < 0.45:  # a picture whose record was forged
            chunks = PngInfo()
            text = bad_json(chance, record)
            chunks.add_itxt("tp2", text) if chance.random() < 0.5 else chunks.add_text("tp2", text, zip=True)
            data = encoded(Image.new("RGB", (2, 2)), pnginfo=chunks)
            reader = chance.choice([read_record, read_recipe])
            yield f"record {number}: {text[:200]!r}", lambda d=data, r=reader: r(d), RecordError
        elif way < 0.65:  # a good picture, damaged
            data = damaged(chance, good)
            yield f"picture {number}: {len(data)} bytes", lambda d=data: read_record(d), RecordError
        elif way < 0.9:  # the WebUI's text
            key = chance.choice(["Steps", "CFG scale", "Seed", "Size", "Sampler"])
            values = ["", "-1", "abc", "1e99", "0x10", "٣", "9" * 400, "nan", '"', "eval(1)", "1 2", "\x07"]
            value = chance.choice(values)
            text = re.sub(rf"{key}: [^,]*", lambda m, k=key, v=value: f"{k}: {v}", infotext)
            text = chance.choice([text, text, "\x01" + text, "x" * 3000 + text, text * 1000])
            yield f"infotext {number}: {key}={value!r}", lambda t=text: from_infotext(t), RecordError
        else:  # what callers hand to the writers
            value = chance.choice([math.nan, math.inf, object(), {1}, b"x", "y" * 600_000, 10**5000, {(1, 2): 3}])
            call = partial(save_picture, image, folder / "never.png", {"v": value}, Recipe.from_dict(GOOD))
            yield f"written {number}: {type(value)}", call, RecordError


@pytest.mark.filterwarnings("ignore")  # as people run it: Pillow's warnings do not save us from its errors
def test_bad_inputs_end_in_errors_that_teach(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(20261122)
    refused, passed, wrong = Counter(), Counter(), []
    for cases in (bad_recipes(chance), bad_images(chance), bad_metadata(chance, tmp_path)):
        for name, call, expected in cases:
            kind = name.split()[0]
            try:
                call()
                passed[kind] += 1
            except TP2Error as error:
                refused[kind] += 1
                if not isinstance(error, expected):
                    wrong.append(f"{name}: {type(error).__name__} instead of {expected.__name__}")
                elif why := complaint(str(error)):
                    wrong.append(f"{name}: {why}: {str(error)!r}")
            except BaseException as error:
                wrong.append(f"{name}: {type(error).__name__}: {error}"[:300])
    with capsys.disabled():
        print(f"\n{refused.total()} bad inputs refused with a TP2Error: {dict(refused)}; still valid: {dict(passed)}")
    assert wrong == []
    assert refused.total() >= AT_LEAST
    assert passed["recipe"] == passed["record"] == passed["written"] == 0  # these are bad by construction
    assert passed["image"] < refused["image"] / 3
    assert pixels_sha256(noise_image(64, 64)) == read_record(tmp_path / "good.png")["pixels_sha256"]
    assert [path.name for path in tmp_path.iterdir()] == ["good.png"]


def test_a_ledger_of_noise_is_read_without_an_error(tmp_path: Path) -> None:
    chance = random.Random(5)
    ledger = Ledger(tmp_path)
    ledger.start("a" * 16)
    ledger.finish("a" * 16, noise_image(64, 64), Recipe(prompt="x"), {})
    good = (tmp_path / "ledger.jsonl").read_bytes()
    for _ in range(200):
        (tmp_path / "ledger.jsonl").write_bytes(good + damaged(chance, good) + b"\n" + chance.randbytes(50) + b"\n")
        assert Ledger(tmp_path).lookup("b" * 16) is None
        found = Ledger(tmp_path).lookup("a" * 16)
        assert found is None or found["pixels_sha256"] == pixels_sha256(noise_image(64, 64))


@pytest.mark.parametrize(("message", "usable"), [
    ("steps is 0; it must be a whole number from 1 to 150. The nearest is 1.", True), ("bad input", False),
    ("something went wrong with the value that was given", False), ("x" * 1000 + ".", False),
    ("cannot identify image file <_io.BytesIO object at 0x7f> in this place.", False),
])  # fmt: skip
def test_the_judge_of_messages_can_tell_good_from_bad(message: str, usable: bool) -> None:
    assert (complaint(message) is None) == usable
