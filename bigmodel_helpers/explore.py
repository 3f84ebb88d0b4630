"""Sliders over a figure."""

import base64
import html

from .plotting import _DPI, _Bundle, _require_alt, png_bytes, show_figure


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
    figure = _empty_figure()
    show_figure(figure, alt=draw(figure, **values))


def explore(draw, **controls):
    """Show a figure with a control for each of its values; moving one draws the figure again.

    Live in JupyterLab; wherever no kernel runs, the picture for the first values stands in its place.

    Args:
        draw: as in `still`.
        controls: for each value of `draw`, one of

            - ``(start, low, high, step)``: a slider, whole numbers if all four are;
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
    figure, picture = _empty_figure(), ipywidgets.HTML()

    def redraw(change=None):
        figure.clear()
        alt = draw(figure, **{name: widget.value for name, widget in widgets.items()})
        _require_alt(alt)
        png = png_bytes(figure)
        source = base64.b64encode(png).decode("ascii")
        picture.value = f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{source}">'
        return png, alt

    png, alt = redraw()
    for widget in widgets.values():
        widget.observe(redraw, names="value")
    box = ipywidgets.VBox([*widgets.values(), picture])
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    data = {"application/vnd.jupyter.widget-view+json": view, "image/png": png, "text/plain": alt}
    display(_Bundle(data, {"image/png": {"alt": alt}}))


def _empty_figure():
    from matplotlib.figure import Figure

    return Figure(figsize=(8.0, 4.0), dpi=_DPI, layout="constrained")


def _control(name, control):
    import ipywidgets

    look = {"description": name.replace("_", " "), "style": {"description_width": "11em"}}
    wide = {"layout": {"width": "34em"}, "continuous_update": True}
    if isinstance(control, bool):
        return ipywidgets.Checkbox(value=control, **look)
    if isinstance(control, list) and control and all(isinstance(option, str) for option in control):
        return ipywidgets.Dropdown(options=control, **look)
    if (
        isinstance(control, tuple)
        and len(control) == 4
        and control[1] <= control[0] <= control[2]
        and control[3] > 0
    ):
        slider = (
            ipywidgets.IntSlider
            if all(isinstance(part, int) for part in control)
            else ipywidgets.FloatSlider
        )
        return slider(**dict(zip(("value", "min", "max", "step"), control)), **look, **wide)
    raise ValueError(
        f"the control {name!r} is {control!r}; give (start, low, high, step) with low <= start <= high and step > 0, "
        "a list of texts, True or False."
    )
