"""tp2lib.widgets.app: the app's limits, each tried from outside against the real server on loopback."""

from __future__ import annotations

import asyncio
import http.cookiejar
import json
import os
import re
import socket
import sys
import urllib.error
import urllib.request
import uuid

import nbformat
import pytest
from served import serving

from tp2lib.errors import OutputError, RecipeError
from tp2lib.paths import ROOT
from tp2lib.widgets.app import app_config, read_page, serve, trim

pytest.importorskip("voila", reason="the extra `app` is not installed")

PAGE = """import ipywidgets
class Studio:
    def __init__(self): self.box = ipywidgets.Text(value="hello from the tool")
    def _repr_mimebundle_(self, **how): return self.box._repr_mimebundle_(**how)
Studio()"""


def book(*sources: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_markdown_cell("# the lesson")]
    for source in sources:
        cells += [nbformat.v4.new_markdown_cell("a sentence"), nbformat.v4.new_code_cell(source)]
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


# -- what is served -----------------------------------------------------------------------------------


def test_the_app_is_the_notebook_down_to_the_tool() -> None:
    cut = read_page()
    code = [cell.source for cell in cut.cells if cell.cell_type == "code"]
    assert 1 <= len(code) <= 3 and "Studio(" in code[-1] and "assert" not in "".join(code)
    assert [cell.cell_type for cell in cut.cells].count("markdown") == 1
    nbformat.validate(cut)


def test_a_notebook_without_the_tool_is_no_app() -> None:
    with pytest.raises(OutputError, match="no cell of the notebook shows the tool"):
        trim(book("1 + 1"))


def test_bad_numbers_and_missing_files_are_refused(tmp_path) -> None:
    for wrong in ({"port": 80}, {"port": "x"}, {"visitors": 0}, {"visitors": 17}, {"visitors": True}, {"idle": 1}):
        with pytest.raises(RecipeError):
            app_config(**wrong)
    with pytest.raises(OutputError, match="is not there"):
        serve(tmp_path / "none.ipynb")


def test_a_port_that_another_program_has_is_refused_before_an_address_is_said() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OutputError, match="port .* cannot be used"):
        serve(port=other.getsockname()[1], say=said.append)
    assert not said


def test_without_voila_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "voila.configuration", None)
    with pytest.raises(OutputError, match=r"`uv sync --inexact --extra app`, or `pip install -e '.\[app\]'`"):
        app_config()


# -- from outside -------------------------------------------------------------------------------------


