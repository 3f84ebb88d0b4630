"""Claims hold or raise, and print what the sanitize file expects."""

import re
from pathlib import Path

import numpy as np
import pytest
from nbval.plugin import get_sanitize_patterns

import bigmodel_helpers as bh
from bigmodel_helpers.claims import ClaimError

SANITIZE = Path(__file__).with_name("nbval_sanitize.cfg")


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        (0.5, {"at_least": 0.6}),
        (0.5, {"at_most": 0.4}),
        (3, {"equals": 4}),
        (0.5, {"equals": 0.4, "within": 0.05}),
        (float("nan"), {"at_least": 0}),
        (float("nan"), {"at_most": 0}),
        (float("nan"), {"equals": 0, "within": 1}),
        ((1, 2), {"equals": (1, 3)}),
        (0.5, {"at_least": 0, "at_most": 0.4}),
    ],
)
def test_a_claim_that_does_not_hold_raises_and_names_value_bound_and_settings(value, bounds):
    with pytest.raises(ClaimError, match=r"x is .* but it must be .* shipped settings"):
        bh.claim("x", value, **bounds)


@pytest.mark.parametrize(
    "bounds", [{}, {"within": 1}, {"equals": 1, "at_least": 0}, {"at_least": 0, "within": 1}]
)
def test_a_claim_without_one_clear_bound_is_refused(bounds):
    with pytest.raises(ValueError, match="'x'"):
        bh.claim("x", 1, **bounds)


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        ([1, 2], [1, 2, 3], "found shape"),
        ([np.nan], [np.nan], "not finite"),
        ([[0, 1], [2, 3]], [[0, 1], [2, 4]], "index 1, 1"),
        ([1j], [1], "differ by 1.41"),
        (1.0, [1.0], "found shape"),
    ],
)
def test_arrays_that_differ_raise_and_name_the_worst_place(actual, expected, message):
    with pytest.raises(ClaimError, match=message):
        bh.check_close("x", actual, expected, within=1e-9)


@pytest.mark.parametrize("value", [0.953, -1.2e-7, 3.5e12, 0, 12, -0.5, 1e300])
def test_every_measured_number_is_sanitized_and_nothing_else(value, capsys):
    bh.claim("a measured thing 1.5", value, at_least=-10.5)
    line = capsys.readouterr().out
    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text(encoding="ascii")):
        line = re.sub(pattern, replacement, line)
    assert line == "a measured thing 1.5: measured NUMBER, at least -10.5\n"


def test_the_sanitize_file_has_three_rules_and_is_ascii():
    """The number after `measured`, what follows `here:`, and the picture inside an img, held to its PNG by conftest.py."""
    rules = get_sanitize_patterns(SANITIZE.read_text(encoding="ascii"))
    assert [replacement.split()[-1] for _, replacement in rules] == [
        "NUMBER",
        "MACHINE",
        "\\1PICTURE",
    ]


def test_unsigned_numbers_do_not_wrap_around_and_no_bound_is_none():
    bh.check_close("a", np.uint8([3, 200]), np.uint8([5, 199]), within=3)
    bh.check_close("a", np.array([True]), np.array([True]), within=0)
    for actual, within in (([3], 1), ([5], float("nan"))):
        with pytest.raises(ClaimError):
            bh.check_close("a", np.uint8(actual), np.uint8([5]), within=within)


@pytest.mark.parametrize(
    ("value", "bounds", "holds"),
    [
        # a bound itself is allowed, the next number beyond it is not
        (0.5, {"at_least": 0.5}, True),
        (np.nextafter(0.5, 0), {"at_least": 0.5}, False),
        (0.5, {"at_most": 0.5}, True),
        (np.nextafter(0.5, 1), {"at_most": 0.5}, False),
        (0.5, {"at_least": 0.5, "at_most": 0.5}, True),
        (0, {"at_least": 0}, True),
        (0, {"at_most": 0}, True),
        (0.75, {"equals": 0.5, "within": 0.25}, True),
        (0.25, {"equals": 0.5, "within": 0.25}, True),
        (0.7500001, {"equals": 0.5, "within": 0.25}, False),
        (0.2499999, {"equals": 0.5, "within": 0.25}, False),
        (-0.5, {"equals": 0.5, "within": 0.25}, False),
        (0.5, {"equals": 0.5, "within": 0}, True),
        (0.0, {"equals": 0}, True),
        (1e-300, {"equals": 0}, False),
        (0.1 + 0.2, {"equals": 0.3}, False),
        ("a", {"equals": "a"}, True),
        (False, {"equals": False}, True),
        (True, {"equals": False}, False),
        (float("inf"), {"at_least": 0}, True),
        (float("-inf"), {"at_least": 0}, False),
    ],
)
def test_a_claim_holds_up_to_its_bound_and_no_further(value, bounds, holds, capsys):
    if holds:
        bh.claim("x", value, **bounds)
        assert capsys.readouterr().out.startswith("x: ")
    else:
        with pytest.raises(ClaimError):
            bh.claim("x", value, **bounds)
        assert capsys.readouterr().out == "", "no line says that it holds"


