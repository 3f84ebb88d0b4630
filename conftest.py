"""Closes what nbval leaves open, so that a green notebook is one whose every output was made again and compared.

nbval alone passes a cell that was never executed, a picture that is gone or has changed, a stored error or warning,
outputs in another order, and any cell that carries an exemption. Here each of these fails the cell it is found in.
"""

import functools
import os
import signal
import sys
import time

import pytest
from nbval.plugin import IPyNbCell, NbCellError, coalesce_streams, comment_markers, metadata_tags

from tools.chapters import THREADS
from tools.figures import read_envelopes
from tools.outputs import WIDGET_VIEW, changed_faults, picture_faults, redrawn
from tools.surroundings import own_variables
from tools.watching import FINGERPRINT, GO_BACK, REMEMBER, WATCHING, answer, question

VARIABLES = own_variables(
    os.environ, sys.prefix
)  # for plain pytest, too: the kernels are the book's
os.environ.clear()
os.environ.update(VARIABLES)
# as chapters are stored: more threads add up in another order, and measure other last bits
for name in THREADS:
    os.environ.setdefault(name, "1")
LONG = 3  # seconds: a cell that takes longer is run once, or the tests would take twice as long


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, IPyNbCell):
        return (yield)
    faults = stored_faults(item.parent.nb, item.cell, item.cell_num)
    item.cell.outputs = coalesce_streams(item.cell.outputs)  # once: a second time doubles the texts
    item.options.update(check=True, skip=False, check_exception=False)
    watch_figures(item.parent)
    ask(item.parent.kernel, REMEMBER)
    began = time.monotonic()
    result = yield
    seconds = time.monotonic() - began
    faults += faults_now(item)
    if faults:
        item.raise_cell_error("; ".join(faults))
    note_redrawn(item)
    if seconds < LONG:
        run_again(item)
    if is_last(item) and (redrawn_all := faults_where_the_same_was_measured(item.parent)):
        item.raise_cell_error("; ".join(redrawn_all))
    return result


def run_again(item):
    """Run the cell a second time at once, as readers do: it must not stop, and must say and show the same.

    Random numbers are drawn again as they were, so that the chapter goes on as if the cell had run once.
    """
    ask(item.parent.kernel, GO_BACK)
    try:
        item.runtest()
    except NbCellError as error:
        item.raise_cell_error(f"run a second time: {error}", error.inner_traceback)
    if faults := faults_now(item):
        item.raise_cell_error(f"run a second time: {'; '.join(faults)}")


def stored_faults(notebook, cell, number):
    """What is wrong with a cell as it is stored, before it is run."""
    faults = []
    if number == 0 and "widgets" in notebook.metadata:
        faults.append("the notebook holds widget state; store it with 'python3 run.py refresh'")
    if cell.execution_count is None:
        faults.append("the stored cell was never executed, so nothing could be compared")
    elif cell.execution_count != number + 1:
        faults.append(
            f"the stored cell was executed as number {cell.execution_count}, but it stands as {number + 1}"
        )
    for output in cell.outputs:
        if output.output_type == "error":
            faults.append(f"the stored output is an error: {output.ename}")
        if output.output_type == "stream" and output.name == "stderr":
            faults.append("the stored output holds text on stderr")
        if WIDGET_VIEW in output.get("data", {}):
            faults.append("the stored output holds a view of a widget that is no more")
        faults += [f"stored: {fault}" for fault in picture_faults(output)]
    exempting = set(cell.metadata.get("tags", [])) & set(metadata_tags)
    exempting |= {line.strip().lstrip("# ") for line in cell.source.splitlines()} & set(
        comment_markers
    )
    faults += [f"exemptions are forbidden: {mark}" for mark in sorted(exempting)]
    return faults


def watch_figures(notebook):
    """Let the notebook's kernel say of each figure what it shows, from its first cell on."""
    if not getattr(notebook, "watched", False):
        kernel = notebook.kernel
        message = kernel.execute_cell_input(WATCHING, allow_stdin=False)
        kernel.await_reply(message, timeout=60)
        kernel.await_idle(message, 10)
        notebook.watched = True


def faults_now(item):
    """What is wrong with the outputs that a cell has just made."""
    envelope = envelopes_of(item.parent.path.stem).get(item.cell.get("id"))
    return changed_faults(item.cell, item.cell.outputs, item.test_outputs, envelope)


def note_redrawn(item):
    """Keep what is drawn otherwise than it is stored; whether it may be so is known when the chapter has measured all."""
    notebook = item.parent
    notebook.redrawn = getattr(notebook, "redrawn", [])
    faults = redrawn(item.cell.outputs, item.test_outputs)
    notebook.redrawn += [f"code cell {item.cell_num + 1}: {fault}" for fault in faults]


def is_last(item):
    cells = [cell for cell in item.parent.nb.cells if cell.cell_type == "code"]
    return item.cell_num + 1 == len(cells)


def faults_where_the_same_was_measured(notebook):
    """Figures that differ by pixels, if the chapter has measured to the last bit what it had measured when it was stored."""
    stored = notebook.nb.metadata.get("measured")
    if notebook.redrawn and ask(notebook.kernel, FINGERPRINT) == stored:
        return [f"{fault} though all that is measured is the same" for fault in notebook.redrawn]
    return []


def ask(kernel, expression):
    """What an expression is in the kernel, as a text."""
    message = kernel.kc.execute(**question(expression))
    reply = {"parent_header": {}}
    while reply["parent_header"].get("msg_id") != message:
        reply = kernel.get_message(stream="shell", timeout=60)
    return answer(reply, expression)


envelopes_of = functools.cache(read_envelopes)


@pytest.fixture
def interruptible():
    """Where the tests run in the background, Ctrl+C is ignored, and so it would be by all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
