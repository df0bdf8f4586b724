"""Share a batch between processes of one thread each.

Two threads in one process wait for each other in every operation, and collapse as soon as
something else wants a core; two processes meet once a step.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import torch
from torch import distributed, nn


def side_by_side(work: Callable[..., None], count: int, *args: object) -> None:
    """Call ``work(*args)`` in ``count`` processes that know of each other, or here if there is one."""
    if count <= 1:
        work(*args)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_one, (count, Path(folder) / "meeting", work, args), nprocs=count)


def _end_with_parent() -> None:
    """A killed parent cannot stop its children; left alone they would train on, and write over the next run's checkpoint."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _one(rank: int, count: int, meeting: Path, work: Callable[..., None], args: tuple) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting.as_uri(), rank=rank, world_size=count)
    try:
        work(*args)
    finally:
        distributed.destroy_process_group()


def share() -> slice:
    """Which items of a batch are this process's."""
    if not distributed.is_initialized():
        return slice(None)
    return slice(distributed.get_rank(), None, distributed.get_world_size())


def is_first() -> bool:
    """Whether this process is the one that saves and speaks."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def average_gradients(module: nn.Module) -> None:
    """Give every process the mean of all processes' gradients, in place."""
    if not distributed.is_initialized():
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients]) / distributed.get_world_size()
    distributed.all_reduce(flat)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
