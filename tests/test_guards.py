"""Plant each defect that nbval alone lets pass into a notebook, and see it caught."""

import base64
import io
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PICTURE = """import bigmodel_helpers as bh
figure, axes = bh.new_figure(height=2.0)
axes.plot([0, 1], [0, HEIGHT])
bh.show_figure(figure, alt="A line.")"""

PICTURE_ALONE = """from IPython.display import HTML, display
display(HTML('<img src="data:image/png;base64,PNG">'))"""


def healthy():
    """An executed notebook of two prints, a picture and a claim."""
    sources = [
        "print('one')",
        "print('two')",
        PICTURE.replace("HEIGHT", "1"),
        "import bigmodel_helpers as bh\nbh.claim('x', 0.5, at_least=0)",
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    NotebookClient(notebook, kernel_name="python3", extra_arguments=["--log-level=ERROR"]).execute()
    notebook.metadata.pop("widgets", None)
    return notebook


def picture_of(notebook, change):
    """Change the picture, as PNG and in the HTML, so that both are the same."""
    output = notebook.cells[2].outputs[0]
    before, raw = output.data["image/png"].strip(), io.BytesIO()
    picture = change(Image.open(io.BytesIO(base64.b64decode(before))).convert("RGB"))
    picture.save(raw, "png")
    after = base64.b64encode(raw.getvalue()).decode()
    output.data["image/png"] = after
    output.data["text/html"] = output.data["text/html"].replace(before, after)


def in_the_html(notebook, old, new):
    """Change the stored HTML of the picture."""
    data = notebook.cells[2].outputs[0].data
    assert re.search(old, data["text/html"])
    data["text/html"] = re.sub(old, new, data["text/html"])


def in_both_htmls(notebook, old, new):
    """Change the stored HTML of the picture, and let the cell show the same, so that nbval finds no difference."""
    in_the_html(notebook, old, new)
    output = notebook.cells[2].outputs[0]
    data, metadata = dict(output.data), dict(output.metadata)
    notebook.cells[
        2
    ].source = f"import IPython.display\nIPython.display.display({data!r}, metadata={metadata!r}, raw=True)"


def never_executed(notebook):
    notebook.cells[1].execution_count, notebook.cells[1].outputs = None, []


def out_of_order(notebook):
    notebook.cells[0].execution_count, notebook.cells[1].execution_count = 2, 1


def stored_error(notebook):
    notebook.cells[1].source = "raise ValueError('x')"
    notebook.cells[1].outputs = [new_output("error", ename="ValueError", evalue="x", traceback=[])]


def stored_stderr(notebook):
    notebook.cells[1].source = "import sys; print('two', file=sys.stderr)"
    notebook.cells[1].outputs = [new_output("stream", name="stderr", text="two\n")]


def missing_figure(notebook):
    del notebook.cells[2].outputs[0].data["image/png"]


def other_size(notebook):
    picture_of(notebook, lambda picture: picture.crop((0, 0, picture.width, picture.height - 1)))


def other_pixels(notebook):
    picture_of(notebook, lambda picture: Image.eval(picture, lambda value: 255 - value))
    notebook.cells[2].metadata["tags"] = ["exact-figure"]


def other_description(notebook):
    notebook.cells[2].outputs[0].metadata["image/png"]["alt"] = "A circle."


def no_html(notebook):
    del notebook.cells[2].outputs[0].data["text/html"]


def other_picture_in_the_html(notebook):
    in_the_html(notebook, "base64,.{40}", "base64," + 40 * "A")


def no_picture_in_the_html(notebook):
    in_the_html(notebook, 'base64,[^"]*', "base64,")


def other_description_in_the_html(notebook):
    in_the_html(notebook, "A line.", "A circle.")


def html_without_a_description(notebook):
    in_both_htmls(notebook, 'alt="A line."', 'alt=""')


def html_of_another_size(notebook):
    in_both_htmls(notebook, 'height="200"', 'height="100"')


def html_with_more(notebook):
    in_both_htmls(notebook, "^", "<p>More.</p>")


def html_picture_alone(notebook):
    notebook.cells[1].source = PICTURE_ALONE.replace("PNG", "BBBB")
    html = '<img src="data:image/png;base64,AAAA">'
    data = {"text/plain": "<IPython.core.display.HTML object>", "text/html": html}
    notebook.cells[1].outputs = [new_output("display_data", data)]


def picture_printed(notebook):
    notebook.cells[1].source = """print('<img src="data:image/png;base64,BBBB">')"""
    notebook.cells[1].outputs[0].text = '<img src="data:image/png;base64,AAAA">\n'


def exempt_by_tag(notebook):
    notebook.cells[1].outputs[0].text = "three\n"
    notebook.cells[1].metadata["tags"] = ["nbval-ignore-output"]


def exempt_by_comment(notebook):
    notebook.cells[1].source = "# NBVAL_IGNORE_OUTPUT\nprint('two')"
    notebook.cells[1].outputs[0].text = "three\n"


def exempt_though_equal(notebook):
    notebook.cells[1].source = "# NBVAL_IGNORE_OUTPUT\nprint('two')"


def skipped_by_tag(notebook):
    notebook.cells[1].metadata["tags"] = ["nbval-skip"]


def error_expected_by_tag(notebook):
    notebook.cells[1].metadata["tags"] = ["raises-exception"]


def widget_state(notebook):
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}


