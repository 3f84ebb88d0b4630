"""The engine of chapter 01, taken from the notebook and held against things that the chapter does not use."""

import re
from pathlib import Path

import chapters
import nbformat
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import tensorflow as tf
from matplotlib.figure import Figure

import bigmodel_helpers as bh

CHAPTER = nbformat.read(
    Path(__file__).parent.parent / "notebooks" / "01_backprop.ipynb", as_version=4
)
ENGINE = [cell.source for cell in CHAPTER.cells if "engine" in cell.metadata.get("tags", [])]
COST = next(cell.source for cell in CHAPTER.cells if cell.source.startswith("COST = "))


@pytest.fixture
def engine():
    names = {"np": np, "count": __import__("itertools").count}
    exec("\n".join([*ENGINE, COST.split("\n\n\nu, v")[0]]), names)
    return names


def test_the_engine_has_fewer_than_80_lines_of_code():
    lines = [line for source in ENGINE for line in source.splitlines() if line.strip()]
    assert 50 < len(lines) < 80


class Counted:
    """A number that counts what is done with it."""

    done = 0

    def __init__(self, value):
        self.value = value

    def __add__(self, other):
        Counted.done += 1
        return Counted(self.value + getattr(other, "value", other))

    def __mul__(self, other):
        Counted.done += 1
        return Counted(self.value * getattr(other, "value", other))

    def __rsub__(self, other):
        Counted.done += 1
        return Counted(other - self.value)

    def __truediv__(self, other):
        Counted.done += 1
        return Counted(self.value / other.value)

    def __rtruediv__(self, other):
        Counted.done += 1
        return Counted(other / self.value)

    def __neg__(self):
        Counted.done += 1
        return Counted(-self.value)

    def __gt__(self, other):
        return self.value > other

    def tanh(self):
        Counted.done += 1
        return Counted(np.tanh(self.value))

    def exp(self):
        Counted.done += 1
        return Counted(np.exp(self.value))

    def log(self):
        Counted.done += 1
        return Counted(np.log(self.value))

    __radd__, __rmul__ = __add__, __mul__


def counted(*shape):
    return np.array(
        [Counted(x) for x in np.linspace(0.5, 1.5, int(np.prod(shape)))], dtype=object
    ).reshape(shape)


@pytest.mark.parametrize(
    ("name", "shapes", "forward_free"),
    [
        ("add", [(4, 3), (4, 3)], 0),
        ("add", [(4, 3), (3,)], 0),
        ("multiply", [(4, 3), (4, 3)], 0),
        ("exp", [(4, 3)], 0),
        ("multiply", [(4, 3), (1, 3)], 0),
        ("multiply", [(4, 1), (1, 3)], 0),
        ("tanh", [(4, 3)], 0),
        ("relu", [(4, 3)], 0),
        ("log", [(4, 3)], 0),
        ("sigmoid", [(4, 3)], -3 * 12),
        ("matmul", [(4, 5), (5, 3)], 12),
        ("matmul", [(4, 1), (1, 3)], 12),
        ("total", [(4, 3)], 1),
        ("total", [(1, 1)], 1),
    ],
)
def test_the_cost_table_is_what_numbers_that_count_themselves_say(
    engine, name, shapes, forward_free
):
    """Forward, the table counts the first term of a running total too; machines save that (`forward_free`). A sigmoid
    counts as one function there, where the engine makes four operations of each entry.
    """
    nodes = [engine["Node"](np.ones(shape)) for shape in shapes]
    for node, shape in zip(nodes, shapes):
        node.value = counted(*shape)
    Counted.done = 0
    result = engine[name](*nodes)
    forward, Counted.done = Counted.done, 0
    result.grad = counted(*np.shape(result.value)) if np.shape(result.value) else Counted(1.0)
    for node in nodes:
        node.grad = np.zeros_like(node.value)
    for parent, grad in zip(result.parents, result.vjp(np.asarray(result.grad, dtype=object))):
        parent.grad = parent.grad + grad
    table = engine["cost"](result)
    assert (forward + forward_free, Counted.done) == tuple(table)


