"""The package as a whole: its names, what it costs to import, which way its arrows go, what its files may not say."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import tp2lib
from tp2lib import course

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE = ROOT / "tp2lib"
DOORS = ("tp2lib", *(f"tp2lib.{room}" for room in ("plots", "metrics", "widgets", "evaluation", "report", "course")))  # what notebooks import
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py" and (path.name != "__init__.py" or path.parent == PACKAGE)
}  # "errors", "storage.ledger", ...
TABLE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| room |")[2].partition("\n\n")[0]
ROOMS = {name: re.findall(r"`(\w+)`", modules) for name, modules in re.findall(r"^\| (\w+) \| ([^|]*) \|", TABLE, re.MULTILINE)}

HEAVY = ("torch", "diffusers", "transformers", "matplotlib", "skimage", "IPython", "ipywidgets", "numpy", "PIL")
SHOWING = ("matplotlib", "IPython", "ipywidgets")
NO_TORCH = ("evaluation.experiments", "engine.planfile", "cli.main", "cli.pictures")  # and the rooms without models


def python(code, **environment):
    """Run code in a fresh process and return what it printed."""
    settings = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=settings, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- the public names --------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_the_names_are_sorted_and_all_there(door):
    package = importlib.import_module(door)
    assert package.__all__ == sorted(set(package.__all__))
    for name in package.__all__:
        value = getattr(package, name)
        assert not inspect.ismodule(value), name
        assert name.isupper() or getattr(value, "__name__", name) == name
    assert set(package.__all__) <= set(dir(package))


def test_the_names_at_the_top_are_few():
    assert len(tp2lib.__all__) <= 30


@pytest.mark.parametrize("door", DOORS)
def test_no_name_is_that_of_a_module_beside_it(door):
    """Importing the module would put it in the name's place, and which of the two one gets would depend on what came before."""
    folder = PACKAGE.joinpath(*door.split(".")[1:])
    beside = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not beside & {*importlib.import_module(door).__all__}


def test_a_door_offers_every_exercise():
    assert set(course.questions()) <= set(course.__all__)


def test_notebooks_come_in_by_the_seven_doors():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                for node in ast.walk(ast.parse("".join(cell["source"]))):
                    if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "tp2lib":
                        assert node.module in DOORS, f"{path.name}: {ast.unparse(node)}"
                        assert {alias.name for alias in node.names} <= set(importlib.import_module(node.module).__all__)
                    assert not isinstance(node, ast.Import) or not any(alias.name.startswith("tp2lib") for alias in node.names), path.name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'generat'"):
        tp2lib.generat  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'generat'"):
        exec("from tp2lib import generat")


def test_importing_the_doors_loads_nothing_heavy():
    code = f"import importlib, sys\nfor door in {DOORS}: importlib.import_module(door); print(door, *{{*{HEAVY!r}}} & {{*sys.modules}})"
    assert python(code).splitlines() == [*DOORS]


def test_the_exercises_wait_for_torch_until_a_picture_is_asked_for():
    assert python("import sys; from tp2lib.course import questions; print(len(questions()) > 20, 'torch' in sys.modules)") == "True False"


# -- the arrows --------------------------------------------------------------------------------------


