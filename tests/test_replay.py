"""Replay: the same pixels in a fresh process, graded honestly, with the differences named."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from foreign_files import png
from PIL import Image

from tp2lib.engine.generate import generate
from tp2lib.engine.replay import _differences, _job, grade, replay, replay_all, replayable
from tp2lib.engine.runs import Run
from tp2lib.errors import ModelError, OutputError, RecordError, SourceError
from tp2lib.metadata.source import prepare_source
from tp2lib.models.loading import load
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import read_recipe

APPLE = Recipe(prompt="a red apple", steps=3, width=64, height=64)


def test_nothing_is_rendered_for_no_pictures_or_for_a_run_without_one(model, monkeypatch):
    monkeypatch.setattr("tp2lib.engine.replay._run_process", lambda *a: pytest.fail("a process was started"))
    assert replay_all([]) == []
    run = generate(APPLE, model)
    with pytest.raises(OutputError, match="ended as 'nan'"):
        replay_all([run, replace(run, image=None, outcome="nan")])


def test_what_the_original_alone_had_is_a_suspect(model):
    run = generate(APPLE, model)
    then = replace(run, effective={**run.effective, "vae": "mine.safetensors"})
    assert _differences(then, run) == {"vae": ("mine.safetensors", None)}


@pytest.mark.slow
def test_a_fresh_process_gives_identical_pixels(model, photo, tmp_path):
    """Four pictures in one fresh process: ordinary, stochastic, from a photo, and made with a fallback."""
    ledger = Ledger(tmp_path)
    runs = [
        generate(APPLE, model, ledger=ledger),
        generate(APPLE.vary(scheduler="DPM++ 2M SDE", guidance=1), model, ledger=ledger),
        generate(APPLE.vary(source="my photo.png", strength=0.7), model, source=photo, ledger=ledger),
        generate(APPLE.vary(seed=7), model, ledger=ledger, fallbacks=["VAE tiling"]),
    ]
    ledger.publish(runs[2], "i2i_run07.png")
    verdicts = replay_all([runs[0], runs[1].path, tmp_path / "i2i_run07.png", runs[3].path])
    assert [str(verdict) for verdict in verdicts] == ["identical"] * 4
    assert verdicts[3].run.effective["rungs"] == ["VAE tiling"]
    assert all(verdict.psnr_db is None and not verdict.suspects for verdict in verdicts)


def test_a_picture_that_was_made_otherwise_is_graded_and_its_differences_are_suspects(model, tmp_path, in_this_process):
    run = generate(APPLE, model)
    noisy = np.clip(np.asarray(run.image, np.int16) + np.random.default_rng(0).integers(-3, 4, (64, 64, 3)), 0, 255)
    claimed = replace(run, image=Image.fromarray(noisy.astype(np.uint8)), environment={**run.environment, "torch": "1.13.0"})
    verdict = replay(claimed.save(tmp_path / "claimed.png"))
    assert verdict.grade == "close" and verdict.psnr_db > 35
    assert verdict.suspects == {"torch": ("1.13.0", run.environment["torch"])}
    assert "torch was '1.13.0'" in str(verdict)


@pytest.mark.slow
def test_a_picture_of_another_vae_is_replayed_with_that_vae(model, tmp_path, in_this_process):
    kind = type(model.pipe.vae)
    with torch.random.fork_rng():
        kind.from_config(model.pipe.vae.config).save_pretrained(tmp_path / "other")
    plain = generate(APPLE, model).save(tmp_path / "plain.png")
    path = generate(APPLE, load("vitrine", vae=tmp_path / "other", device="cpu")).save(tmp_path / "apple.png")
    assert [str(verdict) for verdict in replay_all([plain, path], vae=tmp_path / "other")] == ["identical"] * 2


def test_a_replay_without_a_picture_is_different(model, tmp_path, in_this_process, monkeypatch):
    path = generate(APPLE, model).save(tmp_path / "apple.png")
    monkeypatch.setattr(model.pipe.vae, "decode", lambda z, **k: (torch.full((1, 3, 64, 64), -1.0),))
    verdict = replay(path)
    assert verdict.grade == "different" and verdict.suspects == {"outcome": ("ok", "black")}


def test_a_missing_engine_costs_the_engine_alone(model, tmp_path, in_this_process, monkeypatch):
    run = generate(APPLE, model)
    path = replace(run, effective={**run.effective, "fast": "openvino"}).save(tmp_path / "apple.png")
    asked = []

    def without_openvino(name, **how):
        asked.append((how.get("device"), how.get("fast")))
        if how.get("fast"):
            raise ModelError("openvino is not installed.")
        return model

    monkeypatch.setattr("tp2lib.models.loading.load", without_openvino)
    assert replay(path).grade == "identical" and asked == [("cpu", "openvino"), ("cpu", None)]


def test_a_process_that_fails_says_why(model, tmp_path, monkeypatch):
    path = generate(APPLE, model).save(tmp_path / "apple.png")
    failed = subprocess.CompletedProcess([], 1, stderr="Loading\nModelNotFound: no model in nowhere")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(ModelError, match="replay process ended with status 1: ModelNotFound: no model in nowhere"):
        replay(path)


def test_the_process_has_as_many_threads_as_then(model, tmp_path, monkeypatch):
    run = generate(APPLE, model)
    path = replace(run, effective={**run.effective, "threads": 3}).save(tmp_path / "apple.png")
    seen = {}

    def listen(command, env, **options):
        seen.update(command=command, threads=env["OMP_NUM_THREADS"])
        return subprocess.CompletedProcess(command, 1, stderr="")

    monkeypatch.setattr(subprocess, "run", listen)
    with pytest.raises(ModelError, match="no message"):
        replay(path)
    assert seen["threads"] == "3" and seen["command"][1:3] == ["-m", "tp2lib.engine.replay"]


def pictures(difference):
    base = np.random.default_rng(1).integers(100, 150, (32, 32, 3))
    return Image.fromarray(base.astype(np.uint8)), Image.fromarray((base + difference).astype(np.uint8))


def test_grades():
    checker = np.indices((32, 32)).sum(0)[..., None] % 2
    assert grade(*pictures(0)) == ("identical", 0, None, 0.0)
    assert grade(*pictures(checker))[:2] == ("within 1 level", 1)
    name, largest, psnr, changed = grade(*pictures(2 * checker))
    assert (name, largest, changed) == ("close", 2, 0.5)
    assert psnr == pytest.approx(10 * np.log10(255**2 / 2))  # a mean squared error of 2
    assert grade(*pictures(60 * checker))[0] == "different"
    assert grade(Image.new("RGB", (8, 8)), Image.new("RGB", (8, 16)))[0] == "different"


def test_a_record_decides_neither_model_nor_file(model, tmp_path):
    run = generate(APPLE, model)
    foreign = replace(run, effective={**run.effective, "model": "evil/model"}).save(tmp_path / "foreign.png")
    with pytest.raises(RecordError, match="'evil/model', which is neither in the catalogue nor in TP2_MODEL"):
        replay(foreign)
    with pytest.raises(RecordError, match="neither in the catalogue"):
        replayable(Run.from_picture(foreign))  # a run that was read is no more than its file
    assert replayable(replace(run, effective={**run.effective, "model": "my/model"}))[1]["model"] == "my/model"
    with pytest.raises(RecordError, match=r"with the VAE 'mine'.*Give vae="):
        replay(replace(run, effective={**run.effective, "vae": "mine"}))
    job = _job(replace(run, recipe=APPLE.vary(source="/etc/passwd", strength=0.5)), None, False)
    assert job["recipe"]["source"] == "the kept photo" and job["recipe"]["model"] == "auto"


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 0}, {"threads": "2"}, {"threads": 10**9}, {"threads": True}, {"rungs": ["rm -rf"]}, {"rungs": None}, {"rungs": [[]]},
        {"model": []}, {"model": None}, {"fast": []},
    ],
)  # fmt: skip
def test_a_record_out_of_range_is_refused(model, tmp_path, change):
    run = generate(APPLE, model)
    path = replace(run, effective={**run.effective, **change}).save(tmp_path / "odd.png")
    with pytest.raises(RecordError, match="the record's|made with model None"):
        replay(path)


def test_a_photo_that_is_not_kept_is_asked_for(model, photo, tmp_path, in_this_process):
    path = generate(APPLE.vary(source="a.png", strength=0.5), model, source=photo).save(tmp_path / "alone.png")
    with pytest.raises(SourceError, match="not among those kept beside it.*prepare_source"):
        replay(path)
    other = prepare_source(Image.new("RGB", (64, 64)), 64, 64)
    with pytest.raises(SourceError, match="same photo and values as before"):
        replay(path, source=other)
    assert str(replay(path, source=photo)) == "identical"


def test_a_model_that_is_not_in_the_catalogue_can_be_given(tiny_folder, tmp_path, in_this_process, monkeypatch):
    path = generate(APPLE, load(tiny_folder, device="cpu")).save(tmp_path / "apple.png")
    with pytest.raises(RecordError, match="neither in the catalogue"):
        replay(path)
    assert str(replay(path, model=str(tiny_folder))) == "identical"
    monkeypatch.setenv("TP2_MODEL", str(tiny_folder))
    assert str(replay(path)) == "identical"


def test_what_differs_is_named_then_and_now(model):
    run = generate(APPLE, model)
    other = replace(run, effective={**run.effective, "threads": 9, "rungs": ["free caches", "smaller size 64x64"]})
    assert _differences(run, other) == {"threads": (run.effective["threads"], 9)}


@pytest.mark.parametrize(("now", "then"), [
    ({"scheduler": "DPM++ 2M", "schedule": "karras"}, "DPM++ 2M Karras"), ({"scheduler": "DPM++ 2M SDE"}, "DPM++ SDE"), ({"scheduler": "Euler"}, "Euler"),
])  # fmt: skip
def test_a_picture_of_version_0_1_replays_to_the_same_pixels_under_the_right_names(model, tmp_path, in_this_process, now, then):
    ledger = Ledger(tmp_path)
    run = generate(APPLE.vary(**now), model, ledger=ledger)
    texts = dict(Image.open(run.path).text)
    record = json.loads(texts["tp2"])
    for part in ("recipe", "effective"):  # as version 0.1 wrote them: no schedule, and its own names
        del record[part]["schedule"]
        record[part]["scheduler"] = then
    run.path.write_bytes(png(run.image, tp2=json.dumps(record)))
    assert (read_recipe(run.path).recipe, read_recipe(run.path).assumed) == (run.recipe, {})
    verdict = replay(run.path)
    assert str(verdict) == "identical"  # and no name among the suspects
    again = generate(run.recipe, model, ledger=Ledger(tmp_path))
    assert again.key == run.key and again.recipe == run.recipe and again.effective["schedule"] == run.effective["schedule"]
