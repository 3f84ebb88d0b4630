"""Sliders over a figure."""

import copy

from .plotting import (
    Bundle,
    book_style,
    empty_figure,
    img,
    png_bytes,
    quick_png,
    require_alt,
    same_places,
    show_figure,
)

_SHRINKS = 'style="max-width: 100%; height: auto"'  # with the window, as stored pictures do
_COLUMN = "calc(100% - 4px)"  # all that there is, less the margins of a control
_SIZE = 8.0, 4.0  # inches


def still(draw, **values):
    """Show one picture of an explorer's drawing function.

    Args:
        draw: function that is given an empty Matplotlib figure and the `values`, draws, and returns the sentence that
            says what is to be seen.
        values: what to draw.

    >>> def draw(figure, *, height):
    ...     figure.subplots().plot([0, 1], [0, height])
    ...     return f"A line that rises to {height}."
    >>> still(draw, height=2)
    A line that rises to 2.
    """
    figure = empty_figure(*_SIZE)
    with book_style():
        alt = draw(figure, **values)
    show_figure(figure, alt=alt)


def explore(draw, **controls):
    """Show a figure with a control for each of its values; moving one draws the figure again.

    Live in JupyterLab; wherever no kernel runs, the picture for the first values stands in its place.

    Args:
        draw: as in `still`.
        controls: for each value of `draw`, one of

            - ``(start, low, high, step)``: a slider, whole numbers if all four are; start and high are whole steps from
              low, or it could not come back to them;
            - a list of texts: a menu, the first one chosen;
            - True or False: a tick box.

    Raises:
        ValueError: if a control is none of these.

    >>> def draw(figure, *, height):
    ...     figure.subplots().plot([0, 1], [0, height])
    ...     return f"A line that rises to {height}."
    >>> explore(draw, height=(2, 0, 5, 1))
    A line that rises to 2.
    """
    import ipywidgets
    from IPython.display import display

    widgets = {name: _control(name, control) for name, control in controls.items()}
    figure, picture = empty_figure(*_SIZE), ipywidgets.HTML(layout={"max_width": _COLUMN})

    def redraw(layout, to_png):
        with book_style():
            figure.clear()
            figure.set_layout_engine(layout)
            alt = draw(figure, **{name: widget.value for name, widget in widgets.items()})
            require_alt(alt)
            return to_png(figure), alt

    # this picture is stored in the notebook; those in the widget, gone with the next step, are made quickly
    png, alt = redraw("constrained", png_bytes)
    first = same_places(figure)

    def step(change=None):
        layout = copy.copy(first)
        shown = redraw(layout, quick_png)
        if not layout.fits(figure):
            shown = redraw("constrained", quick_png)
        picture.value = img(*shown, _SHRINKS)

    step()
    for widget in widgets.values():
        widget.observe(step, names="value")
    box = ipywidgets.VBox([*widgets.values(), picture])
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display(Bundle(png, alt, **{"application/vnd.jupyter.widget-view+json": view}))


def _control(name, control):
    import ipywidgets

    look = {
        "description": name.replace("_", " "),
        "style": {"description_width": "min(11em, 40%)"},
        "layout": {"max_width": _COLUMN},
    }
    if isinstance(control, bool):
        return ipywidgets.Checkbox(value=control, **look)
    if isinstance(control, list) and control and all(isinstance(option, str) for option in control):
        return ipywidgets.Dropdown(options=control, **look)
    if (
        isinstance(control, tuple)
        and len(control) == 4
        and control[1] <= control[0] <= control[2]
        and control[3] > 0
        and all(_is_whole((end - control[1]) / control[3]) for end in (control[0], control[2]))
    ):
        slider = (
            ipywidgets.IntSlider
            if all(isinstance(part, int) for part in control)
            else ipywidgets.FloatSlider
        )
        look["layout"]["width"] = "34em"
        numbers = dict(zip(("value", "min", "max", "step"), control))
        return slider(**numbers, **look, continuous_update=True)
    raise ValueError(
        f"the control {name!r} is {control!r}; give (start, low, high, step) with low <= start <= high, step > 0, and "
        "start and high whole steps from low; a list of texts; True or False."
    )


def _is_whole(steps):
    return abs(steps - round(steps)) < 1e-6
