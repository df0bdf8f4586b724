"""The road to the hub, against a small hub of our own on the loopback: what arrives is whole, or it is not there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tp2lib.engine.generate import generate
from tp2lib.errors import ModelError, ModelNotFound
from tp2lib.models import hub
from tp2lib.models.loading import load
from tp2lib.models.weights import hash_folder
from tp2lib.recipe import Recipe

REPO = "someone/tiny-sd"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """As much of the hub's protocol as a download needs, with faults to order."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.fault: str | None = None
        self.served: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def log_message(self, *_: object) -> None:
        pass

    def answer(self) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        if self.server.fault == "down":
            return self.hang_up()
        if path in {f"api/models/{REPO}{end}" for end in ("", "/revision/main", f"/revision/{COMMIT}")}:
            files = [{"rfilename": name, "size": len(data)} for name, data in self.server.files.items()]
            return self.send({"id": REPO, "sha": COMMIT, "siblings": files, "gated": self.server.fault == "gated"})
        if path == f"api/models/{REPO}/tree/{COMMIT}":
            entries = [{"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()} for name, data in self.server.files.items()]
            return self.send(entries)
        if path.startswith(f"api/models/{REPO}/revision/"):
            return self.refuse(404, "RevisionNotFound")
        if path.startswith(f"{REPO}/resolve/{COMMIT}/"):
            return self.send_file(path.removeprefix(f"{REPO}/resolve/{COMMIT}/"))
        return self.refuse(401, "RepoNotFound")  # the hub does not tell strangers a missing repository from a private one

    def send_file(self, name: str) -> None:
        if self.server.fault == "gated":
            return self.refuse(403, "GatedRepo")
        data = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "HEAD":
            return None
        self.server.served.append(name)
        if name.startswith("unet/") and name.endswith(".safetensors"):
            if self.server.fault == "dropped":
                self.wfile.write(data[: len(data) // 2])
                return self.hang_up()
            if self.server.fault == "altered":
                data = data[:-1] + bytes([data[-1] ^ 1])
        self.wfile.write(data)
        return None

    def send(self, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def hang_up(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(2)
        self.close_connection = True


@pytest.fixture(scope="module")
def files(tiny_folder: Path) -> dict[str, bytes]:
    """The tiny model as a repository, with what real ones also hold and nobody needs."""
    files = {str(path.relative_to(tiny_folder)): path.read_bytes() for path in tiny_folder.rglob("*") if path.is_file()}
    for part in ("unet", "vae"):
        files[f"{part}/diffusion_pytorch_model.bin"] = b"a pickle"
        files[f"{part}/diffusion_pytorch_model.non_ema.safetensors"] = b"x" * 1000
    return files | {"v1-5-pruned.safetensors": b"x" * 1000, "README.md": b"hello", "unet/code.py": b"raise SystemExit"}


@pytest.fixture
def server(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one repository, and an empty cache."""
    from huggingface_hub import constants

    server = Hub(dict(files))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits between its tries
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def snapshot_names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_model_arrives_whole_and_is_not_asked_for_again(server, caplog):
    assert hub.cached(REPO) is None
    with caplog.at_level(logging.WARNING, "tp2lib"):
        folder = hub.fetch(REPO)
    assert folder.name == COMMIT
    assert "downloading someone/tiny-sd (" in caplog.text and "commit 01234567" in caplog.text
    server.fault = "down"
    assert hub.cached(REPO) == folder == hub.cached(REPO, COMMIT)


def test_only_safetensors_and_configurations_are_fetched(server):
    names = snapshot_names(hub.fetch(REPO))
    assert "unet/diffusion_pytorch_model.safetensors" in names and "tokenizer/tokenizer.json" in names
    unwanted = {"README.md", "v1-5-pruned.safetensors", "unet/code.py", "unet/diffusion_pytorch_model.bin"}
    assert not names & unwanted and not any("non_ema" in name for name in names)


def test_half_weights_are_taken_where_they_are_wanted_and_there(server):
    for name in [name for name in server.files if name.endswith("model.safetensors")]:
        server.files[name.replace(".safetensors", ".fp16.safetensors")] = server.files[name]
    names = snapshot_names(hub.fetch(REPO, half=True))
    assert {name for name in names if name.endswith(".safetensors")} == {
        f"{part}.fp16.safetensors" for part in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model")
    }


def test_a_missing_model_is_an_error_in_words(server):
    with pytest.raises(ModelNotFound, match="the hub has no model 'someone/else', or it is private.*vitrine"):
        hub.fetch("someone/else")


def test_a_missing_revision_is_told_from_a_missing_model(server):
    with pytest.raises(ModelNotFound, match="has 'someone/tiny-sd', but not revision 'f{40}'"):
        hub.fetch(REPO, "f" * 40)


def test_a_gated_model_says_how_to_get_in(server):
    server.fault = "gated"
    with pytest.raises(ModelError, match="is gated: accept its licence.*hf auth login"):
        hub.fetch(REPO)
    assert hub.cached(REPO) is None


def test_a_hub_that_is_down_is_an_error_in_words(server):
    server.fault = "down"
    with pytest.raises(ModelError, match="could not be downloaded.*Nothing half-fetched is used.*vitrine"):
        hub.fetch(REPO)


def test_a_dropped_connection_leaves_nothing_that_passes_for_a_model(server, tmp_path):
    server.fault = "dropped"
    with pytest.raises(ModelError, match="could not be downloaded"):
        hub.fetch(REPO)
    assert hub.cached(REPO) is None
    assert not list(tmp_path.rglob("*.incomplete"))
    server.fault, server.served = None, []
    assert hub.fetch(REPO).name == COMMIT  # and another try goes on from what had arrived whole
    assert "unet/diffusion_pytorch_model.safetensors" in server.served
    assert "model_index.json" not in server.served


def test_a_file_that_is_cut_short_on_the_hub_itself_is_found_out(server):
    name = "unet/diffusion_pytorch_model.safetensors"
    server.files[name] = server.files[name][:-1000]
    with pytest.raises(ModelError, match="damaged or cut short"):
        hub.fetch(REPO)
    assert hub.cached(REPO) is None


def test_bytes_altered_on_the_way_are_found_out_by_their_hash(server):
    server.fault = "altered"
    folder = hub.fetch(REPO)  # the size is right, and so is the header
    with pytest.raises(ModelError, match="is damaged: its SHA-256 is"):
        hash_folder(folder, None)


def test_a_repository_without_safetensors_is_refused(server):
    del server.files["unet/diffusion_pytorch_model.safetensors"]
    with pytest.raises(ModelError, match="no safetensors weights for unet"):
        hub.fetch(REPO)
    assert hub.cached(REPO) is None and "unet/diffusion_pytorch_model.bin" not in server.served


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("model_index.json", {"_class_name": "FluxPipeline"}, "is a 'FluxPipeline'; only Stable Diffusion 1.x"),
        ("unet/config.json", {"cross_attention_dim": 1024}, "is a Stable Diffusion 2 .* only Stable Diffusion 1.x"),
    ],
)
def test_a_model_of_another_kind_is_refused_before_its_weights_are_fetched_and_what_came_stays(server, tmp_path, name, change, said):
    server.files[name] = json.dumps({**json.loads(server.files[name]), **change}).encode()
    for _ in range(2):
        with pytest.raises(ModelError, match=said):
            hub.fetch(REPO)
        assert list(tmp_path.glob("hub/*/snapshots/*/model_index.json"))  # in the cache that other programs use
    assert not [one for one in server.served if one.endswith(".safetensors")]
    assert server.served == ["model_index.json"] or name != "model_index.json"


@pytest.mark.parametrize("name", ["tokenizer/tokenizer.json", "text_encoder/config.json"])
def test_a_model_that_lacks_a_small_file_counts_as_absent_and_is_completed(server, name):
    folder = hub.fetch(REPO)
    for path in ((folder / name).resolve(), folder / name):
        path.unlink()
    server.served = []
    assert hub.cached(REPO) is None
    assert hub.fetch(REPO) == folder and server.served == [name] and hub.cached(REPO) == folder


@pytest.mark.slow
def test_end_to_end_from_a_hub_to_a_picture(server):
    model = load(REPO, device="cpu")
    assert model.card.revision == COMMIT and model.name == REPO
    assert generate(Recipe(prompt="a red apple", steps=2, width=64, height=64), model).outcome == "ok"


@pytest.mark.slow
def test_the_hub_of_the_environment_is_the_one_that_is_asked(server, tmp_path):
    """In a process of its own, since the client reads HF_ENDPOINT when it is imported."""
    script = f"from tp2lib.models import hub; print(hub.fetch({REPO!r}).name, hub.cached({REPO!r}).name)"
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [COMMIT, COMMIT], done.stderr
    assert "downloading someone/tiny-sd" in done.stderr
