"""Checks of exercises: right, wrong, undone and raising answers each get their sentence, and nothing ever raises."""

import numpy as np
import pytest

import bigmodel_helpers as bh

SQUARES = [
    ("2", lambda f: f(2.0), 4.0),
    ("an array", lambda f: f(np.array([1.0, 3.0])), np.array([1.0, 9.0])),
]


def not_implemented(x):
    raise NotImplementedError


def raising(x):
    raise SystemError("no idea")


@pytest.mark.parametrize(
    ("attempt", "cases", "start"),
    [
        (lambda x: x**2, SQUARES, "correct: 2 of 2"),
        (lambda x: x * 2, SQUARES, "not yet: for an array"),
        (lambda x: None, SQUARES, "not done yet"),
        (lambda x: ..., SQUARES, "not done yet"),
        (None, SQUARES, "not done yet"),
        (..., SQUARES, "not done yet"),
        (not_implemented, SQUARES, "not done yet"),
        (lambda x: (..., 1), SQUARES, "not done yet"),
        (raising, SQUARES, "not yet: for 2, it stopped with SystemError: no idea"),
        (7, SQUARES, "not yet: for 2, it stopped"),
        (lambda x: "four", SQUARES, "not yet: for 2, found four"),
        (lambda x: np.zeros((2, 2)), SQUARES, "not yet: for 2"),
        (lambda x: np.full_like(x, np.nan), SQUARES, "not yet: for 2"),
        ((1, 2), [("both", lambda a: a, (1, 2))], "correct: 1 of 1"),
        ((1, 3), [("both", lambda a: a, (1, 2))], "not yet"),
        (np.uint8([3]), [("bytes", lambda a: a, np.uint8([5]))], "not yet"),
        (np.uint8([5]), [("bytes", lambda a: a, np.uint8([5]))], "correct"),
        (lambda x: exit(), SQUARES, "not yet: for 2, it stopped with SystemExit"),
        ("yes", [("a word", lambda a: a, "yes")], "correct"),
        ("no", [("a word", lambda a: a, "yes")], "not yet"),
        (True, [("a truth", lambda a: a, True)], "correct"),
        (False, [("a truth", lambda a: a, True)], "not yet"),
        (0.3, [("a sum", lambda a: a, 0.1 + 0.2)], "correct"),
    ],
)
def test_every_answer_gets_its_sentence(attempt, cases, start, capsys):
    bh.check(attempt, cases)
    printed = capsys.readouterr().out
    assert printed.startswith(start) and printed.count("\n") == 1
