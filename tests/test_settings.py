"""Settings that a chapter cannot work with are refused with one sentence, and before anything heavy runs."""

import ast
from pathlib import Path

import chapters
import nbformat
import numpy as np
import pytest

import bigmodel_helpers as bh

CHAPTERS = sorted((chapters.ROOT / "notebooks").glob("[0-9]*.ipynb"))
EPOCHS = {"whole": True, "at_least": 1}
RATE = {"above": 0, "at_most": 10}
SEED = {"whole": True, "at_least": 0, "at_most": 4_000_000_000}
EVEN = {"whole": True, "at_least": 6, "at_most": 100, "multiple_of": 2}
SET = {"among": ("digits", "mnist")}
SIZE = {"among": (32, 64)}


@pytest.mark.parametrize(
    ("value", "rules"),
    [
        (1, EPOCHS),
        (10**30, EPOCHS),
        (np.int64(3), EPOCHS),
        (np.uint8(3), EPOCHS),
        (None, EPOCHS | {"or_none": True}),
        (0, SEED),
        (4_000_000_000, SEED),
        (0.5, RATE),
        (10, RATE),
        (np.float32(0.1), RATE),
        (6, EVEN),
        (100, EVEN),
        ("mnist", SET),
        (32, SIZE),
        (np.int64(64), SIZE),
        (str(Path(__file__).parent), SET | {"or_folder": True}),
        (Path(__file__).parent, SET | {"or_folder": True}),
    ],
)
def test_an_allowed_value_passes_without_a_word(value, rules, capsys):
    found = bh.check_setting("it", value, **rules)
    assert found == value and not isinstance(found, np.integer), (
        "Keras takes no whole numbers of NumPy's"
    )
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "rules", "allowed"),
    [
        (0, EPOCHS, "a whole number of at least 1"),
        (-1, EPOCHS, "a whole number of at least 1"),
        (2.5, EPOCHS, "a whole number of at least 1"),
        (2.0, EPOCHS, "a whole number of at least 1"),
        (np.float64(2), EPOCHS, "a whole number of at least 1"),
        ("3", EPOCHS, "a whole number of at least 1"),
        (True, EPOCHS, "a whole number of at least 1"),
        (np.True_, EPOCHS, "a whole number of at least 1"),
        (None, EPOCHS, "a whole number of at least 1"),
        ([3], EPOCHS, "a whole number of at least 1"),
        (np.array([3, 4]), EPOCHS, "a whole number of at least 1"),
        (float("inf"), EPOCHS, "a whole number of at least 1"),
        (0, EPOCHS | {"or_none": True}, "None or a whole number of at least 1"),
        (-1, SEED, "a whole number from 0 to 4,000,000,000"),
        (4_000_000_001, SEED, "a whole number from 0 to 4,000,000,000"),
        (0, RATE, "a number above 0 and at most 10"),
        (-1, RATE, "a number above 0 and at most 10"),
        (11, RATE, "a number above 0 and at most 10"),
        (10**400, RATE, "a number above 0 and at most 10"),
        (float("nan"), RATE, "a number above 0 and at most 10"),
        (1j, RATE, "a number above 0 and at most 10"),
        (False, RATE, "a number above 0 and at most 10"),
        ("0.5", RATE, "a number above 0 and at most 10"),
        (float("inf"), {"above": 0}, "a number above 0"),
        (float("-inf"), {"at_most": 0}, "a number at most 0"),
        (-(10**400), {"whole": True, "at_most": 0, "multiple_of": 3}, "a multiple of 3 at most 0"),
        (5, EVEN, "an even number from 6 to 100"),
        (7, EVEN, "an even number from 6 to 100"),
        (102, EVEN, "an even number from 6 to 100"),
        (6, EPOCHS | {"multiple_of": 4}, "a multiple of 4 of at least 1"),
        ("MNIST", SET, "'digits' or 'mnist'"),
        (None, SET, "'digits' or 'mnist'"),
        (np.zeros(2), SET, "'digits' or 'mnist'"),
        (33, SIZE, "32 or 64"),
        (32.0, SIZE, "32 or 64"),
        ("32", SIZE, "32 or 64"),
        (True, {"among": (0, 1)}, "0 or 1"),
    ]
    + [
        (
            value,
            SET | {"or_folder": True},
            "'digits', 'mnist' or the path of a folder that is there",
        )
        for value in ("nowhere", "", __file__, "~nobody/pictures", "nul\0", None, 3, ["mnist"])
    ],
)
def test_any_other_value_is_refused_with_one_sentence_that_says_which_are_allowed(
    value, rules, allowed
):
    with pytest.raises(ValueError) as refused:
        bh.check_setting("it", value, **rules)
    end = "Change it in the settings cell and run again."
    here = f" (a relative one starts at {Path.cwd()})" if rules.get("or_folder") else ""
    assert str(refused.value) == f"it is {value!r}; it must be {allowed}{here}. {end}"


