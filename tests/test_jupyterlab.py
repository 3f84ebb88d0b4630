"""The book in a real JupyterLab, in a real browser: every chapter opened, run, its controls moved, exercises answered."""

import os
import re
import time
from functools import cached_property

import nbformat
import pytest
from answers import exercises
from explorers import AT_MOST, BOX, Explorer, explorer_cells
from lab_in_browser import (
    OUTPUT,
    PANEL,
    ROOT,
    jupyterlab,
    launched,
    run_all,
    run_cells,
    trouble,
    wait_until_idle,
)
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import expect, sync_playwright

CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
OPENED_BY_COMMAND = "01_backprop"
NOT_YET = re.compile(r"not yet: for .+, (found .+|it stopped with .+)")
SMALL = [
    """import bigmodel_helpers as bh
def draw(figure, *, height, long_name, grid):
    axes = figure.subplots()
    axes.plot([0, 1], [0, height], linewidth=len(long_name))
    axes.grid(grid)
    return f'A "line" that rises to {height} < 6, {long_name[:4]}, grid {grid}.'
bh.still(draw, height=1, long_name="a", grid=True)""",
    "bh.explore(draw, height=(2, 0, 5, 1), long_name=['a', 99 * 'long '], grid=True)",
    "double = ...",
    "cases = [('2', lambda f: f(2), 4), ('3', lambda f: f(3), 6)]\nbh.check(double, cases, seconds=2)",
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        launched_browser = launched(playwright)
        yield launched_browser
        launched_browser.close()


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """The one server of all these tests; asked for after the browser, without which it would be started for nothing."""
    with jupyterlab(tmp_path_factory.mktemp("book")) as lab:
        yield lab


class Chapter:
    """A chapter opened in a page of its own and run once from top to bottom."""

    def __init__(self, lab, browser, name):
        self.name = name
        self.notebook = nbformat.read(lab.folder / "work" / f"{name}.ipynb", as_version=4)
        path = "/" if name == OPENED_BY_COMMAND else f"/lab/workspaces/{name}/tree/{name}.ipynb"
        self.page = lab.open(browser, path)
        self.panel = self.page.locator(PANEL)
        expect(self.panel.locator(".jp-Cell")).to_have_count(
            len(self.notebook.cells), timeout=90_000
        )
        wait_until_idle(self.page)
        self.unread = self.panel.inner_text()
        self.pictures = self.panel.locator(".jp-OutputArea img").count()
        began = time.monotonic()
        run_all(self.page)
        self.seconds = time.monotonic() - began

    @cached_property
    def played(self):
        """All controls of all explorers, after they were moved."""
        return [
            control
            for number in explorer_cells(self.notebook)
            for control in Explorer(self.page, number).play()
        ]


@pytest.fixture(scope="module", params=CHAPTERS)
def chapter(request, browser, lab):
    chapter = Chapter(lab, browser, request.param)
    yield chapter
    lab.close(chapter.page)


@pytest.fixture(scope="module")
def small(browser, lab):
    """A notebook of a figure, an explorer and an exercise, stored as chapters are, opened in a narrow window, not run."""
    notebook = new_notebook(cells=[new_markdown_cell("# Small"), *map(new_code_cell, SMALL)])
    NotebookClient(notebook, kernel_name="python3", extra_arguments=["--log-level=ERROR"]).execute()
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "name": "python3"}}
    for cell in notebook.cells[1:3]:
        cell.outputs[0].data.pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(notebook, lab.folder / "work" / "small.ipynb")
    page = lab.open(browser, "/lab/workspaces/small/tree/small.ipynb", width=650)
    page.locator(f"{PANEL} h1", has_text="Small").wait_for(timeout=60_000)
    yield page
    lab.close(page)


@pytest.fixture(scope="module")
def small_run(small):
    """The same notebook, after all its cells have run."""
    run_all(small)
    return small