def test_no_row_of_the_table_costs_more_than_four_times_as_much_backward(engine):
    assert all(backward <= 4 * forward for forward, backward in engine["COST"].values())


@pytest.mark.parametrize(
    "shapes", [[(3,), ()], [(2, 3), (3,)], [(2, 1, 3), (4, 1)], [(1, 1), (5, 4)], [(), (2, 2)]]
)
@pytest.mark.parametrize("name", ["add", "multiply"])
def test_broadcasting_gives_the_slopes_that_scipy_finds(engine, name, shapes):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in shapes]
    weights = rng.normal(size=np.broadcast_shapes(*shapes))

    def loss(row):
        parts = np.split(row, [values[0].size])
        nodes = [engine["Node"](part.reshape(shape)) for part, shape in zip(parts, shapes)]
        root = engine["total"](engine[name](*nodes) * weights)
        root.backward()
        return float(root.value), np.concatenate([node.grad.ravel() for node in nodes])

    row = np.concatenate([value.ravel() for value in values])
    slopes = scipy.optimize.approx_fprime(row, lambda r: loss(r)[0], 1e-7)
    assert np.allclose(loss(row)[1], slopes, atol=1e-5)


def test_a_chain_of_ten_thousand_steps_is_no_problem(engine):
    node = start = engine["Node"](1.0)
    for _ in range(10_000):
        node = node + start * 1e-4
    node.backward()
    assert np.isclose(start.grad, 2.0)


def test_calling_backward_twice_gives_the_same_gradient(engine):
    node = engine["Node"](3.0)
    result = node * node
    result.backward()
    result.backward()
    assert node.grad == 6.0


def test_random_programs_keep_away_from_what_a_difference_cannot_see(engine):
    """From the bend of relu and from the steep end of log; from nothing else, or less would be tried."""
    names = ["ENGINE", "too_sharp", "random_program"]
    _, sharp, draw = chapters.functions("01_backprop", names, engine)
    near, far = (
        [sharp("relu", np.array([1, sign * size])) for sign in (1, -1)] for size in (5e-4, 2e-3)
    )
    assert near == [True, True] and far == [False, False]
    assert not sharp("relu", np.zeros(3)), "at 0 itself, the slope is known"
    assert not sharp("tanh", np.array([5e-4])) and not sharp("exp", np.array([5e-4]))
    assert sharp("log", np.array([5, 0.05])) and not sharp("log", np.array([5, 0.2]))
    rng = np.random.default_rng(0)
    leaves = [rng.normal(size=shape) for shape in ((3, 3), (1, 3), (3, 1), (3,), ())]
    programs = [draw(rng, leaves) for _ in range(100)]
    assert {len(program) for program in programs} == {8}
    used = [name for program in programs for name, _ in program]
    assert len(set(used)) == 11 and min(map(used.count, used)) >= 8


def test_functions_agree_with_scipys(engine):
    x = np.linspace(-5, 5, 101)
    node = engine["Node"](x)
    assert np.allclose(engine["sigmoid"](node).value, scipy.special.expit(x), atol=1e-15)
    sums = engine["log"](engine["total"](engine["exp"](engine["Node"](x[None])), axis=1))
    assert np.isclose(sums.value, scipy.special.logsumexp(x))


