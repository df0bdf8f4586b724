"""The publication check: every fault that is planted is found, with its reason, and what cannot be checked is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from filled import SIDE, apple, fill, made, photo
from PIL import Image, ImageEnhance

import tp2lib.evaluation.product
import tp2lib.evaluation.risks
from tp2lib.engine.generate import generate
from tp2lib.engine.inpainting import cut_out
from tp2lib.errors import RecordError
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.evaluation.languages import words
from tp2lib.evaluation.risks import LIMITS, VERDICTS, Finding, Inspection, inspect
from tp2lib.evaluation.run_measures import Evidence
from tp2lib.evaluation.scoring import BlindScoring
from tp2lib.metadata.pixels import open_image
from tp2lib.metadata.record import COMPOSITE, GENERATED, digital_source_type
from tp2lib.metadata.source import prepare_source
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import export_picture, save_picture

NAME = "i2i_run07_strength035"


@pytest.fixture(autouse=True)
def reader(monkeypatch):
    """A reader of text that reads what the test says; it is asked once a picture."""
    said, asked = {"words": ()}, []

    def read(image):
        asked.append(image)
        said["picture"] = bool(said["words"]) and not said.get("picture")  # the photo comes right after a picture with words
        return said["words"] if said["picture"] or said["words"] is None else ()

    monkeypatch.setattr(tp2lib.evaluation.risks, "read_text", read)
    said["asked"] = asked
    return said


@pytest.fixture
def run(tmp_path):
    """A faithful picture: the photo itself, as image to image of strength 0 would leave it."""
    return fill(tmp_path, [NAME], **{NAME: made(EXPERIMENTS[NAME], 0, image=photo().image)})[NAME]


def found(run, tmp_path, risk, **how):
    inspection = inspect(run, outputs=tmp_path, **how)
    return inspection, [one for one in inspection.findings if one.risk == risk]


def test_a_sound_picture_may_be_published_and_every_risk_was_looked_at(run, tmp_path):
    inspection = inspect(run, outputs=tmp_path)
    assert (inspection.verdict, inspection.use, inspection.unchecked, inspection.why()) == ("publish", "product", (), [])
    assert {one.risk for one in inspection.findings} == set(words("en")["risks"])


@pytest.mark.parametrize(
    ("image", "risk", "reason", "verdict"),
    [
        (apple(8), "product", "colour", "reject"),
        (Image.new("RGB", (SIDE, SIDE), (250, 250, 250)), "product", "no product", "reject"),
        (apple(0).crop((16, 16, 80, 80)).resize((SIDE, SIDE)), "product", "shape", "reject"),
        (apple(0).crop((30, 20, 96, 86)).resize((SIDE, SIDE)), "crop", "crop", "reject"),
        (ImageEnhance.Brightness(apple(0)).enhance(0.8), "background", "background", "retouch"),
        (ImageEnhance.Color(ImageEnhance.Contrast(apple(0)).enhance(2.5)).enhance(3), "clipped", "clipped beyond the photo", "reject"),
    ],
    ids=["another colour", "gone", "larger", "cut off", "dim ground", "burnt out"],
)
def test_a_planted_fault_is_found(run, tmp_path, image, risk, reason, verdict):
    inspection, findings = found(replace(run, image=image, path=None), tmp_path, risk)
    assert [one.verdict for one in findings if one.reason == reason] == [verdict]
    assert VERDICTS.index(inspection.verdict) >= VERDICTS.index(verdict)
    assert any(line.startswith(words("en")["risks"][risk]) for line in inspection.why())


def test_a_product_whose_outline_is_not_sure_is_not_called_missing(run, tmp_path, monkeypatch):
    other, find = replace(run, image=apple(1), path=None), tp2lib.evaluation.product._find
    doubted = np.asarray(other.image).tobytes()
    monkeypatch.setattr(tp2lib.evaluation.product, "_find", lambda shape, rgb: (find(shape, rgb)[0], rgb != doubted))
    inspection, findings = found(other, tmp_path, "product")
    assert [(one.reason, one.verdict) for one in findings][1:] == [("not told apart", "unknown")] and "product" in inspection.unchecked


def test_colours_that_the_photo_clips_too_are_the_products_own(run, tmp_path):
    burnt = ImageEnhance.Color(ImageEnhance.Contrast(apple(0)).enhance(2.5)).enhance(3)
    _, (clipped,) = found(replace(run, image=burnt, path=None), tmp_path, "clipped", photo=burnt)
    assert clipped.verdict == "publish" and clipped.figures["share"] == clipped.figures["photo"] > LIMITS["clipped"][1]


def test_text_that_nobody_asked_for_is_named_and_remembered(run, tmp_path, reader):
    reader["words"] = ("SALE", "-50")
    for _ in range(2):
        inspection, (text,) = found(run, tmp_path, "text")
        assert (inspection.verdict, text.reason, text.figures) == ("retouch", "text", {"words": "SALE, -50"})
    assert len(reader["asked"]) == 2  # the picture and its photo, once


def test_text_that_is_on_the_photo_too_is_the_products_own(run, tmp_path, monkeypatch):
    monkeypatch.setattr(tp2lib.evaluation.risks, "read_text", lambda image: ("Granny",))
    assert found(run, tmp_path, "text")[1][0].reason == "no text"


def test_what_was_read_while_the_photo_was_missing_is_compared_with_it_once_it_is_back(run, tmp_path, monkeypatch):
    monkeypatch.setattr(tp2lib.evaluation.risks, "read_text", lambda image: ("Granny",))
    kept = Ledger(tmp_path).find_source(run.effective["source_sha256"])
    away = kept.rename(tmp_path / "away.png")
    lost = found(run, tmp_path, "text")[1][0]
    assert lost.reason == "text, not compared" and "may be the product's own" in lost.say() and "peut-être celui du produit" in lost.say("fr")
    away.rename(kept)
    assert [found(run, tmp_path, "text", read=read)[1][0].reason for read in (False, True, False)] == ["text, not compared", "no text", "no text"]


def test_text_that_the_prompt_asks_for_is_no_surprise(run, tmp_path, reader):
    reader["words"] = ("Sale 50", "FRESH")
    asked = replace(run, recipe=run.recipe.vary(prompt="a red apple with a sign that says fresh, sale 50%"))
    assert found(asked, tmp_path, "text")[1][0].reason == "no text"
    assert found(run, tmp_path, "text")[1][0].figures == {"words": "Sale 50, FRESH"}  # the same picture: what was read is kept


def test_what_an_earlier_version_noted_still_counts(run, tmp_path):
    Evidence(tmp_path).note(tp2lib.evaluation.risks.TEXT, run, words=["SALE"], reader="rapidocr")
    (text,) = found(run, tmp_path, "text", read=False)[1]
    assert (text.verdict, text.reason, text.figures) == ("retouch", "text", {"words": "SALE"})


@pytest.mark.parametrize("odd", [5, "SALE", None, {"a": 1}])
def test_a_forged_list_of_words_counts_as_not_read(run, tmp_path, odd):
    Evidence(tmp_path).note(tp2lib.evaluation.risks.TEXT, run, seen=odd)
    assert inspect(run, outputs=tmp_path, read=False).unchecked == ("text",)


def test_without_a_reader_nobody_claims_that_there_is_no_text(run, tmp_path, reader):
    reader["words"] = None
    inspection, (text,) = found(run, tmp_path, "text")
    assert text.verdict == "unknown" and inspection.unchecked == ("text",) and "`ocr`" in inspection.why()[0]
    assert Evidence(tmp_path).latest(tp2lib.evaluation.risks.TEXT, run) is None


def test_what_was_read_in_another_picture_does_not_count(run, tmp_path, reader):
    inspect(run, outputs=tmp_path)
    reader["words"] = ("NEW",)
    other = replace(run, image=apple(1))
    assert inspect(other, outputs=tmp_path, read=False).unchecked  # not read yet
    assert found(other, tmp_path, "text")[1][0].reason == "text"


def test_a_file_without_its_mark_is_rejected(run, tmp_path):
    bare = tmp_path / "bare.png"
    run.image.save(bare)
    inspection, (mark,) = found(replace(run, path=bare), tmp_path, "mark")
    assert (inspection.verdict, mark.reason) == ("reject", "no mark")
    kept = export_picture(run.path, tmp_path / "kept.png")
    assert found(replace(run, path=kept), tmp_path, "mark")[1][0].reason == "marked"


def test_a_file_with_other_pixels_is_rejected(run, tmp_path):
    assert found(replace(run, image=apple(1)), tmp_path, "mark")[1][0].reason == "other pixels"
    (tmp_path / "half.png").write_bytes(run.path.read_bytes()[:500])
    assert found(replace(run, path=tmp_path / "half.png"), tmp_path, "mark")[1][0].verdict == "unknown"


def test_a_picture_from_words_alone_shows_no_product_that_exists(tmp_path):
    run = made(EXPERIMENTS["baseline"], 0)
    assert inspect(run, outputs=tmp_path).use == "illustration"
    assert inspect(run, outputs=tmp_path, use="product").verdict == "reject"
    with pytest.raises(RecordError, match="one of product, illustration"):
        inspect(run, outputs=tmp_path, use="advert")


@pytest.mark.parametrize(
    ("composite", "use", "reasons"), [(False, "illustration", ("reject", "no photo, product")), (True, "product", ("unknown", "photo lost"))]
)
def test_a_source_that_a_model_made_is_no_photo_of_a_product(model, tmp_path, composite, use, reasons):
    save_picture(apple(0), tmp_path / "made.png", {}, Recipe(prompt="a red apple"), composite=composite)
    recipe = Recipe(prompt="a red apple", steps=2, strength=0.5, source="made.png")
    run = generate(recipe, model, source=prepare_source(tmp_path / "made.png", 64, 64), ledger=Ledger(tmp_path))
    assert inspect(run, outputs=tmp_path, read=False).use == use
    product = next(one for one in inspect(run, outputs=tmp_path, use="product", read=False).findings if one.risk == "product")
    assert (product.verdict, product.reason) == reasons
    assert digital_source_type(open_image(run.path)[0]) == (COMPOSITE if composite else GENERATED)
    assert (BlindScoring([run], "me", outputs=tmp_path).photo("01") is None) == (not composite)


def test_an_illustration_is_not_compared_with_its_photo(run, tmp_path):
    other = replace(run, image=apple(8), path=None)
    assert [found(other, tmp_path, "product", use=use)[1][0].reason for use in ("illustration", "product")] == ["no photo, illustration", "colour"]


def test_a_lost_photo_leaves_the_question_open(tmp_path):
    inspection, (product,) = found(made(EXPERIMENTS[NAME], 0), tmp_path, "product")
    assert product.verdict == "unknown" and "product" in inspection.unchecked


def test_a_run_without_a_picture_cannot_be_inspected(tmp_path):
    with pytest.raises(RecordError, match="no picture"):
        inspect(replace(made(EXPERIMENTS[NAME], 0), image=None, outcome="black"), outputs=tmp_path)


def test_the_gravest_finding_decides():
    def verdict(*ones):
        return Inspection(key="k", use="product", findings=tuple(Finding(risk="mark", verdict=one, reason="marked") for one in ones)).verdict

    assert [verdict("publish", "reject", "retouch"), verdict("retouch", "unknown"), verdict("unknown"), verdict()] == [
        "reject", "retouch", "publish", "publish",
    ]  # fmt: skip


def test_every_limit_is_one_that_is_checked():
    assert set(LIMITS) == {"colour", "shape", "clipped", "crop", "background"}


def test_a_finding_speaks_french(run, tmp_path):
    inspection = inspect(replace(run, image=apple(8), path=None), outputs=tmp_path)
    assert any("produit altéré\xa0: les couleurs du produit sont à" in line and "," in line for line in inspection.why("fr"))


def test_a_kept_product_is_counted_pixel_by_pixel_and_its_surroundings_are_said_to_be_invented(model, tmp_path):
    kept = np.zeros((64, 64), bool)
    kept[20:40, 20:40] = True
    source = cut_out(Image.effect_noise((64, 64), 90).convert("RGB"), kept)
    recipe = Recipe(prompt="a red apple", steps=1, width=64, height=64, source="photo.png", mask="auto", grow=2)
    run = generate(recipe, model, source=source, ledger=Ledger(tmp_path))
    found = inspect(run, outputs=tmp_path, read=False)
    reasons = {one.reason: one.figures for one in found.findings}
    assert reasons["kept"] == {"share": pytest.approx(run.effective["kept_share"], abs=1e-6), "differing": 0}
    assert any("invented by a model" in why for why in found.why())
    other = run.image.copy()
    other.putpixel((18, 30), (1, 2, 3))  # kept only because the mask grew
    assert inspect(replace(run, image=other), outputs=tmp_path, read=False).verdict == "reject"
