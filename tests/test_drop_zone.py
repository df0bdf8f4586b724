"""tp2lib.widgets.drop_zone: where the source comes from, what was done to it, and what is refused."""

from __future__ import annotations

import struct
import threading
import zlib

import foreign_files
import pytest
from PIL import Image
from plotted import fake_run, picture
from strategies import encoded
from studio_parts import MARKUP, studio

from tp2lib.errors import SourceError
from tp2lib.metadata.source import prepare_source
from tp2lib.widgets.drop_zone import PhotoPicker


def bomb(side: int = 14_200) -> bytes:
    """A PNG of 200 megapixels in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(b"\0" * (side // 8 + 2)) for _ in range(side)) + packed.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def tool(tmp_path):
    return studio(tmp_path)[0]


def test_a_photo_of_the_folder_is_shown_as_prepared_with_what_was_done(tool) -> None:
    photo = tool.image.photo
    assert photo.offered() == ["mug.png", "product.jpg"]
    source = photo.prepare(64, 64)
    assert source.image.size == (64, 64) and photo.name_of(source) == "inputs/product.jpg"
    for act in source.chain:
        assert act in photo.view.value
    assert "read JPEG RGB 96x96" in photo.view.value and source.pixels_sha256[:12] in photo.view.value
    photo.choice.value = "mug.png"  # as a hand does
    assert photo.name_of(photo.prepare(64, 64)) == "inputs/mug.png" and "read PNG RGB 80x80" in photo.view.value


def test_an_upload_is_known_by_its_pixels(tool) -> None:
    photo = tool.image.photo
    cutout = Image.new("RGBA", (40, 80), (200, 0, 0, 0))
    photo.drop.take(encoded(cutout), f"{MARKUP}.png")
    source = photo.prepare(64, 64)
    assert photo.name_of(source) == f"sha256:{source.pixels_sha256}" and photo.choice.value == ""
    assert "transparency flattened on #ffffff" in photo.view.value and "<script" not in photo.view.value
    assert source.pixels_sha256 == prepare_source(encoded(cutout), 64, 64).pixels_sha256
    run = tool.image.run(timeout=10)
    assert tool.ledger.find_source(run.recipe.source) is not None  # so that it can be replayed


def test_a_dropped_picture_with_settings_says_which_were_found_assumed_and_ignored(tool) -> None:
    photo = tool.image.photo
    before = tool.image.recipe()
    photo.drop.take(foreign_files.png(parameters=foreign_files.A1111), "shared.png")
    said = photo.drop.said
    assert "shared.png" in said and "taken" in said and "drop it in the gallery" in said
    assert "Settings written by A1111" in said and "steps 25" in said and "seed 7" in said
    assert "Assumed, because the file does not say it" in said and "model 'auto'" in said and "Ignored:" in said and "deliberate" in said
    assert tool.image.recipe().vary(source=before.source) == before  # the sliders stay where they are
    photo.drop.take(encoded(picture()), "plain.png")
    assert photo.drop.said.endswith("taken.")


def test_a_photo_fitted_otherwise_is_known_by_its_pixels_too(tool) -> None:
    photo = tool.image.photo
    photo.way.value = "pad"
    source = photo.prepare(128, 64)
    assert "padded" in photo.view.value and photo.name_of(source).startswith("sha256:")
    run = tool.image.run(timeout=10)
    made = run.source
    photo.choose("mug.png")
    tool.recall(run.recipe)  # from the copy that the ledger keeps
    assert photo.prepare(64, 64).described() == made and made["bytes_sha256"] and "inputs" not in made["path"]


def test_the_size_of_the_picture_is_that_of_the_photo(tool) -> None:
    tool.image.controls["width"].value = 128
    assert "scaled to 128x64" in tool.image.photo.view.value
    assert tool.image.run(timeout=10).image.size == (128, 64)


def test_no_other_thread_takes_a_photo_or_size_while_one_asks_for_both(tool) -> None:
    photo, free = tool.image.photo, []

    def look(change) -> None:
        other = threading.Thread(target=lambda: free.append(photo.turn.acquire(blocking=False)))
        other.start()
        other.join()

    photo.view.observe(look, "value")
    photo.prepare(72, 64)
    photo.choose("mug.png")
    tool.image._with_photo(tool.image.settings.recipe().vary(width=128, height=64))
    assert free == [False] * 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bomb(), "more than 89478485 pixels"), (b"", "not a whole"), (b"GIF89a" + b"\0" * 50, "not a whole"),
        (encoded(picture())[:300], "not a whole"), (b"<svg onload=alert(1)>", "not a whole"),
    ],
)  # fmt: skip
def test_hostile_uploads_are_refused_and_the_old_photo_stays(tool, data, words) -> None:
    photo = tool.image.photo
    before = photo.prepare(64, 64).pixels_sha256
    photo.drop.take(data, "x.png")
    assert photo.drop.said.startswith("✗ ") and words in photo.drop.said
    assert photo.prepare(64, 64).pixels_sha256 == before


def test_no_name_leads_out_of_the_folder(tool, tmp_path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(picture()))
    for name in ("../secret.png", str(tmp_path / "secret.png"), "notes.txt", "", "product.jpg/../../secret.png"):
        with pytest.raises(SourceError, match="has no photo"):
            tool.image.photo.choose(name)
    with pytest.raises(SourceError):
        tool.image.photo.recall("../../secret.png")
    with pytest.raises(SourceError, match="not kept here"):
        tool.image.photo.recall("sha256:" + "0" * 64)


def test_the_folder_may_change_while_the_tool_is_open(tool) -> None:
    photo = tool.image.photo
    picture(4, side=64).save(photo.inputs / "new.png")
    photo.choose("new.png")
    assert photo.choice.value == "new.png" and photo.prepare(64, 64).chain
    (photo.inputs / "mug.png").unlink()
    photo.choice.value = "mug.png"
    assert "has no photo" in photo.view.value and "mug.png" in photo.view.value
    with pytest.raises(SourceError, match="no photo is chosen"):
        photo.prepare(64, 64)  # and not the one before


def test_without_photos_it_asks_for_one(tmp_path) -> None:
    photo = PhotoPicker(tmp_path / "none")
    with pytest.raises(SourceError, match="no photo is chosen"):
        photo.prepare(64, 64)
    with pytest.raises(SourceError, match="no picture to start from"):
        photo.use(fake_run(outcome="nan"))
