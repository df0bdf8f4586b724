"""The mini-product as a web app: notebook 05 down to its tool, served by Voilà to this computer only.

What holds, and where it is enforced:

- visitors run no code: Voilà lets messages of widgets pass and no others, and sources are not sent;
- only the page and Voilà's own scripts are served: no file of the clone, of ``outputs/``, or of the disk;
- the page answers to this computer's own names only, so that no web site can reach it by renaming itself;
- every visitor has a kernel of their own with one model in memory; no more than `visitors` are let in, and who is
  away for `idle` seconds makes room.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tp2lib.errors import OutputError, RecipeError, shown
from tp2lib.paths import NOTEBOOKS

APP = NOTEBOOKS / "05_mini_product.ipynb"
VISITORS = 2
IDLE = 900  # seconds
_MARK = "Studio("  # the cell that shows the tool; the lesson after it is not the app
_TITLE = "# TP2 mini-product\n\nProduct pictures from words or from a photo. Every picture carries its settings and the mark of a generated picture."


def trim(notebook: Any) -> Any:
    """Cut a notebook down to the tool: the code up to the cell that shows it, under a heading of its own."""
    import nbformat

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    last = next((at for at, cell in enumerate(code) if _MARK in cell.source), None)
    if last is None:
        raise OutputError(f"no cell of the notebook shows the tool with {_MARK}…). Get {APP.name} from the clone again.")
    notebook.cells = [nbformat.v4.new_markdown_cell(_TITLE), *code[: last + 1]]
    return notebook


def read_page(notebook: Path = APP) -> Any:
    """Read the notebook as visitors get it; see :func:`trim`."""
    import nbformat

    return trim(nbformat.read(notebook, as_version=4))


def app_config(notebook: Path = APP, *, port: int = 8866, visitors: int = VISITORS, idle: int = IDLE, browser: bool = True) -> Any:
    """Return Voilà's configuration for the app; :func:`serve` says what each setting is."""
    for name, value, low, high in (("port", port, 1024, 65535), ("visitors", visitors, 1, 16), ("idle", idle, 10, 86_400)):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise RecipeError(f"{name} is {shown(value)}; it must be a whole number from {low} to {high}.")
    if not notebook.is_file():
        raise OutputError(f"{notebook} is not there; the notebooks come with the clone, so start `tp2 app` in one.")
    try:
        from traitlets.config import Config
        from voila.configuration import VoilaConfiguration  # noqa: F401
    except ImportError:
        raise OutputError(
            "Voilà is not installed, which serves the app. Install it in the clone: `uv sync --inexact --extra app`, or `pip install -e '.[app]'`."
        ) from None
    config = Config()
    config.Voila.update(
        {
            "notebook_path": str(notebook), "root_dir": str(notebook.parent), "ip": "127.0.0.1", "port": port, "port_retries": 0,
            "open_browser": browser, "config_file_paths": [], "log_level": "WARN",
            "tornado_settings": {"allow_remote_access": False, "local_hostnames": ["localhost", "127.0.0.1"]},
        }
    )  # fmt: skip
    config.VoilaConfiguration.update(
        {
            "file_allowlist": [], "strip_sources": True, "show_tracebacks": False, "preheat_kernel": False,
            "allow_template_override": "NO", "allow_theme_override": "YES", "prelaunch_hook": _only_the_tool,
            "multi_kernel_manager_class": _manager(visitors),
        }
    )  # fmt: skip
    config.MappingKernelManager.update({"cull_interval": min(60, idle), "cull_idle_timeout": idle, "cull_connected": False, "cull_busy": False})
    return config


def serve(notebook: Path = APP, *, outputs: Path | None = None, say: Callable[[str], Any] = print, **how: Any) -> int:
    """Serve the app until Ctrl-C, and return 0.

    Parameters
    ----------
    notebook : path
        Its folder is all that Voilà knows of the disk.
    outputs : path, optional
        Where the kernels write.
    say : callable
        Gets the address, once, before the page is served.
    **how
        `port` (1024 to 65535; 8866), `visitors` (1 to 16 kernels at a time, each with a model in memory; 2), `idle` (10 to 86,400 seconds without a message
        after which the kernel of a closed page ends; 900) and `browser` (whether to open the page; True).

    Raises
    ------
    RecipeError
        A number out of range.
    OutputError
        There is no such notebook, the port is in use, or Voilà is not installed.
    """
    config = app_config(notebook, **how)
    from voila.app import Voila

    with socket.socket() as probe:
        try:
            if os.name == "posix":  # as the server binds; elsewhere this would take a port that is in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", config.Voila.port))
        except OSError as error:
            raise OutputError(f"port {config.Voila.port} cannot be used ({error.strerror}). Choose another one: tp2 app --port 8867.") from None

    if outputs is not None:
        os.environ["TP2_OUTPUTS"] = str(outputs.resolve())
    app = Voila.instance(config=config)
    app.initialize([])
    limit = config.VoilaConfiguration.multi_kernel_manager_class.most
    say(f"The mini-product is at http://localhost:{config.Voila.port}/ for this computer only, {limit} visitors at a time. Ctrl-C ends it.")
    app.start()
    return 0


def _only_the_tool(request: Any, notebook: Any, cwd: str) -> Any:
    request.set_header("Content-Security-Policy", "frame-ancestors 'self'; object-src 'none'; base-uri 'self'")
    request.set_header("X-Content-Type-Options", "nosniff")
    _ = request.xsrf_token  # sets the cookie without which a page that is left could not end its kernel
    return trim(notebook)


def _manager(visitors: int) -> type:
    from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
    from tornado.web import HTTPError

    class FewKernels(AsyncMappingKernelManager):
        """Lets only so many kernels live at a time: each holds a model."""

        most = visitors
        _door: asyncio.Lock | None = None

        async def start_kernel(self, **how: Any) -> str:  # type: ignore[override]  # Jupyter's own asynchronous manager does it too
            self._door = self._door or asyncio.Lock()
            async with self._door:  # one after the other, so that two cannot take the last place
                if len(self) >= self.most:
                    words = f"All {self.most} places are taken: each visitor has a model in memory. Try again later."
                    raise HTTPError(503, words, reason="All places are taken, try again later")
                return await super().start_kernel(**how)

    return FewKernels
