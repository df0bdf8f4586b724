"""The mask editor and the mode of new backgrounds: found, corrected, kept, and recalled."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from strategies import encoded
from studio_parts import studio

from tp2lib.engine.inpainting import cut_out
from tp2lib.errors import SourceError
from tp2lib.metadata.mask import Mask
from tp2lib.models.loading import load
from tp2lib.paths import INPUTS
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.widgets.mask_editor import MaskEditor, ProductPicker
from tp2lib.widgets.studio import TABS, Studio


@pytest.fixture
def picker(tmp_path):
    return ProductPicker(INPUTS, ledger=Ledger(tmp_path))


def drawn(editor, box):
    """The mask as the browser sends it, with a box added."""
    seen = editor._seen.copy()
    seen[box[1] : box[3], box[0] : box[2]] = True
    editor._received(editor, {"kind": "mask"}, [seen.astype(np.uint8).tobytes()])


def test_the_found_mask_is_shown_with_how_sure_it_is_and_corrected(picker):
    source = picker.prepare(0, 0)
    assert picker.editor.photo.startswith(b"\x89PNG") and "found by the cut-out network, confidence 0.9" in picker.editor.said
    assert picker.name_of(source) == "inputs/product.jpg"
    drawn(picker.editor, (0, 0, 20, 10))
    changed = picker.prepare(0, 0)
    assert changed.mask.kept[:10, :20].all() and np.array_equal(changed.mask.kept[10:], source.mask.kept[10:])
    with Image.open(io.BytesIO(picker.editor.drawn)) as seen:  # what a view that is opened now shows
        assert np.array_equal(np.asarray(seen.getchannel("A")) > 0, picker.editor._seen)
    assert "corrected by hand" in picker.editor.said and picker.name_of(changed) == f"sha256:{changed.pixels_sha256}" != f"sha256:{source.pixels_sha256}"
    picker.editor._received(picker.editor, {"kind": "reset"}, [])
    assert picker.prepare(0, 0).pixels_sha256 == source.pixels_sha256 and picker.editor.drawn == b""


def test_a_large_photo_keeps_its_size_and_the_edge_that_was_found(picker):
    image = Image.open(INPUTS / "mug.jpg").resize((1500, 1500))
    mask = Mask(kept=np.hypot(*np.mgrid[-750:750, -750:750]) < 400, origin="a test")
    editor = MaskEditor(lambda: None)
    editor.show_photo(image, mask)
    drawn(editor, (0, 0, 8, 8))
    assert editor.kept.size == (1500, 1500) and np.array_equal(editor.kept.kept[30:], mask.kept[30:]) and editor.kept.kept[:20, :20].all()


@pytest.mark.parametrize("message", [({"kind": "mask"}, [b"123"]), ({"kind": "mask"}, []), ("mask", [b""]), ({}, [])])
def test_what_is_no_mask_changes_nothing(picker, message):
    before = picker.prepare(0, 0).pixels_sha256
    picker.editor._received(picker.editor, *message)
    assert picker.prepare(0, 0).pixels_sha256 == before


@pytest.mark.parametrize("dropped", [False, True])
def test_without_a_product_the_photo_is_taken_and_the_mask_drawn_by_hand(picker, dropped):
    white = Image.new("RGB", (64, 64), "white")
    if dropped:
        picker.drop.take(encoded(white), "white.png")
        assert picker.drop.said.startswith("white.png") and "taken" in picker.drop.said and picker.editor.kept is None
    else:
        picker.use(type("Run", (), {"image": white, "key": "0" * 32}))
    with pytest.raises(SourceError, match="No product was found.*Paint over the product with the brush"):
        picker.prepare(0, 0)
    drawn(picker.editor, (20, 20, 40, 40))
    assert picker.prepare(0, 0).mask.kept.sum() == 400


def test_the_edges_are_looked_at_in_the_size_of_the_view(picker, monkeypatch):
    image = Image.new("RGB", (2048, 1024), "red")
    image.putalpha(Mask(kept=np.hypot(*np.mgrid[-512:512, -1024:1024]) < 400, origin="a test").image)
    picker.use(type("Run", (), {"image": image, "key": "0" * 32}))
    grown, asked = Mask.grown, []
    monkeypatch.setattr(Mask, "grown", lambda mask, pixels: asked.append((mask.size, pixels)) or grown(mask, pixels))
    for picker.edges in ((16, 4), (-16, 4)):
        picker.prepare(0, 0)
    assert asked == [((512, 256), 4), ((512, 256), -4)]  # at the photo's own size, 12 megapixels take seconds


def test_another_photo_may_be_taken_while_a_thread_asks_for_the_one_before(picker):
    def cut(side):
        image = Image.new("RGBA", (side, side))
        image.paste("red", (8, 8, side - 8, side - 8))
        return type("Run", (), {"image": image, "key": "0" * 32})

    runs, interval = [cut(side) for side in (32, 40)], sys.getswitchinterval()
    picker.use(runs[0])
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            for run in runs * 30:
                asked = pool.submit(picker.prepare, 0, 0)
                picker.use(run)
                assert picker.prepare(0, 0).image.size == run.image.size
                assert asked.result().image.size == asked.result().mask.size
    finally:
        sys.setswitchinterval(interval)


def test_a_low_confidence_is_said_and_the_edges_are_shown(picker):
    washed_out = Image.open(INPUTS / "mug.jpg").resize((64, 64)).point(lambda level: 230 + level // 10)
    picker.use(type("Run", (), {"image": washed_out, "key": "0" * 32}))
    picker.prepare(0, 0)
    assert 'role="alert"' in picker.view.value and "Look at the mask" in picker.view.value
    before, picker.edges = picker.view.value, (6, 4)
    picker.prepare(0, 0)
    assert picker.view.value != before


@pytest.mark.slow
def test_the_mode_keeps_the_product_and_its_settings_come_back(vitrine, tmp_path):
    tool = Studio(load("vitrine", device="cpu"), Ledger(tmp_path))
    mode = tool.background
    mode.controls["steps"].value, mode.controls["grow"].value = 1, 2
    assert not {"width", "height"} & mode.controls.keys()
    tool.tabs.selected_index = TABS.index("New background")
    drawn(mode.photo.editor, (0, 0, 20, 10))
    run = mode.run(60)
    assert run.effective["mode"] == "inpaint" and run.effective["kept_pixels_differing"] == 0 and run.image.size == (512, 512)
    assert np.array_equal(np.asarray(run.image)[:10, :20], np.asarray(Image.open(INPUTS / "product.jpg"))[:10, :20])
    card = mode.made.children[0].children[1].children[0].value
    assert "new background" in card and "0 of the kept pixels differ" in card
    mode.controls["grow"].value = 0
    tool.tabs.selected_index = 0
    tool.gallery.use(run)
    assert TABS[tool.tabs.selected_index] == "New background" and mode.controls["grow"].value == 2
    assert mode.run(60).key == run.key and mode.result.reused
    assert mode.recipe() == run.recipe.vary(source=f"sha256:{run.effective['source_sha256']}")


def test_a_recipe_without_a_mask_goes_where_it_did(vitrine, tmp_path):
    tool = Studio(load("vitrine", device="cpu"), Ledger(tmp_path))
    tool.recall(Recipe(prompt="x", source="inputs/product.jpg", strength=0.5))
    assert TABS[tool.tabs.selected_index] == "Image to image"


def test_the_name_of_a_mask_goes_with_its_photo(tmp_path):
    tool, _ = studio(tmp_path)
    mode, product = tool.background, Image.new("RGBA", (64, 64))
    product.paste("red", (16, 16, 48, 48))
    product.save(tool.inputs / "product.png")
    kept = cut_out(tool.inputs / "product.png", "alpha")
    tool.ledger.keep_source(kept)
    named = mode.settings.recipe().vary(source=f"sha256:{kept.pixels_sha256}", mask="alpha")
    assert mode.load(named) == [] and mode.recipe() == named
    mode.photo.choose("product.png")
    assert (mode.recipe().source, mode.recipe().mask) == ("inputs/product.png", "auto")  # and not the mask of the photo before
    (note,) = mode.load(named.vary(source="inputs/product.png", mask="masks/mine.png"))
    assert "'masks/mine.png' is not kept here" in note and mode.recipe().mask == "auto"