class Visitor:
    """What comes to the app from outside, over HTTP."""

    def __init__(self, port: int) -> None:
        self.port, self.cookies = port, http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str, host: str | None = None, method: str = "GET", data: bytes | None = None) -> tuple[int, str]:
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, data=data)
        if host:
            asked.add_header("Host", host)
        if token := next((cookie.value for cookie in self.cookies if cookie.name == "_xsrf"), None):
            asked.add_header("X-XSRFToken", token)
        try:
            with self.opener.open(asked, timeout=120) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def leave(self, page: str) -> None:
        """End the kernel of a page, as the page does when its tab is closed."""
        status, said = self.get(f"/voila/api/shutdown/{kernel_of(page)}", method="POST", data=b"")
        assert status == 204, said


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The app in a process of its own, on a page that needs no model."""
    folder = tmp_path_factory.mktemp("app")
    nbformat.write(book(PAGE, "raise SystemError('the lesson is not the app')"), folder / "page.ipynb")
    (folder / "secret.txt").write_text("the secret of the host")
    (folder / "secret.png").write_bytes((ROOT / "inputs" / "mug.jpg").read_bytes())
    code = "from pathlib import Path; from tp2lib.widgets.app import serve; serve(Path({page!r}), port={port}, visitors=2, browser=False)"
    settings = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "PYTHONPATH": str(ROOT / "tests" / "offline"),
    }

    def command(port: int) -> list[str]:
        return [sys.executable, "-c", code.format(page=str(folder / "page.ipynb"), port=port)]

    with serving(command, folder / "server.log", env=settings, cwd=folder) as port:
        yield Visitor(port)


def kernel_of(page: str) -> str:
    return re.search(r'"kernelId":\s*"([0-9a-f-]{36})"', page)[1]


@pytest.mark.slow
def test_the_page_is_the_tool_and_shows_no_code(server) -> None:
    status, page = server.get("/")
    assert status == 200 and "TP2 mini-product" in page and "hello from the tool" not in page.split("<script")[0]
    for hidden in ("import ipywidgets", "class Studio", "SystemError", "the lesson", "Traceback"):
        assert hidden not in page
    assert "application/vnd.jupyter.widget-view+json" in page
    server.leave(page)


@pytest.mark.slow
def test_no_file_is_served(server) -> None:
    tries = [
        "/voila/files/secret.txt", "/voila/files/secret.png", "/voila/files/page.ipynb", "/voila/files/../secret.txt",
        "/voila/files/%2e%2e/%2e%2e/etc/passwd", "/voila/files//etc/passwd", "/voila/static/../../../../../../etc/passwd",
        "/voila/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/voila/templates/lab/static/../../../../../../../etc/passwd",
        "/voila/templates/../static/../../../etc/passwd", "/voila/labextensions/../../../../etc/passwd", "/files/secret.txt",
        "/voila/render/secret.txt", "/voila/tree", "/voila/api/contents/secret.txt", "/api/contents/secret.txt", "/secret.png",
        "/api/contents", "/api/terminals", "/api/sessions", "/tree", "/lab", "/secret.txt", "/voila/render/page.ipynb",
    ]  # fmt: skip
    for path in tries:
        status, body = server.get(path)
        assert "the secret of the host" not in body and "root:x:" not in body and "Studio()" not in body, path
        wanted = (500,) if path.startswith("/voila/templates/") else (403, 404)  # Voilà asserts that its own folder comes there
        assert "JFIF" not in body[:20] and status in wanted, (path, status)


@pytest.mark.slow
def test_no_kernel_can_be_made_or_listed_from_outside(server) -> None:
    for path in ("/api/kernels", "/api/kernelspecs", "/api/sessions", "/api/terminals"):
        for method in ("GET", "POST"):
            status, body = server.get(path, method=method, data=b'{"name": "python3"}' if method == "POST" else None)
            assert status in (302, 403, 404, 405) and '"id"' not in body, (path, method, status)


@pytest.mark.slow
def test_it_answers_to_no_foreign_name(server) -> None:
    """A web site that renames itself to 127.0.0.1 (DNS rebinding) gets nothing."""
    status, body = server.get("/", host="evil.example")
    assert status == 403 and "kernelId" not in body


@pytest.mark.slow
def test_a_visitor_executes_no_code(server, tmp_path) -> None:
    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    page, written = server.get("/")[1], tmp_path / "written"
    kernel = kernel_of(page)
    session = uuid.uuid4().hex

    def message(kind: str, content: dict) -> str:
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": session, "username": "x", "version": "5.3", "date": ""}
        return json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []})

    code = f"open({str(written)!r}, 'w').write('executed')"
    attempts = [
        message("execute_request", {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}),
        message("execute_request", {"code": "", "user_expressions": {"x": code}, "silent": True}),
        message("inspect_request", {"code": code, "cursor_pos": 3, "detail_level": 1}),
        message("complete_request", {"code": "open(", "cursor_pos": 5}),
        message("input_reply", {"value": code}), message("debug_request", {"command": "evaluate", "arguments": {"expression": code}}),
        message("create_subshell_request", {}), message("history_request", {"hist_access_type": "tail", "n": 10}),
    ]  # fmt: skip

    async def attack() -> list[str]:
        origin = f"http://127.0.0.1:{server.port}"
        request = HTTPRequest(f"ws://127.0.0.1:{server.port}/api/kernels/{kernel}/channels?session_id={session}", headers={"Origin": origin})
        line = await websocket_connect(request)
        for attempt in attempts:
            await line.write_message(attempt)
        last = message("kernel_info_request", {})  # allowed, and answered after all that came before it
        await line.write_message(last)
        kinds, ours = [], json.loads(last)["header"]["msg_id"]
        while True:
            answer = await asyncio.wait_for(line.read_message(), 120)
            assert answer is not None, "the line was closed"
            said = json.loads(answer) if isinstance(answer, str) else {"msg_type": "binary"}
            kinds.append(said["msg_type"])
            if said["msg_type"] == "kernel_info_reply" and said["parent_header"]["msg_id"] == ours:
                break
        line.close()
        return kinds

    kinds = asyncio.run(attack())
    assert "kernel_info_reply" in kinds
    assert not {"execute_reply", "execute_result", "inspect_reply", "complete_reply", "history_reply", "debug_reply"} & {*kinds}
    assert not written.exists()
    server.leave(page)


@pytest.mark.slow
def test_no_more_visitors_than_places(server) -> None:
    pages = [server.get("/")[1] for _ in range(2)]
    status, body = server.get("/")
    assert status == 503 and "kernelId" not in body and "Traceback" not in body
    assert "places are taken" in body
    server.leave(pages[0])
    status, body = server.get("/")
    assert status == 200  # who leaves makes room
    for page in (pages[1], body):
        server.leave(page)
