"""Kill a sweep with SIGKILL at random instants, again and again, and look at what is left.

``python tests/kill_sweep.py 200`` does it 200 times and prints what it found as JSON. It needs a
system that can fork. The model is the one that TP2_VITRINE names, or the real one.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from functools import partial

import torch

from tp2lib.engine.sweep import sweep
from tp2lib.errors import TP2Error
from tp2lib.models.loading import load
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import pixels_sha256, read_record

APPLE = Recipe(prompt="a red apple", width=64, height=64)
AXES = {"steps": [2, 4], "guidance": [1, 4]}
SEEDS = [1]


def in_a_child(work, kill_after: float | None = None) -> int:
    """Do some work in a forked process, which is killed if it has not ended after so many seconds; return its wait status."""
    ends, held = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.close(held)  # the child alone holds it now, until it ends
    if not select.select([ends], [], [], kill_after)[0]:
        os.kill(child, signal.SIGKILL)
    os.close(ends)
    return os.waitpid(child, 0)[1]


def kills(model, count: int) -> dict:
    """Kill sweeps over one folder `count` times, then let one finish."""
    calm = {cell.key: pixels_sha256(cell.run.image) for cell in run(model, None).cells}
    with tempfile.TemporaryDirectory() as outputs:
        began = time.perf_counter()
        in_a_child(lambda: run(model, Ledger(outputs)))
        whole, killed, bad, redone = time.perf_counter() - began, 0, 0, 0
    folder, empty = tempfile.TemporaryDirectory(), True
    chance = random.Random(0)
    while killed < count:
        began = time.perf_counter()
        status = in_a_child(partial(run, model, Ledger(folder.name, max_crashes=10**6)), chance.uniform(0, whole))
        killed += os.WIFSIGNALED(status)
        if empty and not os.WIFSIGNALED(status):
            whole = time.perf_counter() - began  # the machine is less busy than it was: else hardly any would be killed
        empty = False
        ledger = Ledger(folder.name, max_crashes=10**6)
        done = [key for key in calm if ledger.lookup(key)]
        bad += sum(read_record(ledger.picture(key))["pixels_sha256"] != calm[key] for key in done)
        if len(done) == len(calm):  # all made: begin again in an empty folder
            redone += started(ledger) - len(calm)
            folder.cleanup()
            folder, empty = tempfile.TemporaryDirectory(), True
    ledger = Ledger(folder.name, max_crashes=10**6)
    last = {cell.key: pixels_sha256(cell.run.image) for cell in run(model, ledger).cells}
    redone += started(ledger) - len(calm)
    ledger.close()
    folder.cleanup()
    return {"kills": killed, "bad files accepted": bad, "images redone": redone, "final pixels identical": last == calm}


def started(ledger: Ledger) -> int:
    return sum(event["event"] == "started" for event in ledger.events())


def run(model, ledger):
    return sweep(APPLE, model, **AXES, seeds=SEEDS, ledger=ledger, say=lambda line: None)


def poison(model) -> dict:
    """A recipe that takes its process down at each try: the third sweep leaves it out and finishes."""
    forward = model.pipe.unet.forward

    def deadly(sample, *args, **kwargs):
        if sample.shape == (2, 4, 16, 16):  # guided, at full size
            os.kill(os.getpid(), signal.SIGKILL)
        return forward(sample, *args, **kwargs)

    with tempfile.TemporaryDirectory() as outputs:

        def attempt():
            recipe = APPLE.vary(steps=2, width=128, height=128)
            return sweep(recipe, model, guidance=[4, 1], ledger=Ledger(outputs), batch_width=1, say=lambda line: None)

        model.pipe.unet.forward = deadly
        deaths = [os.WIFSIGNALED(in_a_child(attempt)) for _ in range(2)]
        cells = attempt().cells
        model.pipe.unet.forward = forward
    return {"deaths": deaths, "errors": [cell.error for cell in cells], "made": [cell.run is not None for cell in cells]}


if __name__ == "__main__":
    gc.freeze()  # forked children then share the memory of torch instead of copying it
    torch.set_num_threads(1)  # a forked child cannot use its parent's threads
    tiny = load("vitrine", device="cpu")
    try:
        print(json.dumps({**kills(tiny, int(sys.argv[1])), "poison": poison(tiny)}))
    except TP2Error as error:
        sys.exit(str(error))
