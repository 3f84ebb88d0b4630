"""One style, and the few figures that every chapter needs, each with a sentence for those who cannot see it."""

import base64
import contextlib
import contextvars
import functools
import html
import importlib
import io
import sys

import numpy as np

from .runtime import quietly

# Okabe and Ito's colours (2008), told apart by colour-blind readers; ordered so that neighbours differ in grey too.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
    "grey": "#8C8C8C",
}
_STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelsize": 12,
    "figure.facecolor": "white",
    "font.size": 11,
    "grid.color": "#E4E4E4",
    "image.cmap": "gray_r",
    "lines.linewidth": 2.0,
    "savefig.facecolor": "white",
}
_LINE_LOOKS = [("blue", "-"), ("red", "--"), ("green", "-."), ("black", ":")]
_DPI = 100
_is_set = contextvars.ContextVar("whether the book's look is set at the moment", default=False)


def apply_style():
    """Give Matplotlib the book's look, and nothing else: a reader's own settings are gone. `setup` calls it."""
    params = _load_matplotlib().rcParams
    dict.update(params, _whole_look())  # no value is checked again, which takes longer than to draw


@functools.cache
def _whole_look():
    """All parameters of Matplotlib as the book sets them, but the backend and the like, which no figure shows."""
    matplotlib = _load_matplotlib()
    from cycler import cycler

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        matplotlib.rcParams["axes.prop_cycle"] = cycler(
            color=[COLOURS[name] for name, _ in _LINE_LOOKS]
        )
        return {
            name: value
            for name, value in dict.items(matplotlib.rcParams)
            if name not in matplotlib.style.core.STYLE_BLACKLIST
        }


@contextlib.contextmanager
def book_style():
    """Draw and save with the book's look, whatever has been set before; afterwards that is set again.

    Within another one it does nothing: to set all that Matplotlib knows takes longer than to draw a line.

    >>> with book_style():
    ...     figure, axes = new_figure()
    """
    if _is_set.get():
        yield
        return
    with _load_matplotlib().rc_context():
        apply_style()
        before = _is_set.set(True)
        try:
            yield
        finally:
            _is_set.reset(before)


def _load_matplotlib():
    """Matplotlib, loaded without a word of its fonts, its folders or what it cannot read in a reader's settings."""
    if "matplotlib.figure" not in sys.modules:
        with quietly():
            importlib.import_module("matplotlib.figure")
    return sys.modules["matplotlib"]


def new_figure(rows=1, columns=1, *, height=3.6, width=8.0, **options):
    """A figure and its axes, at the book's width, not yet shown.

    Args:
        rows, columns: how many panels.
        height, width: of the whole figure, in inches (shown at 100 pixels an inch).
        options: passed to Matplotlib's ``Figure.subplots``, such as ``sharey=True``.

    Returns:
        ``(figure, axes)``; `axes` is one Axes, or an array of them if there are several panels.

    >>> figure, (left, right) = new_figure(1, 2)
    """
    with book_style():
        figure = empty_figure(width, height)
        return figure, figure.subplots(rows, columns, **options)


def empty_figure(width, height):
    """A figure of this size in inches with no axes yet; draw in it under `book_style`.

    >>> empty_figure(8, 4).get_axes()
    []
    """
    with book_style():
        from matplotlib.figure import Figure

        return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def show_figure(figure, *, alt):
    """Show a figure with a sentence that says what is to be seen.

    The sentence is the output's plain text, so the tests compare it and readers without the picture have it. It is also
    the description of the picture in the output's HTML, which JupyterLab and exports show and screen readers read out,
    and stands in the picture's metadata.

    Args:
        figure: a Matplotlib figure.
        alt: the sentence.

    Raises:
        ValueError: if the sentence is missing.

    >>> figure, axes = new_figure()
    >>> show_figure(figure, alt="An empty pair of axes.")
    An empty pair of axes.
    """
    from IPython.display import display

    require_alt(alt)
    display(Bundle(png_bytes(figure), alt))


class Bundle:
    """Something to display: one content in several forms, of which each reader shows the richest it can."""

    def __init__(self, png, alt, **more):
        width, height = size_in_pixels(png)
        self._data = {
            **more,
            "text/html": img(png, alt, f'width="{width}" height="{height}"'),
            "image/png": png,
            "text/plain": alt,
        }
        self._metadata = {"image/png": {"alt": alt, "width": width, "height": height}}

    def __repr__(self):
        return self._data["text/plain"]

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self._data, self._metadata