def walk():
    """The picture of the small network, with numbers that are computed here by other means."""
    x, y = np.array([1.0, 2.0]), 1.0
    W1, W2 = np.array([[0.1, 0.3], [0.2, 0.4]]), np.array([0.5, -0.6])
    z1 = W1.T @ x
    a1 = scipy.special.expit(z1)
    z2 = W2 @ a1 + 0.1
    p = scipy.special.expit(z2)

    def J_from_z1(z):
        return (y - scipy.special.expit(W2 @ scipy.special.expit(z) + 0.1)) ** 2 / 2

    grad_p, grad_z2 = p - 1, (p - 1) * p * (1 - p)
    grad_z1 = scipy.optimize.approx_fprime(z1, J_from_z1, 1e-7)
    known = dict(x=x, z1=z1, a1=a1, z2=z2, p=p, W1=W1, W2=W2, J=(y - p) ** 2 / 2, bh=bh)
    known |= dict(grad_p=grad_p, grad_z2=grad_z2, grad_z1=grad_z1)
    known |= dict(grad_a1=grad_z2 * W2, grad_W1=x[:, None] * grad_z1, grad_W2=grad_z2 * a1)
    names = ["CIRCLES", "WIRES", "WALK", "draw_walk"]
    return known, *chapters.functions("01_backprop", names, known)


def test_the_walk_says_the_numbers_of_the_network():
    known, circles, wires, steps, _ = walk()
    said = [re.findall(r"\d\.\d+", rule) for _, rule in steps]
    a1, p, grad_p, grad_z2 = (known[name] for name in ("a1", "p", "grad_p", "grad_z2"))
    expected = [[], [], [p, -grad_p], [-grad_p, p * (1 - p), -grad_z2], a1, [0.5, 0.6]]
    expected += [a1 * (1 - a1), []]
    for texts, values in zip(said, expected, strict=True):
        assert [float(text) for text in texts] == pytest.approx(values, abs=5e-5)
    for name, (*_, value, grad) in circles.items():
        kind, place = re.fullmatch(r"(\w+?)(?:\[(\d)\])?", name).groups()
        places = ... if place is None else int(place)
        assert value == np.asarray(known[kind])[places]
        if kind in ("z1", "a1", "z2", "p"):
            assert grad == np.asarray(known[f"grad_{kind}"])[places]
    for name, (weight, grad) in wires.items():
        places = tuple(int(place) for place in re.findall(r"\[(\d)\]", name))
        layer = "W1" if name.startswith("x") else "W2"
        assert (weight, grad) == (known[layer][places], known[f"grad_{layer}"][places])


