"""Chapter 00: its counts against other ways of counting, and its tables against the book."""

import re

import chapters
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure

import bigmodel_helpers as bh

with bh.quietly():
    import keras
    import tensorflow as tf

NOTEBOOKS = chapters.ROOT / "notebooks"
# blocks that fit on so many GPUs: 16 (12 d^2 L + 13 d L + 52,307 d) + 34 * 2048 d L bytes with d = 128 L
FITTING = {1: 28, 2: 35, 8: 57, 68: 118, 512: 234, 2554: 400}


def functions(*names, **known):
    return chapters.functions("00_start_here", names, {"np": np, "bh": bh} | known)


def prose(path):
    return [
        cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    ]


def rows(heading):
    """The rows of the table under this heading, as lists of cells."""
    (section,) = [
        text for text in prose(NOTEBOOKS / "00_start_here.ipynb") if text.startswith(heading)
    ]
    return [
        [part.strip() for part in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ][2:]


@pytest.mark.parametrize("sizes", [(5, 1), (64, 32, 10), (7, 3, 9, 2)])
def test_dense_parameters_are_those_of_a_keras_network(sizes):
    (dense_parameters,) = functions("dense_parameters")
    network = keras.Sequential([
        keras.Input((sizes[0],)),
        *(keras.layers.Dense(size) for size in sizes[1:]),
    ])
    assert dense_parameters(*sizes) == network.count_params()


def test_published_counts():
    """Counts that others found by building the models with random weights."""
    gpt, bert, vision_transformer, *_ = functions(
        "gpt", "bert", "vision_transformer", "block", "dense_parameters"
    )
    assert [
        gpt(blocks, d, 50_257, 1024)
        for blocks, d in ((12, 768), (24, 1024), (36, 1280), (48, 1600))
    ] == [124_439_808, 354_823_168, 774_030_080, 1_557_611_200]
    assert (bert(12, 768), bert(24, 1024)) == (109_482_240, 335_141_888)
    assert vision_transformer(12, 768) == 86_567_656


def test_flops_are_those_of_a_training_step_written_out():
    """Every product of a forward and a backward pass goes through one function that counts."""
    (training_flops, _) = functions("training_flops", "product_flops")
    for sizes in ((4, 3), (5, 7, 2), (3, 3, 3, 3)):
        count, batch, rng = [0], 6, np.random.default_rng(0)

        def product(a, b, count=count):
            count[0] += 2 * a.size * b.shape[1]  # a multiplication and an addition for each
            return a @ b

        weights = [rng.normal(size=pair) for pair in zip(sizes, sizes[1:])]
        values = [rng.normal(size=(batch, sizes[0]))]
        for w in weights:
            values.append(product(values[-1], w))
        back = np.ones_like(values[-1])
        for layer in reversed(range(len(weights))):
            product(values[layer].T, back)
            if layer:
                back = product(back, weights[layer].T)
        assert training_flops(batch, *sizes) == count[0]


def test_lora_and_the_cache_are_counted_as_arrays():
    """The arrays of a small GPT of the shape d = 128 L, made and weighed."""
    size_project, _ = functions("size_project", "TASKS")
    blocks, d = 2, 256
    parameters = 12 * d**2 * blocks
    thin = sum(
        np.zeros(shape, "float16").nbytes for _ in range(blocks * 4) for shape in ((d, 16), (16, d))
    )
    parts, flops = size_project("fine-tune a small part", parameters, 10.0)
    assert parts["gradients"] * 1e9 == pytest.approx(thin) and parts[
        "optimiser"
    ] * 1e9 == pytest.approx(6 * thin)
    assert parts["weights"] * 1e9 == pytest.approx(
        2 * parameters + thin
    ) and flops == pytest.approx(40 * parameters)
    cache = sum(np.zeros((2048, d), "float16").nbytes for _ in range(2 * blocks))
    assert size_project("serve", parameters, 1.0)[0]["cache"] * 1e9 == pytest.approx(cache)
    whole, _ = size_project("train from scratch", parameters, 1.0)
    assert (whole["weights"] + whole["gradients"] + whole["optimiser"]) * 1e9 == pytest.approx(
        16 * parameters
    )


def test_the_explorer_at_the_ends_of_its_sliders():
    draw, tasks, *_ = functions(
        "draw_project", "TASKS", "size_project", "gpu_days", "PEAK", "short"
    )
    for task in tasks:
        for log_parameters, log_tokens, log_gpus in (
            (6.0, 6.0, 0),
            (12.0, 13.0, 14),
            (6.0, 13.0, 14),
            (12.0, 6.0, 0),
        ):
            figure = Figure(figsize=(8, 4))
            said = draw(
                figure,
                task=task,
                log_parameters=log_parameters,
                log_tokens=log_tokens,
                log_gpus=log_gpus,
            )
            figure.canvas.draw()
            low, high = figure.axes[0].get_xlim()
            assert not re.search(r"\b(nan|inf)\b", said)
            assert all(low < bar.get_width() < high for bar in figure.axes[0].patches)


def test_the_map_lists_every_chapter_with_its_own_question():
    listed = {row[0]: row[1] for row in rows("## The map")}
    others = [
        path for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")) if path.stem != "00_start_here"
    ]
    assert listed == {
        f"[{path.stem[:2]}]({path.name})": re.search(
            r"^# (.+)$", prose(path)[0], re.MULTILINE
        ).group(1)
        for path in others
    }


def test_every_word_of_the_glossary_is_used_where_it_says():
    for words, _, stands_in in rows("## The words of this book"):
        for chapter in stands_in.split(", "):
            (path,) = NOTEBOOKS.glob(f"{chapter}_*.ipynb")
            text = "\n".join(prose(path)).lower()
            for word in re.split(r"[,()]", words):
                assert word.strip().lower() in text, f"{word} in {path.name}"


def test_the_blocks_that_fit_are_those_counted_otherwise(known):
    cases = chapters.cases("00_start_here", "fit_cases", known)
    assert [case[::2] for case in cases] == [(f"{n} GPUs", fits) for n, fits in FITTING.items()]


def test_a_u_net_has_the_parameters_of_one_built_in_keras():
    (u_net,) = functions("u_net")
    x, skipped = keras.Input((16, 16, 3)), []
    first = x
    for width in (2, 4, 8):
        for _ in range(2):
            x = keras.layers.Conv2D(width, 3, padding="same")(x)
        skipped.append(x)
        x = keras.layers.MaxPooling2D()(x)
    x = skipped.pop()
    for width in (4, 2):
        x = keras.layers.Conv2DTranspose(width, 2, strides=2)(x)
        x = keras.layers.Concatenate()([x, skipped.pop()])
        for _ in range(2):
            x = keras.layers.Conv2D(width, 3, padding="same")(x)
    x = keras.layers.Conv2D(5, 1)(x)
    built = keras.Model(first, x).count_params()
    assert u_net((2, 4, 8), channels=3, classes=5) == built


def test_the_answers_below_the_explorer_are_what_it_shows():
    size_project, gpu_days, *_ = functions("size_project", "gpu_days", "TASKS", "PEAK")
    (text,) = [text for text in prose(NOTEBOOKS / "00_start_here.ipynb") if "Nearly GPT-3" in text]
    whole, part = (
        sum(size_project(task, 10**9.85, 1e9)[0].values())
        for task in ("fine-tune all weights", "fine-tune a small part")
    )
    assert "about 120 GB" in text and whole == pytest.approx(120, abs=5)
    assert "some 25 GB" in text and part == pytest.approx(25, abs=5)
    assert gpu_days(0.4 * 312e12 * 86_400) == pytest.approx(1)
    assert "0.8 billion (8.9), with 16 billion tokens (10.2)" in text
    days = gpu_days(size_project("train from scratch", 0.793e9, 20 * 0.793e9)[1])
    assert days == pytest.approx(7, rel=0.01)
    assert size_project("serve", 1e9, 10.0)[1] == 2e10


def test_the_function_to_mend_holds_the_three_mistakes_that_the_text_names():
    stub, solution = functions("mended_gpt", "gpt_solution")
    blocks, d, words, positions = 3, 5, 11, 7
    missing = blocks * (d * d + d) + blocks * (4 * d + d) + positions * d
    assert solution(blocks, d, words, positions) - stub(blocks, d, words, positions) == missing


def counted(attention=4, biases=5, normalised=4, places=True, last=2, above=0):
    """The parameters of a GPT, each kind so many times d (or d squared, in attention)."""

    def parameters(blocks, d, words, positions):
        each = attention * (d * d + d) + 8 * d * d + (biases + normalised) * d
        return blocks * each + (words + places * positions + last + above * words) * d

    return parameters


def matrix_by_matrix(blocks, d, words, positions):
    shapes = [(words, d), (positions, d), (2, d)]
    shapes += blocks * [*4 * [(d + 1, d)], (d + 1, 4 * d), (4 * d + 1, d), (4, d)]
    return sum(rows * columns for rows, columns in shapes)


def days(parameters, tokens, gpus, each=6, reached=0.4):
    return each * parameters * tokens / (reached * 312e12 * gpus) / 86_400


def memory(blocks, parameter=16, words=50_257, positions=2048, slim=False, active=34):
    d = 128 * blocks
    block = 12 * d * d + (0 if slim else 13 * d)
    parameters = block * blocks + (words + positions + 2) * d
    return parameter * parameters + active * 2048 * d * blocks


def until_full(gb=1e9, **changed):
    def blocks_on(gpus):
        blocks = 1
        while memory(blocks + 1, **changed) <= 80 * gb * gpus:
            blocks += 1
        return blocks

    return blocks_on


def by_bisection(gpus):
    fits, too_many = 1, 10_000
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if memory(middle) <= 80e9 * gpus else (fits, middle)
    return np.array([fits])


def by_the_root_of_a_cubic(gpus):
    d = 128
    cubic = [16 * 12 * d**2, 16 * 13 * d + 34 * 2048 * d, 16 * (50_257 + 2050) * d, -80e9 * gpus]
    return np.floor(max(root.real for root in np.roots(cubic) if abs(root.imag) < 1e-9))


RIGHT = {
    "hand_cases": [
        (101_770, 1_628_320),
        np.array([[101_770.0], [1_628_320.0]]),
        [np.float32(101_770), [[1_628_320]]],
    ],
    "gpt_cases": [
        counted(),
        matrix_by_matrix,
        lambda blocks, d, words, positions: (
            blocks * (12.0 * d**2 + 13 * d) + (words + positions + 2) * d
        ),
        lambda *sizes: tf.constant([[counted()(*sizes)]], tf.int64),
    ],
    "day_cases": [
        days,
        lambda *given: np.float32([days(*given)]),
        lambda N, D, gpus: (
            np.exp(np.log(6 / 0.4) + np.log([N, D]).sum() - np.log(312e12 * gpus)) / (24 * 60 * 60)
        ),
        lambda *given: tf.constant([[days(*given)]], tf.float64),
    ],
    "fit_cases": [
        until_full(),
        by_bisection,
        by_the_root_of_a_cubic,
        lambda gpus: np.searchsorted(
            [memory(blocks) for blocks in range(1, 1000)], 80e9 * gpus, side="right"
        ),
    ],
}
WRONG = {
    "hand_cases": [
        (101_632, 16 * 101_632),  # no biases
        (100_480, 16 * 100_480),  # no output layer
        (101_770, 4 * 101_770),  # the weights alone
        (101_770, 12 * 101_770),
        (101.770, 1628.320),  # a comma taken for a point
        ("101,770", "1,628,320"),
        (1_628_320, 101_770),
    ],
    "gpt_cases": [
        counted(attention=3),
        counted(biases=0),
        counted(biases=4),
        counted(biases=8),
        counted(normalised=2),
        counted(places=False),
        counted(last=0),
        counted(above=1),
        lambda blocks, d, words, positions: counted()(blocks, d, words, 1024),
        lambda *sizes: counted()(*sizes) + 1,
    ],
    "day_cases": [
        lambda *given: days(*given, reached=1),
        lambda *given: days(*given, reached=0.6),
        lambda *given: days(*given, each=2),
        lambda *given: 24 * days(*given),
        lambda *given: round(days(*given), 2),
        lambda *given: np.ceil(days(*given)),
        lambda N, D, gpus: days(N, D, 1),
        lambda N, D, gpus: days(N, 300e9, gpus),
        lambda N, D, gpus: days(N, 20 * N, gpus),
    ],
    "fit_cases": [
        until_full(active=0),
        until_full(words=0),
        until_full(positions=1024),
        until_full(slim=True),
        until_full(parameter=12),
        until_full(gb=2**30),
        lambda gpus: until_full()(gpus) + 1,
        lambda gpus: min(until_full()(gpus), 299),  # tried no further
        lambda gpus: 128 * until_full()(gpus),
        lambda gpus: int(28 * gpus ** (1 / 3)),
    ],
}


@pytest.fixture
def known():
    names = ("dense_parameters", "gpt", "block", "gpu_days", "PEAK")
    return {"np": np} | dict(zip(names, functions(*names)))


@pytest.fixture
def ask(known, capsys):
    """What the check of an exercise, named by its cases, says to an answer."""
    return chapters.asked_of("00_start_here", known, capsys, within={"day_cases": 1e-5})


(
    test_right_answers_of_any_form_are_accepted,
    test_wrong_answers_are_refused,
    test_a_wrong_number_is_not_told_the_right_one,
) = chapters.tests_of_answers(RIGHT, WRONG, numbers=["hand_cases"])
