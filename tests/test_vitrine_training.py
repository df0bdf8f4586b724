"""Training resumes exactly, its losses fall, and the whole tiny chain runs."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from vitrine import autoencoder, denoiser, latents
from vitrine.__main__ import main
from vitrine.autoencoder import colours_in, hue_loss, laplacian_loss, reconstruction
from vitrine.checkpoint import Average, Checkpoint, learning_rate
from vitrine.denoiser import Denoiser, Plan, draw_captions, draw_timesteps, train
from vitrine.model import SCHEDULER_CONFIG, TINY, make_autoencoder, save_pipeline
from vitrine.parallel import side_by_side
from vitrine.scene import draw


@pytest.fixture
def data(tmp_path):
    """Made-up latents of a dozen records, in the form `latents.encode` writes."""
    rng = np.random.default_rng(0)
    (tmp_path / "latents").mkdir()
    high, low = rng.standard_normal((12, 2, 4, 16, 16)), rng.standard_normal((12, 2, 4, 8, 8))
    np.savez(tmp_path / "latents" / "0000.npz", high=high.astype(np.float16), low=low.astype(np.float16), records=json.dumps([draw(k) for k in range(12)]))
    return tmp_path


@pytest.fixture
def one_thread():
    """Sums over several threads come out in any order; exact equality is promised on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weights(folder):
    return torch.load(folder / "denoiser.pt", weights_only=True)


def test_a_hue_that_the_decoder_hardly_hears_is_strengthened(one_thread):
    """Red-green lies in the latents at a twentieth of the width of the rest; the other two channels are heard well."""
    torch.manual_seed(3)
    first, rng = torch.nn.Conv2d(4, 16, 3), np.random.default_rng(4)

    def encode(x):
        mean = torch.nn.functional.avg_pool2d(x, 8)
        red_green, blue_yellow = autoencoder.opponents(mean).split(1, 1)
        z = torch.cat([mean.mean(1, keepdim=True), 0.05 * red_green, blue_yellow, 0.1 * torch.randn_like(red_green)], 1)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=z))

    vae = SimpleNamespace(encode=encode, post_quant_conv=torch.nn.Identity(), decoder=SimpleNamespace(conv_in=first))
    pictures = [np.kron(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(24)]
    renders = type("Renders", (list,), {"picture": list.__getitem__})(pictures)
    before = autoencoder.strengthen_hues(vae, renders)
    weights = first.weight.clone()
    after = autoencoder.strengthen_hues(vae, renders)
    assert before[0] < 0.2 < before[1] and after[0] > 0.5
    assert torch.equal(first.weight, weights)  # what is heard is left alone


def test_a_run_killed_half_way_ends_where_an_unbroken_one_does(data, one_thread, monkeypatch):
    plan = Plan(steps=4, batch=4, warmup=1)
    train(data, plan, TINY)
    unbroken = weights(data)
    (data / "denoiser.pt").unlink()

    class Killed(Exception):
        pass

    save = Checkpoint.save

    def save_and_die(self, step, force=False):
        save(self, step, force=True)
        if step == 2:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoint, "save", save_and_die)
        train(data, plan, TINY)
    assert weights(data)["step"] == 2
    train(data, plan, TINY)
    resumed = weights(data)
    assert resumed["step"] == unbroken["step"] == 4
    for part in ("model", "average.fast", "average.slow"):
        for name, value in unbroken[part].items():
            assert torch.equal(resumed[part][name], value), (part, name)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(data, one_thread):
    plan = Plan(steps=3, batch=4, warmup=1)
    train(data, plan, TINY)
    alone = weights(data)
    (data / "denoiser.pt").unlink()
    side_by_side(train, 2, data, plan, TINY)
    together = weights(data)
    assert together["step"] == alone["step"] == 3
    for name, value in alone["model"].items():
        assert torch.allclose(together["model"][name], value, atol=2e-4), name


