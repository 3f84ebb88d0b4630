"""JupyterLab as a reader starts it, a browser, and a chapter that is opened, run and worked with there."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from misleading_home import a_home_that_misleads
from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parent.parent
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
OUTPUT = ".jp-OutputArea-output"
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "msedge",
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
WHOLE_PAGE = '{"windowingMode": "none"}'  # all cells are there, not only those in sight
# JupyterLab shows an error as it shows stderr.
TROUBLE = ", ".join(
    f"[data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("stderr", "error")
)
# Folded cells show no number; the others show [ ] before they run, [*] while they wait or run.
HAS_RUN = """([panel, trouble]) => {
    const all = document.querySelector(panel);
    const prompts = [...all.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
        .map(prompt => prompt.textContent).filter(text => text);
    return !prompts.includes('[*]:') && (all.querySelector(trouble) || !prompts.includes('[ ]:'));
}"""


def launched(playwright):
    """A browser of this machine. Where there is none the test is skipped, but not in CI, which has to bring one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    channel = "msedge" if os.name == "nt" else "chrome"
    where = {"executable_path": found} if found else {"channel": channel}
    try:
        return playwright.chromium.launch(args=FLAGS, **where)
    except Exception as error:
        if os.environ.get("CI"):
            raise
        reason = str(error).splitlines()[0]
        pytest.skip(f"no browser to drive: install Chrome, Chromium or Edge ({reason})")


@contextlib.contextmanager
def jupyterlab(folder):
    """JupyterLab started by `lab 01` on a copy of the book with nothing in work/; the `Lab`."""
    shutil.copy(ROOT / "run.py", folder)
    for part in ("tools", "notebooks"):
        shutil.copytree(ROOT / part, folder / part)
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(WHOLE_PAGE)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port, token = found.getsockname()[1], secrets.token_hex(16)
    environ = os.environ | a_home_that_misleads(folder / "home") | {"JUPYTER_TOKEN": token}
    for name in ("settings", "workspaces"):
        environ[f"JUPYTERLAB_{name.upper()}_DIR"] = str(folder / name)
    # as if nothing of the book were running
    for name in ("BIGMODEL_PREFIX", "PYTEST_CURRENT_TEST"):
        environ.pop(name, None)
    options = ["--no-browser", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, str(folder / "tools"), "lab", "01", *options],
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    lab = Lab(f"http://127.0.0.1:{port}", token, folder)
    try:
        for _ in range(300):
            assert process.poll() is None, (folder / "log").read_text()
            with contextlib.suppress(OSError):
                lab.ask("status")
                break
            time.sleep(0.2)
        yield lab
    finally:
        process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        time.sleep(0.5)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


class Lab:
    """A JupyterLab that runs: its address, its token, and the copy of the book that it shows."""

    def __init__(self, url, token, folder):
        self.url, self.token, self.folder = url, token, folder
        self.chapters = {
            path.name: path.read_bytes() for path in folder.glob("notebooks/[0-9][0-9]_*.ipynb")
        }

    def ask(self, what, method="GET"):
        """What the server answers to a question of its REST interface."""
        request = urllib.request.Request(
            f"{self.url}/api/{what}",
            headers={"Authorization": f"token {self.token}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    def open(self, browser, path, width=1300):
        """A page of its own with this path; `page.strays` holds what left this machine, `page.faults` errors."""
        page = browser.new_context(viewport={"width": width, "height": 1000}).new_page()
        page.strays, page.faults = [], []
        # a picture that a cell carries has an address of its own for a moment, which leads nowhere
        at_home = (self.url, self.url.replace("http", "ws"), "data:", "blob:", "attachment:")

        def note(request):
            if not request.url.startswith(at_home):
                page.strays.append(request.url)

        page.context.on("request", note)
        page.on("websocket", note)
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto(f"{self.url}{path}?token={self.token}")
        return page

    def close(self, page):
        """Close a page of this server, and end all kernels."""
        page.context.close()
        for session in self.ask("sessions"):
            self.ask(f"sessions/{session['id']}", "DELETE")


def wait_until_idle(page, seconds=120):
    expect(page.get_by_role("button", name="| Idle")).to_be_visible(timeout=seconds * 1000)


def choose(page, menu, item):
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def run_all(page, seconds=900):
    """Run all cells, and wait for the last one, or for one that stops; what was stored before is cleared first."""
    wait_until_idle(page)
    choose(page, "Edit", "Clear Outputs of All Cells")
    choose(page, "Run", "Run All Cells")
    # asked twice a second; in every frame, as would be without a word, it takes a whole core from the kernel
    page.wait_for_function(HAS_RUN, arg=[PANEL, TROUBLE], polling=500, timeout=seconds * 1000)
    wait_until_idle(page)


def run_cells(page, first, last, source=None, seconds=60):
    """Run the cells from the first to the last of these, counted from 0; write a source into the first one before.

    Returns:
        The last one, when it shows an output that is new.
    """
    cells = page.locator(f"{PANEL} .jp-Cell")
    cells.nth(last).locator(OUTPUT).evaluate_all("all => all.forEach(one => one.dataset.old = '')")
    cells.nth(first).locator(".jp-Editor .cm-content").click()
    if source is not None:
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.insert_text(source)
    for _ in range(first, last + 1):
        page.keyboard.press("Shift+Enter")
    new = cells.nth(last).locator(f"{OUTPUT}:not([data-old])")
    new.first.wait_for(timeout=seconds * 1000)
    wait_until_idle(page)
    return cells.nth(last)


def trouble(page):
    """The errors that stand in the notebook, and what was written to stderr."""
    return page.locator(PANEL).locator(TROUBLE).all_inner_texts()
