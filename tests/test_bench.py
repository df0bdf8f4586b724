"""``tp2 bench``: every part on a tiny model, resumable by part, and no figure where nothing was measured."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
import torch

from tp2lib.cli import benchsettings
from tp2lib.cli.bench import PARTS, Bench, Row, bench, table
from tp2lib.cli.benchsettings import unet_call, unet_inputs, variants
from tp2lib.cli.main import main
from tp2lib.errors import RecipeError
from tp2lib.evaluation.experiments import EXPERIMENTS


@pytest.mark.slow
def test_every_part_runs_on_a_cpu_and_is_measured_once(vitrine, tmp_path, monkeypatch, in_this_process):
    start = Bench.__init__

    def small(self, device=None):
        start(self, device)
        self.recipe = self.recipe.vary(width=64, height=64, steps=3)

    monkeypatch.setattr(Bench, "__init__", small)
    monkeypatch.setattr("tp2lib.cli.bench.EXPERIMENTS", {"smoke": EXPERIMENTS["smoke"]})
    said: list[str] = []
    path = bench(tmp_path, ["diffusers", "memory", "replays", "use"], device="cpu", say=said.append)
    known = json.loads(path.read_text())
    assert set(known["parts"]) == {"diffusers", "memory", "replays", "use"} and known["failed"] == {}
    rows = {row["what"]: row for part in known["parts"].values() for row in part["rows"]}
    size = "3 guided steps at 128², vitrine"
    against, low, high = rows["generate against diffusers"], *map(float, re.findall(r"\d+\.\d+", rows["generate against diffusers"]["note"]))
    assert low - 0.01 <= against["value"] <= high + 0.01 and all(rows[f"{who}: {size}"]["value"] > 0 for who in ("diffusers", "generate"))
    assert rows["pictures replayed identically"]["value"] == 1 and rows["steps made after Stop"]["value"] == 0
    assert rows["memory fallbacks"]["value"] is None and "needs a CUDA GPU" in rows["memory fallbacks"]["note"]
    again: list[str] = []
    bench(tmp_path, ["diffusers", "memory"], device="cpu", say=again.append)
    assert again[0] == "diffusers: measured before" and [line for line in again if "measured" not in line] == said[: len(again) - 2]


def test_a_part_that_fails_is_said_measured_again_and_stops_no_other(vitrine, tmp_path, monkeypatch):
    def broken(bench):
        yield Row(what="first", value=1.0)
        raise RuntimeError("CUDA error: no kernel image")

    monkeypatch.setitem(PARTS, "settings", broken)
    said: list[str] = []
    path = bench(tmp_path, ["settings", "memory"], device="cpu", say=said.append)
    known = json.loads(path.read_text())
    assert set(known["parts"]) == {"memory"} and "no kernel image" in known["failed"]["settings"]["rows"][-1]["note"]
    monkeypatch.setitem(PARTS, "settings", lambda bench: iter([Row(what="first", value=2.0)]))
    bench(tmp_path, ["settings"], device="cpu", say=said.append)
    assert json.loads(path.read_text())["parts"]["settings"]["rows"][0]["value"] == 2.0
    monkeypatch.setitem(PARTS, "settings", broken)
    bench(tmp_path, ["settings"], device="cpu", again=True, say=said.append)
    assert "settings" not in json.loads(path.read_text())["parts"] and "no kernel image" in said[-1]
    asked = ["--device", "cpu", "--outputs", str(tmp_path)]
    assert main(["bench", "settings", *asked]) == 1 and main(["bench", "memory", *asked]) == 0  # only what was asked for counts


def test_figures_of_another_machine_are_put_aside(vitrine, tmp_path):
    path = bench(tmp_path, ["memory"], device="cpu", say=lambda line: None)
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"machine": known["machine"] | {"gpu": "another"}}))
    said: list[str] = []
    bench(tmp_path, ["memory"], device="cpu", say=said.append)
    assert "memory: measured before" not in said


@pytest.mark.parametrize("name", ["channels-last", "fused QKV", "sliced attention", "bfloat16"])
def test_another_way_to_call_the_unet_gives_the_same_and_leaves_it_as_it_was(model, name):
    unet = model.pipe.unet
    before, weights = unet_call(unet, 2)(), unet.num_parameters()
    with variants(False)[name](unet) as other:
        near = other(*unet_inputs(unet, 2))
    assert near.shape == before.shape and torch.allclose(near, before, atol=0.1 if name == "bfloat16" else 1e-4)
    assert torch.equal(unet_call(unet, 2)(), before) and unet.num_parameters() == weights


@pytest.mark.parametrize(("device", "waits"), [("cpu", 0), ("mps", 1), ("cuda", 1)])
def test_the_clock_waits_for_what_is_queued_on_any_gpu(monkeypatch, device, waits):
    waited: list[bool] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: waited.append(True))
    bench = Bench("cpu")
    bench.placement = dataclasses.replace(bench.placement, device=device)
    bench.wait()
    assert len(waited) == waits


def test_a_figure_that_was_not_measured_stays_empty():
    row = {"what": "a", "value": None, "unit": "GB", "note": "needs a GPU"}
    assert table({"rows": [row]})[0].split() == ["a", "GB", "needs", "a", "GPU"]


def test_an_unknown_part_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="part 'memmory' is not known.*Did you mean 'memory'"):
        bench(tmp_path, ["memmory"])


def test_turns_meet_the_same_machine(vitrine):
    order: list[str] = []
    took = Bench("cpu").by_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3 and [len(times) for times in took.values()] == [2, 2]


def test_the_model_in_shape_has_sd15s_sizes(monkeypatch):
    """On meta tensors: nothing is drawn."""
    with torch.device("meta"):
        from diffusers import AutoencoderKL, UNet2DConditionModel
        from transformers import CLIPTextConfig, CLIPTextModel

        parts = (UNet2DConditionModel(**benchsettings._UNET), AutoencoderKL(**benchsettings._VAE), CLIPTextModel(CLIPTextConfig(**benchsettings._TEXT)))
    sizes = [sum(weight.numel() for weight in part.parameters()) for part in parts]
    assert sizes == [859_520_964, 83_653_863, 123_060_480]  # as published
