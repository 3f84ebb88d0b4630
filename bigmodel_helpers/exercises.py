"""Exercises that check themselves and never raise."""

import contextlib
import functools
import signal
import threading
import types
from _thread import interrupt_main
from time import sleep

import numpy as np

from .claims import subtractable


def check(attempt, cases, *, within=1e-6, seconds=60):
    """Compare a reader's answer with what it should be, case by case, and say in one line how it stands.

    Args:
        attempt: the answer: a number, an array, or a function. ``None``, ``...``, and a function that returns one of
            these or raises ``NotImplementedError`` count as "not done yet".
        cases: list of ``(description, question, expected)``. `question` is a function that is given the attempt;
            what it returns is compared with `expected` (numbers and arrays by value, everything else by ``==``). For a
            number or a vector, axes of length 1 more do not matter; a matrix must have its shape.
        within: how far apart two numbers may lie (absolute).
        seconds: after so many, for one case, an answer that has not ended is stopped.

    It prints; it never raises, so that "Run All" always reaches the end. What was expected is printed only where the
    answer is a function: of a number it would be the solution.

    >>> cases = [("the square of 3", lambda f: f(3), 9), ("the square of -2", lambda f: f(-2), 4)]
    >>> check(lambda x: ..., cases)
    not done yet (or a return is missing): complete the cell above, run it, then run this one
    >>> check(lambda x: x * abs(x), cases)
    not yet: for the square of -2, found -4, expected 4
    >>> check(lambda x: x / 0, cases)
    not yet: for the square of 3, it stopped with ZeroDivisionError: division by zero
    >>> check(lambda x: x * x, cases)
    correct: 2 of 2 cases hold
    >>> parts = [("the first", lambda answer: answer[0], 3), ("the second", lambda answer: answer[1], 4)]
    >>> check((3, ...), parts)
    not done yet: 1 of 2 parts is missing
    >>> check((3, 5), parts)
    not yet: for the second, found 5
    """
    for description, question, expected in cases:
        returned = []
        try:
            with _no_longer_than(seconds):
                found = attempt if _missing(attempt) else question(_noting(attempt, returned))
                equal = not _missing(found) and _equal(found, expected, within)
        except KeyboardInterrupt:  # the reader's own
            raise
        # whatever a reader's code does, the answer is a sentence
        except BaseException as error:
            stopped = f"it stopped with {type(error).__name__}: {_text(error)}"
            found, equal = None if isinstance(error, NotImplementedError) else stopped, False
        else:
            stopped = None
        if not equal and returned and _missing(returned[-1]):
            found = returned[-1]  # a question may do anything with it, or stop
        if equal:
            continue
        if missing := _missing(found):
            parts = _parts(found)
            are = "is" if missing == 1 else "are"
            print(
                f"not done yet: {missing} of {parts} parts {are} missing"
                if missing < parts
                else "not done yet (or a return is missing): complete the cell above, run it, then run this one"
            )
        elif stopped:
            print(f"not yet: for {description}, {stopped}")
        else:
            solution = f", expected {_show(expected)}" if callable(attempt) else ""
            print(f"not yet: for {description}, found {_show(found)}{solution}")
        return
    print(f"correct: {len(cases)} of {len(cases)} cases hold")


def _noting(attempt, returned):
    """The attempt, and if it is a function, one that notes in a list what it returns."""
    if not isinstance(attempt, types.FunctionType):
        return attempt

    @functools.wraps(attempt)
    def noting(*given, **named):
        returned.append(attempt(*given, **named))
        return returned[-1]

    return noting


@contextlib.contextmanager
def _no_longer_than(seconds):
    """Interrupt what runs too long, as the reader's own stop button does; that one still works."""
    main = threading.main_thread()
    if threading.current_thread() is not main:
        yield  # no other thread can be interrupted
        return
    rung, left = threading.Event(), threading.Event()

    def ring():
        while not left.wait(seconds):  # once more, if the answer has caught the first one
            rung.set()
            _interrupt(main)

    clock = threading.Thread(target=ring, daemon=True)
    clock.start()
    try:
        yield
        left.set()
        clock.join()
        if rung.is_set():
            sleep(1)  # an interruption that was sent and has not arrived arrives here
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        if not rung.is_set():
            raise
        raise TimeoutError(f"{seconds:g} seconds were not enough") from None
    finally:
        left.set()


def _interrupt(thread):
    """As Ctrl+C: also what waits for something is woken, where the system can do that."""
    if not callable(signal.getsignal(signal.SIGINT)):
        return  # a program that has been told not to be interrupted
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread.ident, signal.SIGINT)
    else:
        interrupt_main()


def _missing(value):
    """How many places are still to be filled, alone or inside a tuple or list."""
    if isinstance(value, (tuple, list)):
        return sum(map(_missing, value))
    return int(value is None or value is Ellipsis)


def _parts(value):
    """How many places there are, alone or inside a tuple or list.

    >>> _parts((1, [2, None])), _parts(...)
    (3, 1)
    """
    return sum(map(_parts, value)) if isinstance(value, (tuple, list)) else 1


def _equal(found, expected, within):
    """Whether two answers agree: numbers by value, tuples part by part, anything else by ``==``.

    A number or vector may have more axes of length 1: which, nobody was told.

    >>> _equal([[1.0], [2.0]], [1.0, 2.0], 0), _equal([[1.0, 2.0]], [[1.0], [2.0]], 0)
    (True, False)
    """
    in_parts = isinstance(expected, (tuple, list)) and isinstance(found, (tuple, list))
    if in_parts and len(found) == len(expected):
        return all(_equal(f, e, within) for f, e in zip(found, expected))
    try:
        found, expected = np.asarray(found), np.asarray(expected)
        if expected.ndim < 2 and found.size == expected.size and np.squeeze(found).ndim < 2:
            found = found.reshape(expected.shape)
        if found.dtype == bool or expected.dtype == bool:
            return found.shape == expected.shape and bool(np.all(found == expected))
        if found.shape != expected.shape:
            return False
        difference = subtractable(found) - subtractable(expected)
        return bool(np.all(np.abs(difference) <= within))
    except (TypeError, ValueError):  # not numbers at all
        with contextlib.suppress(ValueError):  # arrays of several shapes
            return not in_parts and bool(np.all(found == expected))
        return False


def _show(value):
    """A value as short text.

    >>> _show(np.array([0.1 + 0.2, 1.0]))
    '[0.3 1. ]'
    """
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(_show(part) for part in value) + ")"
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    return _text(value)


def _text(value):
    """What something says of itself, in one short line, whatever it is."""
    try:
        text = (
            np.array2string(value, precision=4, threshold=20)
            if isinstance(value, np.ndarray)
            else str(value)
        )
    except Exception:  # a reader's own class may say anything, or stop
        text = f"something of type {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:200] + " ..."
