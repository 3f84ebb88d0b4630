"""Checks of exercises: right, wrong, undone and raising answers each get their sentence, and nothing ever raises."""

import contextlib
import signal
import threading
from _thread import interrupt_main
from time import monotonic, sleep

import numpy as np
import pytest
import tensorflow as tf

import bigmodel_helpers as bh

UNDONE = "not done yet (or a return is missing): complete the cell above, run it, then run this one"

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
        (np.int8([-128]), [("bytes", lambda a: a, np.int8([0]))], "not yet"),
        ([[1.0, 2.0]], [("a row", lambda a: a, (1.0, 2.0))], "correct"),
        (
            np.ones(3),
            [("parts", lambda a: a, (np.ones(2), np.ones(3)))],
            "not yet: for parts, found",
        ),
        (lambda x: None, [("its first", lambda f: f(1)[0], 1)], "not done yet (or a return"),
        (lambda x: (1, ...), [("its sum", lambda f: sum(f(1)), 1)], "not done yet: 1 of 2 parts"),
        (lambda x: ..., [("its shape", lambda f: np.shape(f(1)), (2,))], "not done yet (or"),
        (lambda x: None, [("nothing", lambda f: f(1) is None, True)], "correct"),
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


TWO = [("both", lambda answer: answer, (1.0, 2.0))]


@pytest.mark.parametrize(
    ("attempt", "cases", "start"),
    [
        # a millionth apart is equal, twice that is not
        (1.0000009, [("one", lambda a: a, 1.0)], "correct"),
        (1.000002, [("one", lambda a: a, 1.0)], "not yet: for one, found 1\n"),
        (0.999998, [("one", lambda a: a, 1.0)], "not yet"),
        ([1.0, 2.000002], [("list", lambda a: a, [1.0, 2.0])], "not yet"),
        # a part too many or too few, or the parts in another order
        ((1.0, 2.0, 3.0), TWO, "not yet: for both, found (1, 2, 3)\n"),
        ((1.0,), TWO, "not yet: for both, found (1)\n"),
        ((), TWO, "not yet"),
        (1.0, TWO, "not yet: for both, found 1\n"),
        ((1.0, 2.0), [("one", lambda a: a, 1.0)], "not yet: for one, found (1, 2)\n"),
        ((2.0, 1.0), TWO, "not yet"),
        ([1.0, 2.0], TWO, "correct"),
        (np.array([1.0, 2.0]), TWO, "correct"),
        (np.array([1.0, 3.0]), [("two", lambda a: a, np.array([1.0, 2.0]))], "not yet"),
        (((1.0, 2.0), "a"), [("parts", lambda a: a, ((1.0, 2.0), "a"))], "correct"),
        (((1.0, 2.1), "a"), [("parts", lambda a: a, ((1.0, 2.0), "a"))], "not yet"),
        ((1.0, None), TWO, "not done yet"),
        ([1.0, ...], TWO, "not done yet"),
        # shapes are not stretched, and a number is no truth
        (np.array([3.0, 3.0]), [("one", lambda a: a, 3.0)], "not yet"),
        (3.0, [("two", lambda a: a, np.array([3.0, 3.0]))], "not yet"),
        (np.ones(3, bool), [("truths", lambda a: a, np.ones((1, 3), bool))], "not yet"),
        (np.array([True, False]), [("truths", lambda a: a, [True, True])], "not yet"),
        (np.array([True, False]), [("truths", lambda a: a, np.array([True, True]))], "not yet"),
        (True, [("one", lambda a: a, 1)], "correct"),
        (0, [("a truth", lambda a: a, True)], "not yet"),
        (2, [("a truth", lambda a: a, True)], "not yet"),
        (True, [("two", lambda a: a, 2)], "not yet"),
        (True, [("nearly one", lambda a: a, 1.0000001)], "not yet"),
        (1.0000001, [("a truth", lambda a: a, True)], "not yet"),
        (np.array(["a", "b"]), [("words", lambda a: a, np.array(["a", "c"]))], "not yet"),
        (np.array(["a", "b"]), [("words", lambda a: a, np.array(["a", "b"]))], "correct"),
        ("two", [("a number", lambda a: a, 2)], "not yet: for a number, found two\n"),
        ({"a": 1}, [("a dictionary", lambda a: a, {"a": 1})], "correct"),
        ({"a": 1}, [("a dictionary", lambda a: a, {"a": 2})], "not yet"),
    ],
)
def test_what_is_equal_and_what_is_not(attempt, cases, start, capsys):
    bh.check(attempt, cases)
    assert capsys.readouterr().out.startswith(start)