def size_in_pixels(png):
    """Width and height of a PNG, which its header begins with."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def img(png, alt, look):
    """The HTML of a picture that carries its bytes and its sentence with it.

    >>> img(b"PNG", 'Above "0".', 'width="800"')
    '<img alt="Above &quot;0&quot;." width="800" src="data:image/png;base64,UE5H">'
    """
    source = base64.b64encode(png).decode("ascii")
    return f'<img alt="{html.escape(alt)}" {look} src="data:image/png;base64,{source}">'


def png_bytes(figure):
    """The figure as a PNG of its exact size, in 256 colours: a third of the bytes, and no difference to be seen."""
    from PIL import Image

    raw, small = io.BytesIO(), io.BytesIO()
    with book_style():
        figure.savefig(raw, format="png", dpi=_DPI)
    Image.open(raw).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        small, "png", optimize=True
    )
    return small.getvalue()


def quick_png(figure):
    """The figure as a PNG that is soon thrown away: in all its colours, hardly compressed.

    >>> figure, axes = new_figure()
    >>> size_in_pixels(quick_png(figure))
    (800, 360)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    raw, canvas = io.BytesIO(), FigureCanvasAgg(figure)
    with book_style():
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    Image.fromarray(pixels).save(raw, "png", compress_level=1)
    return raw.getvalue()


def same_places(figure):
    """A layout engine that puts axes where those of this figure stand, which has been drawn; finding places takes long.

    Its `fits(figure)` says whether a figure drawn with it has as many axes, and labels that need no more room.

    >>> figure, axes = new_figure()
    >>> places = same_places(figure)
    >>> places.fits(figure)
    True
    """
    from matplotlib.layout_engine import LayoutEngine

    class SamePlaces(LayoutEngine):
        _adjust_compatible = _colorbar_gridspec = False  # as the layout that it stands for has it
        places = [
            (axes.get_position(original=True), axes.get_tightbbox()) for axes in figure.get_axes()
        ]
        letters = _letters(figure)
        always_fitted = True

        def execute(self, figure):
            axes = figure.get_axes()
            self.always_fitted &= len(axes) == len(self.places)
            for one, (position, _) in zip(axes, self.places):
                one.set_position(position)

        def fits(self, figure, pixels=3):
            """Whether nothing stands out of its place by more pixels than so many."""
            if not self.always_fitted:
                return False
            if all(now <= then for now, then in zip(_letters(figure), self.letters)):
                return True  # no label is longer; to measure them takes long
            found = [axes.get_tightbbox() for axes in figure.get_axes()]
            return all(
                max(room.x0 - box.x0, room.y0 - box.y0, box.x1 - room.x1, box.y1 - room.y1)
                <= pixels
                for box, (_, room) in zip(found, self.places)
            )

    return SamePlaces()


