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