def test_an_average_starts_at_the_weights_and_trails_them():
    layer = torch.nn.Linear(2, 2)
    average = Average(layer, 0.99)
    start = average.module.weight.clone()
    with torch.no_grad():
        layer.weight += 1
    average.update(layer)
    step = (average.module.weight - start).mean().item()
    assert 0 < step < 1
    for _ in range(2000):
        average.update(layer)
    assert torch.allclose(average.module.weight, layer.weight, atol=1e-3)


def test_the_learning_rate_warms_up_then_falls_to_its_floor():
    rates = [learning_rate(k, 100, 10) for k in range(101)]
    assert rates[:10] == sorted(rates[:10]) and rates[9] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] == pytest.approx(0.05)


def test_timesteps_cover_the_schedule_and_favour_the_middle():
    from diffusers import DDPMScheduler

    alphas = DDPMScheduler.from_config(SCHEDULER_CONFIG).alphas_cumprod
    t = draw_timesteps(alphas, 4000, np.random.default_rng(0))
    assert t.min() < 10 and t.max() > 990
    middle = (alphas[t] > 0.1) & (alphas[t] < 0.9)
    assert middle.float().mean() > ((alphas > 0.1) & (alphas < 0.9)).float().mean() + 0.1


def test_the_noisier_the_more_an_error_counts():
    from diffusers import DDPMScheduler

    alphas = DDPMScheduler.from_config(SCHEDULER_CONFIG).alphas_cumprod
    weight = denoiser.weights(alphas, torch.arange(1000))
    assert (weight.diff() > 0).all()
    assert weight[alphas.sub(0.5).abs().argmin()] == pytest.approx(1, abs=0.01)  # as much noise as picture


def test_the_planned_shares_of_captions_are_empty_or_wrong():
    records = [draw(k, kind="apple") for k in range(10)] + [draw(k, kind="pen") for k in range(90)]
    texts = draw_captions(records, np.zeros(4000, int), Plan(empty=0.2, wrong=0.3), np.random.default_rng(0))
    assert sum(text == "" for text in texts) / 4000 == pytest.approx(0.2, abs=0.03)
    assert sum("pen" in text.replace(",", "").split() for text in texts) / 4000 == pytest.approx(0.3 * 0.9, abs=0.06)


