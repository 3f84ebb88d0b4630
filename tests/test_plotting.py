"""Figures: what readers must get from each of them, and what is refused."""

import base64
import html
import io
import re

import matplotlib
import nbformat
import numpy as np
import pytest
from PIL import Image

import bigmodel_helpers as bh
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
    before = picture.value
    slider.value = 4
    with matplotlib.rc_context(HOSTILE):
        slider.value = 2
    assert picture.value == before


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


def test_a_still_is_what_the_explorer_shows_first(shown):
    still(draw_height, height=2)
    explore(draw_height, height=(2, 0, 5, 1))
    assert shown[0][0]["image/png"] == shown[1][0]["image/png"]


@pytest.mark.parametrize(
    "control", [(2, 3, 5, 1), (2, 0, 5, 0), (2, 0, 5), [], [1, 2], "text", None]
)
def test_a_control_that_is_none_is_refused(control):
    with pytest.raises(ValueError, match="the control 'height' is"):
        explore(draw_height, height=control)