def _letters(figure):
    """How many letters the longest labels of a figure that has been drawn have, and how many lines; for each axis."""
    counts = []
    for axes in figure.get_axes():
        labels = [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        for axis in (axes.xaxis, axes.yaxis):
            labels.append(
                max((tick.label1.get_text() for tick in axis.majorTicks), key=len, default="")
            )
        labels += [text.get_text() for text in axes.texts if text.get_in_layout()]
        counts += [count for label in labels for count in (len(label), label.count("\n"))]
    return counts


def plot_lines(x, lines, *, x_label, y_label, alt=None, ax=None):
    """Draw up to four lines, each named at its end instead of in a legend.

    Args:
        x: positions, shape (n,).
        lines: dictionary from name to values of shape (n,).
        x_label, y_label: what the axes show, with units.
        alt: the sentence that describes the figure; needed unless `ax` is given.
        ax: draw into these axes and show nothing.

    Returns:
        The axes if `ax` was given, so that more can be drawn; otherwise nothing: the figure is shown.

    Raises:
        ValueError: for more than four lines, values of another length, or a missing sentence.

    >>> plot_lines([1, 2, 3], {"loss": [3, 2, 1]}, x_label="epoch", y_label="loss (nats)", alt="The loss falls.")
    The loss falls.
    """
    if not 1 <= len(lines) <= len(_LINE_LOOKS):
        raise ValueError(
            f"{len(lines)} lines given; readers follow one to four. Split the figure, or leave some out."
        )
    x = np.asarray(x)
    for name, values in lines.items():
        if np.shape(values) != x.shape:
            raise ValueError(
                f"line {name!r} has shape {np.shape(values)}, but x has shape {x.shape}; make them equal."
            )
    with book_style():
        figure, axes = _axes_for(ax, alt)
        ends = []
        for (name, values), (colour, dash) in zip(lines.items(), _LINE_LOOKS):
            axes.plot(x, values, color=COLOURS[colour], linestyle=dash)
            ends.append((float(np.asarray(values)[-1]), name, COLOURS[colour]))
        axes.set(xlabel=x_label, ylabel=y_label)
        _name_line_ends(axes, float(x[-1]), ends)
        return _finish(figure, axes, alt)


def _name_line_ends(axes, x_end, ends):
    """Write each name beside its line's end, moved up or down where two would cover each other."""
    # all positions depend on the layout and on the limits, which are settled when they are asked for
    if layout := axes.figure.get_layout_engine():
        layout.execute(axes.figure)
    axes.apply_aspect()
    axes.get_xlim(), axes.get_ylim()
    to_points = 72 / axes.figure.dpi
    lowest = -np.inf
    for y, name, colour in sorted(ends):
        true_height = axes.transData.transform((x_end, y))[1] * to_points
        height = max(true_height, lowest + 13)
        axes.annotate(
            name,
            (x_end, y),
            xytext=(6, height - true_height),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=11,
            annotation_clip=False,
        )
        lowest = height


def plot_matrix(matrix, *, x_label, y_label, digits=None, symmetric=False, alt=None, ax=None):
    """Draw a matrix as a heat map, with its numbers in the cells if asked.

    Args:
        matrix: shape (rows, columns).
        x_label, y_label: what columns and rows are.
        digits: decimals of the numbers in the cells; None writes none.
        symmetric: centre the colours at zero, blue below and red above, for values of both signs.
        alt, ax: as in `plot_lines`.

    Returns:
        As `plot_lines`.

    Raises:
        ValueError: if it is no matrix, or the sentence is missing.

    >>> plot_matrix([[1.0, 0.0]], x_label="to", y_label="from", digits=1, alt="A row: one, zero.")
    A row: one, zero.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2:
        raise ValueError(f"found shape {matrix.shape}, expected (rows, columns); reshape it first.")
    with book_style():
        figure, axes = _axes_for(ax, alt)
        limit = float(np.abs(matrix).max()) or 1.0
        colours = (
            {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if symmetric else {"cmap": "Blues"}
        )
        image = axes.imshow(matrix, aspect="auto", **colours)
        axes.grid(False)
        axes.set(
            xlabel=x_label,
            ylabel=y_label,
            xticks=range(matrix.shape[1]),
            yticks=range(matrix.shape[0]),
        )
        if digits is None:
            axes.figure.colorbar(image, ax=axes)
        else:
            for (row, column), value in np.ndenumerate(matrix):
                red, green, blue, _ = image.cmap(image.norm(value))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                axes.text(
                    column,
                    row,
                    f"{value:.{digits}f}",
                    ha="center",
                    va="center",
                    color="white" if dark else "black",
                    in_layout=False,  # it stands in its cell
                )
        return _finish(figure, axes, alt)


def show_images(images, *, captions=None, columns=10, alt):
    """Show pictures in a grid: grey ones darkest where the value is largest, all on one scale; colour ones as they are.

    Args:
        images: shape (n, height, width) or (n, height, width, 1), or (n, height, width, 3) for red, green and blue:
            whole numbers from 0 to 255 or floating-point numbers from 0 to 1.
        captions: n short texts to stand above the pictures.
        columns: pictures in a row.
        alt: the sentence that describes the figure.

    Raises:
        ValueError: if the shape, or the number of captions, does not fit, or the sentence is missing.

    >>> show_images(np.eye(8)[None], captions=["one"], alt="A dark diagonal.")
    A dark diagonal.
    """
    images = np.asarray(images)
    if not len(images) or images.ndim != 3 and images.shape[3:] not in ((1,), (3,)):
        raise ValueError(
            f"found shape {images.shape}, expected (n, height, width[, 1 or 3]); one picture is images[None]."
        )
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} pictures; give one each.")
    require_alt(alt)
    rows = -(-len(images) // columns)
    figure, axes = new_figure(
        rows, columns, height=(1.05 if captions is not None else 0.85) * rows, squeeze=False
    )
    with book_style():
        for place in axes.flat:
            place.set_axis_off()
        for number, (place, image) in enumerate(zip(axes.flat, images)):
            place.imshow(image, vmin=images.min(), vmax=images.max())
            if captions is not None:
                place.set_title(str(captions[number]), fontsize=11)
    show_figure(figure, alt=alt)


def _axes_for(ax, alt):
    if ax is not None:
        return None, ax
    require_alt(alt)
    return new_figure()


def _finish(figure, axes, alt):
    if figure is None:
        return axes
    show_figure(figure, alt=alt)


def require_alt(alt):
    """Refuse a figure without its sentence."""
    if not (isinstance(alt, str) and alt.strip()):
        raise ValueError(
            "alt is missing; give the sentence that tells a reader who cannot see it what is to be seen."
        )