@pytest.mark.parametrize("shape", [(2,), (1, 2), (2, 1), (1, 2, 1)])
@pytest.mark.parametrize("kind", [np.array, tf.constant, np.float32])
def test_a_vector_is_a_vector_whatever_axes_of_length_one_it_has(shape, kind, capsys):
    bh.check(kind(np.reshape([1.0, 2.0], shape)), [("two", lambda a: a, [1.0, 2.0])])
    bh.check(lambda: kind(np.reshape([1.0, 2.0], shape)), [("two", lambda f: f(), (1.0, 2.0))])
    bh.check(kind(np.reshape([2.0, 1.0], shape)), [("two", lambda a: a, np.array([1.0, 2.0]))])
    said = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == ["correct", "correct", "not yet"]


@pytest.mark.parametrize("answer", [3.0, [3.0], [[3.0]], np.float32(3), tf.constant([[3.0]])])
def test_a_number_is_a_number_whatever_axes_it_has(answer, capsys):
    bh.check(answer, [("three", lambda a: a, 3.0)])
    bh.check(answer, [("three, in brackets", lambda a: a, np.array([3.0]))])
    assert capsys.readouterr().out == 2 * "correct: 1 of 1 cases hold\n"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (np.ones((2, 2)), np.ones(4)),
        (np.ones((1, 4)), np.ones((4, 1))),
        (np.ones(4), np.ones((4, 1))),
        (np.ones((2, 2)), 1.0),
        (np.ones((1, 0)), np.ones(1)),
    ],
)
def test_a_matrix_has_its_shape(found, expected, capsys):
    bh.check(found, [("it", lambda a: a, expected)])
    assert capsys.readouterr().out.startswith("not yet")


@pytest.mark.parametrize(
    ("attempt", "line"),
    [
        ((1.0, ...), "not done yet: 1 of 2 parts is missing"),
        ((None, (2.0, ..., 3.0)), "not done yet: 2 of 4 parts are missing"),
        (lambda x: (x, None), "not done yet: 1 of 2 parts is missing"),
        ((..., ...), UNDONE),
        (lambda x: (None, None), UNDONE),
        ([...], UNDONE),
        (((..., ...), ...), UNDONE),
    ],
)
def test_not_begun_and_not_finished_are_two_things(attempt, line, capsys):
    bh.check(attempt, [("both", lambda a: a(1.0) if callable(a) else a, (1.0, 2.0))])
    assert capsys.readouterr().out == line + "\n"


def for_ever(x):
    while True:
        pass


def test_an_answer_that_never_ends_is_stopped_with_a_sentence(interruptible, capsys):
    bh.check(for_ever, SQUARES, seconds=0.2)
    sentence = "not yet: for 2, it stopped with TimeoutError: 0.2 seconds were not enough\n"
    assert capsys.readouterr().out == sentence
    before = threading.active_count()
    bh.check(lambda x: x * x, SQUARES, seconds=0.2)
    sleep(0.4)  # the clock of an answer that has ended rings no more
    assert capsys.readouterr().out == "correct: 2 of 2 cases hold\n"
    assert threading.active_count() <= before


class Untellable:
    def __str__(self):
        raise ValueError("no words")


class Unspeakable(BaseException, Untellable):
    __str__ = Untellable.__str__


def test_what_cannot_be_told_is_told_by_its_type(capsys):
    def stopping(x):
        raise Unspeakable

    for answer in (stopping, lambda x: Untellable()):
        bh.check(answer, SQUARES)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "not yet: for 2, it stopped with Unspeakable: something of type Unspeakable",
        "not yet: for 2, found something of type Untellable, expected 4",
    ]


def catching(x):
    """Ends on its own after ten seconds, whoever interrupts it."""
    began = monotonic()
    while monotonic() - began < 10:
        try:
            sleep(0.01)
        except KeyboardInterrupt:
            if monotonic() - began > 1:
                raise
    return x * x


