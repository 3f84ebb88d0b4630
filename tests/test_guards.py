"""Plant each defect that nbval alone lets pass into a notebook, and see it caught."""

import base64
import copy
import functools
import io
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbval.plugin import comment_markers, metadata_tags
from PIL import Image

import bigmodel_helpers as bh
import conftest
from bigmodel_helpers.plotting import Bundle, png_bytes
from tools import figures, outputs, watching
from tools.chapters import THREADS

ROOT = Path(__file__).resolve().parent.parent
SOUND = {
    "text": "print('two')",
    "picture": """import bigmodel_helpers as bh
figure, axes = bh.new_figure(height=2.0)
axes.plot([0, 1], [0, 1])
bh.show_figure(figure, alt="A line.")""",
    "two texts": "print('one')\nprint('two')",
    "claim": "import bigmodel_helpers as bh\nbh.claim('x', 0.5, at_least=0)",
}

PICTURE_ALONE = """from IPython.display import HTML, display
display(HTML('<img src="data:image/png;base64,PNG">'))"""


def line():
    """The figure of a sound cell."""
    figure, axes = bh.new_figure(height=2.0)
    axes.plot([0, 1], [0, 1])
    return figure


@functools.cache
def shown_line():
    """That figure's PNG, and what the guards say of it."""
    figure = line()
    return png_bytes(figure), figures.drawn(figure)


def envelope():
    """What is held of that figure where it is taken for a trained one."""
    png, drawn = shown_line()
    return figures.learnt(2 * [drawn], 2 * [figures.picture_of(png)])


def sound_cells():
    """An executed cell of each sort: a print, a picture, a claim."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in SOUND.values()])
    NotebookClient(notebook, kernel_name="python3", extra_arguments=["--log-level=ERROR"]).execute()
    return dict(zip(SOUND, notebook.cells))


def picture_of(cell, change):
    """Change the picture, as PNG and in the HTML, so that both are the same."""
    output = cell.outputs[0]
    before, raw = "".join(output.data["image/png"].split()), io.BytesIO()
    picture = change(Image.open(io.BytesIO(base64.b64decode(before))).convert("RGB"))
    picture.save(raw, "png")
    after = base64.b64encode(raw.getvalue()).decode()
    output.data["image/png"] = after
    output.data["text/html"] = output.data["text/html"].replace(before, after)


def in_the_html(cell, old, new):
    """Change the stored HTML of the picture."""
    data = cell.outputs[0].data
    assert re.search(old, data["text/html"])
    data["text/html"] = re.sub(old, new, data["text/html"])


def in_both_htmls(cell, old, new):
    """Change the stored HTML of the picture, and let the cell show the same, so that nbval finds no difference."""
    in_the_html(cell, old, new)
    output = cell.outputs[0]
    data, metadata = dict(output.data), dict(output.metadata)
    cell.source = f"import IPython.display\nIPython.display.display({data!r}, metadata={metadata!r}, raw=True)"


def never_executed(cell):
    cell.execution_count, cell.outputs = None, []


def out_of_order(cell):
    cell.execution_count += 1


def stored_error(cell):
    cell.source = "raise ValueError('x')"
    cell.outputs = [new_output("error", ename="ValueError", evalue="x", traceback=[])]


def stored_stderr(cell):
    cell.source = "import sys; print('two', file=sys.stderr)"
    cell.outputs = [new_output("stream", name="stderr", text="two\n")]


def missing_figure(cell):
    del cell.outputs[0].data["image/png"]


def other_size(cell):
    picture_of(cell, lambda picture: picture.crop((0, 0, picture.width, picture.height - 1)))


def other_pixels(cell):
    picture_of(cell, lambda picture: Image.eval(picture, lambda value: 255 - value))
    cell.metadata["tags"] = ["exact-figure"]


def other_description(cell):
    cell.outputs[0].metadata["image/png"]["alt"] = "A circle."


def no_html(cell):
    del cell.outputs[0].data["text/html"]


def other_picture_in_the_html(cell):
    in_the_html(cell, "base64,.{40}", "base64," + 40 * "A")


def no_picture_in_the_html(cell):
    in_the_html(cell, 'base64,[^"]*', "base64,")


def other_description_in_the_html(cell):
    in_the_html(cell, "A line.", "A circle.")


def html_without_a_description(cell):
    in_both_htmls(cell, 'alt="A line."', 'alt=""')


def html_of_another_size(cell):
    in_both_htmls(cell, 'height="200"', 'height="100"')


def html_with_more(cell):
    in_both_htmls(cell, "^", "<p>More.</p>")


def html_picture_alone(cell):
    cell.source = PICTURE_ALONE.replace("PNG", "BBBB")
    html = '<img src="data:image/png;base64,AAAA">'
    data = {"text/plain": "<IPython.core.display.HTML object>", "text/html": html}
    cell.outputs = [new_output("display_data", data)]


def picture_printed(cell):
    cell.source = """print('<img src="data:image/png;base64,BBBB">')"""
    cell.outputs[0].text = '<img src="data:image/png;base64,AAAA">\n'


def exempt_by_tag(cell):
    cell.outputs[0].text = "three\n"
    cell.metadata["tags"] = ["nbval-ignore-output"]


def exempt_by_comment(cell):
    cell.source = "# NBVAL_IGNORE_OUTPUT\nprint('two')"
    cell.outputs[0].text = "three\n"


def exempt_though_equal(cell):
    cell.source = "# NBVAL_IGNORE_OUTPUT\nprint('two')"


def skipped_by_tag(cell):
    cell.metadata["tags"] = ["nbval-skip"]


def error_expected_by_tag(cell):
    cell.metadata["tags"] = ["raises-exception"]


def widget_view(cell):
    cell.outputs[0].data["application/vnd.jupyter.widget-view+json"] = {"model_id": "1"}


def swapped_outputs(cell):
    cell.source = "print('two')\nimport IPython.display\nIPython.display.display(2)"
    both = [
        new_output("display_data", {"text/plain": "2"}),
        new_output("stream", name="stdout", text="two\n"),
    ]
    cell.outputs = both


def other_text(cell):
    cell.outputs[0].text = "three\n"


def broken_claim(cell):
    cell.source = cell.source.replace("at_least=0", "at_least=0.6")


def other_the_second_time(cell):
    cell.source = "words = globals().get('words', []) + ['two']\nprint(*words)"


def works_only_once(cell):
    cell.source = "once = globals().get('once', ['two'])\nprint(once.pop())"


def warns_the_second_time(cell):
    cell.source = """import sys
