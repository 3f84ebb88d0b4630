"""execute chapters and store their outputs: refresh [CHAPTER ...]

usage: python3 run.py refresh [CHAPTER ...]      all chapters, or those whose names begin so (01, 04_conv)

The notebook is stored in one normal form: refreshing twice on one machine changes no byte. With it goes a fingerprint of
all that its claims have measured, to the last bit: a run that measures the same must draw every figure to the pixel.
A cell that raises, warns or writes to the error stream stops the refresh, and the file stays as it was. The picture of
the cell that is tagged `cover` goes to notebooks/pictures/, for the README.
"""

import base64
import os
import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tools.chapters import THREADS, chapters_named
from tools.watching import FINGERPRINT, WATCHING

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# The language's version is left out: the file must not change with the Python that refreshed it.
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
    "rise": {
        "center": False,
        "scroll": True,
    },  # slides begin at the top, and a full one can be scrolled
}


def main(arguments):
    os.environ.update(dict.fromkeys(THREADS, "1"))  # as the tests run them
    for path in chapters_named(arguments):
        print(f"{path.name} ... ", end="", flush=True)
        print("unchanged" if refresh(path) else "stored")


def refresh(path):
    """Execute one notebook in its folder and store it; return whether the file is as it was."""
    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(FINGERPRINT))
    try:
        client_for(notebook, path).execute()
    except CellExecutionError as error:
        sys.exit(f"\n{path.name}: a cell stopped; the file is as it was.\n{error}")
    measured = notebook.cells.pop().outputs[0].data["text/plain"].strip("'")
    after = normal_form(notebook, measured)
    temporary = path.with_suffix(".part")
    temporary.write_text(after, encoding="utf-8", newline="\n")
    os.replace(temporary, path)
    for cell in notebook.cells:
        if "cover" in cell.metadata.get("tags", []):
            cover = path.parent / "pictures" / f"{path.stem}.png"
            cover.parent.mkdir(exist_ok=True)
            cover.write_bytes(base64.b64decode(cell.outputs[0].data["image/png"]))
    return before == after


def client_for(notebook, path):
    """What executes a notebook, in the folder of its file."""
    return NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR", f"--IPKernelApp.exec_lines={WATCHING}"],
        resources={"metadata": {"path": str(path.parent)}},
    )


def normal_form(notebook, measured):
    """The text of a notebook with nothing in it that changes from run to run, but the fingerprint of what was measured."""
    notebook.metadata = nbformat.from_dict(METADATA | {"measured": measured})
    for number, cell in enumerate(notebook.cells):
        for kept_by_editors in ("collapsed", "execution", "editable", "scrolled", "trusted"):
            cell.metadata.pop(kept_by_editors, None)
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                sys.exit(
                    f"\ncell {number} writes to the error stream; the file is as it was.\n{output.text}"
                )
            output.get("data", {}).pop(WIDGET_VIEW, None)
            output.get("metadata", {}).get("image/png", {}).pop("drawn", None)
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"
