"""Closes what nbval leaves open, so that a green notebook is one whose every output was made again and compared.

nbval alone passes a cell that was never executed, a picture that is gone or has changed, a stored error or warning,
outputs in another order, and any cell that carries an exemption. Here each of these fails the cell it is found in.
"""

import base64
import io
import math

import numpy as np
import pytest
from nbval.plugin import IPyNbCell, coalesce_streams, comment_markers, metadata_tags
from PIL import Image

PIXEL_TOLERANCE = 6.0  # root mean square over pixels of 0 to 255: other font rendering passes, another line does not
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, IPyNbCell):
        return (yield)
    faults = stored_faults(item.parent.nb, item.cell, item.cell_num)
    item.options.update(check=True, skip=False, check_exception=False)
    result = yield
    faults += changed_faults(item.cell, coalesce_streams(item.cell.outputs), item.test_outputs)
    if faults:
        item.raise_cell_error("; ".join(faults))
    return result


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
    faults = []
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


def kind(output):
    """What sort of output it is: the stream's name, or which forms of the content there are."""
    if output["output_type"] == "stream":
        return output["name"]
    return f"{output['output_type']} of {', '.join(sorted(set(output.get('data', {})) - {WIDGET_VIEW}))}"


def pixel_distance(before, after):
    """Root mean square difference of two pictures of one size, on the scale of 0 to 255."""
    before, after = (np.asarray(picture.convert("RGB"), dtype=float) for picture in (before, after))
    return math.sqrt(np.mean((before - after) ** 2))
