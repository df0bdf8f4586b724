"""The report: every figure traced, every gap visible, nobody's words taken for markup, in both languages, in good time."""

from __future__ import annotations

import base64
import copy
import html
import io
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from filled import NINE, apple, fill, made, prove, scored
from foreign_files import png
from markdown_it import MarkdownIt
from PIL import Image

from tp2lib.cli.main import main
from tp2lib.course.progress import note
from tp2lib.engine.generate import generate
from tp2lib.engine.inpainting import cut_out
from tp2lib.engine.runs import Favourites
from tp2lib.errors import OutputError, RecordError, without_folders
from tp2lib.evaluation.experiments import CASES, EXPERIMENTS
from tp2lib.evaluation.languages import words
from tp2lib.evaluation.reflection import ASKED, answer
from tp2lib.evaluation.rubric import JUDGED
from tp2lib.evaluation.run_measures import Evidence
from tp2lib.evaluation.scoring import BlindScoring
from tp2lib.metadata.record import digital_source_type
from tp2lib.recipe import Recipe
from tp2lib.report.facts import written
from tp2lib.report.gather import Material, kept_runs
from tp2lib.report.pages import NOTHING, Cell, Trace, escape
from tp2lib.report.report import audit_report, make_report, write_report
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import read_recipe

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)> | `x` **b** [a](javascript:alert(3)) {{ 7*7 }}'


@pytest.fixture(autouse=True)
def no_judge(monkeypatch):
    """The judge loads torch, and its weights are another test's business."""
    monkeypatch.setattr("tp2lib.report.gather.adherence", lambda *given: None)


def whole(outputs):
    """Everything that a learner who did the whole course has."""
    runs = fill(outputs)
    prove(outputs, runs, t2i_run05_guid12="within 1 level")
    nine = {name: runs[name] for name in NINE}
    for number, rater in enumerate(("ann", "ben", "cid")):
        scored(outputs, nine, rater, lambda key, criterion, number=number: (int(key, 16) + number * (criterion == "realism")) % 3, seed=number)
    for name in ASKED:
        answer(name, f"My answer to {name}, with 4.2 s a picture.", outputs)
    for question, expected, came in (("Which steps?", 15, 30), ("Better?", "yes", "yes")):
        note("predicted", "03", outputs=outputs, question=question, answer=expected, own=True, choices=2)
        note("measured", "03", outputs=outputs, question=question, measured=came)
    note("check", "03", outputs=outputs, question="3.1", outcome="right")
    note("answer", "06", outputs=outputs, question="6.4", title="What you would no longer sign", text="Fifty steps.")
    keys = [runs["baseline"].key, runs["i2i_run08_strength060"].key]
    (outputs / "favourites.json").write_text(json.dumps({"favourites": keys}))
    return runs


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    whole(outputs)
    return outputs


@pytest.fixture(scope="module")
def document(full):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tp2lib.report.gather.adherence", lambda *given: None)
        return make_report(full)


# -- traced ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_full_set_has_every_section_and_only_the_gap_that_is_left(document):
    titles = [title for title, _ in document.sections]
    for title in ("smoke", "baseline", "text2img", "img2img", "mini-product", "evaluation", "cases", "reflection", "runs"):
        assert title in titles
    assert [gap.what for gap in document.gaps] == ["text in pictures"]  # nothing was read in these
    assert len({picture.run for picture in document.pictures}) == 11


@pytest.mark.slow
def test_every_figure_leads_to_its_run_or_its_file(document, full):
    assert audit_report(document, full) == []
    traced = [cell for cell in document.cells if cell.trace]
    assert len(traced) > 250
    for cell in document.cells:
        assert cell.trace or cell.kind in ("label", "code"), cell
    keys = {run for cell in traced for run in cell.trace.runs}
    assert len(keys) == 11 and all((full / "runs" / f"{key}.png").is_file() for key in keys)