def imports(name, *, late=False):
    """The modules of tp2lib that a module imports when it is itself imported, or (`late`) ever."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if late else tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tp2lib":
            inside = node.module.partition(".")[2]
            found.update([inside] if inside in MODULES else (f"{inside}.{alias.name}".strip(".") for alias in node.names))
    return found & MODULES.keys()


def room(name):
    return name.partition(".")[0] if "." in name else "top"


def test_no_import_goes_round_in_a_circle():
    left = {name: imports(name) for name in MODULES}
    assert sum(map(len, left.values())) > 200
    while left:
        free = [name for name, wanted in left.items() if not wanted & left.keys()]
        assert free, f"among these, imports go round in a circle: {sorted(left)}"
        for name in free:
            del left[name]


def test_every_module_has_its_room():
    for name, modules in ROOMS.items():
        there = [module.rpartition(".")[2] for module in MODULES if room(module) == name and module != "__init__"]
        assert sorted(there) == sorted(modules)
    assert {room(name) for name in MODULES} == {*ROOMS}


def test_arrows_go_up():
    """From a room to itself and to those above it in the table, late imports too."""
    order = list(ROOMS)
    for name in MODULES.keys() - {"__init__"}:
        for other in imports(name, late=True):
            assert order.index(room(other)) <= order.index(room(name)), f"{name} imports {other}"


def test_the_picture_of_the_rooms_is_what_they_import():
    """Each drawn arrow is an import, and every import between rooms is an arrow or a way along several."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("```mermaid")[2].partition("```")[0]
    drawn = {start: set(ends.split(" & ")) for start, ends in re.findall(r"^ +(\w+) --> (.+)$", text, re.MULTILINE)}
    real: dict[str, set[str]] = {name: set() for name in ROOMS}
    for name in MODULES.keys() - {"__init__"}:
        real[room(name)] |= {room(other) for other in imports(name, late=True)} - {"top", room(name)}

    def reached(start):
        return set().union(*({end} | reached(end) for end in drawn.get(start, ())))

    for start, ends in real.items():
        assert drawn.get(start, set()) <= ends and ends - {"top"} <= reached(start), start


def test_the_rooms_without_models_load_nothing_heavy():
    light = {name for name in MODULES if room(name) in ("top", "metadata", "storage") or name in NO_TORCH} - {"__init__", "metadata.mask"}
    assert len(light) > 15
    code = f"import sys, {', '.join(f'tp2lib.{name}' for name in light)}; print(*{{*{HEAVY!r}}} - {{'PIL'}} & {{*sys.modules}})\n"
    code += "import tp2lib.metadata.mask; print('torch' in sys.modules or 'matplotlib' in sys.modules)"  # a mask is made of numbers: it has numpy
    assert python(code) == "False"


def packages(path):
    """The packages that a file imports, late imports too."""
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    named = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    named += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {one.partition(".")[0] for one in named}


def test_models_engine_and_metrics_show_nothing():
    for name, path in MODULES.items():
        if room(name) in ("top", "metadata", "storage", "models", "engine", "metrics"):
            assert not packages(path) & {*SHOWING}, name


def test_the_making_of_the_model_is_not_imported():
    for path in PACKAGE.rglob("*.py"):
        assert "vitrine" not in packages(path), path
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["tp2lib"]


# -- what files may be -------------------------------------------------------------------------------


def test_modules_are_short_and_do_one_job():
    ours = MODULES | {f"vitrine.{path.stem}": path for path in (ROOT / "vitrine").glob("*.py")}
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in ours.items()}
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}
    assert not {"utils", "util", "helpers", "misc", "common"} & {name.rpartition(".")[2] for name in MODULES}


def texts():
    """The text files that are or will be in git."""
    kinds = {".py", ".md", ".toml", ".yml", ".yaml", ".ipynb", ".json", ".sh", ""}
    paths = [ROOT / name for name in in_git("--cached", "--others", "--exclude-standard")]
    found = [path for path in paths if path.suffix in kinds and path.is_file() and path.stat().st_size < 2_000_000 and path != Path(__file__)]
    assert len(found) > 200
    return found


def in_git(*options):
    """The files of the clone; a test that asks for them is skipped where there is none."""
    if shutil.which("git"):
        done = subprocess.run(["git", "ls-files", *options], cwd=ROOT, capture_output=True, text=True)
        if not done.returncode:
            return done.stdout.splitlines()
    pytest.skip("not a git clone")


def test_no_file_names_a_folder_of_some_machine_or_a_registry():
    folders = r"(?<![\w.])/(?:work|root|mnt|srv|opt|usr/local)/[\w.]|/Users/(?!alice)|/home/(?!alice|somebody)|\.\./\.\w"
    hosts = r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|anaconda\.(?:org|com)|(?:extra-)?index-url|find-links"
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts()
        for match in re.finditer(f"{folders}|{hosts}", path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_only_the_agreed_folders_stand_at_the_top():
    folders = {Path(line).parts[0] for line in in_git() if "/" in line}
    assert folders <= {"notebooks", "tp2lib", "vitrine", "inputs", "outputs", "tests", ".ci", ".github"}


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text and len(text) > 11_000


# -- the two commands, and the other road ------------------------------------------------------------


def commands():
    """The commands of the README's shell blocks."""
    return [block.strip() for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)]


