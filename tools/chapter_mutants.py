"""Plants defects in the cells of chapters, one at a time, and finds out who notices.

A chapter runs once in a kernel. Before it goes on from a cell, each defect of that cell is planted there: the changed
cell is run, then those below that use what it made, until something differs from what is stored; then the cells as they
are, which must show again what is stored (else the kernel begins anew). What nobody noticed in this way is run whole in a
fresh kernel, and at last by the chapter's tests.
"""

import ast
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import nbformat
from jupyter_client.manager import start_new_kernel
from nbformat.v4 import output_from_msg

from tools.authors.test import cores_of_this_process
from tools.chapters import ROOT, THREADS, chapters_named
from tools.figures import ENVELOPES, read_envelopes
from tools.mutation import chosen, mutants_of
from tools.outputs import changed_faults, changed_texts, redrawn, whole_streams
from tools.verdicts import Verdicts
from tools.watching import FINGERPRINT, FORGET, WATCHING, answer, question

NOTICED_BY = ("claim", "error", "output", "figure", "pytest", "nobody")
COUNT = 60
# tests of the book that read a chapter's code for its sense, not for its layout, or try its settings
READING = (
    "test_book.py::test_nothing_is_compared_with_itself",
    "test_book.py::test_no_bound_of_two_equal_arrays_is_wider_than_its_numbers_warrant",
    "test_settings.py::test_a_chapter_refuses_a_wrong_setting_with_one_sentence",
    "test_settings.py::test_a_chapter_takes_the_ends_of_what_it_allows",
)


def plant(names, count):
    """Plant `count` defects in each of the chapters, side by side; print a table and what nobody noticed."""
    chapters = chapters_named(names)
    with ProcessPoolExecutor(cores_of_this_process(), get_context("spawn")) as pool:
        futures = [pool.submit(verdicts, chapter, count or COUNT) for chapter in chapters]
        for future in as_completed(futures):
            future.result()
    rows = [verdicts(chapter, count or COUNT) for chapter in chapters]
    print("\nplanted", *(f"{who:>8}" for who in NOTICED_BY), "   noticed  chapter")
    for chapter, found in zip(chapters, rows):
        seen = [sum(who.split(":")[0] == kind for _, who in found) for kind in NOTICED_BY]
        share = 1 - seen[-1] / max(len(found), 1)
        print(f"{len(found):7}", *(f"{n:8}" for n in seen), f"{share:10.1%}  {chapter.stem}")
    for chapter, found in zip(chapters, rows):
        for where, who in found:
            if who == "nobody":
                print(f"nobody noticed in {chapter.stem}: {where}")


def defects_of(notebook, count):
    """`(number of the cell among all cells, mutant)` for a spread choice of a chapter's defects, in order.

    None is planted in the settings, which may be turned, nor in what a reader is to complete.
    """
    found = []
    for number, (cell, after) in enumerate(zip(notebook.cells, [*notebook.cells[1:], None])):
        is_stub = after is not None and after.cell_type == "code" and "bh.check(" in after.source
        settings = "parameters" in cell.metadata.get("tags", [])
        if cell.cell_type == "code" and not is_stub and not settings:
            found += [(number, mutant) for mutant in mutants_of(cell.source)]
    numbers = {id(mutant): number for number, mutant in found}
    picked = {id(mutant) for mutant in chosen([mutant for _, mutant in found], count)}
    return [(numbers[key], m) for _, m in found if (key := id(m)) in picked]


