"""Figures: what readers must get from each of them, and what is refused."""

import base64
import html
import io
import re
import sys

import matplotlib
import nbformat
import numpy as np
import pytest
from PIL import Image

import bigmodel_helpers as bh
from bigmodel_helpers import plotting
from bigmodel_helpers.explore import explore, still
from bigmodel_helpers.plotting import _LINE_LOOKS, COLOURS, apply_style

ALT = "A sentence."
LABELS = {"x_label": "x (m)", "y_label": "y (s)"}
FIGURES = {
    "plot_lines": lambda **k: bh.plot_lines([1, 2], {"a": [1, 2]}, **LABELS, **k),
    "plot_matrix": lambda **k: bh.plot_matrix(np.eye(3), digits=1, **LABELS, **k),
}


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as (data, metadata)."""
    import IPython.display

    bundles = []
    monkeypatch.setattr(
        IPython.display, "display", lambda thing: bundles.append(thing._repr_mimebundle_())
    )
    return bundles


@pytest.mark.parametrize(
    "draw", [*FIGURES.values(), lambda alt: bh.show_images(np.eye(8)[None], alt=alt)]
)
def test_every_figure_shows_a_picture_with_its_sentence(draw, shown):
    draw(alt=ALT)
    ((data, metadata),) = shown
    picture = Image.open(io.BytesIO(data["image/png"]))
    assert data["text/plain"] == metadata["image/png"]["alt"] == ALT
    assert picture.size == (metadata["image/png"]["width"], metadata["image/png"]["height"])
    assert picture.size[0] == 800 and len(data["image/png"]) < 60_000
    assert html_of(data["text/html"]) == (ALT, *map(str, picture.size), data["image/png"])


def html_of(text):
    """Sentence, width, height and PNG of the one img that the text is."""
    alt, width, height, source = re.fullmatch(
        r'<img alt="([^"<>]*)" width="(\d+)" height="(\d+)" src="data:image/png;base64,([^"]*)">',
        text,
    ).groups()
    return html.unescape(alt), width, height, base64.b64decode(source, validate=True)


@pytest.mark.parametrize("alt", ['"Quoted" & <b>bold</b>.', "Apostrophe's.", "é, 数, 🙂."])
def test_every_sentence_comes_through_the_html(alt, shown):
    FIGURES["plot_lines"](alt=alt)
    assert html_of(shown[0][0]["text/html"])[0] == alt


@pytest.mark.parametrize("template", ["lab", "classic"])
@pytest.mark.filterwarnings("default")
def test_exported_pages_hold_the_sentence(template, shown):
    from nbconvert import HTMLExporter

    bh.show_images(np.eye(8)[None], alt=ALT)
    ((data, metadata),) = shown
    data = data | {"image/png": base64.b64encode(data["image/png"]).decode()}
    cell = nbformat.v4.new_code_cell(
        outputs=[nbformat.v4.new_output("display_data", data, metadata=metadata)]
    )
    page, _ = HTMLExporter(template_name=template).from_notebook_node(
        nbformat.v4.new_notebook(cells=[cell])
    )
    (picture,) = re.findall("<img[^>]*>", page)
    assert f'alt="{ALT}"' in picture and 'width="800"' in picture


HOSTILE = {
    "image.origin": "lower",
    "image.interpolation": "bilinear",
    "image.aspect": "auto",
    "text.usetex": True,
    "text.color": "red",
    "savefig.bbox": "tight",
    "savefig.pad_inches": 1.0,
    "savefig.transparent": True,
    "savefig.facecolor": "black",
    "figure.dpi": 30,
    "figure.facecolor": "black",
    "figure.constrained_layout.h_pad": 0.5,
    "axes.facecolor": "black",
    "axes.formatter.limits": (0, 1),
    "axes.formatter.use_mathtext": True,
    "axes.unicode_minus": False,
    "axes.xmargin": 0.3,
    "font.family": ["serif"],
    "font.size": 20,
    "lines.marker": "o",
    "lines.antialiased": False,
    "path.sketch": (1, 100, 2),
    "path.simplify_threshold": 1.0,
    "xtick.direction": "in",
    "xtick.minor.visible": True,
    "ytick.labelcolor": "red",
}


def draw_everything(figure, *, height):
    left, right = figure.subplots(1, 2)
    left.plot([0, 1e6], [-1, height])
    left.set_title("Title of $x^2$")
    right.imshow(np.arange(4).reshape(2, 2))
    return f"Height {height}."


EVERY_FIGURE = [
    *FIGURES.values(),
    lambda alt: bh.show_images(np.arange(128).reshape(2, 8, 8), captions="ab", alt=alt),
    lambda alt: bh.show_figure(bh.new_figure(1, 2)[0], alt=alt),
    lambda alt: still(draw_everything, height=2),
    lambda alt: explore(draw_everything, height=(2, 0, 5, 1)),
]


@pytest.mark.parametrize("draw", EVERY_FIGURE)
def test_no_setting_of_the_readers_changes_a_figure(draw, shown):
    draw(alt=ALT)
    with matplotlib.rc_context(HOSTILE):
        draw(alt=ALT)
        assert all(
            matplotlib.rcParams[name] == HOSTILE[name] for name in ("font.size", "text.usetex")
        )
    assert shown[0][0]["image/png"] == shown[1][0]["image/png"]


def test_no_setting_of_the_readers_changes_an_explorer_that_is_moved_later(shown):
    explore(draw_everything, height=(2, 0, 5, 1))
    slider, picture = widgets_of(shown[0][0])
    slider.value = 4
    before = picture.value
    with matplotlib.rc_context(HOSTILE):
        slider.value = 2
        slider.value = 4
    assert picture.value == before


def test_the_look_is_set_once_and_readers_get_theirs_back_after_an_error_too():
    own = {"font.size": 7.0, "lines.linewidth": 9.0}
    with matplotlib.rc_context(own):
        with pytest.raises(ZeroDivisionError), plotting.book_style():
            with plotting.book_style():
                assert matplotlib.rcParams["font.size"] == 11
            assert matplotlib.rcParams["font.size"] == 11, "the outer one goes on"
            raise ZeroDivisionError
        assert {name: matplotlib.rcParams[name] for name in own} == own
        with plotting.book_style():
            assert matplotlib.rcParams["font.size"] == 11


def test_the_style_starts_from_matplotlibs_own(shown):
    """Chapters draw into axes of their own after `setup`, which applies the style."""
    with matplotlib.rc_context():
        apply_style()
        wanted = dict(matplotlib.rcParams)
        matplotlib.rcParams.update(HOSTILE)
        apply_style()
        assert dict(matplotlib.rcParams) == wanted


@pytest.mark.parametrize(
    "draw", [*FIGURES.values(), lambda alt: bh.show_images(np.eye(8)[None], alt=alt)]
)
@pytest.mark.parametrize("alt", [None, "", "  "])
def test_a_figure_without_a_sentence_is_refused(draw, alt, shown):
    with pytest.raises(ValueError, match="alt is missing"):
        draw(alt=alt)
    assert shown == []


@pytest.mark.parametrize("draw", FIGURES.values())
def test_given_axes_are_drawn_into_and_returned_and_nothing_is_shown(draw, shown):
    _, axes = bh.new_figure()
    assert draw(ax=axes) is axes and shown == []
    assert (axes.get_xlabel(), axes.get_ylabel()) == (LABELS["x_label"], LABELS["y_label"])


def test_the_same_figure_gives_the_same_bytes(shown):
    FIGURES["plot_lines"](alt=ALT)
    FIGURES["plot_lines"](alt=ALT)
    assert shown[0][0]["image/png"] == shown[1][0]["image/png"]


def test_names_at_line_ends_do_not_cover_each_other():
    figure, axes = bh.new_figure()
    bh.plot_lines(
        [1, 2], {"a": [1, 2.0], "b": [1, 2.01], "c": [1, 2.02], "d": [0, 0]}, **LABELS, ax=axes
    )
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 + 1 for below, above in zip(boxes, boxes[1:]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: bh.plot_lines([1], dict.fromkeys("abcde", [1]), **LABELS, alt=ALT),
            "5 lines given",
        ),
        (lambda: bh.plot_lines([1], {}, **LABELS, alt=ALT), "0 lines given"),
        (lambda: bh.plot_lines([1], {"a": [1, 2]}, **LABELS, alt=ALT), "has shape"),
        (lambda: bh.plot_matrix(np.ones((2, 2, 2)), **LABELS, alt=ALT), "expected .rows, columns"),
        (lambda: bh.show_images(np.ones((1, 8, 8, 3, 1)), alt=ALT), "expected .n, height, width"),
        (lambda: bh.show_images(np.ones((2, 8, 8)), captions="abc", alt=ALT), "3 captions for 2"),
        (lambda: bh.plot_lines([1, 2], {"a": [1]}, **LABELS, alt=ALT), "has shape"),
        (lambda: bh.plot_matrix([1, 2], **LABELS, alt=ALT), "expected .rows, columns"),
        (lambda: bh.show_images(np.eye(8), alt=ALT), "expected .n, height, width"),
        (lambda: bh.show_images(np.ones((2, 8, 8, 4)), alt=ALT), r"found shape \(2, 8, 8, 4\)"),
        (lambda: bh.show_images(np.ones((0, 8, 8)), alt=ALT), r"found shape \(0, 8, 8\)"),
        (lambda: bh.show_images(np.ones((2, 8, 8)), captions=["one"], alt=ALT), "1 captions for 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_found(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("scale", [np.uint8(255), 1.0])
def test_colour_pictures_keep_their_colours(scale, shown):
    red = np.zeros((1, 8, 8, 3), dtype=np.asarray(scale).dtype)
    red[..., 0] = scale
    bh.show_images(red, columns=1, alt=ALT)
    picture = np.asarray(Image.open(io.BytesIO(shown[0][0]["image/png"])).convert("RGB")).reshape(
        -1, 3
    )
    assert np.mean(np.all(np.abs(picture - [255.0, 0, 0]) < 8, axis=1)) > 0.02
    assert not np.any(np.all(picture < 100, axis=1)), "nothing dark: red is not drawn as grey"


def test_grey_pictures_may_have_a_channel(shown):
    grey = np.arange(128.0).reshape(2, 8, 8)
    bh.show_images(grey, alt=ALT)
    bh.show_images(grey[..., None], alt=ALT)
    assert shown[0] == shown[1]


def test_line_colours_differ_in_grey_too():
    greys = [
        np.dot([0.299, 0.587, 0.114], [int(COLOURS[name][i : i + 2], 16) for i in (1, 3, 5)])
        for name, _ in _LINE_LOOKS
    ]
    dashes = [dash for _, dash in _LINE_LOOKS]
    assert len(set(dashes)) == len(dashes), "lines differ by their dashes where grey is not enough"
    assert np.ptp(greys) > 100


def widgets_of(data):
    """The controls and the picture of a displayed explorer."""
    from ipywidgets.widgets.widget import _instances

    return _instances[data["application/vnd.jupyter.widget-view+json"]["model_id"]].children


def draw_height(figure, *, height):
    figure.subplots().plot([0, 1], [0, height])
    return f"Height {height}."


def test_an_explorer_shows_view_picture_and_sentence_and_follows_its_slider(shown):
    explore(draw_height, height=(2, 0, 5, 1))
    ((data, metadata),) = shown
    assert data["text/plain"] == metadata["image/png"]["alt"] == "Height 2."
    assert html_of(data["text/html"]) == ("Height 2.", "800", "400", data["image/png"])
    slider, picture = widgets_of(data)
    before = picture.value
    slider.value = 4
    assert 'alt="Height 4."' in picture.value and picture.value != before
    assert base64.b64decode(picture.value.split("base64,")[1].split('"')[0]).startswith(b"\x89PNG")


def test_an_explorer_is_no_wider_than_its_column(shown):
    explore(
        lambda figure, **values: "Nothing.",
        slider=(2, 0, 5, 1),
        fine_slider=(0.5, 0, 1, 0.1),
        menu=["a", "b"],
        tick=True,
    )
    *controls, picture = widgets_of(shown[0][0])
    assert {widget.layout.max_width for widget in (*controls, picture)} == {"calc(100% - 4px)"}
    assert "max-width: 100%; height: auto" in picture.value


@pytest.mark.parametrize(
    "control",
    [(9.85, 6.0, 12.0, 0.05), (0.1, 0.01, 0.5, 0.01), (-2.0, -3.0, 0.5, 0.1), (3, 3, 3, 1)],
)
def test_a_slider_stands_where_it_was_told_to(shown, control):
    explore(draw_height, height=control)
    (slider, _) = widgets_of(shown[0][0])
    found = slider.value, slider.min, slider.max, slider.step
    assert found == control


def test_a_still_is_what_the_explorer_shows_first(shown):
    still(draw_height, height=2)
    explore(draw_height, height=(2, 0, 5, 1))
    assert shown[0][0]["image/png"] == shown[1][0]["image/png"]


@pytest.mark.parametrize(
    "control",
    [
        *((2, 3, 5, 1), (6, 0, 5, 1), (2, 0, 5, 0), (2, 0, 5, -1), (2, 0, 5), (1, 0, 2, 1, 0)),
        # a slider that could not come back to its start, or not go to its end
        *(
            (2, 1, 5, 2),
            (9.85, 6.0, 12.0, 0.075),
            (1.5, 0, 3, 1),
            (0, 0, 5, 2),
            (0.0, 0.0, 1.0, 0.3),
        ),
        *([], [1, 2], ["a", 1], [2, 0, 5, 1], {}, 3, "text", None),
    ],
)
def test_a_control_that_is_none_is_refused(control):
    with pytest.raises(ValueError, match="the control 'height' is"):
        explore(draw_height, height=control)


@pytest.fixture
def drawn(monkeypatch):
    """Figures as they are drawn, before they become pictures."""
    figures = []
    monkeypatch.setattr(
        plotting, "show_figure", lambda figure, *, alt: figures.append(figure) or figure
    )
    return figures


PICTURES = np.arange(18.0).reshape(3, 2, 3)


def test_pictures_stand_upright_in_rows_and_on_one_scale(drawn):
    bh.show_images(PICTURES, columns=2, captions=["a", 2, "c"], alt=ALT)
    (figure,) = drawn
    places = figure.get_axes()
    assert len(places) == 4 and not any(place.axison for place in places)
    assert tuple(figure.get_size_inches()) == (8.0, 2 * 1.05)
    for place, picture, caption in zip(places, PICTURES, "a2c"):
        (image,) = place.get_images()
        assert np.array_equal(image.get_array(), picture)
        assert image.get_clim() == (0, 17) and image.origin == "upper"
        assert image.get_cmap().name == "gray_r"
        assert place.get_title() == caption and place.title.get_fontsize() == 11
    assert not places[3].get_images() and places[3].get_title() == ""
    figure.draw_without_rendering()
    boxes = [place.get_position() for place in places]
    assert boxes[0].x1 < boxes[1].x0 and boxes[0].y0 > boxes[2].y1


@pytest.mark.parametrize(
    ("count", "options", "rows", "columns"),
    [
        (1, {}, 1, 10),
        (10, {}, 1, 10),
        (11, {}, 2, 10),
        (4, {"columns": 4}, 1, 4),
        (5, {"columns": 4}, 2, 4),
    ],
)
def test_there_are_as_many_rows_as_needed(count, options, rows, columns, drawn):
    bh.show_images(np.ones((count, 4, 4)), alt=ALT, **options)
    assert len(drawn[0].get_axes()) == rows * columns
    assert drawn[0].get_size_inches()[1] == pytest.approx(0.85 * rows)
    assert sum(len(place.get_images()) for place in drawn[0].get_axes()) == count


def test_the_largest_value_is_darkest_in_every_picture_of_a_row(shown):
    """A picture of middle values is grey beside one of all values, not as dark as it."""
    pictures = np.zeros((2, 4, 4))
    pictures[0, 0, 0], pictures[1, 3, 0] = 1.0, 0.5
    bh.show_images(pictures, columns=2, alt=ALT)
    seen = np.asarray(Image.open(io.BytesIO(shown[0][0]["image/png"])).convert("L"))
    height, half = seen.shape[0], seen.shape[1] // 2
    assert seen[:, :half].min() == 0 and 90 < seen[:, half:].min() < 160
    dark = np.argwhere(seen[:, :half] < 50).mean(axis=0)
    grey = np.argwhere(seen[:, half:] < 200).mean(axis=0)
    assert dark[0] < height / 2 < grey[0], "first row above, last row below"
    assert dark[1] < half / 2 and grey[1] < half / 2, "first column on the left"


FOUR = {"a": [0, 1.0, 7.0], "b": [1, 2, 5], "c": [4, 4, 3.0], "d": [0, 0, 1]}


def test_lines_are_drawn_in_their_order_colour_and_dash_and_named_at_their_ends(drawn):
    bh.plot_lines([1, 2, 4], FOUR, x_label="x (m)", y_label="y (s)", alt=ALT)
    ((axes,),) = [figure.get_axes() for figure in drawn]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x (m)", "y (s)")
    looks = [("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#000000", ":")]
    lines = axes.get_lines()
    assert [(line.get_color(), line.get_linestyle()) for line in lines] == looks
    for line, values in zip(lines, FOUR.values()):
        assert line.get_xdata().tolist() == [1, 2, 4] and list(line.get_ydata()) == values
        assert line.get_linewidth() == 2
    names = {text.get_text(): text for text in axes.texts}
    assert set(names) == set(FOUR)
    for (name, values), (colour, _) in zip(FOUR.items(), looks):
        assert names[name].xy == (4, values[-1]) and names[name].get_color() == colour
        assert names[name].get_position() == (6, 0), "no name is in another's way"
        assert names[name].get_fontsize() == 11 and names[name].get_va() == "center"
        assert names[name].get_annotation_clip() is False


def test_names_that_would_cover_each_other_are_moved_up_by_a_line():
    _, axes = bh.new_figure()
    ends = {"low": 1.0, "b": 2.0, "a": 2.0, "high": 9.0}
    bh.plot_lines([0, 1], {name: [0, end] for name, end in ends.items()}, **LABELS, ax=axes)
    moved = {text.get_text(): text.get_position() for text in axes.texts}
    assert moved["low"] == moved["high"] == (6, 0)
    height = {name: move[1] for name, move in moved.items()}
    assert height["a"] == 0 and height["b"] == pytest.approx(13)
    to_points = 72 / 100
    lower, upper = (axes.transData.transform((1, end))[1] * to_points for end in (2.0, 2.2))
    assert upper - lower < 13
    _, axes = bh.new_figure()
    bh.plot_lines([0, 1], {"far": [0, 9], "b": [0, 2.2], "a": [0, 2.0]}, **LABELS, ax=axes)
    moved = {text.get_text(): text.get_position()[1] for text in axes.texts}
    lower, upper = (axes.transData.transform((1, end))[1] * to_points for end in (2.0, 2.2))
    assert moved["a"] == 0 and moved["b"] == pytest.approx(13 - (upper - lower), abs=0.01)


@pytest.mark.parametrize("count", [1, 4])
def test_one_to_four_lines_can_be_followed(count, drawn):
    lines = {name: [1, 2] for name in "abcd"[:count]}
    bh.plot_lines([1, 2], lines, **LABELS, alt=ALT)
    assert len(drawn[0].get_axes()[0].get_lines()) == count


MATRIX = np.array([[-2.0, 0.24, 1.0], [0.0, 0.26, 0.5]])


def test_a_matrix_is_drawn_as_it_is_with_its_numbers_in_their_cells(drawn):
    bh.plot_matrix(MATRIX, x_label="to", y_label="from", digits=1, alt=ALT)
    (axes,) = drawn[0].get_axes()
    (image,) = axes.get_images()
    assert np.array_equal(image.get_array(), MATRIX) and image.origin == "upper"
    assert image.get_cmap().name == "Blues" and image.get_clim() == (-2, 1)
    assert axes.get_xticks().tolist() == [0, 1, 2] and axes.get_yticks().tolist() == [0, 1]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_aspect()) == ("to", "from", "auto")
    assert not any(line.get_visible() for line in (*axes.get_xgridlines(), *axes.get_ygridlines()))
    written = {text.get_position(): text for text in axes.texts}
    assert {place: text.get_text() for place, text in written.items()} == {
        (column, row): f"{MATRIX[row, column]:.1f}" for row in range(2) for column in range(3)
    }
    assert {(text.get_ha(), text.get_va()) for text in axes.texts} == {("center", "center")}


@pytest.mark.parametrize(("symmetric", "name"), [(False, "Blues"), (True, "RdBu_r")])
def test_numbers_are_white_where_a_cell_is_dark_and_black_elsewhere(symmetric, name, drawn):
    """The brightness that an eye sees in a colour, by the weights of ITU-R BT.601."""
    values = np.linspace(-1, 1, 401)[None]
    bh.plot_matrix(values, **LABELS, digits=0, symmetric=symmetric, alt=ALT)
    written = [text.get_color() for text in drawn[0].get_axes()[0].texts]
    shades = matplotlib.colormaps[name]((values[0] + 1) / 2)[:, :3]
    brightness = shades @ [0.299, 0.587, 0.114]
    assert written == ["white" if bright < 0.5 else "black" for bright in brightness]
    assert written.count("white") > 100 and written.count("black") > 100


def test_both_signs_are_drawn_from_a_white_zero(drawn):
    """The colours reach as far below zero as above it, whichever side the values reach further."""
    for matrix, limit in ((MATRIX, 2), (-MATRIX, 2), (np.ones((1, 2)), 1), (np.zeros((2, 2)), 1)):
        bh.plot_matrix(matrix, **LABELS, symmetric=True, alt=ALT)
        axes, _ = drawn[-1].get_axes()
        (image,) = axes.get_images()
        assert image.get_clim() == (-limit, limit) and image.get_cmap().name == "RdBu_r"
        red, green, blue, _ = image.cmap(image.norm(0.0))
        assert min(red, green, blue) > 0.95
    low, high = image.cmap(image.norm(-1.0)), image.cmap(image.norm(1.0))
    assert low[2] > 2 * low[0] and high[0] > 2 * high[2], "blue below, red above"


def test_a_matrix_without_numbers_has_a_scale_beside_it(drawn):
    bh.plot_matrix(MATRIX, **LABELS, alt=ALT)
    bh.plot_matrix(MATRIX, **LABELS, digits=0, alt=ALT)
    axes, scale = drawn[0].get_axes()
    assert not axes.texts and axes.get_images()[0].colorbar.ax is scale
    assert len(drawn[1].get_axes()) == 1 and drawn[1].get_axes()[0].texts[1].get_text() == "0"


def test_a_figure_has_the_books_size_and_look():
    figure, axes = bh.new_figure()
    assert tuple(figure.get_size_inches()) == (8.0, 3.6) and figure.dpi == 100
    assert type(figure.get_layout_engine()).__name__ == "ConstrainedLayoutEngine"
    figure, panels = bh.new_figure(2, 3, height=4, width=6, sharey=True)
    assert panels.shape == (2, 3) and tuple(figure.get_size_inches()) == (6, 4)
    assert panels[0, 0].get_shared_y_axes().joined(panels[0, 0], panels[1, 2])
    assert {side: line.get_visible() for side, line in axes.spines.items()} == {
        "left": True,
        "bottom": True,
        "right": False,
        "top": False,
    }
    grid = axes.get_xgridlines()[0]
    assert grid.get_visible() and grid.get_color() == "#E4E4E4" and axes.get_axisbelow() is True
    assert figure.get_facecolor() == (1, 1, 1, 1)
    axes.set_xlabel("x")
    assert axes.xaxis.label.get_fontsize() == 12 and axes.get_xticklabels()[0].get_fontsize() == 11


def test_lines_of_a_chapters_own_take_the_books_colours_in_order():
    with matplotlib.rc_context():
        apply_style()
        _, axes = bh.new_figure()
        lines = [axes.plot([0, 1], [n, n])[0] for n in range(5)]
    assert {line.get_linewidth() for line in lines} == {2.0}
    assert [line.get_color() for line in lines] == [
        "#0072B2",
        "#D55E00",
        "#009E73",
        "#000000",
        "#0072B2",
    ]


def test_a_picture_is_small_and_says_its_size(shown):
    figure, axes = bh.new_figure(height=2.5, width=4)
    axes.imshow(np.random.default_rng(0).random((40, 60)), cmap="viridis")
    bh.show_figure(figure, alt=ALT)
    ((data, metadata),) = shown
    picture = Image.open(io.BytesIO(data["image/png"]))
    assert picture.mode == "P" and picture.size == (400, 250)
    assert 200 < len(picture.getcolors()) <= 256
    assert metadata == {"image/png": {"alt": ALT, "width": 400, "height": 250}}
    assert set(data) == {"text/html", "image/png", "text/plain"}
    assert plotting.size_in_pixels(data["image/png"]) == (400, 250)
    assert repr(plotting.Bundle(data["image/png"], ALT)) == ALT


def test_all_four_bytes_of_each_side_count():
    header = bytes(16) + bytes([1, 2, 3, 4]) + bytes([5, 6, 7, 8])
    assert plotting.size_in_pixels(header) == (0x01020304, 0x05060708)


def test_matplotlib_is_loaded_when_the_first_figure_is_drawn_and_once(monkeypatch):
    loaded = []
    monkeypatch.setattr(plotting.importlib, "import_module", lambda name: loaded.append(name))
    for there, expected in ((True, []), (False, ["matplotlib.figure"])):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", object())
        if not there:
            monkeypatch.delitem(sys.modules, "matplotlib.figure")
        assert plotting._load_matplotlib() is matplotlib and loaded == expected


def test_each_sort_of_control_holds_its_values(shown):
    import ipywidgets

    given = {}

    def draw(figure, **values):
        given.update(values)
        return ALT

    explore(
        draw,
        whole=(2, 2, 6, 2),
        fine_step=(0.5, 0, 0.5, 0.25),
        menu=["b", "a"],
        tick=True,
        off=False,
    )
    whole, fine, menu, tick, off, picture = widgets_of(shown[0][0])
    kinds = [type(widget) for widget in (whole, fine, menu, tick, off)]
    assert kinds == [
        ipywidgets.IntSlider,
        ipywidgets.FloatSlider,
        ipywidgets.Dropdown,
        *[ipywidgets.Checkbox] * 2,
    ]
    assert (whole.value, whole.min, whole.max, whole.step) == (2, 2, 6, 2)
    assert (fine.value, fine.min, fine.max, fine.step) == (0.5, 0, 0.5, 0.25)
    assert menu.options == ("b", "a") and menu.value == "b"
    assert tick.value is True and off.value is False
    assert fine.description == "fine step" and whole.description == "whole"
    assert {control.style.description_width for control in (whole, fine, menu, tick)} == {
        "min(11em, 40%)"
    }
    assert whole.layout.width == fine.layout.width == "34em" and menu.layout.width is None
    assert whole.continuous_update and fine.continuous_update
    assert given == {"whole": 2, "fine_step": 0.5, "menu": "b", "tick": True, "off": False}
    menu.value, tick.value = "a", False
    assert given["menu"] == "a" and given["tick"] is False
    assert picture.layout.max_width == whole.layout.max_width


def test_an_explorer_draws_on_an_empty_figure_each_time_and_its_size_stays(shown):
    seen = []

    def draw(figure, *, height):
        seen.append((len(figure.get_axes()), *figure.get_size_inches()))
        return draw_height(figure, height=height)

    explore(draw, height=(2, 0, 5, 1))
    slider, picture = widgets_of(shown[0][0])
    slider.value = 3
    slider.value = 5
    assert seen == 4 * [(0, 8.0, 4.0)], "stored, shown, and two steps"
    view = shown[0][0]["application/vnd.jupyter.widget-view+json"]
    assert (view["version_major"], view["version_minor"]) == (2, 0)


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def pixels_shown(picture):
    """What an explorer's picture shows at the moment."""
    return pixels_of(base64.b64decode(picture.value.split("base64,")[1].split('"')[0]))


