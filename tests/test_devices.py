"""One decision on device and dtype; xformers never costs more than a line."""

from __future__ import annotations

import logging

import pytest
import torch

from tp2lib.errors import ModelError
from tp2lib.models.devices import choose_device, environment, try_xformers


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that a CUDA GPU with 8 GB is there and works."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (8_000_000_000, 9_000_000_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Pretend GPU")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92000)
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *size, device=None: ones(*size))


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_cpu_is_float32_and_says_why(no_gpu):
    placement = choose_device()
    assert (placement.device, placement.dtype_name) == ("cpu", "float32")
    assert "no CUDA GPU" in placement.why


def test_cuda_is_float16(gpu):
    placement = choose_device()
    assert (placement.device, placement.dtype_name, placement.free_gb) == ("cuda", "float16", 8.0)
    assert "Pretend GPU" in placement.why


def test_what_this_process_holds_counts_as_free(gpu, monkeypatch):
    """Else a card that holds sd15 would get vitrine when it is asked a second time."""
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 3_000_000_000)
    assert choose_device().free_gb == 11.0


def test_each_process_of_a_launch_takes_its_own_gpu_before_it_touches_one(gpu, monkeypatch):
    done, ones = [], torch.ones
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: done.append(number))
    monkeypatch.setattr(torch, "ones", lambda *size, device=None: done.append(device) or ones(*size))
    assert choose_device().device == "cuda" and done == [1, "cuda"]


def test_the_cpu_never_gets_float16_even_beside_a_gpu(gpu):
    assert choose_device("cpu").dtype is torch.float32


def test_apple_gpu_is_float32(monkeypatch, no_gpu):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert (choose_device().device, choose_device().dtype_name) == ("mps", "float32")


def test_a_gpu_too_new_for_pytorch_is_found_out_before_the_model_is_loaded(gpu, monkeypatch):
    def broken(*size, device=None):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    monkeypatch.setattr(torch, "ones", broken)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device().device == "cpu"
    assert "no kernel image" in choose_device().why
    with pytest.raises(ModelError, match="no kernel image"):
        choose_device("cuda")


@pytest.mark.parametrize("device", ["cuda", "mps", "tpu"])
def test_an_absent_device_is_an_error_with_the_way_out(device, no_gpu):
    with pytest.raises(ModelError, match=f"device is '{device}'.*None"):
        choose_device(device)


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("Refer to https://example.org to install xformers", name="xformers"),
        ImportError("DLL load failed while importing _C: Le module spécifié est introuvable."),
        OSError("[WinError 126]"),
        ValueError("torch.cuda.is_available() should be True"),
    ],
)
def test_broken_xformers_costs_one_line(error, caplog):
    class Pipe:
        def enable_xformers_memory_efficient_attention(self):
            raise error

    with caplog.at_level(logging.WARNING, "tp2lib"):
        note = try_xformers(Pipe())
    assert type(error).__name__ in note
    assert len(caplog.records) == 1 and "\n" not in note


def test_xformers_that_works_says_nothing(caplog):
    class Pipe:
        def enable_xformers_memory_efficient_attention(self):
            pass

    assert try_xformers(Pipe()) is None and not caplog.records


@pytest.mark.parametrize(("option", "value", "in_use"), [("allow_tf32", True, True), ("fp32_precision", "tf32", True), ("fp32_precision", "ieee", False)])
def test_tf32_is_told_however_it_was_set(gpu, monkeypatch, option, value, in_use):
    monkeypatch.setattr(torch.backends.cuda.matmul, "fp32_precision", "none")  # set back at the end
    setattr(torch.backends.cuda.matmul, option, value)
    assert environment("cuda")["tf32"] is in_use and environment("cuda")["cudnn_tf32"] is True


def test_environment_names_what_the_last_bits_depend_on():
    facts = environment("cpu")
    assert {"torch", "diffusers", "transformers", "python", "cpu", "threads", "gpu"} <= facts.keys()
    assert facts["threads"] == torch.get_num_threads()
    assert facts["gpu"] is None