@pytest.mark.parametrize(("language", "said"), [("en", "they are paired by recipe"), ("fr", "elles sont appariées par recette")])
def test_a_classmates_scores_from_another_computer_are_paired_by_recipe(language, said, tmp_path):
    names = list(CASES)
    runs = fill(tmp_path / "mine", names)
    theirs = fill(tmp_path / "theirs", names, **{one: made(EXPERIMENTS[one], at + 20) for at, one in enumerate(names)})
    for folder, rater, these in (("mine", "ann", runs), ("theirs", "ben", theirs)):
        scored(tmp_path / folder, these, rater, lambda key, criterion: int(key, 16) % 3)
    shutil.copy(tmp_path / "theirs" / "scores" / "ben.jsonl", tmp_path / "mine" / "scores")
    report = make_report(tmp_path / "mine", language)
    assert said in report.render("markdown") and report.audit() == []
    assert report.filed["scores", "kappa realism n"].text == str(len(names)) and report.filed["scores", f"difference {names[1]} raters"].text == "2"


def swap(document, old, new):
    """Plant an error: put another cell in the place of one."""
    changed = copy.copy(document)
    changed.cells = [new if cell is old else cell for cell in document.cells]
    return changed


def first(document, what):
    return next(cell for cell in document.cells if cell.trace and cell.trace.what == what)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["seconds", "sharpness", "guidance", "total t2i_run05_guid12", "kappa realism value", "points", "cost 0 step"])
def test_a_planted_number_is_found(document, full, what):
    cell = first(document, what)
    changed = replace(cell, text=re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), cell.text, count=1))
    (found,) = audit_report(swap(document, cell, changed), full)
    assert changed.text in found and cell.text in found


@pytest.mark.slow
def test_a_number_without_a_trace_is_found(document, full):
    cell = first(document, "seconds")
    assert "traced to no run" in audit_report(swap(document, cell, Cell(text="1.2 s")), full)[0]
    assert audit_report(swap(document, cell, Cell(text="quick")), full) == []  # no figure, nothing to trace


@pytest.mark.slow
def test_a_number_of_another_run_is_found(document, full):
    cell = first(document, "seconds")
    other = next(c for c in document.cells if c.trace and c.trace.what == "seconds" and c.text != cell.text)
    assert audit_report(swap(document, cell, replace(cell, trace=other.trace)), full)
    lost = Trace(what="seconds", runs=("f" * 32,))
    assert len(audit_report(swap(document, cell, replace(cell, trace=lost)), full)) == 2  # the value, and the run


def test_a_picture_that_the_ledger_does_not_know_is_left_out_and_named(tmp_path):
    fill(tmp_path, ["smoke", "baseline"])
    stranger = made(EXPERIMENTS["smoke"], 0, image=apple(9))
    stranger.save(tmp_path / "smoke.png")  # the key of one, the pixels of another
    document = make_report(tmp_path)
    assert "smoke.png" in [gap.what for gap in document.gaps] and audit_report(document, tmp_path) == []
    assert "smoke.png cannot be used: the ledger knows no run with these pixels" in write_report(tmp_path)[0].read_text()


def test_a_report_that_outlived_its_pictures_fails_the_audit(tmp_path):
    runs = fill(tmp_path, ["smoke", "baseline"])
    document = make_report(tmp_path)
    (tmp_path / "runs" / f"{runs['smoke'].key}.png").unlink()
    found = audit_report(document, tmp_path)
    assert f"run {runs['smoke'].key} is not in the ledger, or its picture is gone" in found


def test_a_sentence_that_is_not_in_the_file_of_words_is_no_page(document):
    with pytest.raises(KeyError, match="no such sentence"):
        document.sentence("no such sentence", {})


@pytest.mark.slow
def test_reports_do_not_change_unless_the_records_do(full):
    first_time = write_report(full)[0].read_text()
    assert write_report(full)[0].read_text() == first_time


# -- gaps --------------------------------------------------------------------------------------------


