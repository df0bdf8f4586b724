"""tp2lib.widgets.studio and its modes: what a click does, what is kept and said, and that nobody's words become markup."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances
from plotted import fake_run, picture
from strategies import encoded
from studio_parts import MARKUP, all_html, studio

from tp2lib.errors import Cancelled, ModelError, OutputError, RecipeError
from tp2lib.metadata.infotext import from_infotext
from tp2lib.metadata.pixels import open_image
from tp2lib.metadata.record import GENERATED, digital_source_type
from tp2lib.models.catalogue import CATALOGUE
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.widgets.run_card import VIEWS, configuration, parameters
from tp2lib.widgets.studio import TABS, Studio


def cards(mode) -> list:
    return list(mode.made.children)


# -- text to image, image to image --------------------------------------------------------------------


def test_both_modes_make_what_their_controls_ask_for(tmp_path) -> None:
    tool, engine = studio(tmp_path)
    tool.text.controls["steps"].value, tool.text.controls["prompt"].value = 5, "a red mug"
    run = tool.text.run(timeout=10)
    assert (run.recipe.steps, run.recipe.prompt, run.recipe.source, run.effective["mode"]) == (5, "a red mug", None, "text2img")
    tool.image.controls["strength"].value, tool.image.controls["steps"].value = 0.5, 10
    run = tool.image.run(timeout=10)
    assert (run.recipe.strength, run.recipe.effective_steps, run.effective["mode"]) == (0.5, 5, "img2img")
    assert run.recipe.source == "inputs/product.jpg" and run.source["pixels_sha256"]
    assert [recipe.source for recipe in engine.calls] == [None, "inputs/product.jpg"]
    assert len(cards(tool.text)) == len(cards(tool.image)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["steps", "guidance", "strength", "seed", "scheduler", "width", "height"])
def test_every_control_matters_down_to_the_pixels(tmp_path, name) -> None:
    tool, _ = studio(tmp_path)
    first = tool.image.run(timeout=10)
    sent = {"steps": 12, "guidance": 3.5, "strength": 0.35, "seed": 7, "width": 128, "height": 72}.get(name)
    one = tool.image.controls[name]
    one.set_state({"index": one.options.index("DDIM")} if name == "scheduler" else {"value": sent})  # as a browser does
    second = tool.image.run(timeout=10)
    assert getattr(second.recipe, name) == ("DDIM" if name == "scheduler" else sent)
    assert second.key != first.key and second.image.tobytes() != first.image.tobytes()


def test_the_same_settings_are_found_and_not_made_again(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    first, again = tool.text.run(timeout=10), tool.text.run(timeout=10)
    assert again.reused and again.image.tobytes() == first.image.tobytes()
    assert "Found in the ledger" in tool.text.status.value


def test_several_pictures_have_seeds_that_count_up_and_one_bar(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    tool.text.controls["seed"].value, tool.text.controls["steps"].value, tool.text.settings.count.value = 2**64 - 1, 4, 3
    tool.text.run(timeout=10)
    assert [run.recipe.seed for run in tool.text.runs] == [2**64 - 1, 0, 1]
    assert (tool.text.bar.value, tool.text.bar.max) == (12, 12) and len(cards(tool.text)) == 3
    tool.recall(tool.text.runs[0].recipe)  # the settings of one picture make that one
    assert tool.text.run(timeout=10).recipe.seed == 2**64 - 1


def test_dice_and_lock(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    desk = tool.text.settings
    seed = desk.controls["seed"].value
    assert "stays" in desk.lock.description and tool.text.run(timeout=10).recipe.seed == seed
    desk.dice.click()
    rolled = desk.controls["seed"].value
    assert rolled != seed and tool.text.run(timeout=10).recipe.seed == rolled
    desk.lock.value = False
    assert "new seed" in desk.lock.description
    assert tool.text.run(timeout=10).recipe.seed not in (seed, rolled)
    seed = desk.controls["seed"].value
    desk.controls["scheduler"].value, desk.controls["schedule"].value = "EulerA", "karras"  # which it does not have
    tool.text.generate_button.click()
    assert "✗" in tool.text.status.value and desk.controls["seed"].value == seed


# -- Generate and Stop --------------------------------------------------------------------------------


def test_a_run_tells_its_progress_starts_no_second_job_and_stops_within_a_step(tmp_path) -> None:
    gate = threading.Event()
    tool, engine = studio(tmp_path, gate=gate)
    tool.text.generate_button.click()
    assert engine.reached.wait(10)
    assert "step 1 of 30" in tool.text.status.value and "to go" in tool.text.status.value and tool.text.job.left > 0
    assert 'alt="Preview, step 1 of 30"' in tool.text.picture.value
    tool.text.generate_button.click()
    with pytest.raises(ModelError, match="one picture at a time"):
        tool.text.start()
    assert len(engine.calls) == 1 and tool.text.generate_button.disabled
    tool.text.stop()
    gate.set()  # the step that was under way ends
    with pytest.raises(Cancelled):
        tool.text.job.result(10)
    assert tool.text.job.done <= 1  # of 30: not one step more was made
    assert "Stopped" in tool.text.status.value and not tool.text.runs and tool.text.picture.value == ""


def test_stop_keeps_the_pictures_that_were_finished(tmp_path) -> None:
    tool, engine = studio(tmp_path)
    engine.gate = threading.Event()
    engine.gate.set()
    tool.text.settings.count.value, tool.text.controls["steps"].value = 4, 3
    done, make = [], engine.__call__

    def slow(*args, **how):
        if len(done) == 2:
            tool.text.stop()
        done.append(1)
        return make(*args, **how)

    tool._generate = slow
    tool.text.run(timeout=10)
    assert len(tool.text.runs) == 2 and "Stopped after 2 of 4 pictures; those are kept" in tool.text.status.value


def test_settings_at_odds_are_one_sentence(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    tool.image.controls["steps"].value, tool.image.controls["strength"].value = 5, 0.1
    tool.image.generate_button.click()
    assert "= 0 steps" in tool.image.status.value
    with pytest.raises(RecipeError):
        tool.image.run()


@pytest.mark.parametrize("outcome", ["nan", "black", "flagged"])
def test_no_picture_is_no_black_square(tmp_path, outcome) -> None:
    tool, _ = studio(tmp_path, outcome=outcome)
    tool.text.run(timeout=10)
    assert "✗ No picture" in tool.text.status.value and "<img" not in all_html(tool.text.made)


# -- configuration ------------------------------------------------------------------------------------


def test_the_configuration_under_a_picture_is_exact_in_both_forms(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    tool.image.controls["steps"].value, tool.image.controls["guidance"].value = 10, 1
    tool.image.controls["negative_prompt"].value = "blurry"
    run = tool.image.run(timeout=10)
    said = json.loads(configuration_text(cards(tool.image)[0]))
    assert said == json.loads(json.dumps(configuration(run)))
    assert said["requested"] == run.recipe.to_dict() | {"source": "product.jpg"} and said["requested"]["steps"] == 10
    assert (said["effective"]["steps"], said["effective"]["guidance_active"], said["effective"]["negative_used"]) == (6, False, False)
    assert str(tmp_path) not in json.dumps(said)
    text = cards(tool.image)[0].children[1].children[-1].children[1].text
    reading = from_infotext(text)
    recipe = reading.recipe
    assert (recipe.steps, recipe.seed, recipe.prompt, recipe.width) == (10, 42, run.recipe.prompt, 64)
    assert reading.ignored["Denoising strength"] == "0.6"


def configuration_text(card) -> str:
    return card.children[1].children[-1].children[0].text


def test_what_can_be_copied_tells_no_folder() -> None:
    home = {"source": "/home/alice/photos/x.jpg", "strength": 0.5, "model": "/home/alice/models/mine"}
    run = fake_run(**home, known={"model": home["model"], "weights_sha256": "0" * 64})
    assert "alice" not in json.dumps(configuration(run)) + parameters(run)
    assert run.effective["model"] == home["model"]  # the run itself is as it was


# -- recall, compare, start from ----------------------------------------------------------------------


def test_settings_come_back_with_a_click(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    tool.image.controls["strength"].value, tool.image.controls["scheduler"].value = 0.35, "DDIM"
    run = tool.image.run(timeout=10)
    other, _ = studio(tmp_path)  # another sitting on the same ledger
    other.tabs.selected_index = TABS.index("Gallery")
    other.gallery.select(other.gallery.read(other.gallery.keys()[0]))
    other.gallery.use(other.gallery.selected)
    assert other.tabs.selected_index == 1 and "settings are set" in other.notes.value
    again = other.image.run(timeout=10)
    assert again.recipe.vary(source="same") == run.recipe.vary(source="same")
    assert again.source["pixels_sha256"] == run.source["pixels_sha256"]


def test_a_size_that_is_left_open_is_that_of_the_model_which_is_chosen(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    settings = tool.text.settings
    settings.model.value = "sd15"
    assert [settings.controls[side].value for side in ("width", "height")] == [512, 512] and settings.recipe().width is None
    settings.controls["width"].value = 256
    settings.model.value = "auto"
    assert (settings.controls["width"].value, settings.controls["height"].value) == (256, 64) and settings.recipe().width == 256
    assert settings.load(settings.recipe().vary(model="sd15", width=None)) == [] and settings.controls["width"].value == 512


def test_a_tool_without_a_model_has_the_size_of_the_one_that_will_be_loaded(vitrine, tmp_path, monkeypatch) -> None:
    small = {**CATALOGUE, "vitrine": replace(CATALOGUE["vitrine"], native_size=128)}
    monkeypatch.setattr("tp2lib.models.catalogue.CATALOGUE", small)
    tool = Studio(ledger=Ledger(tmp_path))
    assert [tool.text.controls[side].value for side in ("width", "height")] == [128, 128] and tool.text.words.model is None
    tool.text.controls["steps"].value = 1
    run = tool.text.run(timeout=60)
    assert run.image.size == (128, 128) and tool.text.words.suggest.options  # the model is known now


def test_the_size_of_a_new_background_comes_back_though_it_has_no_slider(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    recipe = tool.background.settings.recipe().vary(width=96)
    assert tool.background.settings.load(recipe) == [] and tool.background.settings.recipe().width == 96


def test_some_pictures_of_a_series_may_be_missing(tmp_path) -> None:
    tool, engine = studio(tmp_path)
    tool.text.controls["steps"].value, tool.text.settings.count.value = 1, 2
    outcomes = iter(["ok", "nan"])
    tool._generate = lambda *given, **how: setattr(engine, "outcome", next(outcomes)) or engine(*given, **how)
    tool.text.run(timeout=10)
    assert "Done" in tool.text.status.value and "1 of 2 without a picture: not a number" in tool.text.status.value


def test_one_tool_says_that_it_waits_for_another(tmp_path) -> None:
    gate = threading.Event()
    tool, engine = studio(tmp_path, gate=gate)
    first = tool.text.start()
    assert engine.reached.wait(10)
    second = tool.image.start()
    assert "Waiting for the work before it" in tool.image.status.value
    gate.set()
    assert first.wait(10) and second.wait(10)


def test_a_picture_becomes_the_source_of_the_next(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    run = tool.text.run(timeout=10)
    tool.start_from(run)
    assert tool.tabs.selected_index == 1 and f"run {run.key[:8]}" in tool.image.photo.view.value
    made = tool.image.run(timeout=10)
    assert made.recipe.source.startswith("sha256:") and made.source["chain"][0].startswith("read PNG RGB 64x64") and made.source["path"] == run.path.name
    kept = tool.ledger.find_source(made.recipe.source)
    assert {digital_source_type(open_image(path)[0]) for path in (run.path, made.path, kept)} == {GENERATED}  # no photo went in


def test_the_buttons_under_a_picture_lead_to_gallery_and_comparison(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    runs = [tool.text.run(timeout=10)]
    tool.text.controls["guidance"].value = 3
    runs.append(tool.text.run(timeout=10))
    row = {button.description: button for button in cards(tool.text)[0].children[1].children[1].children}
    row["Details and export"].click()
    assert TABS[tool.tabs.selected_index] == "Gallery" and tool.gallery.selected.key == runs[1].key
    tool.compare("A", runs[0])
    row["Compare as B"].click()
    assert TABS[tool.tabs.selected_index] == "Compare" and "1 setting differs" in tool.comparison.table.value
    assert "guidance 7.5" in tool.comparison.table.value and "guidance 3" in tool.comparison.table.value


def test_widgets_that_leave_the_page_are_closed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tp2lib.widgets.studio._CARDS", 1)
    tool, _ = studio(tmp_path)
    first, second = (tool.text.settings.roll() and tool.text.run(timeout=10) for _ in range(2))
    tool.compare("A", first)
    counts = []
    for _ in range(3):
        tool.text.run(timeout=10)
        for key in (first.key, second.key):
            tool.gallery.select(tool.gallery.read(key))
            tool.comparison.put("B", tool.gallery.selected)
        for view in VIEWS:
            tool.comparison.view.value = view
        counts.append(len(_instances))
    assert counts[0] == counts[1] == counts[2]


def test_a_model_is_never_fetched_and_a_missing_one_is_said(tmp_path, monkeypatch) -> None:
    asked = []

    def refuse(name, *, download):
        asked.append((name, download))
        raise ModelError("model 'sd15' is not on this machine.")

    monkeypatch.setattr("tp2lib.models.loading.load", refuse)
    tool, engine = studio(tmp_path)
    tool.text.settings.model.value = "sd15"
    tool.text.generate_button.click()
    tool.text.job.wait(10)
    assert asked == [("sd15", False)] and "not on this machine" in tool.text.status.value and not engine.calls
    tool.text.settings.model.value = "auto"
    assert tool.text.run(timeout=10).outcome == "ok"


# -- hostile ------------------------------------------------------------------------------------------


def planted(markup: str) -> list[str]:
    """The elements and attributes of a page that could run code."""
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.extend(f"{tag} {name}" for name, value in attributes if name.startswith("on"))
            found.extend([tag] if tag in ("script", "iframe", "object", "embed", "svg") else [])
            found.extend(f"{tag} {value}" for name, value in attributes if (value or "").strip().startswith("javascript"))

    Reader().feed(markup)
    return found


def test_nothing_typed_becomes_markup_anywhere(tmp_path) -> None:
    tool, _ = studio(tmp_path)
    for mode in (tool.text, tool.image):
        mode.controls["prompt"].value, mode.controls["negative_prompt"].value = f"a mug {MARKUP}", MARKUP
        mode.run(timeout=10)
    tool.open(tool.image.result)
    tool.compare("A", tool.text.result)
    tool.compare("B", tool.image.result)
    for view in tool.comparison.view.options:
        tool.comparison.view.value = view
    tool.image.photo.upload(encoded(picture(4)), MARKUP)
    tool.explorer.columns.value = MARKUP
    tool.tabs.selected_index = TABS.index("Explore")
    everything = all_html(tool.widget)
    assert "&lt;script&gt;" in everything
    assert planted(everything) == [] and planted(MARKUP) == ["img onerror", "script"]


def test_a_read_only_outputs_folder_is_one_sentence(tmp_path, monkeypatch) -> None:
    tool, _ = studio(tmp_path)

    def refuse(*args, **how):
        raise OutputError("outputs cannot be written (Read-only file system). Check the folder, its rights and the free space.")

    monkeypatch.setattr("tp2lib.storage.ledger.Ledger.start", refuse)
    monkeypatch.setattr("tp2lib.storage.ledger.Ledger.keep_source", refuse)
    tool.text.generate_button.click()
    assert tool.text.job.wait(10)
    assert "✗ outputs cannot be written (Read-only file system)" in tool.text.status.value


def test_the_whole_tool_is_there_without_a_picture_made_and_shows_as_a_widget(tmp_path) -> None:
    tool, engine = studio(tmp_path)
    assert not engine.calls
    assert "application/vnd.jupyter.widget-view+json" in tool._repr_mimebundle_()
    assert tool.tabs.titles == TABS


def test_every_control_has_a_label_and_a_tooltip(tmp_path) -> None:
    tool, _ = studio(tmp_path)

    def walk(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from walk(child)

    kinds = (ipywidgets.widgets.widget_int._Int, ipywidgets.widgets.widget_float._Float, ipywidgets.Dropdown, ipywidgets.Textarea, ipywidgets.Button)
    for one in walk(tool.widget):
        if isinstance(one, kinds) and not isinstance(one, ipywidgets.IntProgress):
            assert one.description.strip() and one.tooltip, one


def test_steps_of_several_pictures_are_counted_by_the_calls_that_each_step_has(tmp_path) -> None:
    mode, recipe, totals = studio(tmp_path)[0].text, Recipe(prompt="a red apple", steps=6, scheduler="Heun"), []
    for left in (2, 1, 0):
        step = mode._counting(lambda info: totals.append((info.index, info.total)), recipe, [recipe] * left)
        for index in range(11):  # two a step, but for the last
            step(SimpleNamespace(index=index, total=11, preview=None))
    assert totals == [(index, 33) for index in range(33)]
