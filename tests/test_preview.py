"""The predicted x0: equal to what the schedulers themselves predict, and drawn cheaply."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tp2lib.engine.preview import StepInfo, colour_map, predicted_x0
from tp2lib.engine.schedulers import SD15_BASE, make_scheduler


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", ["DDIM", "DDPM", "Euler", "EulerA"])
def test_it_is_what_the_scheduler_itself_predicts(name, prediction):
    scheduler = make_scheduler(name, {**SD15_BASE, "prediction_type": prediction})
    scheduler.set_timesteps(7)
    noise = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 8, 8, generator=noise) * scheduler.init_noise_sigma
    for t in scheduler.timesteps[:-1]:
        scheduler.scale_model_input(latents, t)
        output = torch.randn(1, 4, 8, 8, generator=noise)
        mine = predicted_x0(scheduler, output, float(t), latents)
        step = scheduler.step(output, t, latents, generator=noise, return_dict=True)
        torch.testing.assert_close(mine, step.pred_original_sample, rtol=2e-3, atol=2e-3)
        latents = step.prev_sample


@pytest.mark.parametrize("name", ["PNDM", "Heun", "DPM++ 2M", "UniPC", "LMS", "KDPM2", "DPM++ 2S", "DEIS"])
def test_a_model_that_knows_the_answer_gives_the_answer_at_every_step(name):
    scheduler = make_scheduler(name)
    scheduler.set_timesteps(6)
    answer = torch.full((1, 4, 8, 8), 0.5)
    latents = torch.randn(answer.shape, generator=torch.Generator().manual_seed(0)) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        scheduler.scale_model_input(latents, t)
        unit = predicted_x0(scheduler, torch.ones_like(latents), float(t), latents)
        zero = predicted_x0(scheduler, torch.zeros_like(latents), float(t), latents)
        perfect = (answer - zero) / (unit - zero)  # x0 is linear in the model's output
        sample, latents = latents, scheduler.step(perfect, t, latents, return_dict=False)[0]
        torch.testing.assert_close(predicted_x0(scheduler, perfect, float(t), sample), answer, rtol=0, atol=1e-3)
    torch.testing.assert_close(latents, answer, rtol=0, atol=0.1)


class LinearDecoder(torch.nn.Module):
    """A decoder whose colours are a known linear function of its latents."""

    matrix = torch.tensor([[0.1, 0.2, 0.3], [0.3, -0.1, 0.0], [0.0, 0.2, -0.2], [-0.1, 0.1, 0.1]])
    config = SimpleNamespace(scaling_factor=0.5, latent_channels=4)
    device, dtype = torch.device("cpu"), torch.float32
    decoded = 0

    def decode(self, latents, return_dict):
        self.decoded += 1
        rgb = torch.einsum("bchw,cr->brhw", latents * 0.5, self.matrix) + 0.25
        return (rgb.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3),)


def test_the_colour_map_of_a_linear_decoder_is_that_decoder():
    vae = LinearDecoder()
    fitted = colour_map(vae)
    torch.testing.assert_close(fitted[:-1], vae.matrix, rtol=0, atol=1e-5)
    torch.testing.assert_close(fitted[-1], torch.full((3,), 0.25), rtol=0, atol=1e-5)
    assert colour_map(vae) is fitted
    assert vae.decoded == 1


def test_a_decoder_that_overflows_in_half_precision_is_fitted_in_float32():
    vae = LinearDecoder()
    vae.dtype, vae.to = torch.float16, lambda dtype: setattr(vae, "dtype", dtype)
    exact = vae.decode
    vae.decode = lambda latents, return_dict: exact(latents, return_dict) if vae.dtype is torch.float32 else (torch.full((1, 3, 192, 192), torch.nan).half(),)
    torch.testing.assert_close(colour_map(vae)[:-1], vae.matrix, rtol=0, atol=1e-5)
    assert vae.dtype is torch.float16


def test_an_offloaded_decoder_gets_its_latents_where_it_runs():
    vae, seen = LinearDecoder(), []
    vae._hf_hook = SimpleNamespace(execution_device=torch.device("meta"))
    vae.decode = lambda latents, return_dict: seen.append(latents.device.type) or (torch.zeros(1, 3, 192, 192),)
    colour_map(vae)
    assert seen == ["meta"]


def test_a_preview_has_one_pixel_for_each_latent_and_decodes_nothing():
    zeros = torch.zeros(1, 4, 32, 48)
    info = StepInfo(
        index=0, total=1, timestep=0.0, latents=zeros, x0=zeros, decode=lambda latents: pytest.fail("decoded"),
        colours=lambda: colour_map(LinearDecoder()),
    )  # fmt: skip
    picture = info.preview()
    assert picture.size == (48, 32)
    assert picture.getpixel((0, 0)) == (159, 159, 159)  # (0.25 + 1) * 127.5