def verdicts(chapter, count):
    """`(where, who noticed)` for each defect of a chapter; what is known of this chapter already is not run again."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    notebook = nbformat.read(chapter, as_version=4)
    kept = Verdicts(chapter.stem, depends_on(chapter, notebook))
    defects = defects_of(notebook, count)
    waiting = [defect for defect in defects if kept.get(*defect) is None]
    if waiting:
        with Chapter(chapter, notebook) as running:
            for number, mutant in waiting:
                who = running.who_notices(number, mutant.source)
                if who == "nobody":
                    who = running.who_notices_in_a_whole_run(number, mutant.source)
                if who == "nobody":
                    who = who_of_the_tests(chapter, notebook, number, mutant.source)
                kept.note(number, mutant, who)
                print(f"{chapter.stem}, {in_words(number, mutant)}: {who}", flush=True)
    return [(in_words(*defect), kept.get(*defect)) for defect in defects]


def in_words(number, mutant):
    return f"cell {number}, {mutant.kind}, {mutant.description}"


def depends_on(chapter, notebook):
    """All that decides who notices a defect of a chapter."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield cell.source.encode()
            yield json.dumps(cell.outputs, sort_keys=True).encode()
    names = ("figures", "mutation", "outputs", "watching")
    judges = [ROOT / "tools" / f"{name}.py" for name in names]
    envelopes = sorted(ENVELOPES.glob(f"{chapter.stem}.*"))
    helpers = sorted((ROOT / "bigmodel_helpers").glob("*.py"))
    for path in [*judges, *helpers, *envelopes, tests_of(chapter)]:
        yield path.read_bytes() if path.exists() else b""


