"""learn what each figure may look like, and plant faults in it: figures [CHAPTER ...]

usage: python3 run.py figures [CHAPTER ...]      uses the runs of 'robust', and runs what is missing of them

A figure that comes out alike to the pixel for seeds 100 to 129, with 1, 2 and 4 threads and without oneDNN gets the tag
`exact-figure`; for each other one, what those drawings have in common goes to tests/figures/. The tests hold new drawings
against that. Then faults are planted in every figure, one at a time (blanked, mirrored, series swapped or dropped, wrong
colour scale, axis unlabelled, panels exchanged ...); printed are how many are noticed, by the pixels where a machine
measures what is stored, and elsewhere by what was learnt; which are not; and how many drawings of other seeds that have
run, from which nothing was learnt, would be false alarms.
"""

import pickle
import sys

import nbformat

from tools.authors.refresh import normal_form
from tools.authors.robust import SAME_SEED
from tools.authors.test import cores_of_this_process
from tools.chapters import chapters_named
from tools.figure_faults import faults_of, planted
from tools.figures import (
    SAME_MACHINE,
    changed_pixels,
    contradictions,
    drawn,
    faults_of_picture,
    in_256_colours,
    learnt,
    name_of,
    picture_of,
    rendered,
    write_envelopes,
)
from tools.outputs import exact_faults
from tools.runs import FIGURES_OF, place_of, read_run, runs_side_by_side

LEARNT_FROM = [(f"seed-{seed}", {"seed": seed}, {}) for seed in range(100, 130)] + SAME_SEED
INVISIBLE = 0.00002  # of the pixels: a fault that changes fewer cannot be seen


def main(arguments):
    chapters = chapters_named(arguments)
    tasks = [(chapter, *run) for chapter in chapters for run in LEARNT_FROM]
    for line in runs_side_by_side(tasks, cores_of_this_process()):
        print(line, flush=True)
    for chapter in chapters:
        drawings = drawings_of(chapter, [label for label, _, _ in LEARNT_FROM])
        envelopes = learn(chapter, drawings)
        print(chapter.stem, plant(chapter, drawings, envelopes), sep=": ", flush=True)


def learn(chapter, drawings):
    """Tag the exact figures of a chapter, and store what the drawings of each other one have in common; return that."""
    notebook = nbformat.read(chapter, as_version=4)
    envelopes = {}
    for cell in notebook.cells:
        if cell.id not in drawings:
            continue
        words, pictures = zip(*drawings[cell.id].values())
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "exact-figure"]
        if is_exact(pictures):
            tags.append("exact-figure")
        else:
            envelopes[cell.id] = learnt(words, pictures)
        cell.metadata.pop("tags", None)
        if tags:
            cell.metadata["tags"] = tags
    chapter.write_text(
        normal_form(notebook, notebook.metadata.get("measured")), encoding="utf-8", newline="\n"
    )
    write_envelopes(chapter.stem, envelopes)
    return envelopes


def drawings_of(chapter, labels):
    """For each cell with a figure, `{label: (what it shows, picture)}`."""
    found = {}
    for label in labels:
        notebook, _ = read_run(chapter, label)
        if notebook.metadata.stopped:
            sys.exit(f"{chapter.stem} stopped with {label}: {notebook.metadata.stopped}")
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    words = output.metadata["image/png"]["drawn"]
                    picture = picture_of(output.data["image/png"])
                    found.setdefault(cell.id, {})[label] = words, picture
    return found


def is_exact(pictures):
    first = pictures[0]
    return all(p.shape == first.shape and not changed_pixels(first, p) for p in pictures)


def plant(chapter, drawings, envelopes):
    """Plant every fault in every figure of a chapter; say how many are noticed, and which are not."""
    learnt_from = {label for by_label in drawings.values() for label in by_label}
    others = [path.stem for path in place_of(chapter).glob("seed-*.ipynb")]
    others = [label for label in others if label not in learnt_from and ".part" not in label]
    folder, lines = place_of(chapter) / "figures", []
    notebook, _ = read_run(chapter, FIGURES_OF)
    planted_all = by_pixels = noticed_all = alarms = tried = 0
    fresh = drawings_of(chapter, others) if others else {}
    for cell in drawings:
        envelope = envelopes.get(cell)
        (stored,) = [c.outputs for c in notebook.cells if c.id == cell]
        png = [o.data["image/png"] for o in stored if "image/png" in o.get("data", {})][0]
        own, kept = picture_of(png), folder / f"{name_of(png)}.pickle"
        for label, (says, picture) in fresh.get(cell, {}).items():
            tried += 1
            if found := noticed(envelope, own, says, picture):
                alarms += 1
                lines.append(f"  false alarm, cell {cell}, {label}: {found[0]}")
        if not kept.exists():
            lines.append(f"  no faults planted: cell {cell}, whose figure holds functions")
            continue
        figure = pickle.loads(kept.read_bytes())
        for kind, what, change in faults_of(figure):
            changed = planted(figure, change)
            picture = rendered(changed)
            if picture.shape == own.shape and changed_pixels(own, picture) < INVISIBLE:
                continue
            planted_all += 1
            by_pixels += bool(exact_faults(own, in_256_colours(picture), SAME_MACHINE))
            if noticed(envelope, own, drawn(changed), picture):
                noticed_all += 1
            else:
                lines.append(f"  not noticed: cell {cell}, {kind}, {what}")
    shares = [
        f"{count} ({count / max(planted_all, 1):.1%}) {how}"
        for count, how in ((by_pixels, "by their pixels"), (noticed_all, "on other machines"))
    ]
    first = f"{planted_all} faults, noticed {' and '.join(shares)}; {alarms} false alarms in {tried} drawings"
    return "\n".join([first, *lines])


def noticed(envelope, own, says, picture):
    """What the tests would say of a drawing of this figure."""
    if envelope:
        return contradictions(envelope, says) + faults_of_picture(envelope, picture)
    return exact_faults(own, picture)
