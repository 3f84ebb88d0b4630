"""Explorers in a browser: each control moved to both ends, and what is seen at each place, and after how long."""

import ast
import statistics
import time
from dataclasses import dataclass, field
from functools import partial

from lab_in_browser import PANEL, run_cells

BOX = ".jupyter-widgets.widget-vbox"
# milliseconds; a picture that is the same after them is taken to stay: when the kernel is idle, and in any case
PATIENCE = 3_000, 20_000
AT_MOST = 200  # milliseconds for a step; where the book is written it takes 90 to 160

# From the event of a key, a click or a choice to the frame after the new picture is ready to be shown.
WATCH = """(box, [patience, most]) => {
    const shown = () => box.querySelector('img').outerHTML;
    const before = shown(), asked = performance.now();
    let began = null;
    for (const kind of ['keydown', 'click', 'input', 'change'])
        box.addEventListener(kind, event => began ??= event.timeStamp, {capture: true, once: true});
    const kernel = document.querySelector('.jp-Notebook-ExecutionIndicator');
    window.bookStep = new Promise(done => {
        const observer = new MutationObserver(async () => {
            if (began === null || !box.querySelector('img') || shown() === before) return;
            observer.disconnect();
            await box.querySelector('img').decode();
            requestAnimationFrame(() => done(performance.now() - began));
        });
        observer.observe(box, {subtree: true, childList: true, attributes: true});
        const ends = setInterval(() => {
            const waited = performance.now() - (began ?? asked);
            const idle = began !== null && kernel.dataset.status === 'idle';
            if (waited > most || (waited > patience && idle)) {
                clearInterval(ends);
                done(null);
            }
        }, 100);
    });
}"""


@dataclass
class Played:
    """A control that was moved: the places it came to, what was seen at each, and how long each step took.

    `milliseconds` are those of a clock. `waits` says how many times longer than on a core of its own some work took
    right after a slow step: 1 on a quiet machine, 5 where five programs share a core.
    """

    name: str
    ends: list
    places: list = field(default_factory=list)
    pictures: list = field(default_factory=list)
    alts: list = field(default_factory=list)
    milliseconds: list = field(default_factory=list)
    waits: list = field(default_factory=list)

    def faults(self):
        """What is wrong with what was seen.

        An end may rightly look like the start, as that of a walk in a circle does; its neighbour then looks different.

        >>> Played("height", (0, 9), [2, 9, 8, 0, 1], list("abcde"), list("abcde")).faults()
        []
        >>> Played("time", (0, 9), [0, 9, 8, 0, 1], list("aabac"), list("aabac")).faults()
        []
        >>> Played("height", (0, 9), [2, 9, 8, 2], list("abac"), list("abbb")).faults()
        ['height never came to 0', 'height shows two pictures at 2']
        >>> for fault in Played("height", (0, 9), [2, 9, 8, 0, 1], list("aaaaa"), list("abcde")).faults():
        ...     print(fault)
        the picture with height at 0 is that of the start and of the next place
        the picture with height at 9 is that of the start and of the next place
        >>> Played("tick", (False, True), [True, False, True], list("aba"), list("aaa")).faults()[0]
        'the alt text with tick at False is that of the start and of the next place'
        """
        found = []
        for end in self.ends:
            at = [number for number, place in enumerate(self.places) if place == end]
            if not at:
                found.append(f"{self.name} never came to {end}")
            for what, seen in (("picture", self.pictures), ("alt text", self.alts)):
                others = {seen[0]}.union(*(seen[number + 1 : number + 2] for number in at))
                if at and others == {seen[at[0]]}:
                    found.append(
                        f"the {what} with {self.name} at {end} is that of the start and of the next place"
                    )
        for place in dict.fromkeys(self.places):
            if len({seen for seen, at in zip(self.pictures, self.places) if at == place}) > 1:
                found.append(f"{self.name} shows two pictures at {place}")
        return found

    def step(self):
        """The milliseconds of the fastest step, had this test a core of its own.

        A slow drawing is slow in every step; what else runs here makes some slow, or on a busy machine all of them, but
        then equally the work that `waits` has measured.

        >>> Played("height", (0, 9), milliseconds=[400, 90, 95], waits=[1.0, 1.0, 3.0]).step()
        90.0
        >>> Played("height", (0, 9), milliseconds=[400, 300, 350], waits=[3.0, 3.5, 3.0]).step()
        100.0
        """
        return min(self.milliseconds) / self.wait()

    def wait(self):
        return statistics.median(self.waits)


