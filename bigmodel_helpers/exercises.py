"""Exercises that check themselves and never raise."""

import numpy as np

from .claims import subtractable


def check(attempt, cases, *, within=1e-6):
    """Compare a reader's answer with what it should be, case by case, and say in one line how it stands.

    Args:
        attempt: the answer: a number, an array, or a function. ``None``, ``...``, and a function that returns one of
            these or raises ``NotImplementedError`` count as "not done yet".
        cases: list of ``(description, question, expected)``. `question` is a function that is given the attempt;
            what it returns is compared with `expected` (numbers and arrays by value, everything else by ``==``).
        within: how far apart two numbers may lie (absolute).

    It prints; it never raises, so that "Run All" always reaches the end.

    >>> cases = [("the square of 3", lambda f: f(3), 9), ("the square of -2", lambda f: f(-2), 4)]
    >>> check(lambda x: ..., cases)
    not done yet (or a return is missing): complete the cell above, run it, then run this one
    >>> check(lambda x: x * abs(x), cases)
    not yet: for the square of -2, found -4, expected 4
    >>> check(lambda x: x / 0, cases)
    not yet: for the square of 3, it stopped with ZeroDivisionError: division by zero
    >>> check(lambda x: x * x, cases)
    correct: 2 of 2 cases hold
    """
    for description, question, expected in cases:
        try:
            found = None if _missing(attempt) else question(attempt)
            undone, equal = _missing(found), _equal(found, expected, within)
        except NotImplementedError:
            undone = True
        # whatever a reader's code does, the answer is a sentence
        except (Exception, SystemExit) as error:
            print(f"not yet: for {description}, it stopped with {type(error).__name__}: {error}")
            return
        if undone:
            print(
                "not done yet (or a return is missing): complete the cell above, run it, then run this one"
            )
            return
        if not equal:
            print(f"not yet: for {description}, found {_show(found)}, expected {_show(expected)}")
            return
    print(f"correct: {len(cases)} of {len(cases)} cases hold")


def _missing(value):
    """Whether this is a place still to be filled, alone or inside a tuple or list."""
    if isinstance(value, (tuple, list)):
        return any(_missing(part) for part in value)
    return value is None or value is Ellipsis


def _equal(found, expected, within):
    """Whether two answers agree: numbers of one shape by value, tuples part by part, anything else by ``==``."""
    if isinstance(expected, (tuple, list)) and isinstance(found, (tuple, list)):
        return len(found) == len(expected) and all(
            _equal(f, e, within) for f, e in zip(found, expected)
        )
    try:
        found, expected = np.asarray(found), np.asarray(expected)
        if found.dtype == bool or expected.dtype == bool:
            return found.shape == expected.shape and bool(np.all(found == expected))
        if found.shape != expected.shape:
            return False
        difference = subtractable(found) - subtractable(expected)
        return bool(np.all(np.abs(difference) <= within))
    except (TypeError, ValueError):  # not numbers at all
        return bool(np.all(found == expected))


def _show(value):
    """A value as short text.

    >>> _show(np.array([0.1 + 0.2, 1.0]))
    '[0.3 1. ]'
    """
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(_show(part) for part in value) + ")"
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    text = (
        np.array2string(value, precision=4, threshold=20)
        if isinstance(value, np.ndarray)
        else str(value)
    )
    text = " ".join(text.split())  # one line, whatever it is
    return text if len(text) <= 200 else text[:200] + " ..."