def test_an_empty_folder_gives_a_report_of_gaps(tmp_path):
    document = make_report(tmp_path)
    assert {gap.what for gap in document.gaps} >= {one.file for one in EXPERIMENTS.values()}
    assert {gap.notebook for gap in document.gaps} == {
        "01_smoke", "02_baseline", "03_text2img", "04_img2img", "05_mini_product", "06_evaluation",
    }  # fmt: skip
    markdown, page = (path.read_text() for path in write_report(tmp_path, "fr"))
    assert markdown.count("Manquant") == page.count("Manquant") == len(document.gaps)
    assert "notebooks/03_text2img.ipynb" in page


def test_one_missing_picture_is_one_gap_with_its_notebook(tmp_path):
    fill(tmp_path, [name for name in EXPERIMENTS if name != "t2i_run04_guid4"])
    gaps = [gap for gap in make_report(tmp_path).gaps if gap.what.endswith(".png")]
    assert [(gap.what, gap.notebook) for gap in gaps] == [("t2i_run04_guid4.png", "03_text2img")]


def test_there_is_no_report_of_nowhere(tmp_path):
    with pytest.raises(OutputError, match="no folder"):
        make_report(tmp_path / "nowhere")
    with pytest.raises(RecordError, match="language is 'de'"):
        make_report(tmp_path, "de")


# -- what it says ------------------------------------------------------------------------------------


def test_a_swapped_picture_is_called_out(tmp_path):
    other = made(EXPERIMENTS["t2i_run05_guid12"], 4)
    fill(tmp_path, ["t2i_run01_baseline"], t2i_run01_baseline=other)
    text = write_report(tmp_path)[0].read_text()
    assert "t2i\\_run01\\_baseline is not the experiment that its file name says: it was made with another guidance" in text


def test_a_setting_is_told_as_it_was_typed(tmp_path):
    named = EXPERIMENTS["i2i_run07_strength035"]
    material = Material(tmp_path)
    for guidance, strength, told in ((7.5, 0.6, ("7,5", "0,60")), (7.25, 0.625, ("7,25", "0,625")), (12, 0.35, ("12,0", "0,35"))):
        run = made(replace(named, recipe=named.recipe.vary(guidance=guidance, strength=strength)), int(guidance * 100))
        assert tuple(written(material, what, [run], "fr") for what in ("guidance", "strength")) == told


def test_an_uncontrolled_run_is_called_out(tmp_path):
    noise = made(EXPERIMENTS["t2i_run02_steps15"], 3, noise_sha256="ef" * 32)
    fill(tmp_path, ["t2i_run01_baseline", "t2i_run02_steps15"], t2i_run02_steps15=noise)
    assert "Not controlled: besides its own setting, t2i\\_run02\\_steps15 differs from the first run in noise" in write_report(tmp_path)[0].read_text()


@pytest.mark.parametrize(("language", "row"), [("en", "what differs now"), ("fr", "ce qui diffère")])
def test_what_differed_in_a_replay_is_named(language, row, tmp_path):
    (run,) = fill(tmp_path, NINE[:1]).values()
    Evidence(tmp_path).note("replayed", run, grade="different", suspects=["torch", "decoder_dtype", "vae"])
    text = write_report(tmp_path, language)[0].read_text()
    own = words(language)["report"]
    assert row in text and escape(f"{own['torch']}, {own['decoder_dtype']}, vae") in text


def test_a_controlled_run_is_said_to_be_checked(tmp_path):
    fill(tmp_path, NINE[:2])
    assert "Checked: each run differs" in write_report(tmp_path)[0].read_text()


def test_the_reports_own_contradiction_is_in_it(full):
    text = write_report(full)[0].read_text()
    assert "t2i\\_run01\\_baseline: the report judges it with prompt “ultra-realistic product photo of a backpack" in text
    assert "t2i\\_run05\\_guid12: the report gives 2 for reproducibility; found here: 1." in text  # the replay that was not identical


def test_edited_scores_do_not_count(tmp_path):
    runs = fill(tmp_path, NINE)
    session = scored(tmp_path, runs, "eve", lambda key, criterion: 2)
    session.path.write_text(session.path.read_text().replace('"points":2', '"points":1', 1))
    scored(tmp_path, runs, "open", lambda key, criterion: 2, lock=False)
    text = write_report(tmp_path)[0].read_text()
    assert "The points of eve do not count: log edited after it was locked." in text
    assert "The points of open do not count: log not locked." in text and "/10 |" in text