def wait_for_a_core(seconds=0.1):
    """How many times longer than on a core of its own some work takes at the moment; it is as long as a step's."""
    began, used = time.perf_counter(), time.thread_time()
    while time.thread_time() - used < seconds:
        pass
    return max(1.0, (time.perf_counter() - began) / seconds)


def explorer_cells(notebook):
    """The numbers of the cells of a notebook that show an explorer.

    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> cells = [new_markdown_cell("`bh.explore(`"), new_code_cell("x = 1"), new_code_cell("bh.explore(f, a=True)")]
    >>> explorer_cells(new_notebook(cells=cells))
    [2]
    """
    return [
        number
        for number, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
        and any(
            isinstance(node, ast.Call) and ast.unparse(node.func) == "bh.explore"
            for node in ast.walk(ast.parse(cell.source))
        )
    ]


class Explorer:
    """An explorer in a page, by the number of the cell that shows it."""

    def __init__(self, page, number):
        self.page, self.number = page, number
        self.box = page.locator(f"{PANEL} .jp-Cell").nth(number).locator(BOX)
        self.picture = self.box.locator("img")
        self.controls = self.box.locator(".widget-slider, .widget-dropdown, .widget-checkbox")

    def play(self):
        """Move each control to both ends and beside them, while all others stand at their starts."""
        played = []
        for number in range(self.controls.count()):
            # a cell that runs again begins at the start again
            run_cells(self.page, self.number, self.number)
            played.append(self.play_one(self.controls.nth(number)))
        return played

    def play_one(self, control):
        ends, place, moves = reached_by_hand(control)
        played = Played(control.inner_text().split("\n")[0].replace("\xa0", " "), ends)
        self.note(played, place())
        for _ in range(3):  # more than once only where something else made every step slow
            for move in moves:
                self.box.evaluate(WATCH, PATIENCE)
                move()
                if place() == played.places[-1]:
                    continue
                if took := self.page.evaluate("window.bookStep"):
                    played.milliseconds.append(took)
                    played.waits.append(1.0 if took < AT_MOST else wait_for_a_core())
                self.note(played, place())
            if played.milliseconds and played.step() < AT_MOST:
                break
        return played

    def note(self, played, place):
        played.places.append(place)
        played.pictures.append(hash(self.picture.get_attribute("src")))
        played.alts.append(self.picture.get_attribute("alt"))


def reached_by_hand(control):
    """The two ends of a control, a function that says where it stands, and the moves to both ends and beside them."""
    slider, menu, tick = (control.locator(part) for part in (".noUi-target", "select", "input"))
    if slider.count():
        ends = slider.evaluate(
            "one => ['min', 'max'].map(end => one.noUiSlider.options.range[end])"
        )
        keys = ["End", "ArrowLeft", "Home", "ArrowRight", "ArrowRight"]
        moves = [partial(slider.locator(".noUi-handle").press, key) for key in keys]
        return ends, lambda: round(slider.evaluate("one => one.noUiSlider.get(true)"), 9), moves
    if menu.count():
        options = menu.locator("option").evaluate_all("all => all.map(one => one.value)")
        moves = [partial(menu.select_option, option) for option in [*options[::-1], *options]]
        return options, menu.input_value, moves
    return [False, True], tick.is_checked, [tick.click] * 4
