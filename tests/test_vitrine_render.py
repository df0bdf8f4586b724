"""The renderer: seeded, resumable, masked, and its defects are the defects they say."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("mitsuba", reason="the renderer's packages are in the extra 'train'")

from tp2lib.models.vocabulary import SET_WORDS
from vitrine.render import develop, photograph, picture_path, render_split, trace
from vitrine.renders import Renders, missing
from vitrine.scene import draw

GOOD = {"defect": "none", "palette": "plain", "style": "plain", "focus": "deep", "light": "studio"}


def test_the_same_record_gives_the_same_picture_and_the_mask_covers_the_product():
    record = draw(3, kind="apple", colour="red", set="white", view="front", **GOOD)
    (a, mask), (b, again) = photograph(record, 64, 4), photograph(record, 64, 4)
    pixels = np.asarray(a, float)
    # beside a busy process Mitsuba draws other samples in 4 to 8 of 60 runs, on one thread too: another noise, the same scene
    assert (mask == again).all() and np.abs(pixels - np.asarray(b, float)).mean() < 4
    inside, outside = pixels[mask].mean(0), pixels[~mask].mean(0)
    assert 0.15 < mask.mean() < 0.7
    assert inside[0] > 1.6 * inside[1:].max()
    assert outside.min() > 215


@pytest.mark.slow
@pytest.mark.parametrize("name", SET_WORDS)
def test_every_set_can_be_built_and_lit(name):
    picture, mask = trace(draw(8, kind="mug", set=name, **GOOD), 32, 2)
    assert np.isfinite(picture).all() and picture.max() > 0.02 and mask.any()


def test_developing_makes_the_defect_that_the_record_names():
    record = draw(4, kind="vase", colour="green", set="wood", **GOOD)
    picture, _ = trace(record, 64, 4)
    look = {
        d: np.asarray(develop(picture, record | {"defect": d}), float) for d in ("none", "dark", "overexposed", "blurry", "grainy", "oversaturated", "lowres")
    }
    edges = {d: np.abs(np.diff(p.mean(-1), axis=1)).mean() for d, p in look.items()}
    spread = {d: np.ptp(p, axis=-1).mean() for d, p in look.items()}
    assert look["dark"].mean() < 0.6 * look["none"].mean() < look["overexposed"].mean() * 0.9
    assert edges["blurry"] < 0.9 * edges["none"] < edges["grainy"] / 2
    assert spread["oversaturated"] > 1.3 * spread["none"]
    assert (look["none"] != look["lowres"]).any()


def test_a_killed_render_is_picked_up_where_it_stood(tmp_path):
    list(render_split(tmp_path, range(2), 32, 1))
    first = picture_path(tmp_path, 0)
    kept = first.stat().st_mtime_ns
    picture_path(tmp_path, 1).with_suffix(".json").unlink()  # the last file a picture gets
    assert missing(tmp_path, range(3)) == [1, 2]
    assert list(render_split(tmp_path, missing(tmp_path, range(3)), 32, 1)) == [1, 2]
    assert first.stat().st_mtime_ns == kept
    renders = Renders(tmp_path, "train")
    assert len(renders) == 3 and renders.picture(2).shape == (32, 32, 3)
    assert json.loads(first.with_suffix(".json").read_text()) == draw(0)


def test_a_picture_of_an_older_edition_of_its_scene_is_missing(tmp_path):
    seed = next(seed for seed in range(50) if draw(seed)["kind"] == "wallet")
    list(render_split(tmp_path, [seed], 32, 1))
    assert missing(tmp_path, [seed]) == []
    path = picture_path(tmp_path, seed).with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"edition": 1}))
    assert missing(tmp_path, [seed]) == [seed]


def test_an_empty_folder_says_what_to_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="render --split judge"):
        Renders(tmp_path, "judge")
