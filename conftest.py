"""Closes what nbval leaves open, so that a green notebook is one whose every output was made again and compared.

nbval alone passes a cell that was never executed, a picture that is gone or has changed, a stored error or warning,
outputs in another order, and any cell that carries an exemption. Here each of these fails the cell it is found in.
"""

import base64
import html
import io
import math
import os
import re
import sys

import numpy as np
import pytest
from nbval.plugin import IPyNbCell, NbCellError, coalesce_streams, comment_markers, metadata_tags
from PIL import Image

from tools.surroundings import own_variables

VARIABLES = own_variables(
    os.environ, sys.prefix
)  # for plain pytest, too: the kernels are the book's
os.environ.clear()
os.environ.update(VARIABLES)

PIXEL_TOLERANCE = 6.0  # root mean square over pixels of 0 to 255: other font rendering passes, another line does not
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
HTML_PICTURE = re.compile(
    r'<img alt="([^"]*)" width="(\d+)" height="(\d+)" src="data:image/png;base64,([A-Za-z0-9+/=]*)">'
)
UNCOMPARED = 'src="data:image/png;base64,'  # what follows is left out by tests/nbval_sanitize.cfg


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, IPyNbCell):
        return (yield)
    faults = stored_faults(item.parent.nb, item.cell, item.cell_num)
    item.cell.outputs = coalesce_streams(item.cell.outputs)  # once: a second time doubles the texts
    item.options.update(check=True, skip=False, check_exception=False)
    result = yield
    faults += changed_faults(item.cell, item.cell.outputs, item.test_outputs)
    if faults:
        item.raise_cell_error("; ".join(faults))
    run_again(item)
    return result


def run_again(item):
    """Run the cell a second time at once, as readers do: it must not stop, and must say and show the same."""
    try:
        item.runtest()
    except NbCellError as error:
        item.raise_cell_error(f"run a second time: {error}", error.inner_traceback)
    if faults := changed_faults(item.cell, item.cell.outputs, item.test_outputs):
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


def changed_faults(cell, stored, fresh):
    """What differs between stored and fresh outputs where nbval does not look."""
    if [kind(output) for output in stored] != [kind(output) for output in fresh]:
        return [f"outputs stored {[kind(o) for o in stored]}, now {[kind(o) for o in fresh]}"]
    faults = [f"now: {fault}" for output in fresh for fault in picture_faults(output)]
    exact = "exact-figure" in cell.metadata.get("tags", [])
    for before, after in zip(stored, fresh):
        pictures = [output.get("data", {}).get("image/png") for output in (before, after)]
        if None in pictures:
            continue
        alts = [
            output.get("metadata", {}).get("image/png", {}).get("alt") for output in (before, after)
        ]
        if alts[0] != alts[1]:
            faults.append(f"the picture's description was {alts[0]!r}, now {alts[1]!r}")
        before, after = (Image.open(io.BytesIO(base64.b64decode(picture))) for picture in pictures)
        if before.size != after.size:
            faults.append(f"the picture was {before.size} pixels, now {after.size}")
        elif exact and (distance := pixel_distance(before, after)) > PIXEL_TOLERANCE:
            faults.append(
                f"the picture has changed by {distance:.1f}, at most {PIXEL_TOLERANCE} allowed"
            )
    return faults


def picture_faults(output):
    """Where the forms of one output's picture contradict each other: its PNG, its HTML, its sentence.

    nbval compares the HTML without the picture in it, and no PNG at all; so they are held to each other here.
    """
    forms = dict(output.get("data", {}))
    png, inside = forms.pop("image/png", None), ""
    if png is not None:
        inside = forms.pop("text/html", "")
    rest = [output.get("text", ""), *forms.values()]
    faults = []
    if any(UNCOMPARED in text for text in rest if isinstance(text, str)):
        faults.append(
            "a picture stands in a text without an image/png beside it to compare it with"
        )
    if png is None:
        return faults
    found = HTML_PICTURE.fullmatch(inside)
    if not found:
        return [*faults, "its text/html is not one img with alt, width, height and the picture"]
    alt, width, height, source = found.groups()
    if source != "".join(png.split()):
        faults.append("the picture in the HTML is another one")
    if (int(width), int(height)) != (size := Image.open(io.BytesIO(base64.b64decode(png))).size):
        faults.append(f"the HTML shows the picture as {width} x {height} pixels, but it has {size}")
    sentence = forms.get("text/plain")
    said = [html.unescape(alt), output.get("metadata", {}).get("image/png", {}).get("alt")]
    if said != [sentence, sentence]:
        faults.append(f"the picture's description is {said}, but its text/plain is {sentence!r}")
    return faults


def kind(output):
    """What sort of output it is: the stream's name, or which forms of the content there are."""
    if output["output_type"] == "stream":
        return output["name"]
    return f"{output['output_type']} of {', '.join(sorted(set(output.get('data', {})) - {WIDGET_VIEW}))}"


def pixel_distance(before, after):
    """Root mean square difference of two pictures of one size, on the scale of 0 to 255."""
    before, after = (np.asarray(picture.convert("RGB"), dtype=float) for picture in (before, after))
    return math.sqrt(np.mean((before - after) ** 2))