def widget_view(notebook):
    notebook.cells[2].outputs[0].data["application/vnd.jupyter.widget-view+json"] = {
        "model_id": "1"
    }


def swapped_outputs(notebook):
    notebook.cells[1].source = "print('two')\nimport IPython.display\nIPython.display.display(2)"
    both = [
        new_output("display_data", {"text/plain": "2"}),
        new_output("stream", name="stdout", text="two\n"),
    ]
    notebook.cells[1].outputs = both


def other_text(notebook):
    notebook.cells[1].outputs[0].text = "three\n"


def broken_claim(notebook):
    notebook.cells[3].source = notebook.cells[3].source.replace("at_least=0", "at_least=0.6")


def other_the_second_time(notebook):
    notebook.cells[0].source = "print('one')\nlines = []"
    notebook.cells[1].source = "lines.append('two')\nprint(*lines)"


def works_only_once(notebook):
    notebook.cells[0].source = "print('one')\nlines = ['two']"
    notebook.cells[1].source = "print(lines.pop())"


def warns_the_second_time(notebook):
    notebook.cells[0].source = "import sys\nprint('one')\nlines = []"
    late = "print(*lines, end='', file=sys.stderr)\nlines = ['late']\nprint('two')"
    notebook.cells[1].source = late


DEFECTS = {  # each with the cell it is planted in, and a word of the complaint
    never_executed: (1, "never executed"),
    out_of_order: (0, "stands as 1"),
    stored_error: (1, "ValueError"),
    stored_stderr: (1, "stderr"),
    missing_figure: (2, "image/png"),
    other_size: (2, "pixels, now"),
    other_pixels: (2, "picture has changed"),
    other_description: (2, "A circle."),
    no_html: (2, "text/html"),
    other_picture_in_the_html: (2, "the picture in the HTML is another one"),
    no_picture_in_the_html: (2, "outputs differ"),
    other_description_in_the_html: (2, "A circle."),
    html_without_a_description: (2, "description is ['', 'A line.']"),
    html_of_another_size: (2, "as 800 x 100 pixels"),
    html_with_more: (2, "not one img"),
    html_picture_alone: (1, "without an image/png"),
    picture_printed: (1, "without an image/png"),
    exempt_by_tag: (1, "outputs differ"),
    exempt_by_comment: (1, "outputs differ"),
    skipped_by_tag: (1, "nbval-skip"),
    exempt_though_equal: (1, "exemptions are forbidden: NBVAL_IGNORE_OUTPUT"),
    error_expected_by_tag: (1, "raises-exception"),
    widget_state: (0, "widget state"),
    widget_view: (2, "view of a widget"),
    swapped_outputs: (1, "outputs stored"),
    other_text: (1, "outputs differ"),
    broken_claim: (3, "at least 0.6"),
    other_the_second_time: (1, "run a second time: Cell outputs differ"),
    works_only_once: (1, "run a second time: Cell execution caused an exception"),
    warns_the_second_time: (1, "run a second time"),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """For each planted notebook, the failed cells and their messages, from one run of the guarded tests."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "conftest.py", folder)
    shutil.copytree(ROOT / "tools", folder / "tools")
    sound = healthy()
    for defect in [None, *DEFECTS]:
        notebook = nbformat.from_dict(sound)
        if defect:
            defect(notebook := nbformat.reads(nbformat.writes(sound), as_version=4))
        nbformat.write(notebook, folder / f"{defect.__name__ if defect else 'healthy'}.ipynb")
    report = folder / "report.xml"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--color=no",
            "--rootdir",
            str(folder),
            "-c",
            str(ROOT / "pyproject.toml"),
            f"--nbval-sanitize-with={ROOT / 'tests' / 'nbval_sanitize.cfg'}",
            f"--junitxml={report}",
            *map(str, sorted(folder.glob("*.ipynb"))),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    failed = {}
    for case in ET.parse(report).iter("testcase"):
        assert case.find("skipped") is None, "no cell may be skipped"
        for failure in [*case.findall("failure"), *case.findall("error")]:
            cells = failed.setdefault(case.get("classname"), {})
            cells[int(case.get("name").split()[-1])] = failure.get("message", "") + (
                failure.text or ""
            )
    return failed, done.stdout


def test_a_sound_notebook_passes(verdicts):
    failed, output = verdicts
    assert not [name for name in failed if "healthy" in name], output


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_the_defect_is_caught_in_its_cell(verdicts, defect):
    failed, output = verdicts
    cell, word = DEFECTS[defect]
    cells = failed.get(f"{defect.__name__}.ipynb")
    assert cells, output
    assert word in cells.get(cell, ""), cells
