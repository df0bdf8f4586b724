"""tp2lib.metadata.source and tp2lib.metadata.pixels: photos as shops have them, and as attackers send them."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from foreign_files import png
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw, ImageFile
from PIL.PngImagePlugin import PngInfo
from strategies import encoded, noise_image

from tp2lib.engine.inpainting import cut_out
from tp2lib.errors import SourceError
from tp2lib.metadata.pixels import MAX_PIXELS, open_image, pixels_sha256
from tp2lib.metadata.record import COMPOSITE, GENERATED
from tp2lib.metadata.source import RESIZE_MODES, Source, prepare_source, reopen_source
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import save_picture


def refusal(*arguments: object, **options: object) -> str:
    with pytest.raises(SourceError) as caught:
        prepare_source(*arguments, **options)
    return str(caught.value)


def taken(files: Iterable[bytes]) -> list[int]:
    """Which of these files pass for a photo."""
    passed = []
    for number, data in enumerate(files):
        try:
            prepare_source(data, 16, 16)
            passed.append(number)
        except SourceError:
            pass
    return passed


def colours(source: Source) -> np.ndarray:
    return np.asarray(source.image).reshape(-1, 3)


# -- every mode becomes RGB: diffusers takes RGBA and CMYK for latents --------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "L", "LA", "P", "PA", "1", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb_and_keeps_its_colour(mode: str) -> None:
    red = Image.new("RGB", (16, 16), (254, 0, 0))
    image = red.convert(mode)
    source = prepare_source(image, 16, 16)
    assert source.image.mode == "RGB" and source.image.size == (16, 16)
    expected = image.convert("RGBA").convert("RGB") if mode == "PA" else image.convert("RGB")
    assert np.abs(colours(source).astype(int) - np.asarray(expected).reshape(-1, 3)).max() <= 1
    assert any(f"{mode} " in act for act in source.chain)


def test_sixteen_bits_become_eight_with_both_ends_kept() -> None:
    levels = np.array([0, 128, 129, 257, 32768, 40000, 65407, 65535] * 8, dtype=np.uint16).reshape(8, 8)
    source = prepare_source(encoded(Image.fromarray(levels)), 8, 8)
    # v / 257 rounded to nearest, which maps 65535 to 255; Pillow's own conversion clips to white
    assert np.asarray(source.image)[0, :, 0].tolist() == [round(v / 257) for v in levels[0].tolist()]
    assert "I;16 to RGB" in source.chain


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_modes_without_a_known_range_are_refused_or_converted_never_passed_on(mode: str) -> None:
    image = Image.new(mode, (16, 16))
    if mode == "LAB":
        assert prepare_source(image, 16, 16).image.mode == "RGB"
    else:
        assert f"mode {mode}" in refusal(image, 16, 16)


@pytest.mark.parametrize("background", ["#ffffff", "#FF8000"])
def test_transparency_shows_the_chosen_background_and_says_so(background: str) -> None:
    cut_out = Image.new("RGBA", (16, 16), (10, 20, 30, 0))  # black-ish under full transparency
    cut_out.paste((255, 0, 0, 255), (4, 4, 12, 12))
    source = prepare_source(encoded(cut_out), 16, 16, background=background)
    pixels = np.asarray(source.image)
    assert pixels[0, 0].tolist() == list(bytes.fromhex(background[1:])) and pixels[8, 8].tolist() == [255, 0, 0]
    assert f"transparency flattened on {background.lower()}" in source.chain


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_key_colour_counts_as_transparency(mode: str) -> None:
    image = Image.new("RGB", (16, 16), (0, 0, 0)).convert(mode)
    data = encoded(image, transparency=(0, 0, 0) if mode == "RGB" else image.getpixel((0, 0)))
    assert colours(prepare_source(data, 16, 16)).min() == 255


def test_opaque_alpha_is_not_said_to_be_flattened() -> None:
    chain = prepare_source(noise_image(16, 16).convert("RGBA"), 16, 16).chain
    assert not any("flattened" in act for act in chain) and "RGBA to RGB" in chain


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    # the upper left of the upright picture is red; each orientation stores it elsewhere
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    upright = Image.new("RGB", (32, 16), "white")
    upright.paste((255, 0, 0), (0, 0, 16, 8))
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = prepare_source(encoded(stored, "PNG", exif=exif), 32, 16)
    assert source.image.tobytes() == upright.tobytes()
    assert any("upright" in act for act in source.chain) == (orientation > 1)


def test_an_embedded_profile_is_converted_to_srgb() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = prepare_source(encoded(noise_image(16, 16), icc_profile=srgb), 16, 16)
    assert same.image.tobytes() == noise_image(16, 16).tobytes()
    # sRGB with its red and blue primaries swapped: a value of full red now means full blue
    swapped = srgb.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ").replace(b"tmp!", b"bXYZ")
    assert len(swapped) == len(srgb) and swapped != srgb
    for mode, name in itertools.product(("RGB", "RGBA"), ("sBGR", "sRGB")):  # a name that claims sRGB does not make it so
        red = Image.new("RGB", (16, 16), (255, 0, 0)).convert(mode)
        source = prepare_source(encoded(red, icc_profile=swapped.replace("sRGB".encode("utf-16-be"), name.encode("utf-16-be"))), 16, 16)
        assert np.abs(colours(source).astype(int) - [0, 0, 255]).max() <= 2
        assert any(f"from '{name}" in act and "to sRGB" in act for act in source.chain)
    broken = prepare_source(encoded(noise_image(16, 16), icc_profile=b"not a profile"), 16, 16)
    assert broken.image.tobytes() == noise_image(16, 16).tobytes()
    assert any("profile ignored" in act for act in broken.chain)


# -- size -------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 24), st.integers(1, 24),
       st.sampled_from(RESIZE_MODES))  # fmt: skip
def test_sizes_are_what_was_asked_for(w: int, h: int, cols: int, rows: int, resize: str) -> None:
    width, height = 8 * cols, 8 * rows
    try:
        source = prepare_source(noise_image(w, h), width, height, resize)
    except SourceError as error:
        assert resize == "fit" and "too thin" in str(error)
        scale = min(width / w, height / h)
        assert min(w * scale, h * scale) < 9
        return
    if resize == "fit":
        assert all(0 < side <= most and side % 8 == 0
                   for side, most in zip(source.image.size, (width, height), strict=True))  # fmt: skip
    else:
        assert source.image.size == (width, height)
    assert source.pixels_sha256 == pixels_sha256(source.image)


@pytest.mark.parametrize("resize", RESIZE_MODES)
@pytest.mark.parametrize("size", [(100, 50), (50, 100), (300, 200), (37, 91)])
def test_circles_stay_circles(resize: str, size: tuple[int, int]) -> None:
    big = Image.new("RGB", (size[0] * 8, size[1] * 8), "white")
    radius = min(big.size) * 3 // 8
    x, y = big.width // 2, big.height // 2
    ImageDraw.Draw(big).ellipse((x - radius, y - radius, x + radius, y + radius), fill="black")
    dark = np.asarray(prepare_source(big, 64, 64, resize).image)[..., 0] < 128
    wide, tall = np.ptp(np.nonzero(dark.any(0))[0]) + 1, np.ptp(np.nonzero(dark.any(1))[0]) + 1
    assert abs(int(wide) - int(tall)) <= 1 and wide >= 12


def test_crop_takes_the_middle_and_pad_shows_everything() -> None:
    striped = Image.new("RGB", (96, 32), "red")
    striped.paste((0, 0, 255), (32, 0, 64, 32))
    crop = prepare_source(striped, 32, 32, "crop")
    assert (colours(crop) == [0, 0, 255]).all() and "cut to the middle 33.3 %" in crop.chain
    pad = np.asarray(prepare_source(striped, 96, 96, "pad", background="#00ff00").image)
    assert pad[0, 0].tolist() == [0, 255, 0] == pad[95, 95].tolist()
    assert (pad[32:64] == np.asarray(striped)).all()


def test_a_photo_of_the_right_size_is_not_touched() -> None:
    image = noise_image(64, 48)
    for resize in RESIZE_MODES:
        assert prepare_source(image, 64, 48, resize).image.tobytes() == image.tobytes()


def test_the_record_names_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(noise_image(16, 16)))
    source = prepare_source(path, 16, 16)
    assert source.bytes_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.path == str(path) and source.chain[0] == "read PNG RGB 16x16"
    assert "image" not in repr(source)
    assert prepare_source(noise_image(16, 16), 16, 16).bytes_sha256 is None
    assert prepare_source(path.read_bytes(), 16, 16).path is None
    assert prepare_source(str(path), 16, 16) == prepare_source(str(path), 16, 16)


@pytest.mark.parametrize("kind", [GENERATED, COMPOSITE, None])
def test_a_picture_that_a_model_made_is_known_by_its_mark(kind: str | None, tmp_path: Path) -> None:
    save_picture(noise_image(16, 16), tmp_path / "made.png", {}, Recipe(prompt="a red apple"), composite=kind == COMPOSITE)
    given = tmp_path / "made.png" if kind else encoded(noise_image(16, 16))
    data = given.read_bytes() if kind else given
    sources = [*(prepare_source(one, 16, 16) for one in (given, data, Image.open(io.BytesIO(data)))), cut_out(given, np.eye(16, dtype=bool))]
    for source in sources:
        assert source.digital_source_type == source.described()["digital_source_type"] == kind
        assert any("a model made it" in act for act in source.chain) == bool(kind)
        assert reopen_source(Ledger(tmp_path).keep_source(source)).digital_source_type == kind


@pytest.mark.parametrize("path", ["inputs/product.jpg", "/home/alice/tp2/product.jpg", "C:\\Users\\alice\\product.jpg", "\\\\share\\alice\\product.jpg", None])
def test_a_record_tells_no_folder_of_this_machine(path: str | None) -> None:
    told = replace(prepare_source(noise_image(16, 16), 16, 16), path=path).described()["path"]
    assert told == (path if path in (None, "inputs/product.jpg") else "product.jpg")


# -- kept -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_a_kept_photo_is_opened_again_with_where_it_is_from(masked: bool, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(encoded(noise_image(40, 30), "JPEG"))
    path = tmp_path / "photo.jpg"
    source = cut_out(path, np.arange(1200).reshape(30, 40) < 600) if masked else prepare_source(path, 16, 16)
    if source.mask:
        source = source.with_mask(replace(source.mask, confidence=0.5))
    kept = Ledger(tmp_path).keep_source(source)
    again = reopen_source(kept)
    assert again.described() == source.described() and again.pixels_sha256 == source.pixels_sha256 and again.bytes_sha256 is not None
    assert str(tmp_path).encode() not in kept.read_bytes()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "no JSON", *(json.dumps({"path": "a", "bytes_sha256": None, "chain": ["read"]} | odd) for odd in (
        {"path": 7}, {"bytes_sha256": "x"}, {"chain": [7]}, {"chain": None}, {"chain": ["x" * 10_000]}, {"mask": []}, {"mask_confidence": "1"}, {"mask_confidence": 2},
    ))],
)  # fmt: skip
def test_what_a_kept_photo_cannot_say_counts_as_nothing(text: str, tmp_path: Path) -> None:
    for mode in ("RGB", "RGBA"):
        (tmp_path / "kept.png").write_bytes(png(noise_image(16, 16, mode), **{"tp2 source": text}))
        source = reopen_source(tmp_path / "kept.png")
        assert source.path == str(tmp_path / "kept.png") and source.chain[0].startswith("read ") and len(source.chain[0]) < 60
        assert source.mask is None or (source.mask.origin, source.mask.confidence) == ("kept with the photo", None)


def test_pixel_hashes_tell_shape_and_mode_apart() -> None:
    zeros = [Image.new("RGB", (8, 2)), Image.new("RGB", (2, 8)), Image.new("L", (48, 1)), Image.new("RGB", (4, 4))]
    assert len({pixels_sha256(image) for image in zeros}) == 4
    assert pixels_sha256(noise_image(seed=1)) != pixels_sha256(noise_image(seed=2))


# -- refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), [
    ("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("WEBP", {"lossless": True}),
])  # fmt: skip
def test_a_file_cut_off_anywhere_is_refused(kind: str, options: dict) -> None:
    data = encoded(noise_image(24, 16), kind, **options)
    assert prepare_source(data, 16, 16).image.size == (16, 16)
    assert taken(data[:length] for length in range(len(data))) == []


def test_a_png_with_any_byte_changed_is_refused() -> None:
    chunks = PngInfo()
    chunks.add_text("before", "x" * 20)
    chunks.add(b"teXt", b"after\0" + b"y" * 20, after_idat=True)  # which load() alone would not look at
    data = encoded(noise_image(24, 16), pnginfo=chunks)
    assert taken(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :] for at in range(len(data))) == []


@pytest.mark.parametrize("tail", [b"\0" * 9, b"\xff\xda tail of a motion photo", b"\xff\xd8\xff\xd9"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_what_follows_a_whole_picture_does_not_matter(kind: str, tail: bytes) -> None:
    data = encoded(noise_image(24, 16), kind)
    assert prepare_source(data + tail, 16, 16).pixels_sha256 == prepare_source(data, 16, 16).pixels_sha256


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_photo() -> None:
    data = encoded(noise_image(24, 16), "JPEG")
    comment = b"\xff\xfe" + struct.pack(">H", 8) + b"\xff\xda\xff\xd9ab"
    whole = data[:2] + comment + data[2:]
    assert prepare_source(whole, 16, 16).image.size == (16, 16)
    assert "the end is missing" in refusal(whole[:-2], 16, 16)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO", "PDF"])
def test_other_formats_are_refused_whatever_their_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(noise_image(16, 16), kind))
    assert "PNG, JPEG or WebP" in refusal(path, 16, 16)


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    pixels = b"IDAT" + zlib.compress(b"")
    end = b"IEND"
    for chunk in (pixels, end):
        body += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return body


@pytest.mark.parametrize("size", [(30_000, 3_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS + 1, 1)])
@pytest.mark.filterwarnings("ignore")  # Pillow warns first, which only the test run turns into an error
def test_bombs_are_refused_by_their_header(size: tuple[int, int]) -> None:
    assert "pixels" in refusal(png_header(*size), 16, 16)


def test_bombs_are_refused_even_if_somebody_switched_pillows_guard_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert "at most" in refusal(png_header(20_000, 20_000), 16, 16)


def test_a_photo_in_memory_is_held_to_the_same_size() -> None:
    class Huge(Image.Image):
        size = (20_000, 20_000)
        width = height = 20_000

    assert "at most" in refusal(Huge(), 16, 16)


def test_the_global_that_lets_damage_pass_is_not_tolerated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert "Set it to False" in refusal(encoded(noise_image(16, 16)), 16, 16)


def test_missing_files_get_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "product.jpg").write_bytes(encoded(noise_image(16, 16), "JPEG"))
    assert "Did you mean 'product.jpg'?" in refusal(tmp_path / "prodcut.jpg", 16, 16)
    assert "current folder" in refusal("no/such/walrus", 16, 16)
    assert "download the photo first" in refusal("https://example.org/a.png", 16, 16)
    assert "by its pixels" in refusal("sha256:" + "0" * 64, 16, 16)


@pytest.mark.parametrize("path", [None, 5, 1.5, [], "", "a\0b", "x" * 5000, object()])
def test_what_is_no_path_is_refused(path: object) -> None:
    assert refusal(path, 16, 16)


def test_folders_pipes_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    assert "not a file" in refusal(tmp_path, 16, 16)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        assert "not a file" in refusal(tmp_path / "pipe.png", 16, 16)
    if os.path.exists("/dev/zero"):
        assert "not a file" in refusal("/dev/zero", 16, 16)


@pytest.mark.parametrize(("options", "words"), [
    ({"width": 100}, "multiple of 8"), ({"width": 0}, "from 8 to 8192"), ({"height": 8200}, "from 8 to 8192"),
    ({"width": 64.0}, "width is 64.0"), ({"height": True}, "height is True"),
    ({"resize": "croop"}, "Did you mean 'crop'"), ({"resize": None}, "crop, fit, pad"),
    ({"background": "white"}, "#ffffff"), ({"background": "#fff"}, "#ffffff"), ({"background": None}, "#ffffff"),
])  # fmt: skip
def test_bad_targets_are_refused(options: dict, words: str) -> None:
    assert words in refusal(noise_image(16, 16), **{"width": 64, "height": 64, **options})


def test_hostile_metadata_ends_in_an_error_of_ours_or_in_a_picture() -> None:
    for key in ("transparency", "icc_profile", "exif", "dpi", "gamma", "xmp"):  # text posing as Pillow's own entries
        for mode in ("RGB", "L", "P"):
            try:
                assert prepare_source(png(noise_image(16, 16, mode), **{key: "hostile"}), 16, 16).image.mode == "RGB"
            except SourceError as error:
                assert "the photo" in str(error)
    with pytest.raises(SourceError):  # a text chunk that unpacks to 64 MB
        bomb = PngInfo()
        bomb.add_text("x", "y" * 64_000_000, zip=True)
        open_image(encoded(noise_image(16, 16), pnginfo=bomb))