def test_what_cannot_be_read_is_named_and_does_no_harm(tmp_path):
    fill(tmp_path, ["smoke", "baseline"])
    (tmp_path / "smoke.png").write_bytes(b"\x89PNG not")
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "eve.jsonl").write_text("{}\n")
    (tmp_path / "reflection.json").write_text("[")
    text = write_report(tmp_path)[0].read_text()
    assert "smoke.png cannot be used" in text and "scores/eve.jsonl cannot be used" in text and "4.1" not in text


def test_a_log_without_points_counts_no_pictures(tmp_path):
    session = BlindScoring(list(fill(tmp_path, NINE).values()), "me", outputs=tmp_path)
    assert "me (log not locked): pictures scored: 0, of them twice without knowing it: 0" in write_report(tmp_path)[0].read_text()
    session.score("01", JUDGED[0], 2)
    assert "pictures scored: 0" in write_report(tmp_path)[0].read_text()
    for name in JUDGED:
        session.score("01", name, 2)
    assert "pictures scored: 1, of them twice without knowing it: 0" in write_report(tmp_path)[0].read_text()


def test_a_copy_beside_a_log_does_not_take_its_place(tmp_path):
    session = BlindScoring(list(fill(tmp_path, NINE[:2]).values()), "me", outputs=tmp_path, seed=1)
    (tmp_path / "scores" / "me (copy).jsonl").write_bytes(session.path.read_bytes())
    for code, name in session.ratings.missing():
        session.score(code, name, 1)
    session.lock()
    material = Material(tmp_path)
    assert [one.locked for one in material.ratings] == [True] and material.problems == [("scores/me (copy).jsonl", "second log")]
    assert "copie d'un autre journal" in make_report(tmp_path, "fr").render("markdown")


def test_pictures_that_lie_elsewhere_are_copied_beside_the_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outputs = tmp_path / "outputs"
    fill(outputs, ["smoke", NINE[6]])
    text = write_report(outputs, to=tmp_path / "handed in")[0].read_text()
    linked = re.findall(r"\]\(<([^>]+)>\)", text)
    assert len(linked) == 3 and all(name.startswith("report_pictures/") for name in linked)
    for name in linked:
        assert (tmp_path / "handed in" / name).is_file()
    assert read_recipe(tmp_path / "handed in" / "report_pictures" / "smoke.png").recipe == EXPERIMENTS["smoke"].recipe
    assert "](<smoke.png>)" in write_report(outputs)[0].read_text() and not (outputs / "report_pictures").exists()


def test_a_folder_without_a_name_is_named(tmp_path, monkeypatch):
    (tmp_path / "sorties").mkdir()
    monkeypatch.chdir(tmp_path / "sorties")
    assert "records of sorties" in write_report(".")[0].read_text()


def test_what_is_not_controlled_is_told_in_the_reports_language(tmp_path):
    fill(tmp_path, NINE[:2], **{NINE[1]: made(EXPERIMENTS[NINE[1]], 1, weights_sha256="ef" * 32, noise_sha256="01" * 32)})
    text = write_report(tmp_path, "fr")[0].read_text()
    assert re.search(r"diffère du premier run par poids abab.*, bruit\.", text) and "weights" not in text


def test_only_what_all_runs_share_is_said_of_all(tmp_path):
    other = made(EXPERIMENTS["t2i_run02_steps15"], 3)
    fill(tmp_path, ["t2i_run01_baseline", "t2i_run02_steps15"], t2i_run02_steps15=replace(other, recipe=other.recipe.vary(prompt="a mug")))
    assert "use the prompt" not in write_report(tmp_path)[0].read_text().replace("uses", "use")


def test_the_sentence_on_the_prompt_counts_no_runs(tmp_path):
    fill(tmp_path, NINE[1:3])
    text = write_report(tmp_path)[0].read_text()
    assert "Each of these runs uses the prompt" in text and "All six" not in text
    assert "Checked:" not in text  # without the baseline there is no first run that they were planned against


