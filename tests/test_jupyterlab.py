"""The book in a real JupyterLab, in a real browser: open, run, move a slider, solve an exercise, start the slides."""

import os
import re
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
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
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


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab started as a reader starts it, on a copy of the book with nothing in work/; its address and folder."""
    folder = tmp_path_factory.mktemp("book")
    for part in ("tools", "notebooks"):
        shutil.copytree(ROOT / part, folder / part)
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(WHOLE_PAGE)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port, token = found.getsockname()[1], secrets.token_hex(16)
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "run",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    environ = (
        os.environ
        | {name: str(folder / place) for name, place in own.items()}
        | {"JUPYTER_TOKEN": token}
    )
    environ.pop("PYTEST_CURRENT_TEST", None)
    options = ["--no-browser", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, str(folder / "tools" / "lab.py"), "01", *options],
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(300):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/api/status",
                    headers={"Authorization": f"token {token}"},
                )
                urllib.request.urlopen(request, timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", token, folder
    finally:
        process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        time.sleep(0.5)
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            launched = (
                playwright.chromium.launch(executable_path=found, args=FLAGS)
                if found
                else (
                    playwright.chromium.launch(
                        channel="msedge" if os.name == "nt" else "chrome", args=FLAGS
                    )
                )
            )
        except Exception as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(
                f"no browser to drive: install Chrome, Chromium or Edge ({str(error).splitlines()[0]})"
            )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def page(server, browser):
    """The chapter, opened and run once from top to bottom; page.strays holds what left this machine, page.faults errors."""
    url, token, _ = server
    page = browser.new_context(viewport={"width": 1300, "height": 1000}).new_page()
    page.strays, page.faults = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((url, url.replace("http", "ws"), "data:", "blob:"))
            else page.strays.append(request.url)
        ),
    )
    page.goto(f"{url}/?token={token}")
    page.locator(f"{PANEL} h2", has_text="Sources").wait_for(timeout=90_000)
    page.unread = page.locator(PANEL).inner_text()
    page.pictures = page.locator(f"{PANEL} .jp-OutputArea img").count()
    wait_until_idle(page)
    run_all(page)
    return page


def wait_until_idle(page, seconds=120):
    expect(page.get_by_role("button", name="| Idle")).to_be_visible(timeout=seconds * 1000)


def run_all(page):
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    last = page.locator(f"{PANEL} .jp-CodeCell .jp-InputPrompt").last
    expect(last).to_have_text("[*]:", timeout=60_000)  # waits its turn
    expect(last).not_to_have_text("[*]:", timeout=300_000)
    wait_until_idle(page)


def cell(page, text):
    """The code cell whose source holds the text."""
    return (
        page
        .locator(f"{PANEL} .jp-CodeCell")
        .filter(has=page.locator(".jp-Editor", has_text=text))
        .first
    )


def test_the_command_opens_the_first_chapter_with_its_stored_pictures(page):
    assert "How does a network know which weight to blame?" in page.unread
    assert page.pictures >= 8, "explorers too show a picture before anything has run"
    assert "Error displaying widget" not in page.unread and "Loading widget" not in page.unread


def test_run_all_reaches_the_end_without_an_error_and_leaves_no_progress_bar(page):
    panel = page.locator(PANEL)
    assert (
        panel.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count()
        == 0
    )
    assert (
        panel.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count()
        == 0
    )
    assert panel.locator("progress").count() == 0
    counts = panel.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
    assert all(shown in (f"[{number}]:", "") for number, shown in enumerate(counts, 1)), (
        "folded cells show no number"
    )


def test_no_question_about_news_stands_in_the_way(page):
    assert page.get_by_text("Jupyter news").count() == 0


def test_mathematics_is_rendered(page):
    assert page.locator(f"{PANEL} mjx-container").count() > 30
    assert page.locator(f"{PANEL} mjx-merror, {PANEL} [data-mjx-error]").count() == 0


def test_a_slider_moves_the_picture_and_its_description(page):
    explorer = cell(page, "bh.explore(draw_walk")
    explorer.scroll_into_view_if_needed()
    picture = explorer.locator(".widget-html img, .jupyter-widgets img").first
    expect(picture).to_have_attribute("alt", re.compile("step 0 of 7"))
    before = picture.get_attribute("src")
    handle = explorer.locator(".noUi-handle").first
    handle.focus()
    handle.press("ArrowRight")
    expect(picture).to_have_attribute("alt", re.compile("step 1 of 7"))
    assert picture.get_attribute("src") != before


def test_the_other_explorer_follows_every_control(page):
    explorer = cell(page, "bh.explore(draw_neuron")
    explorer.scroll_into_view_if_needed()
    picture = explorer.locator(".jupyter-widgets img").first
    for number, change in enumerate(["weights 1.1 and 0.5", "weights 1.1 and 0.6", "bias -0.4"]):
        handle = explorer.locator(".noUi-handle").nth(number)
        handle.focus()
        handle.press("ArrowRight")
        expect(picture).to_have_attribute("alt", re.compile(change))
    explorer.locator("select").select_option("tanh")
    expect(picture).to_have_attribute("alt", re.compile("A tanh neuron"))


def answer(page, text):
    """Type an answer into the stub of exercise 1, run it and its check, and return what the check says."""
    stub = cell(page, "blame_w1, blame_w2, blame_b, blame_x1 =")
    check = stub.locator("xpath=following-sibling::*[contains(@class, 'jp-CodeCell')]").first
    stub.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(f"blame_w1, blame_w2, blame_b, blame_x1 = {text}")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")  # the check is the next cell, and its source is folded
    page.wait_for_timeout(500)
    wait_until_idle(page)
    return check.locator(".jp-OutputArea-output").inner_text()


def test_an_exercise_answers_wrong_raising_and_right_attempts(page):
    assert "not done yet" in answer(page, "..., ..., ..., ...")
    assert "not yet: for the blame of w2, found 3, expected 2" in answer(page, "-1, 3, -1, -0.5")
    assert "it stopped with TypeError" in answer(page, "-1, max, -1, -0.5") or "not yet" in answer(
        page, "-1, max, -1, -0.5"
    )
    assert "correct: 4 of 4 cases hold" in answer(page, "-1, 2, -1, -0.5")


def test_the_slides_start(page, server):
    url, token, _ = server
    slides = page.context.new_page()
    slides.goto(f"{url}/rise/01_backprop.ipynb?token={token}")
    slide = slides.locator(".reveal .slides section.present").first
    expect(slide).to_contain_text("How does a network know which weight to blame?", timeout=60_000)
    slides.close()


def test_nothing_left_this_machine_and_no_page_broke(page):
    assert page.strays == [] and page.faults == []


def test_the_reader_worked_in_a_copy(server):
    _, _, folder = server
    for chapter in (ROOT / "notebooks").glob("*.ipynb"):
        assert (folder / "notebooks" / chapter.name).read_bytes() == chapter.read_bytes()
        assert (folder / "work" / chapter.name).exists()
