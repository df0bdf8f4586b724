"""Out of memory: the error injected at every stage, each fallback recorded, the model put back as it was."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from tp2lib.engine.fallbacks import Fallbacks, OutOfMemory, is_out_of_memory
from tp2lib.engine.generate import generate
from tp2lib.errors import ModelError
from tp2lib.metadata.source import prepare_source
from tp2lib.recipe import Recipe

APPLE = Recipe(prompt="a red apple", steps=3, width=128, height=128)


def starve(monkeypatch, owner, method, times):
    """Let a method run out of memory `times` times, then work; return the list of its calls."""
    work, calls = getattr(owner, method), []

    def starved(*args, **kwargs):
        calls.append(method)
        if len(calls) <= times:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return work(*args, **kwargs)

    monkeypatch.setattr(owner, method, starved)
    return calls


@pytest.fixture
def photo():
    return prepare_source(Image.new("RGB", (128, 128), "red"), 128, 128)


# stage, part of the model, its method, failures, fallbacks that get over them
STARVED = [
    ("text", "text_encoder", "forward", 1, ["free caches"]),
    ("encode", "vae", "encode", 1, ["free caches"]),
    ("encode", "vae", "encode", 3, ["free caches", "VAE slicing", "VAE tiling"]),
    ("denoise", "unet", "forward", 1, ["free caches"]),
    ("decode", "vae", "decode", 1, ["free caches"]),
    ("decode", "vae", "decode", 2, ["free caches", "VAE slicing"]),
    ("decode", "vae", "decode", 3, ["free caches", "VAE slicing", "VAE tiling"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "part", "method", "times", "fallbacks"), STARVED)
def test_a_run_that_is_out_of_memory_at_a_stage_takes_fallbacks_and_goes_on(model, photo, monkeypatch, stage, part, method, times, fallbacks):
    recipe = APPLE.vary(source="photo.png", strength=0.7)
    calm = generate(recipe, model, source=photo)
    starve(monkeypatch, getattr(model.pipe, part), method, times)
    run = generate(recipe, model, source=photo)
    assert run.outcome == "ok" and run.effective["rungs"] == fallbacks
    assert not model.pipe.vae.use_slicing and not model.pipe.vae.use_tiling
    if fallbacks == ["free caches"]:  # the other fallbacks may change pixels, which is why they are recorded
        assert np.array_equal(np.asarray(run.image), np.asarray(calm.image))


@pytest.mark.slow
def test_running_out_in_the_middle_of_the_steps_starts_the_noise_anew(model, monkeypatch):
    recipe = APPLE.vary(scheduler="EulerA")  # draws noise at each step
    calm, forward, calls = generate(recipe, model), model.pipe.unet.forward, []

    def starved_at_the_second_step(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.pipe.unet, "forward", starved_at_the_second_step)
    run = generate(recipe, model)
    assert np.array_equal(np.asarray(run.image), np.asarray(calm.image))
    assert run.effective["timesteps"] == calm.effective["timesteps"]


@pytest.mark.slow
def test_a_decoder_that_is_starved_costs_no_second_sampling(model, monkeypatch):
    starve(monkeypatch, model.pipe.vae, "decode", 2)
    steps = []
    generate(APPLE, model, on_step=lambda step: steps.append(step.index))
    assert steps == [0, 1, 2]


@pytest.mark.slow
def test_the_last_fallback_is_followed_by_an_error_that_says_what_was_tried(model, monkeypatch):
    starve(monkeypatch, model.pipe.vae, "decode", 99)
    with pytest.raises(OutOfMemory, match="stage 'decode'.*after: free caches, VAE slicing, VAE tiling.*ask for a smaller width and height"):
        generate(APPLE, model)
    assert not model.pipe.vae.use_tiling
    assert issubclass(OutOfMemory, ModelError)


@pytest.mark.slow
@pytest.mark.parametrize("room", [True, False])
def test_a_gpu_offloads_the_model_before_giving_up_and_leaves_it_so_where_there_is_no_room(room, caplog):
    class Pipe:
        device = _execution_device = torch.device("cuda")  # `device` is that of the safety checker, which is never offloaded
        vae = type("VAE", (), {name: lambda self: None for name in ("disable_slicing", "disable_tiling")})()
        components = {"vae": vae, "tokenizer": object(), "feature_extractor": None}  # noqa: RUF012
        log: list[str] = []  # noqa: RUF012

        def enable_model_cpu_offload(self, device):
            self.log.append(f"offload {device}")
            self.vae._hf_hook = "a hook"

        def remove_all_hooks(self):
            self.log.append("hooks off")
            del self.vae._hf_hook

        def to(self, device):
            self.log.append(f"to {device}")
            if not room:
                raise torch.OutOfMemoryError

    tries = []

    def work():
        tries.append(1)
        if len(tries) < 3:
            raise torch.OutOfMemoryError
        return "done"

    pipe = Pipe()
    with Fallbacks(pipe) as fallbacks:
        assert fallbacks.run("denoise", work) == "done"
        assert fallbacks.used == ["free caches", "model offload"]
    assert Pipe.log == ["offload cuda", "hooks off", "to cuda"] + ([] if room else ["offload cuda"])
    assert Fallbacks(pipe).used == ([] if room else ["model offload"])
    assert ("stays offloaded" in caplog.text) is not room


def test_starting_with_a_fallback_is_recorded_and_undone(model):
    run = generate(APPLE, model, fallbacks=["VAE slicing"])
    assert run.effective["rungs"] == ["VAE slicing"] and not model.pipe.vae.use_slicing


@pytest.mark.slow
def test_the_retry_runs_when_the_tensors_of_the_failed_try_are_gone(model):
    class Big:
        pass

    alive, tries = [], []

    def work():
        big = Big()
        alive.append(weakref.ref(big))
        tries.append([ref() is not None for ref in alive[:-1]])
        if len(tries) == 1:
            raise torch.OutOfMemoryError
        return True

    gc.disable()  # an exception still alive would keep it; a cycle must not
    try:
        with Fallbacks(model.pipe) as fallbacks:
            fallbacks.run("decode", work)
    finally:
        gc.enable()
    assert tries == [[], [False]]


def test_other_errors_go_through_untouched(model):
    def work():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with Fallbacks(model.pipe) as fallbacks, pytest.raises(RuntimeError, match="mat1"):
        fallbacks.run("denoise", work)
    assert fallbacks.used == []


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:116] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous input."), True),
        (RuntimeError("expected scalar type Half"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_exhausted_memory_is_told_from_other_errors(error, is_memory):
    assert is_out_of_memory(error) is is_memory