def described(page):
    """The pictures that the browser tells a screen reader of, by their descriptions."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    pictures = [
        node
        for node in tree["nodes"]
        if node.get("role", {}).get("value") in ("image", "img") and not node["ignored"]
    ]
    names = [node.get("name", {}).get("value", "") for node in pictures]
    return [name for name in names if name.startswith("A ")]


def too_wide(page):
    """What stands out of its output, or has to be scrolled sideways, by how many pixels."""
    return page.evaluate("""() => [...document.querySelectorAll('.jp-OutputArea-output')].flatMap(
        output => [output, ...output.querySelectorAll('.jupyter-widgets, img')].map(part => [
            part.className || part.tagName,
            Math.max(
                part.scrollWidth - part.clientWidth,
                Math.round(part.getBoundingClientRect().right - output.getBoundingClientRect().right),
            ),
        ])).filter(([name, pixels]) => pixels > 0)""")


def test_stored_pictures_are_described_to_those_who_cannot_see_them(small):
    assert described(small) == [
        f'A "line" that rises to {height} < 6, a, grid True.' for height in (1, 2)
    ]
    assert small.locator(f"{PANEL} .jp-RenderedHTML img").count() == 2
    assert too_wide(small) == []


def test_a_live_explorer_is_described_and_shrinks_with_the_window(small_run):
    picture = small_run.locator(f"{PANEL} .jupyter-widgets img")
    expect(picture).to_have_count(1)
    assert small_run.locator(f"{PANEL} .jp-RenderedHTML img").count() == 1, (
        "the widget, not its picture"
    )
    assert described(small_run)[-1] == 'A "line" that rises to 2 < 6, a, grid True.'
    for width, seen in ((650, "shrunk"), (1300, "whole")):
        small_run.set_viewport_size({"width": width, "height": 900})
        small_run.wait_for_timeout(500)
        assert too_wide(small_run) == []
        box = picture.bounding_box()
        assert abs(box["width"] - 2 * box["height"]) <= 1
        assert (box["width"] == 800) == (seen == "whole")


def test_the_values_of_all_controls_arrive(small_run):
    """What is seen at a place is what the drawing function makes of just this value; so one run tells it for all."""
    height, name, grid = Explorer(small_run, 2).play()
    assert [height.faults(), name.faults(), grid.faults()] == [[], [], []]
    assert (height.places[:6], height.ends) == ([2, 5, 4, 0, 1, 2], [0, 5])
    told = {f'A "line" that rises to {place} < 6, a, grid True.': place for place in height.places}
    assert [told[alt] for alt in height.alts] == height.places
    assert [", a," in alt for alt in name.alts] == [place == "a" for place in name.places]
    assert [f"grid {place}." in alt for place, alt in zip(grid.places, grid.alts)] == (
        [True] * len(grid.places)
    )


def test_an_exercise_answers_undone_raising_wrong_endless_and_right_attempts(small_run):
    def answer(source):
        return run_cells(small_run, 3, 4, source).locator(OUTPUT).inner_text()

    assert answer("double = ...").startswith("not done yet")
    assert answer("double = lambda x: max()").startswith(
        "not yet: for 2, it stopped with TypeError"
    )
    assert (
        answer("def double(x):\n    return x**2").strip() == "not yet: for 3, found 9, expected 6"
    )
    assert answer("def double(x):\n    while True:\n        pass").strip() == (
        "not yet: for 2, it stopped with TimeoutError: 2 seconds were not enough"
    )
    assert answer("def double(x):\n    return 2 * x").strip() == "correct: 2 of 2 cases hold"


def test_a_chapter_opens_with_its_stored_pictures_and_no_question_about_news(chapter):
    title = chapter.notebook.cells[0].source.splitlines()[0].lstrip("# ")
    assert title in chapter.unread
    stored = [
        output
        for cell in chapter.notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert chapter.pictures == len(stored) >= 5, "explorers too show one before anything has run"
    assert "Error displaying widget" not in chapter.unread
    assert "Loading widget" not in chapter.unread
    assert chapter.page.get_by_text("Jupyter news").count() == 0


def test_run_all_reaches_the_end_without_an_error_and_leaves_no_progress_bar(chapter):
    print(f"{chapter.name} ran for {chapter.seconds:.0f} seconds")
    assert trouble(chapter.page) == []
    assert chapter.panel.locator("progress").count() == 0
    counts = chapter.panel.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
    assert len(counts) > 10
    assert all(shown in (f"[{number}]:", "") for number, shown in enumerate(counts, 1)), (
        "folded cells show no number"
    )


def test_mathematics_is_rendered(chapter):
    rendered = chapter.panel.locator("mjx-container").count()
    written = sum(
        cell.source.count("$") for cell in chapter.notebook.cells if cell.cell_type == "markdown"
    )
    assert rendered > written / 4 > 0, "two marks for a formula, or four, and some dollars"
    assert chapter.panel.locator("mjx-merror, [data-mjx-error]").count() == 0


def test_each_control_changes_the_picture_and_its_description_at_both_ends(chapter):
    assert chapter.panel.locator(BOX).count() == len(explorer_cells(chapter.notebook)) > 0
    assert [fault for control in chapter.played for fault in control.faults()] == []


def test_a_step_takes_less_than_a_fifth_of_a_second(chapter):
    """From a key, click or choice to the new picture: the fastest step of each control is asserted, all are printed.

    `-rP` shows them. What else this machine does is not the book's: where no step is fast, the time is divided by how
    much longer any work takes then.
    """
    slow = []
    for control in chapter.played:
        assert len(control.milliseconds) >= 3, f"{control.name} hardly changes anything"
        steps = ", ".join(f"{took:.0f}" for took in control.milliseconds)
        report = f"{control.name}: {steps} ms, work took {control.wait():.1f} times as long"
        print(f"{chapter.name}, {report}")
        if control.step() >= AT_MOST:
            slow.append(report)
    assert slow == []


def test_exercises_answer_wrong_and_right_attempts(chapter):
    """Each exercise is given what its own solution says, first with every number off by one, then as it is."""
    assert len(exercises(chapter.notebook)) >= 4
    for exercise in exercises(chapter.notebook):
        for attempt, expected in (
            (exercise.wrong, NOT_YET),
            (exercise.right, re.compile(r"correct: (\d+) of \1 cases hold")),
        ):
            check = run_cells(chapter.page, exercise.stub, exercise.check, attempt)
            said = check.locator(OUTPUT).inner_text().strip()
            assert expected.fullmatch(said), f"to this attempt it says {said!r}:\n{attempt}"


def test_nothing_left_this_machine_and_no_page_broke(chapter):
    assert chapter.page.strays == [] and chapter.page.faults == []
    assert trouble(chapter.page) == [], "nor a cell, of all that ran again"


def test_the_slides_start(browser, lab):
    """RISE's theme asks for two fonts of Google's and does without them; it asks nobody for anything else."""
    page = lab.open(browser, f"/rise/{OPENED_BY_COMMAND}.ipynb")
    slide = page.locator(".reveal .slides section.present").first
    expect(slide).to_contain_text("How does a network know which weight to blame?", timeout=60_000)
    fonts = "https://fonts.googleapis.com/css?family="
    assert [url for url in page.strays if not url.startswith(fonts)] == [] == page.faults
    lab.close(page)


def test_the_reader_worked_in_a_copy(lab):
    assert [name.removesuffix(".ipynb") for name in sorted(lab.chapters)] == CHAPTERS
    for name, source in lab.chapters.items():
        assert (lab.folder / "notebooks" / name).read_bytes() == source
        assert (lab.folder / "work" / name).exists()


@pytest.mark.parametrize("in_ci", [False, True])
def test_without_a_browser_all_this_is_skipped_but_not_in_ci_which_installs_one(monkeypatch, in_ci):
    class NoBrowser:
        class chromium:
            def launch(**options):
                raise OSError(f"nothing at {options['channel']}\nmore")

    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(os.environ, "CI", "true" if in_ci else "")
    reason = r"no browser to drive: install Chrome, Chromium or Edge \(nothing at \w+\)$"
    expected = (OSError, "nothing at") if in_ci else (pytest.skip.Exception, reason)
    with pytest.raises(expected[0], match=expected[1]):
        launched(NoBrowser)
    assert "apt-get install -y -qq chromium" in (ROOT / ".ci" / "run").read_text()
