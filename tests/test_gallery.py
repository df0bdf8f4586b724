"""tp2lib.widgets.gallery, favourites, exports and compare_runs: what is kept, what comes back, what leaves the house."""

from __future__ import annotations

import base64
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from foreign_files import A1111, png
from PIL import Image
from plotted import fake_run, picture
from studio_parts import Engine, all_html, studio

from tp2lib.engine.runs import Favourites, Run, earlier_keys, read_run
from tp2lib.errors import OutputError, RecipeError, RecordError
from tp2lib.metadata.infotext import from_infotext
from tp2lib.metadata.pixels import open_image
from tp2lib.metadata.record import COMPOSITE, GENERATED, digital_source_type
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import read_recipe, read_record
from tp2lib.widgets.exports import KINDS, export_run
from tp2lib.widgets.gallery import PAGE
from tp2lib.widgets.run_card import VIEWS, CompareRuns, differing
from tp2lib.widgets.studio import TABS


def made(folder, count: int = 3, **changes) -> tuple[Ledger, list]:
    ledger, engine = Ledger(folder / "outputs"), Engine()
    return ledger, [engine(Recipe(prompt="a red mug", seed=seed, steps=3, **changes), ledger=ledger) for seed in range(count)]


# -- the ledger's runs, and favourites ----------------------------------------------------------------


def test_earlier_runs_are_the_latest_first_and_only_what_is_done(tmp_path) -> None:
    ledger, runs = made(tmp_path)
    ledger.start("f" * 32)
    ledger.fail("f" * 32, "ZeroDivisionError")
    assert earlier_keys(ledger) == [run.key for run in reversed(runs)] == earlier_keys(Ledger(ledger.outputs))
    assert read_run(ledger, runs[0].key).recipe == runs[0].recipe
    runs[1].path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert read_run(ledger, runs[1].key) is None


def test_favourites_last_and_survive_damage(tmp_path) -> None:
    ledger, runs = made(tmp_path)
    liked = Favourites(ledger)
    assert not len(liked) and liked.toggle(runs[0].key) and liked.toggle(runs[2].key)
    assert [*Favourites(Ledger(ledger.outputs))] == [runs[0].key, runs[2].key] and runs[0].key in liked
    assert liked.toggle(runs[0].key) is False and [*liked] == [runs[2].key]
    for damage in (b"", b"[1, 2]", b'{"favourites": "no"}', b'{"favourites": ["../../etc", 3, null, "<b>"]}', b"\xff\xfe"):
        liked.path.write_bytes(damage)
        assert [*liked] == []
    assert liked.toggle(runs[1].key) and [*liked] == [runs[1].key]


def test_favourites_chosen_at_once_are_all_kept(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    keys = [f"{number:016x}" for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(Favourites(ledger).toggle, keys))
    assert sorted(Favourites(ledger)) == keys


def test_favourites_that_cannot_be_written_are_told_and_not_lost(tmp_path, monkeypatch) -> None:
    ledger, runs = made(tmp_path)
    liked = Favourites(ledger)
    liked.toggle(runs[0].key)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        liked.toggle(runs[1].key)
    assert [*liked] == [runs[0].key] and sorted(p.name for p in ledger.outputs.glob("*fav*")) == ["favourites.json"]


# -- settings out of pictures -------------------------------------------------------------------------


def test_a_picture_of_ours_gives_its_recipe_back(tmp_path) -> None:
    _, (run, *_) = made(tmp_path)
    reading = read_recipe(run.path.read_bytes())
    assert (reading.recipe, reading.tool, reading.assumed, reading.notes) == (run.recipe, "tp2lib", {}, ())


@pytest.mark.parametrize("kind", KINDS)
def test_exports_give_their_recipe_back_too(tmp_path, kind) -> None:
    _, (run, *_) = made(tmp_path)
    for preset in ("as made", "marketplace"):
        copy = export_run(run, tmp_path / "exports", kind=kind, preset=preset)
        recipe = read_recipe(copy.path.read_bytes()).recipe
        assert recipe.vary(model="auto", width=None, height=None) == run.recipe
        assert (recipe.width or 64) == 64  # the size it was made in, not that of the copy


def test_a_picture_of_the_webui_gives_its_settings(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    reading = tool.gallery.drop_in(png(parameters=A1111))
    assert reading == from_infotext(A1111) and tool.text.recipe() == reading.recipe
    assert all(word in tool.notes.value for word in ("Found: prompt", "Assumed", "Ignored", "deliberate", "Model hash"))


def test_an_altered_picture_says_so(tmp_path) -> None:
    _, (run, *_) = made(tmp_path)
    with Image.open(run.path) as image:
        texts = {key: value for key, value in image.text.items() if key in ("tp2", "parameters")}
        altered = Image.eval(image.convert("RGB"), lambda level: 255 - level)
    reading = read_recipe(png(altered, **texts))
    assert reading.recipe == run.recipe and "altered" in reading.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        b"", b"no picture", png(), png(tp2="{"), png(tp2='{"tp2": 99}'), png(parameters="x")[:-20],
        png(parameters="m\0ug\nSteps: 9, Sampler: Euler a, CFG scale: 7, Seed: 1"), png(parameters='{"__import__": "os"}'), png(prompt="{}"),
    ],
)  # fmt: skip
def test_hostile_pictures_are_refused_in_a_sentence(tmp_path, data) -> None:
    with pytest.raises(RecordError):
        read_recipe(data)
    tool, _ = studio(tmp_path)
    before = tool.text.recipe()
    tool.gallery.drop.take(data, "x.png")
    assert tool.gallery.drop.said.startswith("✗ ") and tool.text.recipe() == before