def test_a_denoiser_learns_one_batch(data):
    plan = Plan(steps=30, batch=8, warmup=2, peak=3e-3, low_share=1.0)
    torch.manual_seed(0)
    from vitrine import denoiser

    _high, low, records = latents.load(data)
    alphas = denoiser.DDPMScheduler.from_config(SCHEDULER_CONFIG).alphas_cumprod
    model = Denoiser(TINY)
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.peak)
    losses = []
    for _ in range(plan.steps):
        loss = denoiser._step_loss(model, low, records, alphas, plan, np.random.default_rng(1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_the_pyramid_loss_is_zero_for_equal_pictures_and_grows_with_blur():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 32, 32)
    soft = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    softer = torch.nn.functional.avg_pool2d(x, 7, 1, 3)
    assert laplacian_loss(x, x) == 0
    assert laplacian_loss(x, soft) < laplacian_loss(x, softer)


def test_the_hue_loss_sees_colour_and_no_grey():
    x = torch.full((1, 3, 4, 4), 0.5)
    assert hue_loss(x, x + 0.2) == pytest.approx(0, abs=1e-6)
    assert hue_loss(x, x + torch.tensor([0.2, 0, 0])[:, None, None]) > 0.1


def test_colours_that_the_latents_carry_are_found_in_them_and_others_are_not():
    torch.manual_seed(0)
    z, turn = torch.randn(4, 4, 8, 8, requires_grad=True), torch.randn(3, 4)
    carried = torch.einsum("dc,nchw->ndhw", turn, z.detach()) + 0.3
    assert (colours_in(z, carried) - carried).abs().max() < 1e-2
    foreign = torch.randn(4, 3, 8, 8)
    missed = (colours_in(z, foreign) - foreign).square().mean()
    assert missed > 0.8 * foreign.var()
    missed.backward()
    assert z.grad.abs().max() > 0


@pytest.fixture
def start(tmp_path):
    """The folder of an untrained pipeline, and its text encoder and UNet."""
    torch.manual_seed(0)
    model = Denoiser(TINY)
    save_pipeline(tmp_path / "start", model.text, make_autoencoder(TINY), model.unet, model.tokenizer)
    return tmp_path / "start", model


def test_the_denoiser_goes_on_from_saved_weights(data, start):
    folder, model = start
    train(data, Plan(steps=1, batch=2, warmup=1, peak=0.0), TINY, folder)
    for name, value in weights(data)["model"].items():
        assert torch.allclose(value, model.state_dict()[name].float(), atol=2e-3), name


def test_a_settled_encoder_changes_at_its_edges_only_and_the_decoder_learns_on(data, start, monkeypatch):
    folder, _ = start
    pictures, mended = [np.random.default_rng(k).integers(0, 255, (64, 64, 3), np.uint8) for k in range(4)], []
    monkeypatch.setattr(autoencoder, "Renders", lambda *a: FakeRenders(pictures))
    monkeypatch.setattr(autoencoder, "mend_edges", lambda vae, x, steps: mended.append(x.shape))
    autoencoder.train(data, 2, 4, size=TINY, crop=32, start=folder)
    assert mended == [(4, 3, 64, 64)]
    before = AutoencoderKL.from_pretrained(folder / "vae", dtype=torch.float32)
    after = AutoencoderKL.from_pretrained(data / "vae", dtype=torch.float32)
    x = torch.stack([autoencoder.to_tensor(picture) for picture in pictures])
    old, new = (vae.encode(x).latent_dist.mean.detach().movedim(1, -1).flatten(0, 2) for vae in (before, after))
    padded = torch.nn.functional.pad(old, (0, 1), value=1.0)
    assert torch.allclose(padded @ torch.linalg.lstsq(padded, new).solution, new, atol=1e-3)  # whitened, and nothing else
    own = after.encode(x).latent_dist.var.detach().mean((0, 2, 3)).diag()
    assert torch.allclose(torch.cov(new.T) + own, torch.eye(4), atol=0.1)
    assert not torch.allclose(before.decoder.conv_in.weight, after.decoder.conv_in.weight)


class FakeRenders:
    """Pictures in memory in place of a split on disk."""

    def __init__(self, pictures):
        self.picture, self.side, self.count = pictures.__getitem__, len(pictures[0]), len(pictures)

    def __len__(self):
        return self.count


def test_reconstruction_of_an_untrained_autoencoder_is_poor_and_finite():
    torch.manual_seed(0)
    picture = np.asarray(Image.linear_gradient("L").resize((64, 64)).convert("RGB"))
    got = reconstruction(make_autoencoder(TINY).eval(), [picture])
    assert 0 < got["psnr"] < 20 and got["ssim"] < 0.9 and got["colour"] > 2


@pytest.mark.slow
def test_the_tiny_chain_renders_trains_exports_and_measures(tmp_path, capsys):
    pytest.importorskip("mitsuba", reason="the renderer's packages are in the extra 'train'")
    main(["all", "--tiny", "--data", str(tmp_path)])
    text = capsys.readouterr().out
    for word in ("PSNR", "schedulers", "judge: kind", "obedience", "guidance", "steps: DDIM", "strength", "negative", "diversity", "speed"):
        assert word in text
    made = tmp_path / "weights"
    assert {p.name for p in made.iterdir()} >= {"model_index.json", "words.json", "judge.safetensors", "SHA256SUMS"}
    assert (made / "SHA256SUMS").read_text().count("  ") == len(list(made.rglob("*.safetensors")))
    assert (tmp_path / "evaluation" / "table.md").read_text().strip() in text
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("renders/*/*.png")}
    main(["denoiser", "--tiny", "--data", str(tmp_path)])  # finished: nothing to do again
    main(["render", "--tiny", "--data", str(tmp_path)])
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.glob("renders/*/*.png")}