def test_each_step_of_the_walk_shows_what_has_been_reached():
    *_, draw = walk()
    for step, (reached, lit) in enumerate(zip([0, 1, 2, 3, 5, 7, 9, 13], [0, 0, 0, 0, 2, 0, 0, 4])):
        figure = Figure(figsize=(8, 4))
        assert f"after step {step} of 7 backward" in draw(figure, step=step)
        (axes,) = figure.axes
        assert sum(text.get_color() == bh.COLOURS["red"] for text in axes.texts) == reached
        assert sum(line.get_linewidth() == 3 for line in axes.lines) == lit


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu"])
def test_the_neuron_seen_from_above_is_the_engines(engine, name):
    draw, bends = chapters.functions("01_backprop", ["draw_neuron", "BENDS"], {"np": np, "bh": bh})
    figure = Figure(figsize=(8, 4))
    draw(figure, weight_1=1.0, weight_2=-2.0, bias=0.5, activation=name)
    plane, curve = figure.axes[:2]
    (picture,) = plane.images
    for row, column, z in ((0, 0, 3.5), (60, 0, -8.5), (0, 60, 9.5), (30, 40, 1.5)):
        assert picture.get_array()[row, column] == pytest.approx(
            engine[name](engine["Node"](z)).value, abs=1e-12
        )
    assert tuple(picture.get_extent()) == (-3, 3, -3, 3) and picture.origin == "lower"
    assert picture.get_clim() == {"sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, 6)}[name]
    values, slopes = (line.get_ydata() for line in curve.lines[:2])
    z = engine["Node"](curve.lines[0].get_xdata())
    engine["total"](engine[name](z)).backward()
    assert np.allclose(values, engine[name](z).value, atol=1e-12)
    assert np.allclose(slopes, z.grad, atol=1e-12)


def test_the_open_exercise_counts_errors_and_no_answer_may_depend_on_the_order():
    """Fewer than chapter 00's 23 are better; labels that are not read from the pictures are worth nothing."""
    labels = np.arange(100) % 10
    pictures = labels[:, None] * 1.0
    known = {"np": np, "X_test": pictures, "test_labels": labels}
    (verdict,) = chapters.functions("01_backprop", ["verdict"], known)

    def reader(wrong):
        return lambda X: np.where(rank(X) < wrong, -1, X[:, 0])

    def rank(X):
        return np.argsort(np.argsort(X[:, 0], kind="stable"))

    for wrong, said in ((0, "fewer than 23"), (22, "fewer than 23"), (23, 23), (100, 100)):
        assert verdict(reader(wrong)) == said
    for shape in (lambda x: x[:, None], lambda x: x[None], list, tf.constant):
        assert verdict(lambda X, shape=shape: shape(reader(3)(X))) == "fewer than 23"
    assert verdict(lambda X: labels) > 80, "the labels in the order in which they are stored"
    assert verdict(lambda X: None) is None
    assert verdict(lambda X: labels[:7]) == "an answer of shape (7,) instead of (100,)"
    assert verdict(lambda X: np.eye(10)[labels]) == "an answer of shape (100, 10) instead of (100,)"


def test_the_five_new_forms_begin_where_the_labels_say():
    """A form starts with three runs of ten digits; the fourth lacks two of them at the top."""
    (cell,) = [cell.source for cell in CHAPTER.cells if "np.repeat(np.arange(5)," in cell.source]
    (line,) = [line for line in cell.splitlines() if line.startswith("form = ")]
    known = {"np": np}
    exec(line, known)
    labels = bh.load_data("digits")[1][1].tolist()
    mark = [0, 9, 5, 5, 6, 5, 0, 9, 8, 9]
    marks = [i for i in range(len(labels)) if labels[i : i + 10] == mark]
    starts = np.searchsorted(known["form"], np.arange(5))
    assert (np.array(marks) - starts).tolist() == [30, 30, 30, 28, 30]
    assert len(known["form"]) == len(labels) == 640


def test_the_gradient_to_correct_holds_the_three_mistakes_that_the_text_names():
    names = ["squared_error_gradients", "squared_error_solution"]
    stub, solution = chapters.functions("01_backprop", names, {"np": np})
    rng = np.random.default_rng(0)
    shapes = [(6, 3), (6, 1), (3, 4), (4,), (4, 1), (1,)]
    x, y, W1, b1, W2, b2 = (rng.normal(size=shape) for shape in shapes)
    z = x @ W1 + b1
    slope_left_out = np.maximum(0, z)
    delta = -2 / 6 * (np.maximum(0, z) @ W2 + b2 - y)
    delta_1 = (delta @ W2.T) * slope_left_out
    right = solution(x, y, W1, b1, W2, b2)
    for found, expected in zip(
        stub(x, y, W1, b1, W2, b2), (x.T @ delta_1, delta_1.mean(axis=0), -right[2], -right[3])
    ):
        assert np.allclose(found, expected, atol=1e-12)


def right_forms_of_division(engine):
    """Divisions that are right, each written in another form."""
    Node, unbroadcast = engine["Node"], engine["unbroadcast"]

    def by_products(a, b):
        return engine["multiply"](a, inverse(b))

    def inverse(b):
        r = 1 / b.value
        return Node(r, (b,), lambda g: (-g * r * r,), "inverse")

    def by_logarithms(a, b):  # of absolute values; the signs are constants
        signs = np.sign(a.value) * np.sign(b.value)
        sizes = [engine["log"](engine["multiply"](x, Node(np.sign(x.value)))) for x in (a, b)]
        return engine["exp"](sizes[0] - sizes[1]) * signs

    def directly(a, b):
        def vjp(g):
            grads = g / b.value, -g * a.value / b.value**2
            return [unbroadcast(grad, x.value.shape) for grad, x in zip(grads, (a, b))]

        return Node(a.value / b.value, (a, b), vjp)

    def the_other_way_round(a, b):
        def vjp(g):
            return [
                np.float32(grad)
                for grad in (with_loops(-g * a.value / b.value**2, b), with_loops(g / b.value, a))
            ]

        return Node(tf.divide(a.value, b.value).numpy(), (b, a), vjp)

    def with_loops(grad, node):
        while grad.ndim > node.value.ndim:
            grad = grad.sum(axis=0)
        for axis in range(grad.ndim):
            if node.value.shape[axis] == 1:
                grad = grad.sum(axis=axis, keepdims=True)
        return grad

    return by_products, by_logarithms, directly, the_other_way_round


def wrong_forms_of_division(engine):
    """Divisions that are wrong, as learners write them."""
    Node, unbroadcast = engine["Node"], engine["unbroadcast"]

    def node(vjp):
        return lambda a, b: Node(a.value / b.value, (a, b), lambda g: vjp(g, a.value, b.value))

    def only_length_one(grad, shape):
        axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
        return grad.sum(axis=axes, keepdims=True) if len(shape) == grad.ndim else grad

    def only_missing(grad, shape):
        return grad.sum(axis=tuple(range(grad.ndim - len(shape))))

    def with_sums(undo):
        return node(lambda g, a, b: (undo(g / b, a.shape), undo(-g * a / b**2, b.shape)))

    def with_sums_of(grads):
        return node(
            lambda g, a, b: [unbroadcast(grad, x.shape) for grad, x in zip(grads(g, a, b), (a, b))]
        )

    sign = with_sums_of(lambda g, a, b: (g / b, g * a / b**2))
    power = with_sums_of(lambda g, a, b: (g / b, -g * a / b))

    def keeps_axes(grad, shape):
        longer = (1,) * (grad.ndim - len(shape)) + shape
        axes = tuple(axis for axis, size in enumerate(longer) if size == 1)
        return grad.sum(axis=axes, keepdims=True)

    def negative(a, b):
        return Node(
            -a.value / b.value,
            (a, b),
            lambda g: (
                -unbroadcast(g / b.value, a.value.shape),
                unbroadcast(g * a.value / b.value**2, b.value.shape),
            ),
        )

    def changes_the_gradient(a, b):
        """What comes in is divided where it stands, so the gradient at a / b is lost."""

        def vjp(g):
            g /= b.value
            grad_b = -g * a.value / b.value
            return unbroadcast(g, a.value.shape), unbroadcast(grad_b, b.value.shape)

        return Node(a.value / b.value, (a, b), vjp)

    size = with_sums_of(lambda g, a, b: (g / b, -g * np.abs(a) / b**2))
    ones = with_sums_of(lambda g, a, b: (0 * g + 1 / b, 0 * g - a / b**2))  # what comes in ignored
    wrong_sums = only_length_one, only_missing, keeps_axes, lambda grad, shape: grad
    return (
        *(sign, power, size, ones, negative, changes_the_gradient),
        lambda a, b: a * (1 / b.value),
        lambda a, b: right_forms_of_division(engine)[2](a, b) + 1.0,
        *(lambda a, b: Node(a.value / b.value), *map(with_sums, wrong_sums)),
    )


@pytest.mark.parametrize("form", range(4))
def test_right_divisions_of_any_form_are_accepted(engine, form, capsys):
    bh.check(
        right_forms_of_division(engine)[form], chapters.cases("01_backprop", "division", engine)
    )
    assert capsys.readouterr().out == "correct: 6 of 6 cases hold\n"


@pytest.mark.parametrize("form", range(13))
def test_wrong_divisions_are_refused(engine, form, capsys):
    bh.check(
        wrong_forms_of_division(engine)[form], chapters.cases("01_backprop", "division", engine)
    )
    assert capsys.readouterr().out.startswith("not yet")


def neuron_by_hand(x=(1.0, -2.0), w=(0.5, 0.25), y=1.0):
    """The gradients of exercise 1: at both weights, at the bias, at the first input."""
    a = np.tanh(np.dot(w, x))
    delta = (a - y) * (1 - a * a)
    return delta * x[0], delta * x[1], delta, delta * w[0]


def two_layers_made_one(W1, b1, W2, b2):
    return np.einsum("ij,jk->ik", W1, W2), np.dot(b1, W2) + b2


def by_asking(W1, b1, W2, b2):
    """What the layers make of zero, and of each unit vector."""
    bias = b1 @ W2 + b2
    return np.stack([(row + b1) @ W2 + b2 - bias for row in W1]), bias


def gradients_with(**other):
    """Exercise 3 solved, but for what is given as another lambda."""
    parts = {
        "delta_2": lambda error: 2 * error / len(error),
        "slope": lambda z, a: z > 0,
        "b": lambda delta: delta.sum(axis=0),
        "back": lambda delta, W: delta @ W.T,
    } | other

    def gradients(x, y, W1, b1, W2, b2):
        z = x @ W1 + b1
        a = np.maximum(0, z)
        delta_2 = parts["delta_2"](a @ W2 + b2 - y)
        delta_1 = parts["back"](delta_2, W2) * parts["slope"](z, a)
        return x.T @ delta_1, parts["b"](delta_1), a.T @ delta_2, delta_2.sum(axis=0)

    return gradients


def by_the_tape(x, y, W1, b1, W2, b2):
    variables = [tf.Variable(value) for value in (W1, b1, W2, b2)]
    with tf.GradientTape() as tape:
        W1, b1, W2, b2 = variables
        loss = tf.reduce_mean((tf.nn.relu(x @ W1 + b1) @ W2 + b2 - y) ** 2)
    return tape.gradient(loss, variables)


def row_by_row(x, y, W1, b1, W2, b2):
    gradients = [np.zeros(value.shape, "float64") for value in (W1, b1, W2, b2)]
    for row, target in zip(x, y):
        z = row @ W1 + b1
        delta_2 = 2 * (np.maximum(0, z) @ W2 + b2 - target) / len(x)
        delta_1 = (W2 @ delta_2) * (z > 0)
        parts = np.outer(row, delta_1), delta_1, np.outer(np.maximum(0, z), delta_2), delta_2
        gradients = [gradient + part for gradient, part in zip(gradients, parts)]
    return gradients


def in_place(x, y, W1, b1, W2, b2):
    """What it is given is written over."""
    a = np.maximum(0, x @ W1 + b1)
    y -= a @ W2 + b2
    y *= -2 / len(x)
    delta_1 = y @ W2.T * (a > 0)
    return x.T @ delta_1, delta_1.sum(axis=0)[None], a.T @ y, y.sum(axis=0)


def onto_the_bias(W1, b1, W2, b2):
    """The second bias is written over."""
    b2 += b1 @ W2
    return W1 @ W2, b2


def two_gradients_of_losses(x, y, w):
    with tf.GradientTape(persistent=True) as tape:
        w = tf.Variable(w, dtype=tf.float64)
        errors = w * x - y
        half_sum, mean = tf.reduce_sum(errors**2) / 2, tf.reduce_mean(errors**2)
    return tape.gradient(half_sum, w), tape.gradient(mean, w)


def collected(solve):
    return lambda x, y, w: solve((w * x - y) * x)


RIGHT = {
    "neuron": [
        (-1, 2, -1, -0.5),
        neuron_by_hand(),
        [np.float32(-1), np.array([2.0]), tf.constant(-1.0), np.array([[-0.5]])],
    ],
    "corrected": [
        gradients_with(),
        gradients_with(slope=lambda z, a: np.where(z > 0, 1.0, 0.0)),
        gradients_with(b=lambda delta: np.ones(len(delta)) @ delta),
        by_the_tape,
        row_by_row,
        in_place,
    ],
    "squares": [
        collected(lambda s: (s.sum(), 2 * s.mean())),
        lambda x, y, w: (x @ (w * x - y), 2 / len(x) * (x @ (w * x - y))),
        two_gradients_of_losses,
        lambda x, y, w: (w * np.dot(x, x) - np.dot(x, y), [2 * np.mean((w * x - y) * x)]),
        lambda x, y, w: [
            sum((w * p - q) * p for p, q in zip(x, y)) * share for share in (1, 2 / len(x))
        ],
    ],
    "collapse": [
        two_layers_made_one,
        by_asking,
        lambda W1, b1, W2, b2: (np.float64(W1 @ W2).tolist(), b1[None] @ W2 + b2),
        onto_the_bias,
        lambda *layers: tuple(map(tf.constant, two_layers_made_one(*layers))),
    ],
}
WRONG = {
    "neuron": [
        (1, -2, 1, 0.5),  # y - a
        (-1, -2, -1, -0.5),  # the sign of the second signal
        (-1, 2, 0, -0.5),  # a bias that nothing came into
        (-1, 2, -1, -1),  # the input without its weight
        (-0.5, 2, -1, -0.5),
        (-2, 4, -2, -1),  # the half forgotten
        (-0.25, 0.5, -0.25, -0.125),  # the slope of the sigmoid
        (0, 0, 0, 0),  # a in the place of its slope
    ],
    "corrected": [
        gradients_with(delta_2=lambda error: -2 * error / len(error)),
        gradients_with(delta_2=lambda error: error / len(error)),
        gradients_with(delta_2=lambda error: 2 * error / 6),
        gradients_with(slope=lambda z, a: np.sign(z)),
        gradients_with(b=lambda delta: 6 * delta.mean(axis=0)),
        gradients_with(slope=lambda z, a: a),
        gradients_with(b=lambda delta: delta.mean(axis=0)),
        gradients_with(back=lambda delta, W: delta @ np.abs(W.T)),
    ],
    "squares": [
        collected(lambda s: (s.sum(), s.mean())),
        collected(lambda s: (2 * s.sum(), 2 * s.mean())),
        collected(lambda s: (-s.sum(), -2 * s.mean())),
        collected(lambda s: (s.mean(), 2 * s.mean())),
        collected(lambda s: (8.0, 16 / 3)),
        collected(lambda s: (8 * len(s) / 3, 16 / 3)),
        collected(lambda s: (s.sum(), 2 * s[:3].mean())),
        collected(lambda s: (s.sum(), 2 * np.unique(s).mean())),
        lambda x, y, w: (((2 * x - y) * x).sum(), 2 * ((2 * x - y) * x).mean()),
        lambda x, y, w: (((w * x - y) * abs(x)).sum(), 2 * ((w * x - y) * abs(x)).mean()),
    ],
    "collapse": [
        lambda W1, b1, W2, b2: (W1 @ W2, b1 + b2.sum()),
        lambda W1, b1, W2, b2: (W1 @ W2, b1 @ W2),
        lambda W1, b1, W2, b2: (W1 @ W2, b2),
        lambda W1, b1, W2, b2: ((W1 + b1[None]) @ W2, b2),
        lambda W1, b1, W2, b2: (np.maximum(0, W1) @ W2, b1 @ W2 + b2),
        lambda W1, b1, W2, b2: (np.stack([W1[i] @ W2 for i in range(3)]), b1 @ W2 + b2),
        lambda W1, b1, W2, b2: (sum(np.outer(W1[:, i], W2[i]) for i in range(5)), b1 @ W2 + b2),
        lambda W1, b1, W2, b2: (W1 @ W2, b1.sum() + b2),
        lambda W1, b1, W2, b2: ((W1 @ W2).T, b1 @ W2 + b2),
    ],
}


@pytest.fixture
def ask(engine, capsys):
    """What the check of an exercise, named by its cases, says to an answer."""
    (central_difference,) = chapters.functions("01_backprop", ["central_difference"], {"np": np})
    known = engine | {"np": np, "central_difference": central_difference}
    return chapters.asked_of("01_backprop", known, capsys)


(
    test_right_answers_of_any_form_are_accepted,
    test_wrong_answers_are_refused,
    test_a_wrong_number_is_not_told_the_right_one,
) = chapters.tests_of_answers(RIGHT, WRONG, numbers=["neuron"])
