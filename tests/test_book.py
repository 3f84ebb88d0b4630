"""The book as a whole: every chapter has the form that readers, lecturers and tests rely on."""

import ast
import base64
import html
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from chapters import Names

import run

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TEACHING = (ROOT / "TEACHING.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    notebook = nbformat.read(request.param, as_version=4)
    notebook.path = request.param
    return notebook


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def headings(notebook):
    text = re.sub(r"```.*?```", "", "\n".join(prose(notebook)), flags=re.DOTALL)
    return re.findall(r"^(#+) (.+)$", text, flags=re.MULTILINE)


def test_a_chapter_is_a_numbered_file_with_one_question_as_its_title(chapter):
    assert re.fullmatch(r"\d\d_[a-z_]+\.ipynb", chapter.path.name)
    titles = [text for marks, text in headings(chapter) if marks == "#"]
    assert len(titles) == 1 and titles[0].endswith("?")
    assert prose(chapter)[0].startswith("# ")
    for promise in ("you will be able to", "You need", "Running time"):
        assert promise in prose(chapter)[0]


def test_a_chapter_has_every_part(chapter):
    names = " | ".join(text for _, text in headings(chapter))
    for part in (
        "Settings",
        "By hand",
        "Common mistakes",
        "Turn the knob",
        "Exercises",
        "What we have shown",
        "Sources",
    ):
        assert part in names
    assert "bh.explore(" in "".join(cell.source for cell in code(chapter))
    sources = prose(chapter)[-1].split("## Sources")[1]
    assert 3 <= sources.count("\n- ") <= 6


def test_the_settings_can_be_turned_from_outside_and_each_says_why(chapter):
    (settings,) = [cell for cell in code(chapter) if "parameters" in cell.metadata.get("tags", [])]
    assert settings.source.startswith("seed = 0")
    assert all(re.match(r"\w+ = .+  # \S", line) for line in settings.source.splitlines())
    (setup,) = [cell for cell in code(chapter) if "bh.setup(" in cell.source]
    assert chapter.cells.index(setup) > chapter.cells.index(settings)


def test_code_is_explained_and_no_cell_is_empty(chapter):
    kinds = "".join(cell.cell_type[0] for cell in chapter.cells)
    assert "cccc" not in kinds, "four code cells in a row"
    assert all(cell.source.strip() for cell in chapter.cells)


def test_every_cell_has_its_place_in_the_slides(chapter):
    kinds = {"slide", "subslide", "fragment", "skip", "notes", "-"}
    assert all(
        cell.metadata.get("slideshow", {}).get("slide_type") in kinds for cell in chapter.cells
    )


def deeper_sections(cells):
    """The sections of a chapter that may be skipped, each a list of cells."""
    found, inside = [], False
    for cell in cells:
        if cell.cell_type == "markdown" and re.match("#{1,2} ", cell.source):
            inside = cell.source.startswith("## Deeper: ")
            found += [[]] if inside else []
        if inside:
            found[-1].append(cell)
    return found


def test_what_may_be_skipped_is_folded_and_begins_by_saying_what_it_shows(chapter):
    """In a chapter that is divided, the rest is one lecture."""
    sections = deeper_sections(chapter.cells)
    for heading, *rest in sections:
        assert heading.metadata["jp-MarkdownHeadingCollapsed"] is True and rest
        _, says = heading.source.split("\n\n")  # a folded section shows its first cell
        assert says.startswith("Here ") and re.search(r"[^.]\.$", says) and ". " not in says, says
    if sections:
        lecture = itertools.takewhile(
            lambda cell: not cell.source.startswith("## Common mistakes"), chapter.cells
        )
        folded = [cell.id for cell in itertools.chain(*sections)]
        core = [cell for cell in lecture if cell.id not in folded]
        words = sum(len(cell.source.split()) for cell in core if cell.cell_type == "markdown")
        assert len(core) <= 60 and words <= 3000


def test_what_may_be_skipped_makes_nothing_that_the_rest_needs(chapter):
    """Skipped, or run later than it stands: the rest finds its own names, and its own random numbers, as they were."""
    sections = deeper_sections(chapter.cells)
    folded = [cell.id for cell in itertools.chain(*sections)]
    made, needed, drawn = set(), set(), []
    for cell in code(chapter):
        names = Names(cell.source)
        if cell.id in folded:
            made |= names.made
            drawn += [cell.source[:60]] if "rng" in names.needed else []
        else:
            needed |= names.needed
    assert made & needed == set() and drawn == []


def test_the_slides_show_every_figure_and_keep_a_lead_in_with_its_code(chapter):
    lecture = list(
        itertools.takewhile(lambda cell: "## Exercises" not in cell.source, chapter.cells)
    )
    kinds = [cell.metadata.slideshow.slide_type for cell in lecture]
    folded = [cell.id for cell in itertools.chain(*deeper_sections(lecture))]
    for cell, kind in zip(lecture, kinds):
        if cell.id in folded:
            assert kind == "skip", cell.source[:60]
        elif cell.cell_type == "code" and any(
            "image/png" in output.get("data", {}) for output in cell.outputs
        ):
            assert kind != "skip", cell.source[:60]
    for (above, below), kind in zip(itertools.pairwise(lecture), kinds[1:]):
        if (
            above.cell_type == "markdown"
            and below.cell_type == "code"
            and above.source.rstrip().endswith(":")
        ):
            assert kind in ("fragment", "skip"), (
                f"a new slide between {above.source[-60:]!r} and its code"
            )


def test_every_picture_has_a_sentence_and_no_output_knows_this_machine(chapter):
    local = re.compile(
        r"/(root|home|Users|tmp|usr)/|[A-Z]:\\|0x[0-9a-f]{6,}|\d+(\.\d+)?\s?ms\b|127\.0\.0\.1"
    )
    for cell in code(chapter):
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                assert len(data["text/plain"].split()) > 4 and data["text/plain"].endswith(".")
                assert output.metadata["image/png"]["alt"] == data["text/plain"]
                assert html.escape(data["text/plain"]) in data["text/html"]
            assert not local.search(output.get("text", "") + data.get("text/plain", ""))


NUMBER = r"\d+(?:\.\d+)?(?:e[-+]\d+)?"
SAID_AS_A_BOUND = r"(?:at least|at most|more than|less than|under|over) "


def numbers_in(text):
    """The numbers of a text that stand alone, without their signs, as they are written.

    >>> sorted(numbers_in("x2 fell from 0.95 to 3e-05, 12 times, see 1.2.3."))
    ['0.95', '12', '3e-05']
    """
    return set(re.findall(rf"(?<![\w.,]){NUMBER}(?!\w|[.,]\d)", text))


def forms_of(measured):
    """How prose would quote a measured number: as it is printed, or in per cent."""
    value = float(measured)
    shares = {f"{100 * value:.{digits}g} %" for digits in (2, 3)} if 0.01 <= value < 1 else set()
    return {measured, *shares}


def stray_measurements(notebook):
    """The measured numbers that stand in a chapter's prose, and are neither exact, nor a setting, nor a bound."""
    texts = [
        output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for cell in code(notebook)
        for output in cell.outputs
    ]
    measured = re.findall(rf"measured -?({NUMBER})", "\n".join(texts))
    exact = re.sub(rf"measured -?{NUMBER}", "", "\n".join(texts))
    fixed = numbers_in(exact + "\n" + "\n".join(cell.source for cell in code(notebook)))
    fixed |= {form for number in fixed for form in forms_of(number)}
    text = re.sub(r"```.*?```|https?://\S+", "", "\n".join(prose(notebook)), flags=re.DOTALL)
    text = re.sub(rf"{SAID_AS_A_BOUND}{NUMBER}(\s?%)?", "", text).replace("\N{NO-BREAK SPACE}", " ")
    said = numbers_in(text) | {f"{n} %" for n in re.findall(rf"({NUMBER}) ?%", text)}
    return sorted({form for number in measured for form in forms_of(number)} & said - fixed)


def test_prose_quotes_no_stray_measurement(chapter):
    """A number that is only measured, never bounded or exact, may not stand in the prose."""
    assert stray_measurements(chapter) == []


MEASURED = """a: measured 0.9, at least 0.5
b: measured 12, at most 20
c: measured 3.1e-05, at most 1
d: measured -0.313, at least -0.4"""


@pytest.mark.parametrize(
    "sentence, stray",
    [
        ("It reaches 0.9.", ["0.9"]),
        ("After 12 steps, or 90 %, it stops.", ["12", "90 %"]),
        ("The error is 3.1e-05.", ["3.1e-05"]),
        (
            "It falls by 31\N{NO-BREAK SPACE}%, by 31.3% exactly, by 0.313.",
            ["0.313", "31 %", "31.3 %"],
        ),
        ("At least 0.5, at most 20, at least 0.9; x12, 120, 1.12 and 0.4.", []),
    ],
)
def test_a_measured_number_in_the_prose_is_found_however_short_it_is(sentence, stray):
    output = nbformat.v4.new_output("stream", text=MEASURED)
    cells = [
        nbformat.v4.new_code_cell("x = 7", outputs=[output]),
        nbformat.v4.new_markdown_cell(sentence),
    ]
    assert stray_measurements(nbformat.v4.new_notebook(cells=cells)) == stray


def test_exercises_have_task_stub_check_hint_and_a_folded_executed_solution(chapter):
    text = [(cell.cell_type[0], cell.source, cell) for cell in chapter.cells]
    begin = next(i for i, (_, source, _) in enumerate(text) if "## Exercises" in source)
    end = next(
        i for i, (_, source, _) in enumerate(text) if source.startswith("## What we have shown")
    )
    tasks = [i for i in range(begin, end) if re.search(r"^### \d", text[i][1], flags=re.MULTILINE)]
    assert 4 <= len(tasks) <= 6
    for start, stop in zip(tasks, [*tasks[1:], end]):
        part = text[start:stop]
        kinds = "".join(kind for kind, _, _ in part)
        assert re.fullmatch(r"mccmmmc+", kinds), f"{part[0][1][:40]}: {kinds}"
        assert "bh.check(" in part[2][1] and "<details><summary>Hint" in part[3][1]
        assert part[2][2].metadata.jupyter.source_hidden, (
            "a check that is not folded shows the answer"
        )
        assert (
            re.fullmatch(r"#### Solution to \d", part[4][1])
            and part[4][2].metadata["jp-MarkdownHeadingCollapsed"] is True
        )
        said = [cell.outputs[0].text for _, _, cell in (part[2], part[-1])]
        assert said[0].startswith("not ") and said[1].startswith("correct")


def test_links_lead_somewhere(chapter):
    attached = {
        f"attachment:{name}" for cell in chapter.cells for name in cell.get("attachments", {})
    }
    targets = LINK.findall("\n".join(prose(chapter)))
    assert attached <= set(targets), "a picture that no cell shows"
    for target in targets:
        if not target.startswith(("http", "#")) and target not in attached:
            assert (chapter.path.parent / target.split("#")[0]).exists(), target
        if target.startswith("http"):
            assert target.startswith("https://doi.org/") or target.startswith(
                "https://creativecommons.org/"
            )


def test_a_chapter_leads_to_its_neighbours_by_their_questions(chapter):
    titles = [nbformat.read(path, as_version=4).cells[0].source.split("\n")[0] for path in CHAPTERS]
    questions = {path.name: title.removeprefix("# ") for path, title in zip(CHAPTERS, titles)}
    names, place = list(questions), CHAPTERS.index(chapter.path)
    links = re.findall(r"\*\*(Before|Next):\*\* \[(.+?)\]\((.+?)\)", prose(chapter)[0])
    expected = [("Before", place - 1)] * (place > 0) + [("Next", place + 1)] * (
        place + 1 < len(names)
    )
    assert links == [(word, questions[names[i]], names[i]) for word, i in expected]


def test_a_chapter_is_small_and_stored_in_the_normal_form(chapter):
    raw = chapter.path.read_text(encoding="utf-8")
    assert len(raw.encode()) < 750_000, (
        "each picture is in it twice: as it is, and with its description"
    )
    stored = json.loads(raw)
    assert set(stored["metadata"]) == {"kernelspec", "language_info", "rise", "measured"}
    assert stored["metadata"]["language_info"].get("version") is None
    assert [
        cell["execution_count"] for cell in stored["cells"] if cell["cell_type"] == "code"
    ] == list(range(1, len(code(chapter)) + 1))


def test_no_place_in_the_readme_waits_to_be_filled():
    assert not re.search(r"\b(TODO|TBD|XXX|[A-Z]+TIME)\b", README + CONTRIBUTING + TEACHING)


def test_readme_names_every_chapter_with_its_time_and_every_command():
    for path in CHAPTERS:
        assert re.search(rf"\[{path.stem}\]\(notebooks/{path.name}\).*\d+ s", README), path.name
    for name in run.commands():
        assert f"run.py {name}" in README + CONTRIBUTING, name
    for target in LINK.findall(README + CONTRIBUTING + TEACHING):
        if not target.startswith(("http", "#")):
            assert (ROOT / target).exists(), target


def test_the_picture_beside_it_is_the_chapters_own(chapter):
    (cover,) = [cell for cell in code(chapter) if "cover" in cell.metadata.get("tags", [])]
    stored = (chapter.path.parent / "pictures" / f"{chapter.path.stem}.png").read_bytes()
    assert stored == base64.b64decode(cover.outputs[0].data["image/png"])


def test_what_lecturers_are_told_to_show_is_there():
    """Each chapter has its row, and every section that is named in quotation marks is a heading of a chapter."""
    rows = re.findall(r"^\| (\d\d) ", TEACHING, re.MULTILINE)
    assert rows == [path.stem[:2] for path in CHAPTERS]
    headings = [
        line.lstrip("# ")
        for path in CHAPTERS
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("## ")
    ]
    named = re.findall(r'"([^"]+)"', TEACHING)
    assert len(named) > 15
    for name in named:
        name = " ".join(name.split()).rstrip(",")
        assert name == "To teach" or any(heading.startswith(name) for heading in headings), name


def test_every_command_says_in_one_line_what_it_does():
    for name, path in run.commands().items():
        first = run.docstring(path).splitlines()[0]
        assert f": {name}" in first and len(first) < 100


def test_the_helper_package_is_documented():
    for path in (ROOT / "bigmodel_helpers").glob("[a-z_]*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                doc = ast.get_docstring(node) or ""
                assert doc and doc.splitlines()[0].endswith("."), f"{path.name}: {node.name}"


@pytest.mark.parametrize("what", [["check"], ["format", "--check"]], ids=["lint", "layout"])
def test_code_and_notebooks_pass_ruff(what):
    ruff = Path(sys.executable).with_name("ruff.exe" if sys.platform == "win32" else "ruff")
    done = subprocess.run(
        [ruff, *what, "--no-cache", "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_every_file_of_text_is_opened_with_a_named_encoding():
    """Without a name, Windows takes its own; no test on another system would see it."""
    files = [ROOT / "run.py", ROOT / "conftest.py"]
    for folder in ("bigmodel_helpers", "tools"):
        files += (ROOT / folder).rglob("*.py")
    for path in files:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and is_of_a_text(call):
                named = any(word.arg == "encoding" for word in call.keywords)
                named = named or "'utf-8'" in map(ast.unparse, call.args)
                assert named, f"{path.name}, line {call.lineno}"


def is_of_a_text(call):
    """Whether a call reads, writes or opens a file of text."""
    function, mode = ast.unparse(call.func), ast.unparse(call.args[1]) if call.args[1:] else ""
    if function in ("open", "os.fdopen"):
        return "b" not in mode
    return function.endswith((".read_text", ".write_text"))


def test_no_line_is_exempt_from_the_layout():
    for path in [*ROOT.glob("[a-z]*.py"), *CHAPTERS, *(ROOT / "tests").glob("[a-z]*.py")]:
        assert "fmt: " + "skip" not in path.read_text(encoding="utf-8"), path


def calls_in(notebook, name):
    """The calls of one helper in a chapter."""
    for cell in code(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == name:
                yield node


def last_place(sides):
    """One in the last place of the longest number that is written out, if it has three decimals or more."""
    numbers = [part.value for side in sides for part in ast.walk(side) if hasattr(part, "value")]
    places = [len(repr(n).partition(".")[2]) for n in numbers if isinstance(n, float)]
    longest = min(max(places, default=0), 6)
    return 10.0**-longest if longest >= 3 else 0


# What is coarser than 1e-8, by the words that its name begins with: the largest bound, and why it is no smaller.
SINGLE, SUMMED, STEPPED = 1e-6, 1e-4, 1e-3
COARSE = {
    # float32 holds seven digits, so single operations on numbers around 1 agree to six of them
    SINGLE: {
        *("Adam's first step", "training: by hand = Keras", "running mean and variance"),
        *("at work: by hand = Keras", "Keras' global_clipnorm", "weight ", "gradient = weights"),
        *("Grad-CAM = weighted maps", "upper left tile", "a block by hand = Keras"),
        # steps that have nearly, not quite, arrived, and a slope that is taken by difference
        *("curvature ", "clipped, after 200 steps", "along it, slopes change"),
        *("saturating: slope", "the other: slope"),
    },
    # sums of many float32 numbers, or numbers far from 1
    SUMMED: {
        *("probabilities, NumPy and Keras", "test loss, NumPy and Keras", "own weights, all equal"),
        *("turned by 90 degrees", "hiding = what was inside", "certain: right", "by formula"),
        *("losses", "logit ", "cheapest threshold"),
        # reckoned on paper with four decimals
        "first word, as on paper",
    },
    # float32 after whole trainings, and the best of a thousand values tried
    STEPPED: {"trained once more", "shuffled characters", "{name}: D* = the best"},
    # limits that draws come near to, and an average over draws
    0.02: {"from the one limit", "costs, drawn"},
}


def test_no_bound_of_two_equal_arrays_is_wider_than_its_numbers_warrant(chapter):
    """float64 to 1e-8; a number written out to its last place; anything coarser is named above, with the reason."""
    for call in calls_in(chapter, "check_close"):
        name = ast.unparse(call.args[0])
        (within,) = [keyword.value for keyword in call.keywords if keyword.arg == "within"]
        if not isinstance(within, ast.Constant):
            assert ast.unparse(within) == "rounding", f"{name}: its bound is no number"
            continue
        words = name.lstrip("f").strip("'\"")
        named = [bound for bound, names in COARSE.items() if words.startswith(tuple(names))]
        assert 0 <= within.value <= max([1e-8, last_place(call.args[1:3]), *named]), (
            f"{name}: {within.value:g} is wide; say why in COARSE, or make it smaller"
        )


def test_nothing_is_compared_with_itself(chapter):
    for call in calls_in(chapter, "check_close"):
        if len(call.args) == 3:
            assert ast.dump(call.args[1]) != ast.dump(call.args[2]), ast.unparse(call)
    for call in calls_in(chapter, "claim"):
        bounds = [ast.dump(keyword.value) for keyword in call.keywords]
        assert ast.dump(call.args[1]) not in bounds, ast.unparse(call)
