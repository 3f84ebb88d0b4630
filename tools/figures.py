"""What a trained figure looks like whatever the luck: measured over seeds, and held against each new drawing.

A figure whose data are exact is compared by its pixels. One that shows trained or sampled numbers differs from seed to
seed, but not in all: labels, ticks and captions, number, kind and colour of what is drawn, about where it lies, how
pictures lean, where there is ink of which colour. `drawn` puts this into a few hundred words and numbers, from the
figure itself; `regions` does the same for the pixels. An envelope holds what is common to the drawings of several
seeds: words that are always the same, the lowest and the highest of each number. A new drawing must lie in it.
"""

import base64
import hashlib
import io
import json
import math
import re

import numpy as np
from PIL import Image

from tools.chapters import ROOT

ENVELOPES = ROOT / "tests" / "figures"
# a picture is looked at in small tiles and in large ones, each with its side in pixels; by how much a tile's layer, from
# 0 to 255, may lie outside of what was seen besides SLACK; and how many tiles may lie outside
TILES = {"small": (20, 12.0, 8), "large": (100, 3.0, 0)}
SLACK = 1.0  # a number may lie outside of what was seen by this much of the distance from lowest to highest
FAR = 1.0, 3.0  # how many of these margins are strange, and how many are far out
LEAST = 0.02  # and by this much of its size, for other machines
# the ends of what is measured on a scale from -1 to 1
WITHIN_ONE = ("down", "across", "slant", "along x", "along y")
# from 0 to 1, and elsewhere where a label is a digit longer
SIDE_OF_PANEL = re.compile(r"\d+ (left|bottom|right|top)")
PIXEL_TOLERANCE = 64.0  # of 255: smoothed edges differ so from one machine to the next
SAME_MACHINE = 8.0  # and by so much where a machine draws again what it has drawn
CHANGED_AT_MOST = 0.00005  # the share of pixels that may differ by more: a tick of an axis


def drawn(figure):
    """A flat dictionary of words and numbers that say what a Matplotlib figure, once it has been drawn, shows."""
    said, pictures = {"panels": str(len(figure.axes))}, []
    for number, axes in enumerate(figure.axes):
        for key, value in _of_axes(axes):
            said[f"{number} {key}"] = value
        pictures += [
            np.ma.filled(image.get_array(), 0) for image in axes.images if image.get_visible()
        ]
    if len(pictures) > 1:
        moments = [_moments(picture) for picture in pictures]
        for key in sorted(set.intersection(*map(set, moments))):
            said[f"all pictures: {key}"] = float(np.mean([each[key] for each in moments]))
    return {
        key: value if isinstance(value, str) else float(f"{value:.4g}")
        for key, value in said.items()
        if isinstance(value, str) or math.isfinite(value)
    }