# --- the chapters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_setting_of_a_chapter_is_checked_before_its_set_up(path):
    cells = nbformat.read(path, as_version=4).cells
    (place,) = [i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", [])]
    (setup,) = [cell for cell in cells if cell.cell_type == "code" and "bh.setup(" in cell.source]
    names = [node.targets[0].id for node in ast.parse(cells[place].source).body]
    body = ast.parse(setup.source).body[: len(names) + 1]
    calls = [node.value for node in body]
    assert [node.targets[0].id for node in body[:-1]] == names
    assert [call.func.attr for call in calls] == ["check_setting"] * len(names) + ["setup"]
    assert [call.args[0].value for call in calls[:-1]] == names
    assert [call.args[1].id for call in calls[:-1]] == names
    between = cells[place + 1 : cells.index(setup)]
    assert not [cell for cell in between if cell.cell_type == "code"]
    assert chapters.check_settings(path.stem)["seed"] == 0, "the settings as they ship are allowed"


SETS = "'digits', 'mnist'"
WRONG = {  # for each chapter: settings that must be refused, with words of the sentence
    "00_start_here": [
        ("neurons", (0, -1, 2.5, "32", True, None, 20_000), "a whole number from 1 to 10,000"),
        ("epochs", (0, -1, 2.5, 2.0, "3", None, float("nan")), "a whole number of at least 1"),
    ],
    "01_backprop": [
        ("hidden", (0, -1, 2.5, "32", None), "a whole number from 1 to 10,000"),
        ("learning_rate", (0, -1, 0.0, "0.5", None, float("inf"), 1000), "above 0 and at most 10"),
        ("epochs", (0, -1, 2.5, "3", None), "a whole number of at least 1"),
        ("runs", (0, 1, -3, 2.5, "3", None), "a whole number of at least 2"),
    ],
    "02_training": [
        ("width", (0, -1, 2.5, "64", None), "a whole number from 1 to 10,000"),
        ("few", (3, 0, -5, 49, 907, 5000, 226.0, "226"), "a whole number from 50 to 906"),
    ],
    "03_evaluation": [
        ("trials", (0, -1, 2.5, "64", None), "a whole number from 1 to 10,000"),
        ("epochs", (0, -1, 2.5, "3", None), "a whole number of at least 1"),
    ],
    "04_convolution": [
        (
            "dataset",
            ("MNIST", "imagenet", "", None, 3, "."),
            f"{SETS}, 'fashion_mnist' or 'cifar10'",
        ),
        ("epochs", (0, -1, 2.5, "3", True), "None or a whole number of at least 1"),
        ("runs", (0, -1, 2.5, "3", False), "None or a whole number of at least 1"),
    ],
    "05_vae": [
        (
            "dataset",
            ("MNIST", "cifar10", "nowhere", "", None),
            f"{SETS}, 'fashion_mnist' or the path",
        ),
        ("size", (33, 0, -32, 32.0, "32", None), "32 or 64"),
        ("latent", (1, 0, -2, 2.0, "2", None, 257), "a whole number from 2 to 256"),
        ("epochs", (0, -1, 2.5, "3", True), "None or a whole number of at least 1"),
    ],
    "06_gan": [
        (
            "dataset",
            ("MNIST", "cifar10", "nowhere", "", None),
            f"{SETS}, 'fashion_mnist' or the path",
        ),
        ("size", (33, 0, -32, 32.0, "32", None), "32 or 64"),
        ("epochs", (0, -1, 2.5, "3", True), "None or a whole number of at least 1"),
    ],
    "07_attention": [
        ("width", (0, 2, 50, -4, 48.0, "48", None, 516), "a multiple of 4 from 4 to 512"),
        ("length", (4, 5, 7, 0, 10.0, "10", None, 102), "an even number from 6 to 100"),
        ("date_steps", (0, 99, -1, 500.5, "500", None), "a whole number of at least 100"),
    ],
}
SEEDS = (
    "seed",
    (-1, 5_000_000_000, 0.5, "0", None, True),
    "a whole number from 0 to 4,000,000,000",
)


@pytest.mark.parametrize("chapter", WRONG)
def test_a_chapter_refuses_a_wrong_setting_with_one_sentence(chapter):
    for name, values, words in [SEEDS, *WRONG[chapter]]:
        for value in values:
            with pytest.raises(ValueError) as refused:
                chapters.check_settings(chapter, **{name: value})
            said = str(refused.value)
            assert said.startswith(f"{name} is {value!r}; it must be ") and words in said
            assert "\n" not in said and said.count(". ") == 1 and said.endswith("run again.")


ALLOWED = {  # for each chapter: the ends of what is allowed
    "00_start_here": {"seed": (4_000_000_000, 7), "neurons": (1, 10_000), "epochs": (1, 10**6)},
    "01_backprop": {
        "hidden": (1, 10_000),
        "learning_rate": (1e-9, 10),
        "epochs": (1,),
        "runs": (2,),
    },
    "02_training": {"width": (1, 10_000), "few": (50, 906, np.int64(100))},
    "03_evaluation": {"trials": (1, 10_000), "epochs": (1,)},
    "04_convolution": {"dataset": ("mnist", "cifar10"), "epochs": (1, None), "runs": (1, None)},
    "05_vae": {
        "dataset": ("fashion_mnist", "..", Path.cwd()),
        "size": (64,),
        "latent": (2, 256),
        "epochs": (1, None),
    },
    "06_gan": {"dataset": ("mnist", "..", Path.cwd()), "size": (64,), "epochs": (1, None)},
    "07_attention": {"width": (4, 512), "length": (6, 100), "date_steps": (100, 10_000)},
}


@pytest.mark.parametrize("chapter", ALLOWED)
def test_a_chapter_takes_the_ends_of_what_it_allows(chapter):
    for name, values in ALLOWED[chapter].items():
        for value in values:
            assert chapters.check_settings(chapter, **{name: value})[name] == value
            if isinstance(value, int):
                found = chapters.check_settings(chapter, **{name: np.int64(value)})[name]
                assert found == value and type(found) is int


@pytest.mark.parametrize(("chapter", "least"), [("05_vae", 50), ("06_gan", 20)])
def test_a_folder_with_too_few_pictures_is_refused_and_one_with_enough_is_read(
    tmp_path, chapter, least
):
    for count in (3, least - 1):
        folder = chapters.made_folder(tmp_path / f"{count}", count)
        words = f"the folder holds {count} pictures; chapter {chapter[:2]} needs at least {least}."
        with pytest.raises(ValueError, match=words):
            chapters.read_pictures(chapter, folder)
    enough = chapters.read_pictures(chapter, chapters.made_folder(tmp_path / "enough", least))
    assert len(enough["pictures"]) >= 20
    shown = enough["x_test"] if chapter == "05_vae" else enough["reference"]
    assert len(shown) == 10, "ten pictures are shown"