def test_other_conditions_are_not_controlled(tmp_path):
    fill(tmp_path, NINE[:2], **{NINE[1]: made(EXPERIMENTS[NINE[1]], 1, threads=4, weights_sha256="ef" * 32)})
    text = write_report(tmp_path)[0].read_text()
    assert "Checked:" not in text and re.search(r"differs from the first run in weights.*threads 2, 4", text)


def test_runs_from_two_photos_are_not_said_to_start_from_one(tmp_path):
    one, other = NINE[6:8]
    fill(tmp_path, [one, other], **{other: made(EXPERIMENTS[other], 1, source_sha256="ef" * 32)})
    assert "start from one photo" not in write_report(tmp_path)[0].read_text()
    (tmp_path / "same").mkdir()
    fill(tmp_path / "same", [one, other])
    assert "start from one photo" in write_report(tmp_path / "same")[0].read_text()


def test_a_picture_without_its_mark_is_left_out_and_named(tmp_path):
    fill(tmp_path, ["smoke", "baseline"])
    with Image.open(tmp_path / "smoke.png") as image:
        kept = {key: image.info.pop(key) for key in ("tp2", "parameters")}
        image.info.clear()
        (tmp_path / "smoke.png").write_bytes(png(image, **kept))
    text = write_report(tmp_path)[0].read_text()
    assert "smoke.png cannot be used: it has no mark of origin" in text and "t2i" in text


def test_half_a_character_does_not_stop_the_report(tmp_path):
    outputs = tmp_path / "sorties \udce9"
    outputs.mkdir()
    (outputs / "reflection.json").write_text('{"risks": "half \\ud800 of it"}')
    for path in write_report(outputs, to=tmp_path):
        assert "half " in path.read_text() and "of it" in path.read_text()


def test_numbers_that_cannot_be_are_not_known(tmp_path):
    run = made(EXPERIMENTS["smoke"], 0)
    fill(tmp_path, ["smoke"], smoke=replace(run, timings={"total": 10**400, "denoise": 10**400}))
    Evidence(tmp_path).note("text read", run, words=5)
    Evidence(tmp_path).note("replayed", run, grade="close", psnr_db=10**400)
    document = make_report(tmp_path)
    assert first(document, "seconds").text == first(document, "seconds a step").text == NOTHING
    assert "text in pictures" in [gap.what for gap in document.gaps] and first(document, "grade").text == "close"


def test_no_english_is_read_out_in_french(tmp_path):
    fill(tmp_path, ["smoke", NINE[6]])
    page = write_report(tmp_path, "fr")[1].read_text()
    alts = [html.unescape(alt) for alt in re.findall(r'alt="([^"]*)"', page)]
    assert words("fr")["report"]["prepared photo"] in alts and len(alts) == 3
    assert not any(re.search(r"\bsource photo\b|\d steps\b|default schedule", alt) for alt in alts)


# -- hostile words -----------------------------------------------------------------------------------