def _of_axes(axes):
    from matplotlib.colors import to_hex

    for side, value in zip(("left", "bottom", "right", "top"), axes.get_position().extents):
        yield side, float(value)
    yield "title", axes.get_title()
    yield "shown", f"axes {axes.axison}"
    for which in ("x", "y") if axes.axison else ():
        low, high = getattr(axes, f"get_{which}lim")()
        ticks = getattr(axes, f"{which}axis").get_ticklabels()
        yield f"{which} label", getattr(axes, f"get_{which}label")()
        yield f"{which} scale", getattr(axes, f"get_{which}scale")()
        yield f"{which} direction", "up" if high > low else "down"
        yield f"{which} low", float(low)
        yield f"{which} high", float(high)
        ticks = [tick.get_text() for tick in ticks if tick.get_visible()]
        yield f"{which} ticks", ", ".join(ticks)
        yield f"{which} numbered", "yes" if any(ticks) else "no"
    texts = [text for text in axes.texts if text.get_visible() and text.get_text()]
    yield "texts", str(len(texts))
    for n, text in enumerate(texts):
        yield f"text {n}", text.get_text()
    if (legend := axes.get_legend()) and legend.get_visible():
        yield "legend", ", ".join(text.get_text() for text in legend.get_texts())
    lines = [line for line in axes.lines if line.get_visible()]
    yield "lines", str(len(lines))
    for n, line in enumerate(lines):
        x, y = (np.asarray(part, dtype=float) for part in line.get_data())
        yield (
            f"line {n} look",
            f"{to_hex(line.get_color())} {line.get_linestyle()} {line.get_marker()}",
        )
        if len(x):
            yield f"line {n} points", float(len(x))
            yield f"line {n} begins", float(x[0])
            yield f"line {n} ends", float(x[-1])
            yield f"line {n} mean", float(np.mean(y))
            for part in range(5):
                yield f"line {n} at {part}/4", float(y[part * (len(y) - 1) // 4])
    patches = [patch for patch in axes.patches if patch.get_visible()]
    yield "patches", str(len(patches))
    for n, patch in enumerate(patches[:40]):
        yield f"patch {n} colour", to_hex(patch.get_facecolor(), keep_alpha=True)
        box = patch.get_extents().transformed(axes.transData.inverted())
        for side, value in zip(("left", "bottom", "right", "top"), box.extents):
            yield f"patch {n} {side}", float(value)
    clouds = [cloud for cloud in axes.collections if cloud.get_visible()]
    yield "collections", str(len(clouds))
    for n, cloud in enumerate(clouds):
        yield from ((f"cloud {n} {key}", value) for key, value in _of_cloud(cloud))
    images = [image for image in axes.images if image.get_visible()]
    yield "images", str(len(images))
    for n, image in enumerate(images):
        pixels = np.ma.filled(image.get_array(), 0)
        yield f"image {n} shape", f"{pixels.shape} {image.get_cmap().name} {image.origin}"
        low, high = image.get_clim()
        yield f"image {n} scale", _scale_of(pixels, low or 0, high or 0)
        yield f"image {n} scale from", float(low or 0)
        yield f"image {n} scale to", float(high or 0)
        yield from ((f"image {n} {key}", value) for key, value in _moments(pixels).items())


def _scale_of(pixels, low, high):
    """Where a colour scale begins and ends, by what there is to show: the same words whatever the luck."""
    least, most = float(pixels.min()), float(pixels.max())
    known = {"0": 0.0, "1": 1.0, "least": least, "most": most, "size": max(-least, most)}
    known |= {f"-{name}": -value for name, value in known.items() if name in ("1", "size")}
    near = 1e-6 * (abs(low) + abs(high))
    ends = [
        [name for name, value in known.items() if abs(value - end) <= near] for end in (low, high)
    ]
    return " to ".join((names or ["other"])[0] for names in ends)


def _of_cloud(cloud):
    from matplotlib.colors import to_hex

    yield "kind", type(cloud).__name__
    for name in ("facecolor", "edgecolor"):
        colours = getattr(cloud, f"get_{name}")()
        if len(colours) == 1:
            yield name, to_hex(colours[0], keep_alpha=True)
    points = np.ma.filled(cloud.get_offsets(), np.nan)
    if not len(points) or not np.any(points):
        paths = [path.vertices for path in cloud.get_paths()]
        points = np.concatenate(paths) if paths else np.zeros((0, 2))
    yield "points", float(len(points))
    if len(points):
        mean, spread = np.nanmean(points, axis=0), np.nanstd(points, axis=0)
        yield "mean x", float(mean[0])
        yield "mean y", float(mean[1])
        yield "spread x", float(spread[0])
        yield "spread y", float(spread[1])
        values = cloud.get_array()
        if values is not None and np.size(values) == len(points):
            values = np.asarray(values, dtype=float).ravel()
            yield "mean colour", float(values.mean())
            for which in (0, 1):
                product = (points[:, which] - mean[which]) * (values - values.mean())
                scale = (spread[which] * values.std()) or 1.0
                yield f"colour along {'xy'[which]}", float(np.nanmean(product) / scale)


def _moments(picture):
    """Numbers that change when a picture is exchanged, turned or mirrored."""
    picture = np.asarray(picture, dtype=float)
    channels = {"mean": picture.mean(), "deviation": picture.std()}
    if picture.ndim == 3:
        channels |= {
            f"mean of channel {n}": picture[..., n].mean() for n in range(picture.shape[2])
        }
        picture = picture[..., :3].mean(axis=2)
    ink = np.abs(picture - np.median(picture))
    total = ink.sum() or 1.0
    found = {key: float(value) for key, value in channels.items()}
    for axis, name in enumerate(("down", "across")):
        along = ink.sum(axis=1 - axis)
        places = np.linspace(-1, 1, len(along)) if len(along) > 1 else np.zeros(1)
        centre = float((along * places).sum() / total)
        found[f"centre {name}"] = centre
        found[f"lean {name}"] = float((along * (places - centre) ** 3).sum() / total)
    down, across = (
        np.diff(picture, axis=axis) if picture.shape[axis] > 1 else np.zeros((1, 1))
        for axis in (0, 1)
    )
    energy = (down**2).sum() + (across**2).sum() or 1.0
    found["strokes across over down"] = float(((across**2).sum() - (down**2).sum()) / energy)
    if min(picture.shape) > 1:
        product = (down[:, 1:] * across[1:]).sum()
        found["slant"] = float(product / energy)
    return found


def picture_of(png):
    """A PNG, as bytes or in base64, as an array of shape (height, width, 3), 0 to 255."""
    raw = base64.b64decode(png) if isinstance(png, str) else png
    return np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"), dtype=float)


def in_256_colours(picture):
    """A picture as it is after it was stored."""
    image = Image.fromarray(picture.astype(np.uint8)).quantize(256, dither=Image.Dither.NONE)
    return np.asarray(image.convert("RGB"), dtype=float)


def rendered(figure):
    """A Matplotlib figure as `picture_of` would have it from its PNG, but quickly."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def regions(picture, side):
    """The mean colour, and the share of coloured, grey and dark pixels, in square tiles; shape (rows, columns, 6)."""
    colour = picture.max(axis=2) - picture.min(axis=2) > 60
    dark = picture.max(axis=2) < 110
    grey = ~colour & ~dark & (picture.max(axis=2) < 235)
    layers = np.concatenate([picture, 255.0 * np.stack([colour, grey, dark], axis=2)], axis=2)
    rows, columns = (np.arange(0, length, side) for length in picture.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(layers, rows, axis=0), columns, axis=1)
    sizes = np.diff([*rows, picture.shape[0]])[:, None] * np.diff([*columns, picture.shape[1]])
    return sums / sizes[:, :, None]


def learnt(drawings, pictures):
    """The envelope of one figure, from its descriptions and pictures of several seeds."""
    size = pictures[0].shape[:2]
    alone = [
        outside(common([*drawings[:n], *drawings[n + 1 :]]), one) for n, one in enumerate(drawings)
    ]
    envelope = {
        "drawn": common(drawings),
        "by_chance": [2 * max(sum(f > far for f in one.values()) for one in alone) for far in FAR],
        "sizes": [list(size) for size in sorted({picture.shape[:2] for picture in pictures})],
    }
    for name, (side, margin, _) in TILES.items():
        layers = np.array([
            regions(picture, side) for picture in pictures if picture.shape[:2] == size
        ])
        lowest, highest = np.floor(layers.min(axis=0)), np.ceil(layers.max(axis=0))
        others = (np.delete(layers, n, axis=0) for n in range(len(layers)))
        # where one drawing is strange to all the others, everything is possible
        chance = np.any(
            [_is_strange(one, rest, margin) for one, rest in zip(layers, others)], axis=0
        )
        if name == "small":
            chance = _widened(chance)
        lowest[chance], highest[chance] = 0, 255
        envelope[name] = np.stack([lowest, highest]).astype(np.uint8)
    return envelope


def _widened(marks):
    """Marks of tiles, and of the tiles beside them."""
    rows, columns = marks.shape
    beside = np.pad(marks, 1)
    places = np.ndindex(3, 3)
    return np.any([beside[y : y + rows, x : x + columns] for y, x in places], axis=0)


def _is_strange(found, layers, margin):
    low, high = layers.min(axis=0).astype(float), layers.max(axis=0).astype(float)
    margin = SLACK * (high - low) + margin
    return np.any((found < low - margin) | (found > high + margin), axis=2)


def common(drawings):
    """What several descriptions have in common: constant words, and the lowest and highest of each number."""
    held = {}
    for key in drawings[0]:
        values = [drawing.get(key) for drawing in drawings]
        if any(value is None for value in values):
            continue
        if all(isinstance(value, str) for value in values):
            for form in (str, _without_digits):
                if len({form(value) for value in values}) == 1:
                    held[key] = form(values[0])
                    break
        elif not any(isinstance(value, str) for value in values):
            held[key] = [min(values), max(values)]
    return held


def contradictions(envelope, drawing):
    """Where a description contradicts an envelope; a list of sentences.

    Each word must be right. Of the numbers as many may lie outside, and as many far outside, as twice the most that did so
    where one of the drawings was held against all others: some figures show what chance brings.
    """
    faults, held = [], envelope["drawn"]
    for key, expected in held.items():
        value = drawing.get(key)
        if value is None:
            faults.append(f"{key} is missing")
        elif isinstance(expected, str):
            if expected not in (value, _without_digits(str(value))):
                faults.append(f"{key} is {value!r}, not {expected!r}")
        elif isinstance(value, str):
            faults.append(f"{key} is {value!r}, not a number")
    for far, most in zip(FAR, envelope["by_chance"]):
        strange = [key for key, margins in outside(held, drawing).items() if margins > far]
        if len(strange) > most:
            faults += [
                f"{k} is {drawing[k]:g}, not from {held[k][0]:g} to {held[k][1]:g}" for k in strange
            ]
            break
    return faults


def outside(held, drawing):
    """How far each number of a description lies outside of what was seen, in margins; more than 1 is strange."""
    found = {}
    for key, expected in held.items():
        value = drawing.get(key)
        if not isinstance(expected, str) and isinstance(value, (int, float)):
            low, high = expected
            within_one = key.endswith(WITHIN_ONE) or SIDE_OF_PANEL.fullmatch(key)
            size = 1.0 if within_one else max(abs(low), abs(high))
            margin = SLACK * (high - low) + LEAST * size + 1e-6
            found[key] = max(low - value, value - high) / margin
    return found


def faults_of_picture(envelope, picture):
    """A sentence if the pixels of a picture are not those of this figure."""
    if list(picture.shape[:2]) not in envelope["sizes"]:
        return [f"the picture is {picture.shape[:2]} pixels, not one of {envelope['sizes']}"]
    faults = []
    for name, (side, margin, at_most) in TILES.items():
        found = regions(picture, side)
        if found.shape == envelope[name].shape[1:]:
            strange = int(_is_strange(found, envelope[name], margin).sum())
            if strange > at_most:
                faults.append(
                    f"{strange} {name} tiles of the picture look like no drawing of this figure"
                )
    return faults


def changed_pixels(before, after, tolerance=PIXEL_TOLERANCE):
    """The share of pixels that differ between two pictures of one size by more than a tolerance of 255."""
    return float(np.mean(np.abs(before - after).max(axis=2) > tolerance))


def read_envelopes(stem):
    """The envelopes of a chapter's trained figures, by the ids of their cells; none if there is no such file."""
    words, numbers = (ENVELOPES / f"{stem}{suffix}" for suffix in (".json", ".npz"))
    if not words.exists():
        return {}
    envelopes = json.loads(words.read_text(encoding="utf-8"))
    with np.load(numbers) as arrays:
        for name, envelope in envelopes.items():
            envelope |= {tiles: arrays[f"{name} {tiles}"] for tiles in TILES}
    return envelopes


def write_envelopes(stem, envelopes):
    """Store the envelopes of a chapter's trained figures."""
    ENVELOPES.mkdir(exist_ok=True)
    words, arrays = {}, {}
    for name, envelope in envelopes.items():
        words[name] = {key: envelope[key] for key in ("sizes", "by_chance", "drawn")}
        arrays |= {f"{name} {tiles}": envelope[tiles] for tiles in TILES}
    text = json.dumps(words, indent=0, ensure_ascii=False)
    (ENVELOPES / f"{stem}.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    np.savez_compressed(ENVELOPES / f"{stem}.npz", **arrays)


def _without_digits(text):
    return re.sub(r"[-−]?\d+(\.\d+)?", "#", text)


def name_of(png):
    """A short name for a picture, made of its bytes."""
    raw = base64.b64decode(png) if isinstance(png, str) else png
    return hashlib.sha256(raw).hexdigest()[:16]
