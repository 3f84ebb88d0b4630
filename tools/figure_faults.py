"""Faults as they are made in figures, each planted alone into a figure that has been drawn."""

import itertools
import pickle

import numpy as np


def faults_of(figure):
    """Each fault that fits the figure as `(kind, what, a function that plants it into a copy of the figure)`."""
    found = [("blanked", "everything", lambda f: [axes.remove() for axes in list(f.axes)])]
    grid = [axes for axes in figure.axes if axes.images]
    for name, turn in TURNS.items():
        if grid:
            found.append(("picture " + name, "all", every_image(turn)))
    for number, axes in enumerate(figure.axes):
        place = f"panel {number}"
        found += [
            (kind, f"{place}: {what}", on_axes(number, change))
            for kind, what, change in (*faults_in_axes(axes, grid),)
        ]
    panels = [n for n, axes in enumerate(figure.axes) if axes.has_data()]
    for one, other in itertools.pairwise(panels):
        found.append(("panels exchanged", f"{one} and {other}", exchange(one, other)))
    return found


def planted(figure, plant):
    """A copy of the figure with a fault in it."""
    changed = pickle.loads(pickle.dumps(figure))
    plant(changed)
    return changed


TURNS = {
    "transposed": lambda a: np.swapaxes(a, 0, 1),
    "mirrored": lambda a: a[:, ::-1],
    "upside down": lambda a: a[::-1],
}


def every_image(change):
    def plant(figure):
        for axes in figure.axes:
            for image in axes.images:
                image.set_data(change(np.asarray(image.get_array())))

    return plant


def on_axes(number, change):
    return lambda figure: change(figure.axes[number])


def exchange(one, other):
    def plant(figure):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        first, second = figure.axes[one], figure.axes[other]
        places = first.get_position(), second.get_position()
        first.set_position(places[1])
        second.set_position(places[0])

    return plant


def faults_in_axes(axes, grid):
    """The faults that fit one pair of axes."""
    lines = [n for n, line in enumerate(axes.lines) if len(line.get_xdata()) > 2]
    for n in range(len(axes.lines)):
        yield "dropped", f"line {n}", lambda a, n=n: a.lines[n].set_visible(False)
    for one, other in itertools.pairwise(lines):
        yield "swapped", f"lines {one} and {other}", swap_lines(one, other)
    for n in lines:
        yield "wrong array", f"line {n} drawn from its end", reverse_line(n)
    for n, points in enumerate(axes.collections):
        yield "dropped", f"collection {n}", lambda a, n=n: a.collections[n].set_visible(False)
        if len(points.get_offsets()) > 2 and type(points).__name__ == "PathCollection":
            yield "wrong array", f"points {n}: x and y exchanged", exchange_coordinates(n)
            if points.get_array() is not None:
                yield "wrong array", f"points {n}: colours shuffled", shuffle_colours(n)
    if axes.patches:
        yield "dropped", "patches", lambda a: [patch.set_visible(False) for patch in a.patches]
        bars = [patch for patch in axes.patches if hasattr(patch, "get_height")]
        if len({round(float(bar.get_height()), 6) for bar in bars}) > 1:
            yield "wrong array", "bars in reverse order", reverse_bars
    for n, image in enumerate(axes.images):
        if len(grid) <= 3:
            for name, turn in TURNS.items():
                yield "picture " + name, f"image {n}", turn_image(n, turn)
        if np.ndim(image.get_array()) == 2:
            yield "wrong colour scale", f"image {n}: range", narrow_range(n)
            yield "wrong colour scale", f"image {n}: map reversed", reverse_map(n)
    if len(axes.images) and len(grid) > 1 and axes is grid[0]:
        yield "wrong array", "picture drawn from the next panel", next_picture
    if axes.axison:
        if not axes.images:
            yield "axis flipped", "x", lambda a: a.invert_xaxis()
            yield "axis flipped", "y", lambda a: a.invert_yaxis()
        for which in ("x", "y"):
            if getattr(axes, f"get_{which}label")():
                yield "unlabelled", which, lambda a, w=which: getattr(a, f"set_{w}label")("")
            ticks = getattr(axes, f"{which}axis")
            if ticks.get_visible() and any(t.get_text() for t in ticks.get_ticklabels()):
                yield "unlabelled", f"{which} ticks", blank_ticks(which)
            if getattr(axes, f"get_{which}scale")() == "log":
                yield "axis flipped", f"{which}: linear for log", linear(which)
    for n, text in enumerate(axes.texts):
        if n < 4 and text.get_text().strip():
            yield "unlabelled", f"text {n}", lambda a, n=n: a.texts[n].set_visible(False)
    if axes.get_legend():
        yield "unlabelled", "legend", lambda a: a.get_legend().set_visible(False)
    if axes.get_title():
        yield "unlabelled", "caption", lambda a: a.set_title("")


def swap_lines(one, other):
    def plant(axes):
        first, second = axes.lines[one], axes.lines[other]
        data = first.get_data(), second.get_data()
        first.set_data(*data[1])
        second.set_data(*data[0])

    return plant


def reverse_line(n):
    return lambda axes: axes.lines[n].set_ydata(np.asarray(axes.lines[n].get_ydata())[::-1])


def exchange_coordinates(n):
    return lambda axes: axes.collections[n].set_offsets(
        np.asarray(axes.collections[n].get_offsets())[:, ::-1]
    )


def shuffle_colours(n):
    def plant(axes):
        values = np.array(axes.collections[n].get_array())
        axes.collections[n].set_array(np.random.default_rng(0).permutation(values))

    return plant


def reverse_bars(axes):
    bars = [patch for patch in axes.patches if hasattr(patch, "get_height")]
    for bar, height in zip(bars, [bar.get_height() for bar in bars][::-1]):
        bar.set_height(height)


def turn_image(n, turn):
    return lambda axes: axes.images[n].set_data(turn(np.asarray(axes.images[n].get_array())))


def narrow_range(n):
    def plant(axes):
        low, high = axes.images[n].get_clim()
        axes.images[n].set_clim(low, low + 0.5 * (high - low))

    return plant


def reverse_map(n):
    return lambda axes: axes.images[n].set_cmap(axes.images[n].get_cmap().reversed())


def next_picture(axes):
    others = [other for other in axes.figure.axes if other.images]
    axes.images[0].set_data(others[1].images[0].get_array())


def blank_ticks(which):
    sides = ("labelbottom", "labeltop") if which == "x" else ("labelleft", "labelright")
    return lambda axes: axes.tick_params(axis=which, **dict.fromkeys(sides, False))


def linear(which):
    return lambda axes: getattr(axes, f"set_{which}scale")("linear")