def test_ci_runs_the_readmes_second_command():
    start, test = commands()
    assert start == "pip install uv && uv run tp2 lab"
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == test
    assert os.access(ROOT / ".ci" / "run", os.X_OK) or os.name == "nt"
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"]).returncode == 0


def test_ci_checks_style_and_types_first():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'for check in "ruff check" "ruff format --check" mypy; do uv run --extra lint $check; done' in script
    sources = {path: path.read_text(encoding="utf-8") for folder in ("tp2lib", "vitrine") for path in (ROOT / folder).rglob("*.py")}
    ignores = [f"{path.name}: {line}" for path, text in sources.items() for line in text.splitlines() if "# type: ignore" in line]
    assert len(ignores) <= 10 and all(re.search(r"# type: ignore\[[\w-]+\]  # \w", line) for line in ignores), ignores


def test_the_second_command_runs_tests_and_notebooks_without_a_network():
    words = shlex.split(commands()[1])
    extras = [words[at + 1] for at, word in enumerate(words) if word == "--extra"]
    known = PROJECT["project"]["optional-dependencies"]
    assert set(extras) <= known.keys() and any(one.startswith("pytest") for one in known["test"])
    options = PROJECT["tool"]["pytest"]["ini_options"]
    assert options["testpaths"] == ["tests", "notebooks"]
    assert {"--nbmake", "--disable-socket"} <= {*options["addopts"]}


def test_no_other_machine_is_looked_up_here_or_in_a_process_of_ours():
    with pytest.raises(BaseException, match="tried to reach example.org"):
        socket.getaddrinfo("example.org", 443)
    told = python("import socket\ntry: socket.getaddrinfo('example.org', 443)\nexcept BaseException as reached: print(reached)")
    assert told == "a test tried to reach example.org"


def test_environment_yml_says_nothing_that_pyproject_does_not():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert content["channels"] == ["conda-forge", "nodefaults"]
    *plain, last = content["dependencies"]
    assert plain == ["python=3.11", "pip"] and list(last) == ["pip"]
    (install,) = last["pip"]
    extras = re.fullmatch(r"-e \.\[([\w,]+)\]", install)[1].split(",")
    assert set(extras) <= PROJECT["project"]["optional-dependencies"].keys()
    lowest = re.match(r">=(3\.\d+)", PROJECT["project"]["requires-python"])[1]
    assert plain[0] == f"python={lowest}"
    assert f"conda activate {content['name']}" in README


def test_every_dependency_has_both_bounds():
    extras = PROJECT["project"]["optional-dependencies"].values()
    for one in (*PROJECT["project"]["dependencies"], *(line for lines in extras for line in lines)):
        ours = one.startswith("tp2lib[")  # an extra that takes another along
        assert ours or (">=" in one and "<" in one), one


# -- the README --------------------------------------------------------------------------------------


def test_the_readme_is_short():
    assert len(README.splitlines()) < 150


def test_the_readme_lists_the_public_names():
    listed = README.partition("tp2lib.__all__")[2].partition("\n\n")[0].partition("-->")[2]
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(tp2lib.__all__)


def test_the_readme_lists_the_notebooks_that_exist():
    listed = re.findall(r"^\| `(\d\d_\w+)` \|.*\| \d+ \|$", README, re.MULTILINE)
    there = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert listed == there


def test_the_readme_names_files_that_exist():
    for name in re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", README):
        assert (ROOT / name).is_file(), name


@pytest.mark.slow
def test_the_readmes_example_runs_as_it_stands(vitrine, tmp_path, monkeypatch, capsys, in_this_process):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    code = [line for line in example.splitlines() if line.strip()]
    assert len(code) <= 15
    monkeypatch.setattr("tp2lib.OUTPUTS", tmp_path)
    exec(example, {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(" identical")
    assert said[1].startswith("sweep over guidance [4.0, 7.5], seeds [1, 2]: 4 images")
    assert said[-2].startswith("{'guidance': [") and said[-1].endswith("Did you mean 'steps'?")
    assert len(list((tmp_path / "runs").glob("*.png"))) == 5
