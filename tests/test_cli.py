"""The command line: exit codes, help, one plain message, and the same pictures as the library's."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from foreign_files import A1111, comfy_png, png
from PIL import Image
from plotted import fake_run

from tp2lib.cli.main import app, main
from tp2lib.engine.generate import generate
from tp2lib.engine.planfile import read_plan
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.models.loading import load
from tp2lib.paths import ROOT
from tp2lib.recipe import KNOWN_MASKS, Recipe
from tp2lib.storage.pictures import read_recipe

COMMANDS = tuple(typer.main.get_command(app).commands)
SMALL = ["--steps", "2", "--width", "64", "--height", "64"]
PLAN = """
seeds = [1, 2]
[recipe]
prompt = "a red apple"
width = 64
height = 64
[axes]
steps = [2, 3]
"""


def status(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    """Messages on one line each and without colours, whatever the terminal of the tests."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 400)
    monkeypatch.setattr("typer.rich_utils.FORCE_TERMINAL", False)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_is_there_and_is_no_failure(command, capsys):
    assert status(*command, "--help") == 0
    said = capsys.readouterr().out
    assert f"Usage: {' '.join(('tp2', *command))} " in said
    assert all(name in said for name in COMMANDS) or command


def test_the_readme_has_every_command():
    told = re.findall(r"^\| `tp2 (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(COMMANDS)


@pytest.mark.slow
def test_help_does_not_wait_for_torch():
    code = "import sys; from tp2lib.cli.main import main\nmain(['generate', '--help'])\n"
    done = subprocess.run([sys.executable, "-c", f"{code}sys.exit('torch' in sys.modules)"], capture_output=True)
    assert done.returncode == 0


def test_every_command_that_writes_takes_outputs(capsys):
    for name in COMMANDS:
        status(name, "--help")
        assert bool(re.search("--outputs +DIR", capsys.readouterr().out)) == (name not in ("replay", "read", "pages"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("generate apple --scheduler Eulr", "Did you mean 'Euler"), ("run basline", "Did you mean 'baseline'"),
        ("generate apple --steps many", "steps is 'many'; it must be a whole number from 1 to 150"), ("generate apple --steps 999", ""),
        ("generate apple --strength 0.5", ""), ("generate", ""), ("walk", ""), ("sweep", ""), ("replay", ""), ("report --replay baseline", ""),
        ("replay x.png --at-least nice", ""), ("doctor --what", ""),
    ],
)  # fmt: skip
def test_a_command_that_is_not_understood_ends_with_2_and_says_what_is_allowed(command, words, capsys):
    assert status(*command.split()) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Usage: tp2" in said.err and words in said.err


def test_no_command_shows_them_all_and_ends_with_2(capsys):
    assert status() == 2
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


def test_the_version_is_the_installed_one(capsys):
    assert status("--version") == 0
    assert capsys.readouterr().out == f"tp2lib {importlib.metadata.version('tp2lib')}\n"


@pytest.mark.parametrize(("words", "wanted"), [("tp2 generate apple --scheduler DPM++", "DPM++ 2M SDE"), ("tp2 run i2i", "i2i_run07_strength035")])
def test_the_shell_completes_values(words, wanted, monkeypatch, capsys):
    for name, value in {"_TP2_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}.items():
        monkeypatch.setenv(name, value)
    assert status() == 0
    assert wanted in capsys.readouterr().out.splitlines()


@pytest.mark.slow
def test_steps_are_a_bar_on_a_terminal_and_nothing_in_a_pipe(vitrine, tmp_path, capsys):
    pty = pytest.importorskip("pty")
    command = [sys.executable, "-m", "tp2lib", "generate", "apple", *SMALL, "--outputs", str(tmp_path)]
    ours, theirs = pty.openpty()
    pytest.importorskip("termios").tcsetwinsize(theirs, (24, 80))  # as a real one: tqdm draws nothing on a terminal without a width
    environment = {**os.environ, "TERM": "xterm", "TQDM_MININTERVAL": "0"}
    shown = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # what Linux answers when nobody has the terminal open any more
        while chunk := os.read(ours, 4096):
            said += chunk
    os.close(ours)
    made, _ = shown.communicate()
    assert shown.returncode == 0 and made.endswith(".png\n") and b"generate" in said and b"2/2" in said
    assert status(*command[3:]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == made.strip() and "2/2" not in said.err and "kept from before" in said.err


def test_a_failure_is_one_plain_message(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TP2_VITRINE", str(tmp_path / "nowhere"))
    assert status("generate", "an apple", "--model", "vitrine", "--outputs", tmp_path) == 1
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    assert said.err.startswith("tp2 generate: no model in") and "`tp2 doctor`" in said.err


def test_generate_prints_the_path_and_nothing_else(vitrine, tmp_path, capsys):
    arguments = ["generate", "a red zebra", *SMALL, "--scheduler", "euler a", "--guidance", "4", "--outputs", tmp_path]
    assert status(*arguments) == 0
    said = capsys.readouterr()
    (picture,) = (tmp_path / "runs").glob("*.png")
    assert said.out == f"{picture}\n"
    assert "never saw these words in training: zebra" in said.err
    recipe = read_recipe(picture).recipe
    assert (recipe.scheduler, recipe.guidance, recipe.steps, recipe.seed) == ("EulerA", 4.0, 2, 42)
    assert status(*arguments, "--file", "pictures/zebra.png", "--seed", "43") == 2
    assert "without folders" in capsys.readouterr().err and len([*(tmp_path / "runs").glob("*.png")]) == 1
    assert status(*arguments, "--file", "zebra.png") == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'zebra.png'}\n" and "kept from before" in said.err


def test_what_is_not_given_is_the_recipes_default(monkeypatch):
    asked = []
    monkeypatch.setattr("tp2lib.cli.pictures._make", lambda settings, file, outputs: asked.append(Recipe(**settings)))
    assert status("generate", "an apple") == status("background", "apple.png", "an apple") == 0
    assert asked == [Recipe(prompt="an apple"), Recipe(prompt="an apple", source="apple.png", mask="auto")]


def test_a_picture_that_could_not_be_made_ends_with_1(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("tp2lib.cli.pictures._load", lambda name: SimpleNamespace(words=None))
    monkeypatch.setattr(importlib.import_module("tp2lib.engine.generate"), "generate", lambda recipe, model, **how: fake_run(outcome="nan"))
    assert status("generate", "an apple", "--outputs", tmp_path) == 1
    assert capsys.readouterr() == ("", "no picture: it came out nan\n")


def test_generate_starts_from_a_photo(vitrine, tmp_path):
    photo = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").save(photo)
    assert status("generate", "an apple", *SMALL, "--source", photo, "--strength", "0.5", "--outputs", tmp_path) == 0
    assert status("generate", "an apple", *SMALL, "--source", "no.png", "--strength", "0.5", "--outputs", tmp_path) == 1


def test_background_keeps_the_product_and_says_so(vitrine, tmp_path, capsys):
    Image.new("RGB", (90, 60), "red").save(tmp_path / "photo.png")
    mask = Image.new("L", (90, 60))
    mask.save(tmp_path / "mask.png")
    arguments = ("background", tmp_path / "photo.png", "a red apple", "--steps", "2", "--height", "64", "--outputs", tmp_path)
    assert status(*arguments, "--mask", tmp_path / "mask.png") == 1
    assert "keeps nothing of the photo" in capsys.readouterr().err
    mask.paste(255, (30, 20, 60, 40))
    mask.save(tmp_path / "mask.png")
    assert status(*arguments, "--mask", tmp_path / "mask.png", "--file", "apple.png") == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "apple.png")
    assert "kept: 11.1% of the photo, and 0 of the kept pixels differ from it" in told.err and "mask from a file, 90x60" in told.err
    with Image.open(tmp_path / "apple.png") as made:
        assert made.size == (90, 60) and made.crop((30, 20, 60, 40)).getcolors() == [(600, (255, 0, 0))]


def test_a_sweep_is_planned_made_and_told(vitrine, tmp_path, monkeypatch, capsys):
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    assert status("sweep", plan, "--outputs", tmp_path, "--dry-run") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "steps 2, seed 1: planned" and "4 images (4 to make" in said.err
    assert not (tmp_path / "runs").exists()
    assert status("sweep", plan, "--outputs", tmp_path) == 0
    paths = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert [read_recipe(path).recipe.steps for path in paths] == [2, 2, 3, 3]
    monkeypatch.setenv("RANK", "1")  # of the processes of a launch, the first prints
    assert status("sweep", plan, "--outputs", tmp_path) == 0 and capsys.readouterr().out == ""


def test_a_sweeps_photo_is_found_beside_its_plan(vitrine, tmp_path, capsys):
    (tmp_path / "plans").mkdir()
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "plans" / "photo.png")
    plan = tmp_path / "plans" / "plan.toml"
    plan.write_text(PLAN.replace("[axes]\nsteps = [2, 3]", 'source = "photo.png"\n[axes]\nstrength = [0.5, 0.9]'))
    assert status("sweep", plan, "--outputs", tmp_path, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines()[0] == "strength 0.5, seed 1: planned"


def test_what_the_axes_vary_need_not_be_in_the_recipe(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('[recipe]\nprompt = "an apple"\nsource = "photo.png"\n[axes]\nsteps = [120, 150]\nstrength = [0.01, 0.5]\n')
    assert (read_plan(plan).recipe.steps, read_plan(plan).recipe.strength) == (120, 0.01)
    plan.write_text('[recipe]\n[axes]\nprompt = ["an apple", "a mug"]\nsteps = []\n')
    assert (read_plan(plan).recipe.prompt, read_plan(plan).recipe.steps) == ("an apple", 30)


@pytest.mark.parametrize("name", ["photo.png", "../photo.png", "/photo.png", "sha256:" + "0" * 64])
@pytest.mark.parametrize("mask", ["mask.png", "masks/mask.png", "/mask.png", *KNOWN_MASKS])
def test_a_plans_photo_and_mask_are_files_beside_it_unless_their_names_say_more(name, mask, tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace("[axes]", f'source = "{name}"\nmask = "{mask}"\n[axes]'))
    recipe = read_plan(plan).recipe
    assert recipe.source == (name if name.startswith("sha256:") else os.path.normpath(tmp_path / name))
    assert recipe.mask == (mask if mask in KNOWN_MASKS else str(tmp_path / mask))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[axes]", "[axis]"), "the plan has 'axis'.*Did you mean 'axes'"),
        (("[axes]\nsteps = [2, 3]", ""), r"the plan's axes is missing.*\[axes\]"),
        (("steps = [2, 3]", "model = ['sd15']"), "'model' cannot be an axis"),
        (("steps = [2, 3]", "say = [1]"), "'say' cannot be an axis"),
        (("steps = [2, 3]", "step = [1]"), "'step' cannot be an axis.*Did you mean 'steps'"),
        (("steps = [2, 3]", "steps = 2"), "steps is 2; as an axis it must be a list"),
        (("seeds = [1, 2]", "steps = 3"), r"the plan has 'steps'.*under \[recipe\]"),
        (("seeds = [1, 2]", "seeds = 1"), "seeds is 1"),
        (("seeds = [1, 2]", "seeds = [[["), "cannot be read"),
        (("prompt", "promt"), "no setting 'promt'.*Did you mean 'prompt'"),
    ],
)
def test_a_plan_that_is_wrong_says_where(change, message, vitrine, tmp_path, capsys):
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace(*change))
    assert status("sweep", plan, "--outputs", tmp_path) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(message, said), said


def test_a_plan_that_is_not_there_says_so(tmp_path, capsys):
    assert status("sweep", tmp_path / "no.toml", "--outputs", tmp_path) == 1
    assert "cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.slow
def test_the_report_is_run_and_all_nine_are_replayed_identical(vitrine, tmp_path, capsys):
    """`tp2 run`, then `tp2 replay` in a fresh process, as a reader would."""
    (tmp_path / "inputs").mkdir()
    Image.linear_gradient("L").convert("RGB").resize((300, 200)).save(tmp_path / "inputs" / "product.jpg")
    where = ["--outputs", tmp_path / "outputs", "--inputs", tmp_path / "inputs"]
    assert status("run", *where) == 0
    assert "11 of 11 pictures" in capsys.readouterr().out
    pictures = [tmp_path / "outputs" / one.file for one in EXPERIMENTS.values()]
    assert all(picture.is_file() for picture in pictures)
    assert status("run", "img2img", *where) == 0
    assert capsys.readouterr().out.count("kept from before") == 3
    assert status("replay", *pictures[2:], "--at-least", "identical") == 0
    assert [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()] == ["identical"] * 9


def test_one_experiment_that_fails_does_not_stop_the_others(vitrine, tmp_path, capsys):
    assert status("run", "smoke", "i2i_run07_strength035", "--outputs", tmp_path, "--inputs", tmp_path) == 1
    said = capsys.readouterr()
    assert "1 of 2 pictures" in said.out and "i2i_run07_strength035.png" in said.err and "failed" in said.err


def test_a_picture_that_comes_out_otherwise_ends_with_1(monkeypatch):
    module = importlib.import_module("tp2lib.engine.replay")
    grades = ["identical", "close"]
    monkeypatch.setattr(module, "replay_tasks", lambda tasks: [SimpleNamespace(grade=grade) for grade in grades])
    asked = []
    monkeypatch.setattr(module, "replayable", lambda path, model, vae: asked.append(vae) or path)
    assert status("replay", "a.png", "b.png") == 0 == status("replay", "a.png", "b.png", "--vae", "mine")
    assert asked == [None, None, Path("mine"), Path("mine")]
    assert status("replay", "a.png", "b.png", "--at-least", "within-1-level") == 1
    grades[1] = "different"
    assert status("replay", "a.png", "b.png") == 1


def test_a_picture_without_a_record_does_not_stop_the_others(vitrine, photo, tmp_path, capsys, in_this_process):
    bare, lost, apple = (tmp_path / name for name in ("bare.png", "lost.png", "apple.png"))
    Image.new("RGB", (8, 8)).save(bare)
    generate(Recipe(prompt="a red apple", steps=2, source="red.png", strength=0.5), load("vitrine"), source=photo).save(lost)
    assert status("generate", "a red apple", *SMALL, "--file", apple.name, "--outputs", tmp_path) == 0
    capsys.readouterr()
    for other, *words in ((bare, f"{bare}: ", "carries no tp2 record"), (lost, f"{lost}: the photo", "is not among those kept")):
        assert status("replay", other, apple) == 1
        said = capsys.readouterr()
        assert said.out == f"{apple}: identical\n" and all(word in said.err for word in words)


def test_ctrl_c_ends_with_130(vitrine, monkeypatch, tmp_path, capsys):
    def interrupted(*args, **how):
        raise KeyboardInterrupt

    monkeypatch.setattr("tp2lib.cli.pictures.run_experiment", interrupted)
    assert status("run", "smoke", "--outputs", tmp_path) == 130
    assert "Stopped" in capsys.readouterr().err


@pytest.mark.slow
def test_doctors_status_is_that_of_its_checks(vitrine, tmp_path, capsys):
    assert status("doctor", "--outputs", tmp_path) == 0
    assert "All 9 checks passed." in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    assert status("doctor", "--outputs", tmp_path / "file") == 1
    assert "1 of 9 checks failed." in capsys.readouterr().out


def test_app_serves_and_pages_builds_what_is_asked_for(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr("tp2lib.widgets.app.serve", lambda **how: asked.append(how) or 3)
    monkeypatch.setattr("tp2lib.cli.site.build_pages", lambda *given, **how: asked.append(given) or ["a broken link"])
    assert status("app", "--port", "9000", "--no-browser", "--outputs", tmp_path) == 3
    assert status("pages", "--to", tmp_path / "site") == 0
    assert asked[0].items() >= {"port": 9000, "visitors": 2, "browser": False, "outputs": tmp_path}.items() and asked[1] == (tmp_path / "site", None)
    assert capsys.readouterr() == (f"{tmp_path / 'site' / 'index.html'}\n", "a broken link\n")


def test_lab_opens_the_first_notebook_with_this_python(monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_smoke.ipynb").write_text("{}")
    said, seen = iter([KeyboardInterrupt, 3]), {}

    class Lab(contextlib.nullcontext):
        def __init__(self, command, **how):
            super().__init__(self)
            seen.update(how, command=command)

        def wait(self):
            status = next(said)
            if status is KeyboardInterrupt:  # Ctrl-C is JupyterLab's to answer
                raise status
            return status

    monkeypatch.setattr("tp2lib.cli.main.ROOT", tmp_path)
    monkeypatch.setattr("tp2lib.cli.main.NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(subprocess, "Popen", Lab)
    assert status("lab", "--outputs", tmp_path / "mine", "--", "--no-browser") == 3
    where = ["--ServerApp.root_dir", str(tmp_path), "--LabApp.default_url", "/lab/tree/notebooks/01_smoke.ipynb"]
    offline = "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"
    assert seen["command"] == [sys.executable, "-m", "jupyterlab", *where, offline, "--no-browser"]
    assert seen["env"]["TP2_OUTPUTS"] == str(tmp_path / "mine")


def test_lab_without_notebooks_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("tp2lib.cli.main.NOTEBOOKS", tmp_path)
    assert status("lab") == 1
    assert "come with the clone" in capsys.readouterr().err


@pytest.mark.slow
def test_it_also_starts_as_a_module_and_survives_a_poor_terminal(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    command = [sys.executable, "-m", "tp2lib", "sweep", str(tmp_path / "…")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "cannot be read" in done.stderr and "Traceback" not in done.stderr


def test_read_says_what_was_found_assumed_and_ignored_in_any_tools_picture(tmp_path, capsys) -> None:
    for name, data in (("webui.png", png(parameters=A1111)), ("comfy.png", comfy_png()), ("bare.png", png())):
        (tmp_path / name).write_bytes(data)
    assert status("read", *(tmp_path / name for name in ("webui.png", "comfy.png", "bare.png"))) == 1
    said = capsys.readouterr()
    assert "webui.png: Settings written by A1111." in said.out and "Ignored: Model hash: 6ce0161689" in said.out
    assert "comfy.png: Settings written by ComfyUI." in said.out and f"seed {2**63 + 1}" in said.out
    assert "bare.png" in said.err and "carries no recipe" in said.err


def test_a_strangers_picture_writes_no_escape_sequences_to_the_terminal(tmp_path, capsys) -> None:
    (tmp_path / "odd.png").write_bytes(png(parameters="a \x1b[31mred\x1b]0;x\x07 é pen\nSteps: 5, Sampler: Euler, CFG scale: 7, Odd: \x1b[2J"))
    assert status("read", tmp_path / "odd.png") in (0, 1)
    told = "".join(capsys.readouterr())
    assert "\x1b" not in told and "\x07" not in told and "\\x1b[31m" in told


def test_replay_says_what_a_strangers_picture_holds(tmp_path, capsys) -> None:
    (tmp_path / "webui.png").write_bytes(png(parameters=A1111))
    assert status("replay", tmp_path / "webui.png") == 1
    told = capsys.readouterr().err
    assert "no tp2 record" in told and "Found: prompt" in told and "Assumed" in told and "Ignored" in told