def test_a_picture_dropped_on_the_gallery_sets_the_controls(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    tool.gallery.drop._received(None, {"kind": "file", "name": "<b>.png", "size": 10}, [memoryview(png(parameters=A1111))])
    assert tool.text.recipe() == from_infotext(A1111).recipe
    assert tool.tabs.selected_index == 0 and "A1111" in tool.gallery.drop.said and "deliberate" in tool.notes.value
    for strange in ({}, None, {"kind": "file", "name": 3, "size": "x"}, {"kind": "other"}):
        tool.gallery.drop._received(None, strange, [memoryview(b"")])
    tool.gallery.drop.take(b"", "big.png", 10**9)
    assert "1000.0 MB" in tool.gallery.drop.said


# -- the gallery --------------------------------------------------------------------------------------


def test_pages_show_what_is_there_and_what_is_gone(tmp_path) -> None:
    _ledger, runs = made(tmp_path, PAGE + 2)
    runs[-1].path.unlink()
    gallery = studio(tmp_path)[0].gallery
    gallery.turn(0)
    assert f"{PAGE + 2} runs, page 1 of 2" in gallery.where.value and len(gallery.grid.children) == PAGE
    assert "picture gone" in gallery.grid.children[0].children[0].value and gallery.grid.children[0].children[1].disabled
    gallery.older.click()
    assert len(gallery.grid.children) == 2 and gallery.older.disabled and not gallery.newer.disabled
    gallery.grid.children[0].children[1].click()
    assert gallery.selected.key == runs[1].key
    gallery.newer.click()
    runs[-2].path.unlink()  # after its tile was drawn
    gallery.grid.children[1].children[1].click()
    assert "gone or damaged" in gallery.status.value and gallery.selected.key == runs[1].key


def test_a_picture_that_comes_back_is_shown_again_and_an_old_error_goes(tmp_path) -> None:
    _, (run,) = made(tmp_path, 1)
    gallery = studio(tmp_path)[0].gallery
    run.path.rename(tmp_path / "elsewhere.png")
    gallery.turn(0)
    assert "picture gone" in all_html(gallery.grid)
    (tmp_path / "elsewhere.png").rename(run.path)
    gallery.turn(0)
    assert "picture gone" not in all_html(gallery.grid)
    gallery.export_button.click()
    assert "Click a picture first" in gallery.status.value
    gallery.grid.children[0].children[1].click()
    assert gallery.selected.key == run.key and gallery.status.value == ""
    gallery._recall = None  # a bug of ours, say
    gallery.detail.children[0].children[1].children[1].children[0].click()
    assert "Something went wrong that should not have: TypeError" in gallery.status.value


def test_tiles_stay_while_the_list_does(tmp_path) -> None:
    ledger, _ = made(tmp_path)
    gallery = studio(tmp_path)[0].gallery
    gallery.turn(0)
    tiles = gallery.grid.children
    gallery.turn(0)
    assert len(tiles) == 3 and gallery.grid.children == tiles
    Engine()(Recipe(prompt="a red mug", seed=9, steps=3), ledger=ledger)
    gallery.turn(0)
    assert len(gallery.grid.children) == 4


def test_lists_offer_the_latest_runs_and_the_favourites_whatever_is_shown(tmp_path) -> None:
    _, runs = made(tmp_path, 3 * PAGE + 3)
    tool, _ = studio(tmp_path)
    tool.gallery.favourites.toggle(runs[0].key)
    tool.gallery.which.value = "favourites"
    tool.tabs.selected_index = TABS.index("Compare")
    assert [key for _, key in tool.comparison.first.options[1:]] == [run.key for run in (*runs[:2:-1], runs[0])]


def test_favourites_are_shown_alone(tmp_path) -> None:
    _, runs = made(tmp_path)
    gallery = studio(tmp_path)[0].gallery
    gallery.select(gallery.read(runs[1].key))
    row = gallery.detail.children[0].children[1].children[1].children
    next(button for button in row if "favourite" in button.description).click()
    assert "★ remove from favourites" in [button.description for button in gallery.detail.children[0].children[1].children[1].children]
    gallery.which.value = "favourites"
    assert gallery.keys() == [runs[1].key] and "1 run, page 1 of 1" in gallery.where.value


def test_export_offers_the_very_file_for_download(tmp_path) -> None:
    made(tmp_path, 1)
    gallery = studio(tmp_path)[0].gallery
    gallery.export_button.click()
    assert "Click a picture first" in gallery.status.value
    gallery.select(gallery.read(gallery.keys()[0]))
    gallery.kind.value, gallery.preset.value = "jpeg", "marketplace"
    copy = gallery.export()
    data = base64.b64decode(re.search(r"base64,([^\"]+)", gallery.exported.value)[1])
    assert data == copy.path.read_bytes() and copy.path.parent == tmp_path / "outputs" / "exports"
    assert "not kept:" in gallery.exported.value  # this picture's background is not white


def test_an_outputs_folder_that_cannot_be_written_to(tmp_path) -> None:
    ledger, (run,) = made(tmp_path, 1)
    (ledger.outputs / "favourites.json").mkdir()
    (ledger.outputs / "exports").write_text("a file, where a folder is to be")
    with pytest.raises(OutputError, match="Check the folder"):
        Favourites(ledger).toggle(run.key)
    with pytest.raises(OutputError, match="Check the folder"):
        export_run(run, ledger.outputs / "exports")


# -- exports ------------------------------------------------------------------------------------------


def white_run(tmp_path, size=(64, 48), colour="#ffffff"):
    image = Image.new("RGB", size, colour)
    image.paste((200, 30, 30), (20, 15, 44, 33))
    run = fake_run(1, image=image)
    ledger = Ledger(tmp_path / "outputs")
    known = {**run.effective, "weights_sha256": "a" * 64, "width": size[0], "height": size[1]}
    record = {"key": run.key, "effective": known, "timings": {}, "environment": {}, "source": None, "outcome": "ok"}
    return Run.from_picture(ledger.finish(run.key, image, run.recipe, record))


@pytest.mark.parametrize("kind", KINDS)
def test_the_marketplace_preset_is_square_large_white_and_marked(tmp_path, kind) -> None:
    copy = export_run(white_run(tmp_path), tmp_path / "exports", kind=kind, preset="marketplace")
    image, _ = open_image(copy.path)
    assert image.size == (1000, 1000) and image.format == {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}[kind]
    assert digital_source_type(image) == GENERATED and copy.ok
    assert [check.name for check in copy.checks] == ["square", "size", "white background", "mark of origin"]
    rgb = image.convert("RGB")
    assert min(rgb.getpixel((500, 60))) > 250 and rgb.getpixel((500, 500))[0] > 150  # padded with white, product kept


def test_a_background_that_is_not_white_is_said(tmp_path) -> None:
    copy = export_run(white_run(tmp_path, (64, 64), "#e0e0e0"), tmp_path / "exports", preset="marketplace")
    bad = [check for check in copy.checks if not check.ok]
    assert [check.name for check in bad] == ["white background"] and "87.8%" in bad[0].words and not copy.ok


def test_enlarging_is_lanczos_and_claims_no_sampling(tmp_path) -> None:
    run = white_run(tmp_path, (64, 64))
    copy = export_run(run, tmp_path / "exports", preset="marketplace", side=1600)
    expected = run.image.resize((1600, 1600), Image.Resampling.LANCZOS)
    assert open_image(copy.path)[0].tobytes() == expected.tobytes()
    assert read_recipe(copy.path).recipe == run.recipe
    with pytest.raises(RecordError, match=f"an enlarged copy of the picture of run '{run.key}'. Use the original"):
        Run.from_picture(copy.path)
    made = read_record(copy.path)["export"]
    assert (made["key"], made["weights_sha256"]) == (run.key, run.effective["weights_sha256"])


def test_a_picture_larger_than_the_preset_is_not_scaled_down(tmp_path) -> None:
    run = white_run(tmp_path, (1100, 900))
    image = open_image(export_run(run, tmp_path / "exports", preset="marketplace").path)[0]
    assert image.size == (1100, 1100) and image.crop((0, 100, 1100, 1000)).tobytes() == run.image.tobytes()


def test_a_picture_from_a_photo_keeps_its_other_mark(tmp_path) -> None:
    run = studio(tmp_path)[0].image.run(timeout=10)
    for preset in ("as made", "marketplace"):
        copy = export_run(run, tmp_path / "e", preset=preset)
        assert digital_source_type(open_image(copy.path)[0]) == COMPOSITE and read_record(copy.path)["source"] == run.source


def test_exports_that_cannot_be_are_refused(tmp_path) -> None:
    _, (run,) = made(tmp_path, 1)
    for wrong in ({"kind": "gif"}, {"kind": "../x"}, {"preset": "amazon"}, {"side": 999}, {"side": 10**6}, {"side": True}):
        with pytest.raises(RecipeError):
            export_run(run, tmp_path / "exports", **wrong)
    with pytest.raises(OutputError, match="with a ledger"):
        export_run(fake_run(outcome="nan"), tmp_path / "exports")
    assert not (tmp_path / "exports").exists()


# -- comparing ----------------------------------------------------------------------------------------


def test_what_differs_is_what_was_varied_and_what_it_came_down_to() -> None:
    first, second = fake_run(1, guidance=7.5), fake_run(2, guidance=1.0, steps=10)
    found = {row.setting: (row.first, row.second) for row in differing(first, second)}
    assert found == {"steps": ("30 steps", "10 steps"), "guidance": ("guidance 7.5", "guidance 1 → guidance off")}
    assert differing(first, fake_run(3, guidance=7.5)) == []
    kept = [
        fake_run(n, source="mug.png", mask=mask, **edge) for n, (mask, edge) in enumerate([("auto", {}), ("found", {}), ("auto", {"grow": 12, "feather": 20})])
    ]
    assert [row.setting for run in kept[1:] for row in differing(kept[0], run)] == ["mask", "grow", "feather"]
    (threads,) = differing(first, fake_run(1, guidance=7.5, known={"threads": 8}))
    assert (threads.setting, threads.first, threads.second) == ("threads", "2", "8")
    (tried,) = differing(fake_run(1, known={"rungs": []}), fake_run(1, known={"rungs": ["sliced attention", "offload"]}))
    assert (tried.setting, tried.first, tried.second) == ("fallbacks", "none", "sliced attention + offload")


def test_three_ways_to_look_and_sizes_that_do_not_fit() -> None:
    runs = {"1": fake_run(1), "2": fake_run(2, seed=9), "3": fake_run(3, seed=5, image=picture(3, side=32))}
    table = CompareRuns(runs.get)
    assert "Choose two runs" in table.table.value
    table.offer([(f"run {key}", key) for key in runs])
    table.first.value, table.second.value = "1", "2"
    for view in VIEWS:
        table.view.value = view
        assert len(table.place.children) == 1 and "seed 9" in table.table.value
    assert "image" in table.place.children[0].value and "ΔE" not in table.table.value
    table.second.value = "3"
    table.view.value = VIEWS[1]
    assert "must have one size" in table.place.children[0].value and "seed 5" in table.table.value
    runs.pop("3")
    table.view.value = VIEWS[0]
    assert "no picture any more" in table.place.children[0].value
    table.offer([("run 1", "1")])
    assert table.second.value == "3"  # what is chosen stays


def test_new_lists_and_another_look_leave_no_moment_without_the_table() -> None:
    runs = {"1": fake_run(1), "2": fake_run(2, seed=9)}
    table = CompareRuns(runs.get)
    table.offer([(f"run {key}", key) for key in runs])
    table.first.value, table.second.value = "1", "2"
    seen = []
    table.table.observe(lambda change: seen.append(change["new"]), "value")
    table.offer([("another title", "1"), ("run 2", "2")])
    for view in VIEWS:
        table.view.value = view
    assert seen == [] and "seed 9" in table.table.value
