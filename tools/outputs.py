"""Outputs of a cell, held against the stored ones: kinds, texts, descriptions, figures."""

import functools
import html
import re

import nbformat

from tools.chapters import ROOT
from tools.figures import (
    CHANGED_AT_MOST,
    PIXEL_TOLERANCE,
    SAME_MACHINE,
    changed_pixels,
    contradictions,
    faults_of_picture,
    picture_of,
)

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
HTML_PICTURE = re.compile(
    r'<img alt="([^"]*)" width="(\d+)" height="(\d+)" src="data:image/png;base64,([A-Za-z0-9+/=]*)">'
)
UNCOMPARED = 'src="data:image/png;base64,'  # what follows is left out by tests/nbval_sanitize.cfg


@functools.cache
def rules():
    """What nbval replaces in texts before it compares them."""
    from nbval.plugin import get_sanitize_patterns

    return get_sanitize_patterns(
        (ROOT / "tests" / "nbval_sanitize.cfg").read_text(encoding="ascii")
    )


def sanitized(text):
    """A text without what may differ from machine to machine."""
    for pattern, replacement in rules():
        text = re.sub(pattern, replacement, text)
    return text


def whole_streams(outputs):
    """A copy of outputs in which all that went to one stream is one text; nbval's own function changes what it is given."""
    from nbval.plugin import coalesce_streams

    return coalesce_streams(nbformat.from_dict(outputs))


def texts_of(outputs):
    """The texts that nbval compares, sanitized, each under its kind; the outputs' streams must be whole."""
    return [
        (key, sanitized(text))
        for output in outputs
        for key, text in (
            (output.get("name", "stdout"), output.get("text")),
            *output.get("data", {}).items(),
        )
        if isinstance(text, str) and not key.startswith("image/")
    ]


def changed_texts(stored, fresh):
    """Where the texts of fresh outputs differ from the stored ones; a list of sentences."""
    before, now = texts_of(stored), texts_of(fresh)
    if len(before) != len(now):
        return [f"there were {len(before)} texts, now {len(now)}"]
    return [f"{old[1]!r} has become {new[1]!r}" for old, new in zip(before, now) if old != new]


def changed_faults(cell, stored, fresh, envelope=None):
    """What differs between stored and fresh outputs where nbval does not look."""
    if [kind(output) for output in stored] != [kind(output) for output in fresh]:
        return [f"outputs stored {[kind(o) for o in stored]}, now {[kind(o) for o in fresh]}"]
    faults = [f"now: {fault}" for output in fresh for fault in picture_faults(output)]
    exact = "exact-figure" in cell.metadata.get("tags", [])
    for outputs in zip(stored, fresh):
        pictures = [output.get("data", {}).get("image/png") for output in outputs]
        if None in pictures:
            continue
        said = [output.get("metadata", {}).get("image/png", {}) for output in outputs]
        if said[0].get("alt") != said[1].get("alt"):
            faults.append(
                f"the picture's description was {said[0].get('alt')!r}, now {said[1].get('alt')!r}"
            )
        before, after = map(picture_of, pictures)
        if exact:
            faults += exact_faults(before, after)
        elif envelope:
            faults += [f"stored: {fault}" for fault in faults_of_picture(envelope, before)]
            faults += [f"now: {fault}" for fault in faults_of_picture(envelope, after)]
            faults += [f"now: {f}" for f in contradictions(envelope, said[1]["drawn"])]
        elif before.shape != after.shape:
            faults.append(f"the picture was {before.shape} pixels, now {after.shape}")
    return faults


def redrawn(stored, fresh):
    """What differs between the pictures of two runs of a cell that must be the same to the pixel; a list of sentences."""
    pictures = [
        [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
        for outputs in (stored, fresh)
    ]
    return [
        fault
        for before, after in zip(*pictures)
        if before != after  # the same bytes need not be looked at
        for fault in exact_faults(picture_of(before), picture_of(after), SAME_MACHINE)
    ]


def exact_faults(before, after, tolerance=PIXEL_TOLERANCE):
    """What differs between two drawings of the same exact data, by more than a tolerance of 255."""
    if before.shape != after.shape:
        return [f"the picture was {before.shape} pixels, now {after.shape}"]
    if (changed := changed_pixels(before, after, tolerance)) > CHANGED_AT_MOST:
        return [
            f"the picture has changed in {changed:.3%} of its pixels, at most {CHANGED_AT_MOST:.3%} allowed"
        ]
    return []


def picture_faults(output):
    """Where the forms of one output's picture contradict each other: its PNG, its HTML, its sentence.

    nbval compares the HTML without the picture in it, and no PNG at all; so they are held to each other here.
    """
    forms = dict(output.get("data", {}))
    png, inside = forms.pop("image/png", None), ""
    if png is not None:
        inside = forms.pop("text/html", "")
    rest = [output.get("text", ""), *forms.values()]
    faults = []
    if any(UNCOMPARED in text for text in rest if isinstance(text, str)):
        faults.append(
            "a picture stands in a text without an image/png beside it to compare it with"
        )
    if png is None:
        return faults
    found = HTML_PICTURE.fullmatch(inside)
    if not found:
        return [*faults, "its text/html is not one img with alt, width, height and the picture"]
    alt, width, height, source = found.groups()
    if source != "".join(png.split()):
        faults.append("the picture in the HTML is another one")
    rows, columns, _ = picture_of(png).shape
    if (int(width), int(height)) != (columns, rows):
        faults.append(
            f"the HTML shows the picture as {width} x {height} pixels, but it has {columns} x {rows}"
        )
    sentence = forms.get("text/plain")
    said = [html.unescape(alt), output.get("metadata", {}).get("image/png", {}).get("alt")]
    if said != [sentence, sentence]:
        faults.append(f"the picture's description is {said}, but its text/plain is {sentence!r}")
    return faults


def kind(output):
    """What sort of output it is: the stream's name, or which forms of the content there are."""
    if output["output_type"] == "stream":
        return output["name"]
    return f"{output['output_type']} of {', '.join(sorted(set(output.get('data', {})) - {WIDGET_VIEW}))}"