def draw_panels(figure, *, top, panels, names):
    all_axes = figure.subplots(1, panels, squeeze=False)[0]
    for axes in all_axes:
        picture = axes.imshow(np.eye(3), extent=(0, 1, 0, top), aspect="auto")
        figure.colorbar(picture, ax=axes)
    if names:
        for axes in all_axes:
            bh.plot_lines([0, 1], {"long name": [0, top]}, x_label="x", y_label="y", ax=axes)
    return f"Up to {top} in {panels}."


@pytest.mark.parametrize("names", [True, False])
def test_a_step_shows_what_a_drawing_of_its_own_would_show(names, shown):
    """Where labels need more room than at first, where there are more panels, and back at the start."""
    explore(draw_panels, top=(10, 1, 10**6, 1), panels=(2, 1, 3, 1), names=names)
    top, panels, _, picture = widgets_of(shown[0][0])
    for values in (10**5, 2), (10, 3), (10, 2):
        top.value, panels.value = values
        figure = plotting.empty_figure(8, 4)
        with plotting.book_style():
            draw_panels(figure, top=values[0], panels=values[1], names=names)
        alone = pixels_of(plotting.png_bytes(figure))
        assert np.mean(abs(pixels_shown(picture) - alone).max(axis=-1) > 40) < 1e-3, values
    first = pixels_of(shown[0][0]["image/png"])
    assert abs(pixels_shown(picture) - first).max() < 40, "back at the start"


def test_places_are_looked_for_anew_only_where_those_of_the_start_do_not_do(shown, monkeypatch):
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    found, execute = [], ConstrainedLayoutEngine.execute

    def counted(self, figure):
        found.append(1)
        return execute(self, figure)

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", counted)
    explore(draw_panels, top=(10, 1, 10**6, 1), panels=(2, 1, 3, 1), names=True)
    top, panels, _, _ = widgets_of(shown[0][0])
    for control, value, anew in (
        (top, 9, False),
        (top, 10**5, True),
        (top, 8, False),
        (panels, 3, True),
    ):
        found.clear()
        control.value = value
        assert bool(found) == anew, value


def test_a_sentence_is_asked_of_an_explorer_too(shown):
    with pytest.raises(ValueError, match="alt is missing"):
        explore(lambda figure, *, height: None, height=(2, 0, 5, 1))
    with pytest.raises(ValueError, match="alt is missing"):
        still(lambda figure, *, height: " ", height=2)
    assert shown == []
