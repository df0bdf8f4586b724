"""tp2lib.storage.ledger and files: killed at every instant, torn, poisoned, shared."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from strategies import damaged, noise_image

from tp2lib.errors import OutputError, Quarantined, RecordError
from tp2lib.metadata.source import prepare_source
from tp2lib.recipe import Recipe
from tp2lib.storage.files import Journal
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import pixels_sha256, read_record

APPLE = Recipe(prompt="a red apple")
KEY, OTHER = "a" * 16, "b" * 16
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")


def finish(ledger: Ledger, key: str = KEY, seed: int = 0) -> Path:
    """Run `key`, whose picture depends on nothing but `seed`."""
    ledger.start(key)
    return ledger.finish(key, noise_image(seed=seed), APPLE.vary(seed=seed), {"key": key})


def kinds(ledger: Ledger, key: str = KEY) -> list[str]:
    return [event["event"] for event in ledger.events() if event["key"] == key]


# -- the plain way ----------------------------------------------------------------------------------


def test_a_finished_run_is_found_again_by_another_ledger(tmp_path: Path) -> None:
    assert Ledger(tmp_path).lookup(KEY) is None
    path = finish(Ledger(tmp_path))
    found = Ledger(tmp_path).lookup(KEY)
    assert found["path"] == path == tmp_path / "runs" / f"{KEY}.png"
    assert found["pixels_sha256"] == pixels_sha256(noise_image()) and found["at"].endswith("+00:00")
    assert read_record(path)["key"] == KEY
    assert kinds(Ledger(tmp_path)) == ["started", "done"]


def test_looking_into_a_folder_writes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "outputs")
    assert (ledger.lookup(KEY), ledger.events(), ledger.quarantined(KEY)) == (None, [], None)
    ledger.close()
    assert not (tmp_path / "outputs").exists()


def test_a_failed_run_is_no_result_and_may_be_tried_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for _ in range(5):
        ledger.start(KEY)
        ledger.fail(KEY, "ZeroDivisionError: boom in '/home/alice doe/x.png'")
    assert ledger.lookup(KEY) is None and kinds(ledger) == ["started", "failed"] * 5
    reasons = [event["reason"] for event in ledger.events() if event["event"] == "failed"]
    assert reasons[0] == "ZeroDivisionError: boom in 'x.png'"
    finish(ledger)
    assert ledger.lookup(KEY)


@pytest.mark.parametrize("key", ["", "short", "A" * 16, "../" * 5, "a" * 65, "a" * 15 + "/", None, 5, "a" * 15 + "\n"])
def test_a_key_is_never_a_path(tmp_path: Path, key: object) -> None:
    ledger = Ledger(tmp_path)
    for call in (ledger.start, ledger.lookup, ledger.picture, ledger.quarantined, ledger.release):
        with pytest.raises(RecordError, match="hex digits"):
            call(key)
    assert not (tmp_path / "ledger.jsonl").exists()


# -- what does not count as done --------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["delete", "truncate", "other pixels", "no record", "not a picture", "swap"])
def test_a_done_line_counts_only_with_its_own_picture(tmp_path: Path, harm: str) -> None:
    ledger = Ledger(tmp_path)
    path, other = finish(ledger), finish(ledger, OTHER, seed=1)
    assert ledger.lookup(KEY) and ledger.lookup(OTHER)
    if harm == "delete":
        path.unlink()
    elif harm == "truncate":
        path.write_bytes(path.read_bytes()[:-5])
    elif harm == "other pixels":
        noise_image(seed=9).save(path)
    elif harm == "no record":
        noise_image().save(path)
    elif harm == "not a picture":
        path.write_bytes(b"hello")
    else:
        os.replace(other, path)
    assert ledger.lookup(KEY) is None and Ledger(tmp_path).lookup(KEY) is None
    assert (ledger.lookup(OTHER) is None) == (harm == "swap")
    finish(ledger)
    assert ledger.lookup(KEY)


def test_a_picture_without_its_line_does_not_count(tmp_path: Path) -> None:
    finish(Ledger(tmp_path))
    (tmp_path / "ledger.jsonl").unlink()
    ledger = Ledger(tmp_path)
    assert ledger.lookup(KEY) is None
    finish(ledger)
    assert ledger.lookup(KEY)


def test_a_ledger_torn_at_any_byte_is_read_up_to_there_and_written_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    ledger = Ledger(whole)
    finish(ledger)
    finish(ledger, OTHER, seed=1)
    lines = (whole / "ledger.jsonl").read_bytes()
    start_of_last = lines.rindex(b"\n", 0, -1) + 1
    for length in range(start_of_last, len(lines)):
        (whole / "ledger.jsonl").write_bytes(lines[:length])
        torn = Ledger(whole)
        assert torn.lookup(KEY) and torn.lookup(OTHER) is None and damaged(whole) == 0
        torn.fail(OTHER, "was torn")
        assert kinds(torn, KEY) == ["started", "done"]
        only_its_end = length == len(lines) - 1  # the line was complete but for its end, which fail() added
        assert damaged(whole) == (0 if only_its_end or length == start_of_last else 1)
        assert kinds(Ledger(whole), OTHER)[-1] == "failed"


@pytest.mark.parametrize("line", [
    b"\0" * 100, b"\xff\xfe", b"{}", b"[]", b'{"event": "done"}', b'{"event": 5, "key": "' + b"a" * 16 + b'"}',
    b'{"event": "done", "key": "' + KEY.encode() + b'"}',
    b'{"event":"started","key":"' + KEY.encode() + b'","session":5}',
    b'{"event":"started","key":"' + KEY.encode() + b'","session":"../../x"}', b"[" * 100_000, b'{"a": NaN}', b"\r\n",
    b'{"event":"done","key":"' + KEY.encode() + b'","pixels_sha256":[]}',
], ids=lambda line: repr(line[:20]))  # fmt: skip
def test_foreign_lines_are_skipped_and_do_no_harm(tmp_path: Path, line: bytes) -> None:
    ledger = Ledger(tmp_path)
    finish(ledger, OTHER, seed=1)
    with open(tmp_path / "ledger.jsonl", "ab") as file:
        file.write(line + b"\n")
    for reader in (ledger, Ledger(tmp_path)):
        assert reader.lookup(OTHER) and reader.lookup(KEY) is None and reader.quarantined(KEY) is None
    finish(ledger)
    assert ledger.lookup(KEY)


def test_a_ledger_that_is_deleted_or_replaced_while_open_is_noticed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    finish(ledger)
    assert ledger.lookup(KEY)
    (tmp_path / "ledger.jsonl").unlink()
    assert ledger.lookup(KEY) is None and ledger.events() == []
    finish(ledger, OTHER, seed=1)
    assert ledger.lookup(OTHER) and ledger.lookup(KEY) is None
    longer = Ledger(tmp_path / "longer")
    for seed in range(5):
        finish(longer, f"{seed:016x}", seed)
    data = (tmp_path / "longer" / "ledger.jsonl").read_bytes()
    (tmp_path / "ledger.jsonl").write_bytes(data)  # in place: the inode stays
    assert kinds(ledger, OTHER) == [] and len(ledger.events()) == 10


# -- killed -----------------------------------------------------------------------------------------

HELPER = """
import json, os, random, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from strategies import damaged, noise_image
from tp2lib.errors import Quarantined
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import pixels_sha256
from tp2lib.recipe import Recipe