def caught_once(x):
    """Right, but too late, and the clock was not heard."""
    with contextlib.suppress(KeyboardInterrupt):
        sleep(5)
    return x * x


@pytest.mark.parametrize("answer", [lambda x: sleep(30), catching, caught_once])
def test_who_waits_or_will_not_hear_is_stopped_too(answer, interruptible, capsys):
    began = monotonic()
    bh.check(answer, SQUARES, seconds=0.4)
    assert "it stopped with TimeoutError: 0.4 seconds" in capsys.readouterr().out
    assert monotonic() - began < 4


def test_who_must_not_be_interrupted_is_not(capsys):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        bh.check(lambda x: sleep(0.3) or x * x, SQUARES[:1], seconds=0.1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "it stopped with TimeoutError: 0.1 seconds" in capsys.readouterr().out


def test_the_readers_own_stop_button_stops_the_cell(interruptible):
    def stopped(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bh.check(stopped, SQUARES)


def test_a_clock_that_rings_at_the_last_moment_is_waited_for(interruptible, monkeypatch, capsys):
    """The interruption was sent, and had not arrived when the answer ended: it arrives in the check, not after it."""
    late = threading.Event()

    def ring_late(thread):
        late.wait()
        interrupt_main()

    monkeypatch.setattr(bh.exercises, "_interrupt", ring_late)

    def answer(x):
        sleep(0.3)
        threading.Timer(0.1, late.set).start()
        return x * x

    bh.check(answer, SQUARES, seconds=0.1)
    assert "it stopped with TimeoutError: 0.1 seconds" in capsys.readouterr().out


def test_in_another_thread_there_is_no_clock(capsys):
    thread = threading.Thread(target=bh.check, args=(lambda x: x * x, SQUARES))
    thread.start()
    thread.join()
    assert capsys.readouterr().out == "correct: 2 of 2 cases hold\n"


def test_how_far_apart_numbers_may_lie_can_be_said(capsys):
    for answer, start in ((1.25, "correct"), (0.75, "correct"), (1.26, "not yet")):
        bh.check(answer, [("one", lambda a: a, 1.0)], within=0.25)
        bh.check((answer, 1.0), [("two", lambda a: a, (1.0, 1.0))], within=0.25)
        assert [line[: len(start)] for line in capsys.readouterr().out.splitlines()] == 2 * [start]


@pytest.mark.parametrize(
    ("answer", "line", "last"),
    [
        (lambda n: n * 2, "correct: 4 of 4 cases hold", 3),
        (lambda n: n * n, "not yet: for 1, found 1, expected 2", 1),
        (lambda n: None if n == 2 else n * 2, "not done yet", 2),
        (lambda n: 1 / 0 if n == 3 else n * 2, "not yet: for 3, it stopped with ZeroDivision", 3),
    ],
)
def test_cases_are_asked_in_order_up_to_the_first_that_fails(answer, line, last, capsys):
    asked = []
    cases = [(str(n), lambda f, n=n: asked.append(n) or f(n), n * 2) for n in range(4)]
    assert bh.check(answer, cases) is None
    said = capsys.readouterr().out
    assert said.startswith(line) and said.count("\n") == 1
    assert asked == list(range(last + 1))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (np.float32(1 / 3), "0.333333"),
        (1234567.0, "1.23457e+06"),
        (np.array([1 / 3, 2.0]), "[0.3333 2. ]"),
        (np.arange(20), "[ 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19]"),
        (np.arange(21), "[ 0 1 2 ... 18 19 20]"),
        ((1 / 3, [2, "a"]), "(0.333333, (2, a))"),
        ("a\n  b", "a b"),
        ("a" * 200, "a" * 200),
        ("a" * 201, "a" * 200 + " ..."),
    ],
)
def test_an_answer_is_shown_as_one_short_line(value, text, capsys):
    bh.check(value, [("it", lambda a: a, "something else")])
    assert capsys.readouterr().out == f"not yet: for it, found {text}\n"
    bh.check(lambda: value, [("it", lambda f: f(), "something else")])
    assert capsys.readouterr().out == f"not yet: for it, found {text}, expected something else\n"