class Chapter:
    """A chapter in a kernel, as far as it has run."""

    def __init__(self, chapter, notebook):
        self.chapter, self.cells, self.kernel = chapter, notebook.cells, None
        self.envelopes = read_envelopes(chapter.stem)
        self.names = [names_in(cell) for cell in self.cells]
        self.seconds, self.shown = {}, {}  # for each cell; shown: its outputs, what it measured

    def __enter__(self):
        self.begin()
        return self

    def __exit__(self, *_):
        self.end()

    def begin(self):
        """A fresh kernel."""
        self.end()
        self.kernel, self.client = start_new_kernel(
            kernel_name="python3",
            cwd=str(self.chapter.parent),
            extra_arguments=["--log-level=ERROR"],
        )
        self.client.execute_interactive(WATCHING, store_history=False)
        self.reached = 0

    def end(self):
        if self.kernel:
            self.client.stop_channels()
            self.kernel.shutdown_kernel(now=True)
            self.kernel = None

    def run(self, number, source):
        """Run a cell with this source; who noticed that it is not the stored one, or nothing."""
        outputs, start = [], time.monotonic()

        def take(message):
            if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
                outputs.append(output_from_msg(message))

        self.ask(FORGET)
        allowed = 10 + 8 * self.seconds[number] if number in self.seconds else 300
        try:
            self.client.execute_interactive(source, output_hook=take, timeout=allowed)
        except TimeoutError:
            self.end()
            return "error: no end"
        if not self.kernel.is_alive():
            self.end()
            return "error: the kernel died"
        if source == self.cells[number].source:
            self.seconds[number] = time.monotonic() - start
        self.shown[number] = outputs, self.ask(FINGERPRINT)
        return self.who_noticed(self.cells[number], outputs)

    def who_noticed(self, cell, outputs):
        for output in outputs:
            if output.output_type == "error":
                stated = output.ename in ("ClaimError", "AssertionError")
                return f"{'claim' if stated else 'error'}: {output.ename}: {output.evalue[:80]}"
        outputs, stored = whole_streams(outputs), whole_streams(cell.outputs)
        if changed := changed_texts(stored, outputs):
            return f"output: {changed[0][:80]}"
        if changed := changed_faults(cell, stored, outputs, self.envelopes.get(cell.id)):
            return f"figure: {changed[0][:80]}"
        return ""

    def advance(self, number, past=()):
        """Run the cells above this one that have not run yet, but those in `past`; who noticed something there."""
        for above in range(self.reached, number):
            if self.cells[above].cell_type == "code" and above not in past:
                if who := self.run(above, self.cells[above].source):
                    return who
        self.reached = max(self.reached, number)

    def who_notices(self, number, source):
        """Plant a defect in a cell, look who notices it there or below, and put things right again."""
        users = list(self.users_of(number))
        if self.kernel is None or self.is_stale([number, *users]):
            self.begin()
        who = self.advance(number)
        if not who and number not in self.seconds:
            who = self.run(number, self.cells[number].source)
        if who:
            raise RuntimeError(f"{self.chapter.stem} is not as it is stored: {who}")
        ran, seen, who = [], {}, ""
        for below in [number, *users]:
            # what lies between knows nothing of the defect, but what follows may need it
            if who := self.advance(below, past=ran):
                break
            ran.append(below)
            if who := self.run(below, source if below == number else self.cells[below].source):
                break
            seen[below] = self.shown[below]
        for below in ran if self.kernel else []:
            if self.run(below, self.cells[below].source):
                self.end()
                break
        self.reached = max([self.reached, *(below + 1 for below in ran)])
        return who or (self.kernel and self.drawn_otherwise(seen)) or "nobody"

    def drawn_otherwise(self, seen):
        """Who noticed a picture that is not the one of this kernel without the defect, though the same was measured."""
        own = {number: self.shown[number] for number in seen if number in self.shown}
        if all(seen[number][1] == measured for number, (_, measured) in own.items()):
            for number, (outputs, _) in own.items():
                if faults := redrawn(outputs, seen[number][0]):
                    return f"figure: {faults[0][:80]}"
        return ""

    def ask(self, expression):
        """What an expression is in the kernel, as a text; nothing if the kernel is no more."""
        if not self.kernel:
            return ""
        reply = self.client.execute_interactive(**question(expression), timeout=60)
        return answer(reply, expression)

    def is_stale(self, numbers):
        """Whether a cell that has run further down has changed what one of these cells uses and does not make."""
        for number in numbers:
            made, used = self.names[number]
            below = range(number + 1, self.reached)
            if (used - made) & set().union(*(self.names[n][0] for n in below)):
                return True
        return False

    def users_of(self, number):
        """The cells below that use what a cell made, or what those made of it."""
        changed = set(self.names[number][0])
        for below in range(number + 1, len(self.cells)):
            made, used = self.names[below]
            if changed & used:
                changed |= made
                yield below

    def who_notices_in_a_whole_run(self, number, source):
        """Run the whole chapter with a defect in a cell, in a kernel of its own."""
        alone = Chapter(self.chapter, nbformat.from_dict({"cells": self.cells}))
        alone.seconds = self.seconds
        with alone:
            for place, cell in enumerate(self.cells):
                if cell.cell_type == "code":
                    if who := alone.run(place, source if place == number else cell.source):
                        return who
        return self.drawn_otherwise(alone.shown) or "nobody"


def names_in(cell):
    """The names that a cell makes or changes, and those that it uses."""
    made, used = set(), set()
    if cell.cell_type != "code":
        return made, used
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if isinstance(node.func.value, ast.Name):
                made.add(node.func.value.id)
    return made - {"np", "tf", "keras", "bh", "rng"}, used


def tests_of(chapter):
    return ROOT / "tests" / f"test_{chapter.stem}.py"


def who_of_the_tests(chapter, notebook, number, source):
    """Which of the chapter's tests, or of those of the book that use its code, notices a defect."""
    from tools.authors.mutants import Copies

    tests = [f"tests/{name}[{chapter.stem}]" for name in READING]
    if tests_of(chapter).exists():
        tests.append(tests_of(chapter).relative_to(ROOT).as_posix())
    changed = nbformat.from_dict(notebook)
    before, changed.cells[number].source = changed.cells[number].source, source
    text = nbformat.writes(changed) + "\n"
    changed.cells[number].source = before
    path = chapter.relative_to(ROOT).as_posix()
    with Copies(path, tests, count=1) as copies:
        who = copies.who_notices(text)
    return f"pytest: {who}" if who else "nobody"