class Seen(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.names, self.links = set(), set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.links |= {value[:5] for name, value in attrs if name in ("href", "src")}


def test_a_hostile_learner_puts_no_markup_into_the_page(tmp_path):
    run = made(EXPERIMENTS["smoke"], 0)
    run = replace(
        run, recipe=run.recipe.vary(prompt=EVIL), environment={**run.environment, "cpu": EVIL, "gpu": [EVIL]},
        effective={**run.effective, "device": EVIL, "rungs": [EVIL]},
    )  # fmt: skip
    fill(tmp_path, ["smoke"], smoke=run)
    answer("risks", EVIL, tmp_path)
    note("predicted", "03", outputs=tmp_path, question=EVIL, answer=EVIL, own=True, choices=2)
    note("measured", "03", outputs=tmp_path, question=EVIL, measured=EVIL)
    note("answer", "06", outputs=tmp_path, question="6.4", title=EVIL, text=EVIL)
    markdown, page = (path.read_text() for path in write_report(tmp_path))
    seen = Seen()
    seen.feed(page)
    assert not seen.tags & {"script", "iframe", "object", "form", "link", "base"}
    assert not [name for name in seen.names if name.startswith("on")] and seen.links <= {"data:", "#s0", *(f"#s{n}" for n in range(40))} | {
        link for link in seen.links if link.startswith(("#r", "#s"))
    }
    assert "alert(1)" in page and html.escape("<script>") in page and "49" not in re.sub(r"base64,[^\"]+|[0-9a-f]{8,}", "", page)
    shown = Seen()
    shown.feed(MarkdownIt("commonmark").enable("table").render(markdown))
    assert not shown.tags & {"script", "a", "iframe", "form"} and shown.names <= {"src", "alt"} and "onerr" not in shown.links
    assert shown.links <= {picture[:5] for picture in re.findall(r"\]\(<([^>]+)>\)", markdown)}


@pytest.mark.parametrize("text", ["a|b", "`x`", "**b**", "[a](b)", "<b>", "# h", "1. one", "- one", "+ one", "~~s~~", "![i](u)", "$x$", "a\nb"])
def test_words_stand_for_themselves_in_markdown(text):
    shown = re.sub(r"<[^>]+>", "", MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(escape(text)))
    assert html.unescape(shown).strip() == " ".join(text.split())


def test_markdown_is_left_readable():
    assert escape("4.2 s, -3 % and 256 × 256, well-known") == "4.2 s, -3 % and 256 × 256, well-known"


# -- the page ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_page_needs_nothing_else_and_its_pictures_are_the_ledgers_own(full):
    page = write_report(full)[1].read_text()
    assert not re.search(r"https?://(?!www\.w3\.org)|url\(|@import|<link|<script", re.sub(r"base64,[^\"]+", "", page))
    pictures = [base64.b64decode(data) for data in re.findall(r"data:image/png;base64,([^\"]+)", page)]
    opened = [Image.open(io.BytesIO(data)) for data in pictures]
    kept = [data for data, image in zip(pictures, opened, strict=True) if digital_source_type(image)]
    assert len(kept) >= 11 and all(read_recipe(data).recipe.seed == 42 for data in kept)  # what is saved out of it can be replayed
    assert len(re.findall(r"<img [^>]*alt=\"[^\"]{10,}\"", page)) == len(pictures)


def test_no_folder_of_this_machine_is_in_it(tmp_path):
    secret = {name: f"/home/alice/{'alice/' * 30}secret/{name}" for name in ("product.jpg", "mask.png", "sd", "vae")}
    run = made(EXPERIMENTS["i2i_run07_strength035"], 0, model=secret["sd"], vae=secret["vae"])
    recipe = run.recipe.vary(source=secret["product.jpg"], mask=secret["mask.png"], model=secret["sd"])
    run = replace(run, recipe=recipe, source={**run.source, "path": secret["product.jpg"]})
    smoke = made(EXPERIMENTS["smoke"], 1, model=secret["sd"])
    fill(tmp_path, ["i2i_run07_strength035", "smoke"], i2i_run07_strength035=run, smoke=smoke)
    (tmp_path / "baseline.png").write_bytes(b"\x89PNG not")
    ledger = Ledger(tmp_path)
    ledger.start("ab" * 16)
    ledger.fail("ab" * 16, f"ModelNotFound: there is no model {secret['sd']!r}, nor C:\\Users\\alice\\sd or '~/alice b/sd'; it must be auto")
    texts = [path.read_text() for path in write_report(tmp_path)]
    data = b"".join(base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", texts[1]))
    assert b"alice" not in data and b"mask.png" in data
    for text in texts:
        assert "alice" not in text and str(tmp_path) not in text and "there is no model" in text and "baseline.png cannot be used" in text


@pytest.mark.parametrize(
    ("text", "left"),
    [("no /home/alice/b.png here", "no b.png here"), ('no "/home/alice/l\'île/a b/c.png".', 'no "c.png".'), ("no 'C:\\Users\\al b\\c.png'.", "no 'c.png'.")],
)
def test_of_a_path_only_the_files_name_is_told(text, left):
    assert without_folders(text) == left


def test_one_enormous_picture_does_not_stop_the_seconds(tmp_path, monkeypatch):
    fill(tmp_path, NINE[:2])
    assert len(kept_runs(Ledger(tmp_path))) == 2
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 96 // 3)
    assert kept_runs(Ledger(tmp_path)) == []


@pytest.mark.parametrize("text", ["a/b and 3/4 of km/h", "https://huggingface.co/owner/name", "n / a", "owner/name", "and/or"])
def test_what_is_no_path_of_this_machine_stays(text):
    assert without_folders(text) == text


def test_sentences_hold_no_figures_of_their_own():
    for key, sentence in words("en")["report"].items():
        assert not re.search(r"\d{2}(?!\w)", re.sub(r"notebook 03|95 %|10 in all|SHA-256", "", sentence)), key  # figures are filled in, not written


@pytest.mark.slow
def test_french_has_french_words_and_commas(full):
    markdown, page = (path.read_text() for path in write_report(full, "fr"))
    assert write_report(full, "fr")[0].name == "rapport.md" and '<html lang="fr">' in page
    assert "Rapport TP2" in page and re.search(r"\d,\d s\b", markdown) and not re.search(r"\| \d+\.\d+ s \|", markdown)
    english = set(re.findall(r"[a-z]{4,}", " ".join(words("en")["report"].values()))) - set(re.findall(r"[a-z]{4,}", " ".join(words("fr")["report"].values())))
    left = {
        word
        for word in english
        if re.search(rf"\b{word}\b", re.sub(r"base64,[^\"]+|title=\"[^\"]*\"|alt=\"[^\"]*\"|<style>.*?</style>", "", page, flags=re.DOTALL))
    }
    assert left <= set(re.findall(r"[a-z]{4,}", " ".join(one.recipe.prompt for one in EXPERIMENTS.values()))) | {
        "read", "scaled", "answer", "from", "with", "size", "width", "picture", "title", "main", "what", "would", "sign", "cases", "ledger", "runs", "which",
        "better", "longer", "fifty", "seeds", "value", "model", "each", "desk", "memory", "figure", "none", "reproducibility",
    }  # fmt: skip


@pytest.mark.slow
def test_the_command_writes_both_files_and_prints_their_paths(full, tmp_path, capsys):
    assert main(["report", "--outputs", str(full), "--lang", "fr", "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "rapport.md"), str(tmp_path / "rapport.html")]
    for picture in re.findall(r"\]\(<([^>]+)>\)", (tmp_path / "rapport.md").read_text()):
        assert (tmp_path / picture).is_file()
    assert main(["report", "--outputs", str(tmp_path / "nowhere")]) == 1


def test_all_points_and_sums_stand_in_the_table_of_each_case(full):
    text = write_report(full)[0].read_text()
    assert text.count("| total |") >= 3 and "| 10/10 |" in text and "| 7/10 |" in text and "| 6/10 |" in text
    assert all(name in text for name in ("ann", "ben", "cid"))


def test_a_favourite_with_a_new_background_is_told_and_none_is_no_gap(model, tmp_path):
    kept = np.zeros((64, 64), bool)
    kept[20:40, 20:40] = True
    recipe = Recipe(prompt="a red apple", steps=1, width=64, height=64, source="photo.png", mask="auto")
    run = generate(recipe, model, source=cut_out(Image.new("RGB", (64, 64), "red"), kept), ledger=Ledger(tmp_path))
    assert run.key not in {picture.run for picture in make_report(tmp_path).pictures}
    Favourites(Ledger(tmp_path)).toggle(run.key)
    document = make_report(tmp_path)
    assert run.key in {picture.run for picture in document.pictures} and audit_report(document, tmp_path) == []
    assert re.search(r"\| mask \| auto \|.*\| grow \| 0 \|.*\| feather \| \d+ \|", document.render("markdown"), re.DOTALL)
    assert not any("inpaint" in gap.what for gap in document.gaps)