def run(ledger, key, seed):
    ledger.start(key)
    ledger.finish(key, noise_image(seed=seed), Recipe(prompt="x", seed=seed), {"key": key})

def forked(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid

def key_of(number):
    return f"{number:016x}"
"""


def helper(program: str, *arguments: object) -> dict:
    """Run a program that forks and kills; in a process of its own, for this one may have threads."""
    command = [sys.executable, "-c", HELPER + program, str(Path(__file__).parent), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


AT_EVERY_LINE = """
# kill -9 before the n-th line of our code, for n over the whole of start() and finish()
OURS = str(Path(sys.modules["tp2lib.storage.ledger"].__file__).parents[1])
def traced(limit):
    seen = 0
    def trace(frame, event, argument):
        nonlocal seen
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            seen += 1
            if seen == limit:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    return lambda: seen

dry = Path(sys.argv[2]) / "dry"
run(Ledger(dry), key_of(2), 2)
count = traced(-1); run(Ledger(dry), key_of(1), 1); total = count(); sys.settrace(None)
killed = redone = leftovers = 0
for limit in range(1, total + 1, int(sys.argv[3])):
    outputs = Path(sys.argv[2]) / str(limit)
    run(Ledger(outputs), key_of(2), 2)
    pid = forked(lambda: (traced(limit), run(Ledger(outputs), key_of(1), 1)))
    killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    ledger = Ledger(outputs)
    assert ledger.lookup(key_of(2)), limit              # what was done stays done
    found = ledger.lookup(key_of(1))
    done = any((e["event"], e["key"]) == ("done", key_of(1)) for e in ledger.events())
    assert bool(found) == done, limit                   # no "done" line before its picture is in place
    if found is None:
        run(ledger, key_of(1), 1)                       # and is not blocked by what was in flight
        found, redone = ledger.lookup(key_of(1)), redone + 1
    assert found["pixels_sha256"] == pixels_sha256(noise_image(seed=1)), limit
    assert damaged(outputs) == 0
    leftovers += len(list(outputs.rglob(".*.tmp")))
print(json.dumps({"total": total, "killed": killed, "redone": redone, "leftovers": leftovers}))
"""


@pytest.mark.slow
@needs_fork
def test_kill_9_before_any_line_of_our_code_costs_at_most_the_picture_in_flight(tmp_path: Path) -> None:
    found = helper(AT_EVERY_LINE, tmp_path, 3)
    print(f"\n{found}")
    assert found["killed"] > 100 and found["total"] > 300
    assert 0 < found["redone"] <= found["killed"]
    assert found["leftovers"] > 0  # some kills did fall between write and rename


AT_RANDOM = """
# a sweep of 12 pictures by two processes at once, killed again and again
outputs, pictures = Path(sys.argv[2]), 12
def sweep():
    ledger = Ledger(outputs, max_crashes=10**6)
    for number in range(pictures):
        if not ledger.lookup(key_of(number)):
            time.sleep(0.004)
            run(ledger, key_of(number), number)
chance, kills = random.Random(3), 0
while kills < 40:
    pids = [forked(sweep), forked(sweep)]
    time.sleep(chance.uniform(0.002, 0.05))
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        kills += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    for number in range(pictures):
        found = Ledger(outputs).lookup(key_of(number))
        assert not found or found["pixels_sha256"] == pixels_sha256(noise_image(seed=number))
    if all(Ledger(outputs).lookup(key_of(n)) for n in range(pictures)) and kills < 40:
        (outputs / "ledger.jsonl").rename(outputs / f"old{kills}.jsonl")   # done: begin again
last = forked(sweep)
os.waitpid(last, 0)
ledger = Ledger(outputs)
good = sum(ledger.lookup(key_of(n))["pixels_sha256"] == pixels_sha256(noise_image(seed=n)) for n in range(pictures))
starts = sum(e["event"] == "started" for e in ledger.events())
print(json.dumps({"kills": kills, "good": good, "starts": starts, "damaged": damaged(outputs)}))
"""


@pytest.mark.slow
@needs_fork
def test_two_processes_killed_at_random_end_with_the_right_pictures(tmp_path: Path) -> None:
    found = helper(AT_RANDOM, tmp_path)
    assert found["kills"] >= 40 and found["good"] == 12
    assert found["starts"] <= 2 * 12 + found["kills"]  # both may do each picture, and each kill costs one


QUARANTINE = """
outputs, key = Path(sys.argv[2]), key_of(1)
def die():
    Ledger(outputs).start(key)
    os.kill(os.getpid(), signal.SIGKILL)
refused = []
for attempt in range(4):
    pid = forked(die)
    refused.append(not os.WIFSIGNALED(os.waitpid(pid, 0)[1]))
ledger = Ledger(outputs)
events = [e["event"] for e in ledger.events()]
run(ledger, key_of(2), 2)
reason = ledger.quarantined(key)
ledger.release(key)
run(ledger, key, 1)
print(json.dumps({"refused": refused, "events": events, "reason": reason, "after": bool(ledger.lookup(key)),
                  "other": bool(ledger.lookup(key_of(2))), "locks": len(list((outputs / ".ledger").glob("*.alive")))}))
"""


@pytest.mark.slow
@needs_fork
def test_a_run_that_kills_two_processes_is_quarantined_until_it_is_released(tmp_path: Path) -> None:
    found = helper(QUARANTINE, tmp_path)
    assert found["refused"] == [False, False, True, True]
    assert found["events"] == ["started", "started", "quarantined"]
    assert found["reason"] == "it took down 2 processes"
    assert found["after"] and found["other"]
    assert found["locks"] == 1  # the dead sessions' locks are swept


def test_a_run_that_an_interrupt_left_without_an_outcome_is_at_work_for_others_only(tmp_path: Path) -> None:
    ledger, claimed = Ledger(tmp_path), []
    assert ledger.claim([KEY]) == [KEY]
    other = threading.Thread(target=lambda: claimed.extend(ledger.claim([KEY])))
    other.start()
    other.join()
    assert claimed == []  # it is at work here
    assert ledger.claim([KEY]) == [KEY]  # but this thread waits for nobody


def test_a_run_in_flight_elsewhere_is_not_a_crash(tmp_path: Path) -> None:
    sessions = [Ledger(tmp_path) for _ in range(4)]
    for ledger in sessions:
        ledger.start(KEY)  # four at once, all alive
    for ledger in sessions[:2]:
        ledger.close()  # two gave up without a word
    with pytest.raises(Quarantined, match=r"took down 2 processes.*release\('aaaa"):
        sessions[3].start(KEY)
    assert Ledger(tmp_path).quarantined(KEY)


def test_one_process_may_start_a_run_as_often_as_it_likes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for _ in range(5):
        ledger.start(KEY)  # a notebook cell interrupted five times
    assert ledger.quarantined(KEY) is None


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_an_outcome_forgives_the_crashes_before_it(tmp_path: Path, outcome: str) -> None:
    for _ in range(5):
        crashed = Ledger(tmp_path)
        crashed.start(KEY)
        crashed.close()
        ledger = Ledger(tmp_path)
        finish(ledger) if outcome == "done" else (ledger.start(KEY), ledger.fail(KEY, "no"))
        ledger.close()
    assert Ledger(tmp_path).quarantined(KEY) is None


def test_litter_of_killed_processes_is_swept_when_it_is_old(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    old, new, foreign = (tmp_path / "runs" / name for name in (f".a.png.{'1' * 16}.tmp", f".b.png.{'2' * 16}.tmp", ".mine.tmp"))
    for path in (old, new, foreign):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 7200,) * 2)
    os.utime(foreign, (time.time() - 7200,) * 2)
    finish(Ledger(tmp_path))
    assert not old.exists() and new.exists() and foreign.exists()


# -- shared -----------------------------------------------------------------------------------------


def test_a_failure_that_could_not_be_written_is_written_before_the_next_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, other, write = Ledger(tmp_path), Ledger(tmp_path), Journal.write
    assert ledger.claim([KEY]) == [KEY]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Journal, "write", full)
    ledger.fail(KEY, "no picture")
    with pytest.raises(OutputError, match="No space left"):
        ledger.claim([KEY])
    monkeypatch.setattr(Journal, "write", write)
    assert other.claim([KEY]) == []
    assert ledger.claim([OTHER]) == [OTHER] and other.claim([KEY]) == [KEY]
    assert kinds(other) == ["started", "failed", "started"]
    monkeypatch.setattr(Journal, "write", full)
    ledger.fail(OTHER, "no picture")
    monkeypatch.setattr(Journal, "write", write)
    finish(other, OTHER)
    ledger.fail(KEY, "late")
    assert other.lookup(OTHER)  # what another process has finished stays so


def test_threads_share_one_ledger(tmp_path: Path) -> None:
    ledger, errors = Ledger(tmp_path), []

    def work(number: int) -> None:
        try:
            for seed in range(number * 5, number * 5 + 5):
                finish(ledger, f"{seed:016x}", seed)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and damaged(tmp_path) == 0 and len(ledger.events()) == 40
    assert all(ledger.lookup(f"{seed:016x}") for seed in range(20))
    assert ledger.events() == Ledger(tmp_path).events()


@pytest.mark.slow
def test_processes_share_one_file_without_mixing_lines(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tp2lib.storage.files import Journal\n"
        "for n in range(60): Journal(Path(sys.argv[1])).append({'who': sys.argv[2], 'n': n, 'pad': 'x' * 3000})"
    )
    path = tmp_path / "journal.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), who]) for who in "abc"]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    _, events = Journal(path).read()
    assert len(events) == 180
    for who in "abc":
        assert [event["n"] for event in events if event["who"] == who] == list(range(60))


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    writer, reader = Journal(tmp_path / "j.jsonl"), Journal(tmp_path / "j.jsonl")
    assert reader.read() == (True, [])
    for n in range(3):
        writer.append({"n": n})
        assert reader.read()[1] == [{"n": n}]
    assert reader.read() == (False, [])


# -- names for people, and sources ------------------------------------------------------------------


def test_publish_copies_under_a_readable_name(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    path = finish(ledger)
    copy = ledger.publish(KEY, "t2i_run01_baseline.png")
    assert copy == tmp_path / "t2i_run01_baseline.png" and copy.read_bytes() == path.read_bytes()

    class Run:
        key, recipe = KEY, Recipe.from_dict(read_record(path)["recipe"])

    assert ledger.publish(Run(), "smoke.png").read_bytes() == path.read_bytes()
    for bad in (OTHER, None, object()):
        with pytest.raises(RecordError):
            ledger.publish(bad, "x.png")


@pytest.mark.parametrize("name", [
    "../x.png", "/x.png", "a/b.png", "a\\b.png", ".png", "", "x.jpg", None, "x.png\n", ".x.png",
])  # fmt: skip
def test_published_names_stay_in_the_folder(tmp_path: Path, name: object) -> None:
    ledger = Ledger(tmp_path / "outputs")
    finish(ledger)
    with pytest.raises(RecordError, match="without folders"):
        ledger.publish(KEY, name)
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_sources_are_kept_under_the_hash_of_their_pixels(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    source = prepare_source(noise_image(40, 30, "RGBA"), 16, 16)
    assert ledger.find_source(source.pixels_sha256) is None
    path = ledger.keep_source(source)
    assert path == tmp_path / "sources" / f"{source.pixels_sha256}.png" == ledger.find_source(source.pixels_sha256)
    assert ledger.find_source("sha256:" + source.pixels_sha256) == path
    with Image.open(path) as image:
        assert image.tobytes() == source.image.tobytes()
    before = path.stat().st_mtime_ns
    assert ledger.keep_source(source) == path and path.stat().st_mtime_ns == before
    path.write_bytes(path.read_bytes()[:100])
    assert ledger.find_source(source.pixels_sha256) is None
    assert ledger.keep_source(source) == path == ledger.find_source(source.pixels_sha256)  # and mended
    with pytest.MonkeyPatch.context() as patch, pytest.raises(OutputError, match="as PNG; at most 0 can be read back. Scale it down"):
        patch.setattr("tp2lib.storage.ledger.MAX_BYTES", 50)
        ledger.keep_source(prepare_source(noise_image(40, 31, "RGB"), 16, 16))
    for bad in ("sha256:unknown", "../../x", None, 5, ""):
        assert ledger.find_source(bad) is None


# -- what cannot be ---------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="free space"):
        Ledger(tmp_path / "file" / "outputs").start(KEY)


@pytest.mark.parametrize("crashes", [0, -1, True, 1.5, "2", None])
def test_max_crashes_is_a_positive_whole_number(tmp_path: Path, crashes: object) -> None:
    with pytest.raises(RecordError, match="max_crashes"):
        Ledger(tmp_path, max_crashes=crashes)