@pytest.mark.parametrize(
    ("value", "bounds", "line"),
    [
        (0.95312, {"at_least": 0.93}, "measured 0.953, at least 0.93"),
        (0.95312, {"at_most": 0.96}, "measured 0.953, at most 0.96"),
        (2, {"at_least": 0, "at_most": 3}, "measured 2, at least 0 and at most 3"),
        (0.498, {"equals": 0.5, "within": 0.01}, "measured 0.498, equals 0.5 within 0.01"),
        (0.0001234567, {"at_most": 0.001}, "measured 0.000123, at most 0.001"),
        (float("inf"), {"at_least": 0}, "measured inf, at least 0"),
        ((1, 2), {"equals": (1, 2)}, "(1, 2), as it must be"),
        (0, {"equals": 0}, "0, as it must be"),
        (False, {"equals": False}, "False, as it must be"),
    ],
)
def test_a_claim_says_what_was_found_and_what_it_was_held_against(value, bounds, line, capsys):
    assert bh.claim("x", value, **bounds) is None
    assert capsys.readouterr().out == f"x: {line}\n"


@pytest.mark.parametrize(
    ("value", "bounds", "sentence"),
    [
        (0.25, {"at_least": 0.5}, "x is 0.25, but it must be at least 0.5."),
        (0.75, {"at_least": 0, "at_most": 0.5}, "x is 0.75, but it must be at most 0.5."),
        (3, {"equals": 4}, "x is 3, but it must be equal to 4."),
        (
            0.25,
            {"equals": 0.5, "within": 0.1},
            "x is 0.25, but it must be equal to 0.5 within 0.1.",
        ),
    ],
)
def test_a_claim_that_does_not_hold_names_the_bound_that_it_broke(value, bounds, sentence):
    with pytest.raises(ClaimError, match=re.escape(sentence)):
        bh.claim("x", value, **bounds)


@pytest.mark.parametrize("bounds", [{"at_least": 0}, {"at_most": 9}, {"at_least": 0, "at_most": 9}])
def test_a_claim_of_equality_has_no_other_bound(bounds):
    with pytest.raises(ValueError, match="one or the other"):
        bh.claim("x", 1, equals=1, **bounds)
    with pytest.raises(ValueError, match="within says how far from equals"):
        bh.claim("x", 1, within=1, **bounds)
    with pytest.raises(ValueError, match="has no bound"):
        bh.claim("x", 1)


@pytest.mark.parametrize("within", [0, 1e-12, 1e-6, 0.25])
def test_arrays_agree_up_to_the_bound_and_no_further(within, capsys):
    """Ten times the bound, twice the bound and the next number after it are too far, above as below."""
    base = np.zeros((2, 3))
    for sign in (1, -1):
        near = base.copy()
        near[1, 2] = sign * within
        assert bh.check_close("x", near, base, within=within) is None
        bh.check_close("x", base, near, within=within)
        assert capsys.readouterr().out == 2 * f"x: equal within {within:g}\n"
        for far in (np.nextafter(within, 1), 2 * within + 1e-15, 10 * within + 1e-15):
            near[1, 2] = sign * far
            with pytest.raises(ClaimError, match="at index 1, 2 found"):
                bh.check_close("x", near, base, within=within)
            assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("actual", "expected", "sentence"),
    [
        (
            [0, 1, 2],
            [0, 3, 3],
            "x: at index 1 found 1, expected 3; they differ by 2, more than 0.5.",
        ),
        ([5, 1.0], [0, 1.0], "x: at index 0 found 5.0, expected 0.0; they differ by 5, "),
        (2.0, 1.0, "x: at index () found 2.0, expected 1.0; they differ by 1, "),
        ([[1.0]], [1.0], "x: found shape (1, 1), expected (1,)."),
        ([1.0, np.inf], [1.0, np.inf], "x: there are values that are not finite."),
        ([1.0, 2.0], [1.0, np.nan], "x: there are values that are not finite."),
        ([1.0, np.nan], [1.0, 2.0], "x: there are values that are not finite."),
    ],
)
def test_arrays_that_differ_are_described(actual, expected, sentence):
    with pytest.raises(ClaimError, match=re.escape(sentence)):
        bh.check_close("x", actual, expected, within=0.5)


def test_nothing_is_equal_to_nothing(capsys):
    bh.check_close("x", [], [], within=0)
    assert capsys.readouterr().out == "x: equal within 0\n"
    with pytest.raises(ClaimError):
        bh.check_close("x", [True], [False], within=0.5)
