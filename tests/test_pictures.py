"""tp2lib.storage.pictures and files, tp2lib.metadata.record: written whole, readable by others, read with suspicion."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import sd_parsers
from foreign_files import png
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from strategies import noise_image, recipes

from tp2lib.errors import OutputError, RecordError, TP2Error
from tp2lib.metadata.infotext import from_infotext
from tp2lib.metadata.record import COMPOSITE, GENERATED, MAX_RECORD, digital_source_type, load_json, user_comment
from tp2lib.recipe import Recipe
from tp2lib.storage import files
from tp2lib.storage.files import read_json, write_atomically, write_json
from tp2lib.storage.pictures import export_picture, pixels_sha256, read_recipe, read_record, save_picture

APPLE = Recipe(prompt="a café, “red” apple 苹果 <b>&", negative_prompt="blur\nbad", seed=7, model="vitrine")
PHOTO = APPLE.vary(strength=0.6, source="/home/alice/photos/apple.jpg")
IMAGE = noise_image(72, 64)
RECORD = {"timings": {"total": 1.25}, "effective": {"timesteps": [999, 500, 1], "guidance_active": True}, "note": None}


def opened(path: Path) -> Image.Image:
    """Open with Pillow alone, as any other program would."""
    return Image.open(io.BytesIO(path.read_bytes()))


NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(st.none() | st.booleans() | NUMBERS | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    save_picture(IMAGE, tmp_path / "apple.png", RECORD, APPLE)
    return tmp_path / "apple.png"


def forged(tmp_path: Path, **texts: str) -> Path:
    """Write a PNG with chunks of our choice, as a stranger could."""
    (tmp_path / "forged.png").write_bytes(png(IMAGE, **texts))
    return tmp_path / "forged.png"


def forged_record(tmp_path: Path, **changes: object) -> Path:
    record = {"tp2": 1, "recipe": APPLE.to_dict(), "pixels_sha256": pixels_sha256(IMAGE), **changes}
    return forged(tmp_path, tp2=json.dumps(record))


# -- what is written is read back -------------------------------------------------------------------


@settings(max_examples=40)
@given(recipes(), st.dictionaries(st.text("abcdefgh", min_size=1, max_size=8), JSON_VALUES, max_size=4))
def test_recipe_and_record_come_back_exactly(tmp_path_factory, recipe: Recipe, record: dict) -> None:
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    digest = save_picture(IMAGE, path, record, recipe, composite=recipe.source is not None)
    read = read_record(path)
    assert {key: read[key] for key in record} == record
    assert set(read) == {*record, "tp2", "recipe", "pixels_sha256", "digital_source_type"}
    assert read["pixels_sha256"] == digest == pixels_sha256(opened(path)) == pixels_sha256(IMAGE)
    assert read_recipe(path, trusted=True).recipe == recipe == Recipe.from_dict(read["recipe"])
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_the_hash_is_that_of_the_pixels_alone(tmp_path: Path) -> None:
    one = save_picture(IMAGE, tmp_path / "1.png", RECORD, APPLE)
    two = save_picture(IMAGE, tmp_path / "2.png", {}, APPLE.vary(seed=8))
    assert one == two and (tmp_path / "1.png").read_bytes() != (tmp_path / "2.png").read_bytes()


def test_equal_runs_make_equal_files(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        save_picture(IMAGE, tmp_path / name, RECORD, APPLE)
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()


def test_nothing_of_the_images_own_metadata_leaks(tmp_path: Path) -> None:
    image = IMAGE.copy()
    image.info |= {"icc_profile": b"secret", "comment": "secret", "dpi": (3, 3), "transparency": (0, 0, 0)}
    save_picture(image, tmp_path / "a.png", {}, APPLE)
    assert b"secret" not in (tmp_path / "a.png").read_bytes()
    assert set(opened(tmp_path / "a.png").info) == {"parameters", "tp2", "XML:com.adobe.xmp", "xmp"}


# -- others can read it -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_sd_parsers_reads_our_pictures(picture: Path, suffix: str) -> None:
    copy = picture if suffix == ".png" else export_picture(picture, picture.with_suffix(suffix))
    found = sd_parsers.ParserManager().parse(copy)
    assert found is not None and found.generator.value == "AUTOMATIC1111"
    (sampler,) = found.samplers
    assert sampler.name == "Euler a" and sampler.model.name == "vitrine"
    assert sampler.parameters == {"seed": "7", "steps": "30", "cfg_scale": "7.5"}
    assert [p.value for p in sampler.prompts] == [APPLE.prompt]
    assert [p.value for p in sampler.negative_prompts] == [APPLE.negative_prompt]
    assert found.metadata["Size"] == "72x64"


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed (libimage-exiftool-perl)")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("composite", [False, True])
def test_exiftool_reads_the_mark_and_the_text(tmp_path: Path, suffix: str, composite: bool) -> None:
    save_picture(IMAGE, tmp_path / "a.png", RECORD, PHOTO, composite=composite)
    copy = export_picture(tmp_path / "a.png", tmp_path / f"copy{suffix}")
    command = ["exiftool", "-json", "-DigitalSourceType", "-CreatorTool", "-UserComment", "-Parameters", str(copy)]
    (found,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    term = "compositeWithTrainedAlgorithmicMedia" if composite else "trainedAlgorithmicMedia"
    assert found["DigitalSourceType"] == f"http://cv.iptc.org/newscodes/digitalsourcetype/{term}"
    assert found["CreatorTool"] == "tp2lib"
    text = found["Parameters" if suffix == ".png" else "UserComment"]
    assert text.startswith(APPLE.prompt) and "Denoising strength: 0.6" in text
    command = ["exiftool", "-validate", "-a", "-warning", str(copy)]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    warnings = [line for line in report if line.startswith("Warning") and "Missing required" not in line]
    assert warnings == []  # cameras' tags are missing, but nothing is malformed


def test_pillow_alone_finds_all_three_texts(picture: Path) -> None:
    image = opened(picture)
    assert image.text["parameters"].startswith("a café") and "Size: 72x64" in image.text["parameters"]
    assert json.loads(image.text["tp2"])["recipe"] == APPLE.to_dict()
    assert digital_source_type(image) == GENERATED
    assert image.getxmp()["xmpmeta"]["RDF"]["Description"]["DigitalSourceType"] == GENERATED  # well-formed XML
    assert "prompt" not in image.text and "workflow" not in image.text  # those are ComfyUI's


@pytest.mark.parametrize(("prompt", "chunk"), [("plain", b"tEXtparameters"), ("苹果", b"iTXtparameters")])
def test_the_webui_habit_of_choosing_the_chunk_is_kept(tmp_path: Path, prompt: str, chunk: bytes) -> None:
    save_picture(IMAGE, tmp_path / "a.png", {}, Recipe(prompt=prompt))
    assert chunk in (tmp_path / "a.png").read_bytes()


def test_the_infotext_can_be_given_more_pairs(tmp_path: Path) -> None:
    save_picture(IMAGE, tmp_path / "a.png", {}, APPLE.vary(model="auto"), infotext={"Model": "vitrine"})
    assert "Model: vitrine" in opened(tmp_path / "a.png").text["parameters"]


# -- export -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["copy.png", "copy.jpg", "copy.JPEG", "copy.webp"])
@pytest.mark.parametrize("composite", [False, True])
def test_exports_keep_the_mark_the_text_and_the_picture(tmp_path: Path, name: str, composite: bool) -> None:
    save_picture(IMAGE, tmp_path / "a.png", RECORD, PHOTO, composite=composite)
    copy = export_picture(tmp_path / "a.png", tmp_path / name)
    image = opened(copy)
    assert digital_source_type(image) == (COMPOSITE if composite else GENERATED)
    assert image.size == IMAGE.size
    read = read_recipe(copy).recipe
    assert (read.prompt, read.negative_prompt, read.seed) == (PHOTO.prompt, PHOTO.negative_prompt, PHOTO.seed)
    if copy.suffix == ".png":
        assert pixels_sha256(image) == pixels_sha256(IMAGE)
        assert read_record(copy)["timings"] == RECORD["timings"]
    else:
        assert user_comment(image) == opened(tmp_path / "a.png").text["parameters"]
        again = export_picture(copy, tmp_path / "again.webp")  # and an export of an export
        assert digital_source_type(opened(again)) == digital_source_type(image)


@pytest.mark.parametrize("source", ["/home/alice/photos/apple.jpg", "C:\\Users\\alice\\apple.jpg", "alice/apple.jpg"])
def test_exports_do_not_tell_where_the_photo_lies(tmp_path: Path, source: str) -> None:
    record = {"source": {"path": source, "pixels_sha256": "0" * 64}}
    save_picture(IMAGE, tmp_path / "a.png", record, PHOTO.vary(source=source), composite=True)
    for name in ("copy.png", "copy.jpg", "copy.webp"):
        copy = export_picture(tmp_path / "a.png", tmp_path / name)
        assert b"alice" not in copy.read_bytes() and b"a\0l\0i\0c\0e" not in copy.read_bytes()
    assert read_recipe(tmp_path / "copy.png", trusted=True).recipe.source == "apple.jpg"


@pytest.mark.parametrize("prompt", ["a pen, Model: A/B test, studio", "a \ufffd pen", "\ufeffa pen", "\ufffd" * 300])
def test_an_exported_text_keeps_its_prompt(tmp_path: Path, prompt: str) -> None:
    recipe = APPLE.vary(prompt=prompt, negative_prompt="Model: C/D test, dark")
    save_picture(IMAGE, tmp_path / "a.png", {}, recipe, infotext={"Model": "vitrine"})
    for name in ("copy.png", "copy.jpg"):
        image = opened(export_picture(tmp_path / "a.png", tmp_path / name))
        text = image.info.get("parameters") or user_comment(image)
        assert text.removeprefix("\ufeff").startswith(f"{recipe.prompt.removeprefix(chr(0xFEFF))}\nNegative prompt: {recipe.negative_prompt}\nSteps: ")


def test_a_copy_that_lost_something_is_named_by_what_it_lost(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tp2lib.storage.pictures.exif_with_user_comment", lambda text: b"")
    with pytest.raises(OutputError, match="did not keep its settings. Export it as PNG"):
        export_picture(picture, picture.with_name("copy.jpg"))


@pytest.mark.parametrize("where", [f"/home/alice/{'alice/' * 50}sd", "/home/alice/sd", "C:\\Users\\alice\\sd", "~/alice/x/sd", "/home/alice/a: b, c/sd"])
def test_exports_do_not_tell_where_model_and_mask_lie(tmp_path: Path, where: str) -> None:
    record = {"source": {"path": f"{where}.png", "pixels_sha256": "0" * 64}, "effective": {"model": where, "vae": where, "mode": "inpaint"}}
    recipe = PHOTO.vary(model=where, mask=f"{where}.png", source=f"{where}.png", strength=1.0)
    save_picture(IMAGE, tmp_path / "a.png", record, recipe, composite=True, infotext={"Model": where, "Note": "a/b", "Link": "https://c.d/e"})
    for name in ("copy.png", "copy.jpg", "copy.webp"):
        copy = export_picture(tmp_path / "a.png", tmp_path / name)
        assert b"alice" not in copy.read_bytes() and b"a\0l\0i\0c\0e" not in copy.read_bytes()
        image = opened(copy)
        text = image.info.get("parameters") or user_comment(image)
        assert from_infotext(text).ignored["model"] == "sd" and 'Note: a/b, Link: "https://c.d/e", Version: tp2lib' in text
    kept = read_record(tmp_path / "copy.png")
    assert kept["effective"] == {"model": "sd", "vae": "sd", "mode": "inpaint"} and kept["recipe"]["mask"] == "sd.png"
    assert read_record(tmp_path / "a.png")["effective"]["model"] == where  # the original is needed here as it is


@pytest.mark.parametrize("name", ["vitrine", "sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5"])
def test_exports_keep_the_names_that_others_have_too(tmp_path: Path, name: str) -> None:
    save_picture(IMAGE, tmp_path / "a.png", {"effective": {"model": name}}, APPLE.vary(model=name), infotext={"Model": name})
    copy = export_picture(tmp_path / "a.png", tmp_path / "copy.png")
    assert read_record(copy) == read_record(tmp_path / "a.png") and opened(copy).text == opened(tmp_path / "a.png").text


def test_what_bears_no_mark_is_not_exported(tmp_path: Path) -> None:
    IMAGE.save(tmp_path / "bare.png")
    with pytest.raises(RecordError, match="DigitalSourceType None"):
        export_picture(tmp_path / "bare.png", tmp_path / "copy.jpg")
    assert not (tmp_path / "copy.jpg").exists()


@pytest.mark.parametrize(("to", "options", "words"), [
    ("a.gif", {}, ".png, .jpg"), ("a", {}, "must end in one of"), ("a.jpgg", {}, "Did you mean '.jpg'"),
    ("a.jpg", {"quality": 0}, "1 to 100"), ("a.jpg", {"quality": "95"}, "quality is '95'"),
])  # fmt: skip
def test_bad_exports_are_refused(picture: Path, to: str, options: dict, words: str) -> None:
    with pytest.raises(OutputError) as caught:
        export_picture(picture, picture.parent / to, **options)
    assert words in str(caught.value)


# -- what a stranger wrote --------------------------------------------------------------------------


def test_no_model_and_no_path_is_taken_from_a_strangers_file(tmp_path: Path) -> None:
    evil = PHOTO.vary(model="evil/pickles", source="/etc/passwd")
    path = forged_record(tmp_path, recipe=evil.to_dict(), source={"pixels_sha256": "ab" * 32, "path": "/etc/passwd"})
    recipe = read_recipe(path).recipe
    assert recipe == evil.vary(model="auto", source="sha256:" + "ab" * 32)
    assert read_recipe(path, trusted=True).recipe == evil
    for source in ({"pixels_sha256": "../../x"}, {"pixels_sha256": 5}, "x", None, []):
        recipe = read_recipe(forged_record(tmp_path, recipe=evil.to_dict(), source=source)).recipe
        assert recipe.source == "sha256:unknown"


@pytest.mark.parametrize(("changes", "words"), [
    ({"tp2": 2}, "version is 2"), ({"tp2": "1"}, "version is '1'"), ({"tp2": True}, "version is True"),
    ({"tp2": None}, "version"), ({"recipe": None}, "recipe"), ({"recipe": {"prompt": "x", "steps": 1e9}}, "steps"),
    ({"recipe": {"prompt": "x", "eval": "1"}}, "no setting 'eval'"), ({"pixels_sha256": "zz"}, "64 hex"),
    ({"pixels_sha256": None}, "64 hex"), ({"x": float("nan")}, "NaN"), ({"x": [float("inf")]}, "Infinity"),
])  # fmt: skip
def test_malformed_records_are_refused(tmp_path: Path, changes: dict, words: str) -> None:
    for read in (read_record, read_recipe):
        with pytest.raises(RecordError) as caught:
            read(forged_record(tmp_path, **changes))
        assert words in str(caught.value)


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "NaN", '{"tp2": NaN}', '{"tp2": Infinity}', "[" * 100_000, '{"a":' * 50_000,
    '{"tp2": ' + "9" * 10_000 + "}", "__import__('os').system('true')", '"' + "x" * (MAX_RECORD + 1) + '"',
], ids=lambda text: text[:12])  # fmt: skip
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecordError):
        read_record(forged(tmp_path, tp2=text))


def test_a_number_that_is_infinite_once_read_is_refused() -> None:
    with pytest.raises(RecordError, match="1e999 is too large"):
        load_json('{"seconds": 1e999}')


def test_pictures_without_a_recipe_say_so(tmp_path: Path) -> None:
    IMAGE.save(tmp_path / "bare.png")
    with pytest.raises(RecordError, match="no tp2 record"):
        read_record(tmp_path / "bare.png")
    with pytest.raises(RecordError, match="no recipe"):
        read_recipe(tmp_path / "bare.png")
    with pytest.raises(RecordError, match="Did you mean 'bare.png'"):
        read_record(tmp_path / "bear.png")
    assert read_recipe(forged(tmp_path, parameters="a pear\nSteps: 9, Sampler: DDIM, Seed: 3")).recipe.steps == 9


def test_altered_pixels_are_noticed(picture: Path) -> None:
    image = opened(picture)
    image.putpixel((0, 0), (image.getpixel((0, 0))[0] ^ 1, 0, 0))
    picture.write_bytes(png(image, **image.text))
    with pytest.raises(RecordError, match="altered"):
        read_record(picture)
    assert read_record(picture, intact=False)["timings"] == RECORD["timings"]


def test_a_picture_cut_off_anywhere_is_not_read_although_pillow_opens_it(picture: Path) -> None:
    data = picture.read_bytes()
    opens = 0
    for length in range(0, len(data), 61):
        picture.write_bytes(data[:length])
        try:
            opens += opened(picture).info.get("tp2") is not None
        except OSError:
            pass
        with pytest.raises(RecordError):
            read_record(picture)
    assert opens > 10  # the trap is there: metadata complete, picture not


def test_uploaded_bytes_are_read_like_files(picture: Path) -> None:
    assert read_record(picture.read_bytes()) == read_record(picture)
    assert read_recipe(picture.read_bytes()).recipe == read_recipe(picture).recipe


# -- what cannot be written -------------------------------------------------------------------------


@pytest.mark.parametrize("record", [
    {"x": float("nan")}, {"x": float("inf")}, {"x": object()}, {"x": {1, 2}}, {("a", "b"): 1}, {"x": b"bytes"},
    {"x": "y" * (MAX_RECORD + 1)}, {"x": 10**5000}, [], None, "text", {"pixels_sha256": "0" * 64}, {"recipe": {}},
    {"tp2": 9},
], ids=str.__class__)  # fmt: skip
def test_records_that_cannot_be_kept_are_refused_before_anything_is_written(tmp_path: Path, record: object) -> None:
    with pytest.raises(RecordError):
        save_picture(IMAGE, tmp_path / "new" / "a.png", record, APPLE)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("image", [noise_image(mode="RGBA"), noise_image(mode="L"), None, "a.png"], ids=str.__class__)
def test_only_rgb_images_are_written(tmp_path: Path, image: object) -> None:
    with pytest.raises(OutputError, match="RGB"):
        save_picture(image, tmp_path / "a.png", {}, APPLE)


def test_a_path_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="free space"):
        save_picture(IMAGE, tmp_path / "file" / "a.png", {}, APPLE)
    with pytest.raises(OutputError, match=r"\.png"):
        save_picture(IMAGE, tmp_path / "a.jpg", {}, APPLE)
    with pytest.raises(OutputError):
        write_atomically("a\0b", lambda file: None)


# -- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["write", "fsync", "check", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), TP2Error("ours")])
def test_a_failure_at_any_step_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    if step in ("fsync", "replace"):
        monkeypatch.setattr(files.os, step, fail)
    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        write_atomically(path, fail if step == "write" else lambda file: file.write(b"new"), fail if step == "check" else None)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.txt"]


def test_the_check_sees_the_new_file_and_readers_still_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    seen = []
    write_atomically(path, lambda f: f.write(b"new"), lambda tmp: seen.append((tmp.read_bytes(), path.read_bytes())))
    assert seen == [(b"new", b"old")] and path.read_bytes() == b"new"


def test_a_json_file_comes_back_and_a_damaged_one_counts_as_empty(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"prompt": "une tasse à café"})
    assert read_json(path) == {"prompt": "une tasse à café"} and read_json(tmp_path / "none.json") == {}
    for damage in (b"", b"[1]", b"{", b"\xff\xfe", b" " * 600_000):
        path.write_bytes(damage)
        assert read_json(path) == {}
    write_json(path, {"prompt": "un bol"})  # does not lose what may be mended by hand
    assert read_json(path) == {"prompt": "un bol"} and (tmp_path / "a.json.damaged").read_bytes() == damage
    write_json(path, {"prompt": "un sac"})
    assert (tmp_path / "a.json.damaged").read_bytes() == damage and len(os.listdir(tmp_path)) == 2


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="needs os.pwrite to spoil the file")
def test_a_disk_that_loses_bits_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def rot(descriptor: int) -> None:
        os.pwrite(descriptor, b"\xff", os.fstat(descriptor).st_size - 40)
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", rot)
    with pytest.raises(TP2Error):
        save_picture(IMAGE, tmp_path / "a.png", RECORD, APPLE)
    with pytest.raises(OutputError):
        write_json(tmp_path / "a.json", RECORD)
    assert os.listdir(tmp_path) == []