print(globals().get('late', ''), end='', file=sys.stderr)
late = 'late'
print('two')"""


def other_description_the_second_time(cell):
    output = cell.outputs[0]
    data, metadata = dict(output.data), dict(output.metadata)
    cell.source = f"""import IPython.display
metadata = {metadata!r}
metadata['image/png']['alt'] = globals().get('sentence', 'A line.')
sentence = 'A circle.'
IPython.display.display({data!r}, metadata=metadata, raw=True)"""


def other_line(cell):
    cell.source = cell.source.replace("[0, 1])", "[1, 0])")


# each with the sort of cell that it is planted in, and a word of the complaint
DEFECTS = {
    never_executed: ("text", "never executed"),
    out_of_order: ("text", "it stands as"),
    stored_error: ("text", "ValueError"),
    stored_stderr: ("text", "stderr"),
    missing_figure: ("picture", "image/png"),
    other_size: ("picture", "pixels, now"),
    other_pixels: ("picture", "picture has changed"),
    other_description: ("picture", "A circle."),
    no_html: ("picture", "text/html"),
    other_picture_in_the_html: ("picture", "the picture in the HTML is another one"),
    no_picture_in_the_html: ("picture", "outputs differ"),
    other_description_in_the_html: ("picture", "A circle."),
    html_without_a_description: ("picture", "description is ['', 'A line.']"),
    html_of_another_size: ("picture", "as 800 x 100 pixels"),
    html_with_more: ("picture", "not one img"),
    html_picture_alone: ("text", "without an image/png"),
    picture_printed: ("text", "without an image/png"),
    exempt_by_tag: ("text", "outputs differ"),
    exempt_by_comment: ("text", "outputs differ"),
    skipped_by_tag: ("text", "nbval-skip"),
    exempt_though_equal: ("text", "exemptions are forbidden: NBVAL_IGNORE_OUTPUT"),
    error_expected_by_tag: ("text", "raises-exception"),
    widget_view: ("picture", "view of a widget"),
    swapped_outputs: ("text", "outputs stored"),
    other_text: ("text", "outputs differ"),
    broken_claim: ("claim", "at least 0.6"),
    other_the_second_time: ("text", "run a second time: Cell outputs differ"),
    works_only_once: ("text", "run a second time: Cell execution caused an exception"),
    warns_the_second_time: ("text", "run a second time"),
    other_line: ("picture", "now: 0 line 0 at 0/4 is 1, not from 0 to 0"),
    other_description_the_second_time: (
        "picture",
        "run a second time: now: the picture's description",
    ),
}


# ---- without a kernel


@functools.cache
def picture_data():
    data, metadata = Bundle(shown_line()[0], "A line.")._repr_mimebundle_()
    data["image/png"] = base64.encodebytes(data["image/png"]).decode()
    return data, metadata


def executed(kind="text"):
    """A sound cell as a kernel would have left it, and the notebook that holds it alone."""
    cell = new_code_cell(SOUND[kind], execution_count=1)
    cell.outputs = [new_output("stream", name="stdout", text="two\n")]
    if kind == "picture":
        data, metadata = copy.deepcopy(picture_data())
        cell.outputs = [new_output("display_data", data, metadata=metadata)]
    return cell


ALONE = "a picture stands in a text without an image/png beside it to compare it with"
STORED = {  # what is said of each defect as it is stored
    never_executed: ["the stored cell was never executed, so nothing could be compared"],
    out_of_order: ["the stored cell was executed as number 2, but it stands as 1"],
    stored_error: ["the stored output is an error: ValueError"],
    stored_stderr: ["the stored output holds text on stderr"],
    widget_view: ["the stored output holds a view of a widget that is no more"],
    exempt_by_tag: ["exemptions are forbidden: nbval-ignore-output"],
    exempt_by_comment: ["exemptions are forbidden: NBVAL_IGNORE_OUTPUT"],
    skipped_by_tag: ["exemptions are forbidden: nbval-skip"],
    error_expected_by_tag: ["exemptions are forbidden: raises-exception"],
    missing_figure: [f"stored: {ALONE}"],
    html_picture_alone: [f"stored: {ALONE}"],
    picture_printed: [f"stored: {ALONE}"],
    no_html: ["stored: its text/html is not one img with alt, width, height and the picture"],
    html_with_more: [
        "stored: its text/html is not one img with alt, width, height and the picture"
    ],
    other_picture_in_the_html: ["stored: the picture in the HTML is another one"],
    html_of_another_size: [
        "stored: the HTML shows the picture as 800 x 100 pixels, but it has 800 x 200"
    ],
    other_description: [
        "stored: the picture's description is ['A line.', 'A circle.'], but its text/plain is 'A line.'"
    ],
    html_without_a_description: [
        "stored: the picture's description is ['', 'A line.'], but its text/plain is 'A line.'"
    ],
    other_text: [],
    other_line: [],
}


@pytest.mark.parametrize("defect", STORED, ids=lambda defect: defect.__name__)
def test_what_is_wrong_with_a_stored_cell_is_said_and_nothing_else(defect):
    cell = executed(DEFECTS[defect][0])
    notebook = new_notebook(cells=[cell])
    assert conftest.stored_faults(notebook, cell, 0) == []
    defect(cell)
    assert conftest.stored_faults(notebook, cell, 0) == STORED[defect]


def test_widget_state_is_told_of_the_first_cell_alone():
    notebook = new_notebook(cells=[executed(), executed()])
    notebook.cells[1].execution_count = 2
    notebook.metadata["widgets"] = {}
    assert "widget state" in conftest.stored_faults(notebook, notebook.cells[0], 0)[0]
    assert conftest.stored_faults(notebook, notebook.cells[1], 1) == []


def test_each_exemption_that_nbval_knows_is_forbidden_wherever_it_stands():
    for mark in metadata_tags:
        cell = executed()
        cell.metadata["tags"] = ["slide", mark]
        assert conftest.stored_faults(None, cell, 1)[1:] == [f"exemptions are forbidden: {mark}"]
    for mark in comment_markers:
        for line_of_code in (f"# {mark}", f"  #{mark}  ", f"print(1)\n#  {mark}\nprint(2)"):
            cell = executed()
            cell.source = line_of_code
            found = conftest.stored_faults(None, cell, 1)
            assert found[1:] == [f"exemptions are forbidden: {mark}"], line_of_code
    assert len(metadata_tags) > 3 and len(comment_markers) > 3
    cell = executed()
    cell.metadata["tags"] = list(metadata_tags)
    cell.source = "\n".join(f"# {mark}" for mark in comment_markers)
    said = [
        f"exemptions are forbidden: {mark}" for mark in sorted({*metadata_tags, *comment_markers})
    ]
    assert conftest.stored_faults(None, cell, 1)[1:] == said
    cell = executed()
    cell.source = f"print('{mark}')"
    cell.metadata["tags"] = ["parameters", "exact-figure"]
    assert conftest.stored_faults(None, cell, 1)[1:] == []


def test_a_description_with_letters_that_html_writes_otherwise_is_the_same_one():
    data, metadata = Bundle(png_bytes(line()), 'a < "b" & c')._repr_mimebundle_()
    data["image/png"] = base64.b64encode(data["image/png"]).decode()
    output = new_output("display_data", data, metadata=metadata)
    assert outputs.picture_faults(output) == []
    assert outputs.picture_faults(new_output("stream", name="stdout", text="two")) == []
    del output.metadata["image/png"]["alt"]
    assert len(outputs.picture_faults(output)) == 1


def changed(change=None, kind="picture", exact=False, held=None, watched=None):
    """What is said when a cell makes these outputs anew, after one of the two was changed."""
    before, after = executed(kind), executed(kind)
    if exact:
        before.metadata["tags"] = ["exact-figure"]
    if change:
        change(after)
    if watched is not None:
        after.outputs[0].metadata["image/png"]["drawn"] = watched
    return outputs.changed_faults(before, before.outputs, after.outputs, held)


def with_block(width, height):
    """A change of the picture: so many pixels turn from white to black."""

    def blacken(picture):
        picture.paste((0, 0, 0), (700, 20, 700 + width, 20 + height))
        return picture

    return lambda cell: picture_of(cell, blacken)


def with_values(change):
    """A change of the picture: each value becomes another one."""
    return lambda cell: picture_of(cell, lambda picture: Image.eval(picture, change))


def test_pixels_of_an_exact_figure_may_change_by_less_than_a_letter():
    """800 x 200 pixels: 8 of them are five in a hundred thousand."""
    assert changed(exact=True) == changed(with_block(2, 4), exact=True) == []
    assert changed(with_block(3, 3), exact=True) == [
        "the picture has changed in 0.006% of its pixels, at most 0.005% allowed"
    ]
    paler = with_values(lambda v: max(v - 64, 0))
    assert changed(paler, exact=True) == []
    darker = with_values(lambda v: max(v - 65, 0))
    assert "has changed in 9" in changed(darker, exact=True)[0]
    assert changed(with_block(100, 100)) == [], "a figure that is neither exact nor held"


@pytest.mark.parametrize("exact", [True, False])
def test_a_picture_keeps_its_size(exact):
    assert len(changed(other_size, exact=exact)) == 2
    assert changed(other_size, exact=exact)[1].startswith(
        "the picture was (200, 800, 3) pixels, now (199,"
    )


def test_a_trained_figure_is_held_to_its_envelope_stored_and_drawn_anew():
    held, (_, drawn) = envelope(), shown_line()
    assert changed(held=held, watched=drawn) == []
    negative = with_values(lambda v: 255 - v)
    for said in changed(negative, held=held, watched=drawn):
        assert said.startswith("now: ") and "tiles of the picture look like no drawing" in said
    (said,) = changed(held=held, watched=drawn | {"0 title": "Other"})
    assert said == "now: 0 title is 'Other', not ''"
    before, after = executed("picture"), executed("picture")
    after.outputs[0].metadata["image/png"]["drawn"] = drawn
    negative(before)
    found = outputs.changed_faults(before, before.outputs, after.outputs, held)
    assert found and all(said.startswith("stored: ") for said in found)


def test_kinds_and_order_of_outputs_are_held():
    def stderr(cell):
        cell.outputs[0].name = "stderr"

    assert changed(stderr, "text") == ["outputs stored ['stdout'], now ['stderr']"]
    assert changed(lambda cell: cell.outputs.append(cell.outputs[0]), "text") == [
        "outputs stored ['stdout'], now ['stdout', 'stdout']"
    ]
    assert changed(widget_view) == [], "a view is fresh in every kernel"
    (said,) = changed(no_html)
    assert "display_data of image/png, text/html, text/plain'" in said
    assert "now ['display_data of image/png, text/plain'" in said
    assert changed(other_text, "text") == [], "texts are nbval's own business"


def test_a_picture_is_compared_wherever_it_stands_among_the_outputs():
    before, after = executed("picture"), executed("picture")
    before.metadata["tags"] = ["exact-figure"]
    with_block(20, 20)(after)
    for cell in (before, after):
        cell.outputs.insert(0, new_output("stream", name="stdout", text="two\n"))
    (said,) = outputs.changed_faults(before, before.outputs, after.outputs)
    assert said.startswith("the picture has changed in 0.250% of its pixels")


def test_descriptions_are_held():
    def other_everywhere(cell):
        other_description(cell)
        other_description_in_the_html(cell)
        cell.outputs[0].data["text/plain"] = "A circle."

    assert changed(other_everywhere) == ["the picture's description was 'A line.', now 'A circle.'"]


def test_texts_are_compared_without_what_differs_from_machine_to_machine():
    def of(*texts):
        return [new_output("stream", name="stdout", text=text) for text in texts]

    assert (
        outputs.changed_texts(of("x: measured 0.5, at least 0"), of("x: measured 0.6, at least 0"))
        == []
    )
    (said,) = outputs.changed_texts(of("one", "two"), of("one", "three"))
    assert said == "'two' has become 'three'"
    assert outputs.changed_texts(of("one"), of("one", "two")) == ["there were 1 texts, now 2"]
    picture = executed("picture").outputs
    assert [key for key, _ in outputs.texts_of(picture)] == ["text/html", "text/plain"]
    assert (
        picture_data()[0]["image/png"].strip() not in dict(outputs.texts_of(picture))["text/html"]
    )


def test_a_kernel_is_told_once_to_say_what_figures_show():
    said = []

    class Kernel:
        def execute_cell_input(self, source, allow_stdin):
            said.append((source, allow_stdin))
            return "message"

        def await_reply(self, message, timeout):
            said.append(message)

        def await_idle(self, message, timeout):
            said.append(message)

    notebook = SimpleNamespace(kernel=Kernel())
    conftest.watch_figures(notebook)
    conftest.watch_figures(notebook)
    assert said == [(watching.WATCHING, False), "message", "message"]


def test_what_is_redrawn_is_told_where_the_same_was_measured_and_only_there():
    notebook = SimpleNamespace(redrawn=["code cell 2: changed"], kernel=KernelThatMeasured("1f"))
    for measured, faults in (("1f", 1), ("2e", 0), (None, 0)):
        notebook.nb = new_notebook(metadata={"measured": measured} if measured else {})
        found = conftest.faults_where_the_same_was_measured(notebook)
        assert found == ["code cell 2: changed though all that is measured is the same"] * faults
    notebook.redrawn, notebook.nb = [], new_notebook(metadata={"measured": "1f"})
    assert conftest.faults_where_the_same_was_measured(notebook) == []


class KernelThatMeasured:
    """Answers to something else first, and then with its fingerprint."""

    def __init__(self, fingerprint):
        self.answer = {"status": "ok", "data": {"text/plain": repr(fingerprint)}}
        self.kc = self

    def execute(self, code, silent, user_expressions):
        assert silent and code == "" and user_expressions == {"asked": watching.FINGERPRINT}
        answer = {"user_expressions": {"asked": self.answer}}
        self.answers = [
            {"parent_header": {"msg_id": number}, "content": answer if number else {}}
            for number in (0, 7)
        ]
        return 7

    def get_message(self, stream, timeout):
        return self.answers.pop(0)


def test_random_numbers_are_drawn_again_as_they_were(monkeypatch):
    """By each stream that chapters use; after a draw in between, a new seed, or a further stream."""
    import tensorflow as tf
    from sklearn.utils import check_random_state

    names = {"rng": np.random.default_rng(1), "dice": tf.random.Generator.from_seed(2), "x": 3}
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(user_ns=names))

    def draw():
        return [
            names["rng"].random(),
            float(names["dice"].uniform([])),
            check_random_state(None).random_sample(),  # as scikit-learn draws by default
            random.random(),
            float(tf.random.normal([])),
        ]

    for seed in (5, 6):
        tf.random.set_seed(seed)
        draw()
        watching.remember()
        first = draw()
        assert not set(first) & set(draw())
        tf.random.set_seed(7)
        watching.go_back()
        assert draw() == first
        names[f"another {seed}"] = np.random.default_rng(seed)


def test_a_kernel_that_cannot_answer_is_told():
    kernel = KernelThatMeasured("1f")
    kernel.answer = {"status": "error", "ename": "NameError", "evalue": "no"}
    with pytest.raises(RuntimeError, match="cannot say .*fingerprint.*: NameError: no"):
        conftest.ask(kernel, watching.FINGERPRINT)


# ---- with a kernel


def test_a_figure_that_is_redrawn_is_caught_unless_something_else_was_measured(tmp_path):
    """Two notebooks with another picture than their kernels draw; one says that it measured something else, too."""
    claim = "import bigmodel_helpers as bh\nbh.claim('one', 1, equals=1)"
    said = new_output("stream", name="stdout", text="one: 1, as it must be\n")
    cells = [new_code_cell(claim, outputs=[said]), executed("picture"), new_code_cell("pass")]
    for number, cell in enumerate(cells, 1):
        cell.execution_count, cell.id = number, f"cell-{number}"
    with_block(20, 20)(cells[1])
    copied_guards(tmp_path)
    for name, measured in (("here", {"one 1.0"}), ("elsewhere", {"one 1.5"})):
        metadata = {"measured": watching.fingerprint(measured)}
        nbformat.write(new_notebook(cells=cells, metadata=metadata), tmp_path / f"{name}.ipynb")
    failed, done = failures(tmp_path, "here", "elsewhere")
    assert list(failed) == [("here", 2)], done
    assert "code cell 2: the picture has changed in " in failed["here", 2]
    assert "though all that is measured is the same" in failed["here", 2]


def test_a_chapter_runs_with_one_thread_as_it_is_stored_unless_more_are_asked_for(
    tmp_path, monkeypatch
):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(THREADS[0], "3")
    source = f"import os\nprint([os.environ[name] for name in {THREADS}])"
    said = new_output("stream", name="stdout", text=f"{['3'] + ['1'] * (len(THREADS) - 1)}\n")
    cell = new_code_cell(source, outputs=[said], execution_count=1)
    copied_guards(tmp_path)
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "threads.ipynb")
    failed, done = failures(tmp_path, "threads")
    assert failed == {}, done


def copied_guards(folder):
    shutil.copy(ROOT / "conftest.py", folder)
    shutil.copytree(ROOT / "tools", folder / "tools")


def failures(folder, *names):
    """The messages of the failed cells of notebooks in a folder with its own guards, and what pytest printed."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", "--rootdir", str(folder)]
    command += ["-c", str(ROOT / "pyproject.toml"), f"--junitxml={report}"]
    command += [f"--nbval-sanitize-with={ROOT / 'tests' / 'nbval_sanitize.cfg'}"]
    command += [str(folder / f"{name}.ipynb") for name in names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    failed, count = {}, 0
    for case in ET.parse(report).iter("testcase"):
        assert case.find("skipped") is None, "no cell may be skipped"
        count += 1
        name, number = (
            Path(case.get("file") or case.get("classname")).stem,
            case.get("name").split()[-1],
        )
        for failure in [*case.findall("failure"), *case.findall("error")]:
            message = failure.get("message", "") + (failure.text or "")
            failed[name, int(number)] = message
    assert f"{count - len(failed)} passed" in done.stdout, done.stdout
    return failed, done.stdout


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """The failed cells of a notebook, each with its message: by the names of the defects, and by number where sound.

    Sound cells stand first, between and last; what is wrong with the notebook as a whole is told of its first cell.
    """
    folder = tmp_path_factory.mktemp("planted")
    copied_guards(folder)
    sound, names, cells = sound_cells(), [], []
    for plan in [None, None, *DEFECTS, None]:
        for kind in [DEFECTS[plan][0]] if plan else SOUND:
            cell = nbformat.from_dict(copy.deepcopy(sound[kind]))
            cell.id = f"cell-{len(cells)}"
            cell.execution_count = len(cells) + 1
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = cell.execution_count
            if kind == "two texts":
                # Jupyter may store one stream in pieces
                pieces = [
                    new_output("stream", name="stdout", text=f"{n}\n") for n in ("one", "two")
                ]
                cell.outputs = pieces
            if plan:
                plan(cell)
            names.append(plan and plan.__name__)
            cells.append(cell)
    held = {cells[names.index("other_line")].id: envelope(), cells[1].id: envelope()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "ENVELOPES", folder / "tests" / "figures")
        figures.ENVELOPES.parent.mkdir()
        figures.write_envelopes("planted", held)
    notebook = new_notebook(cells=cells)
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    nbformat.write(notebook, folder / "planted.ipynb")
    failed, _ = failures(folder, "planted")
    return {names[number] or number: message for (_, number), message in failed.items()}


def test_sound_cells_pass_and_the_first_one_tells_what_is_wrong_with_the_notebook(verdicts):
    assert {name: text for name, text in verdicts.items() if isinstance(name, int)}.keys() == {0}
    assert "the notebook holds widget state" in verdicts[0]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_the_defect_is_caught_in_its_cell(verdicts, defect):
    assert DEFECTS[defect][1] in verdicts.get(defect.__name__, "nothing was said")
