"""hold every claim against other seeds, thread counts and no oneDNN: robust [CHAPTER ...] [--seeds N]

usage: python3 run.py robust [CHAPTER ...] [--seeds N or FIRST-LAST]      seeds 0 to 9 unless told, at most 100 at once

Runs each chapter with papermill: with every seed, with 1, 2 and 4 threads, and without oneDNN; as many runs side by side
as there are cores. What has run is kept in .runs/ until the chapter or the helper package changes, so an interrupted call
goes on where it was. Compares every text output and every figure with the stored one, and prints, for each claim, its
bound, the lowest, mean and highest number over the seeds, their standard deviation, and how many of those lie between
mean and bound: of the logarithms, where these lie more evenly. .runs/CHAPTER.png shows it. Stores nothing in the book.
"""

import math
import re
import statistics
import sys

import nbformat

from tools.authors.test import cores_of_this_process
from tools.chapters import THREADS, chapters_named, names_and_options
from tools.figures import read_envelopes
from tools.outputs import changed_faults, changed_texts, redrawn, whole_streams
from tools.runs import KEPT, distances, on_even_scale, read_run, room, runs_side_by_side
from tools.watching import fingerprint

ENOUGH = 4  # standard deviations between the mean of a claim and its bound
SAME_SEED = [
    (f"{n}-threads", {}, dict.fromkeys(THREADS, str(n)) | {"TF_ENABLE_ONEDNN_OPTS": "1"})
    for n in (1, 2, 4)
]
SAME_SEED += [("no-onednn", {}, {"TF_ENABLE_ONEDNN_OPTS": "0"})]


def main(arguments):
    names, options = names_and_options(arguments)
    seeds = seeds_asked_for(options)
    chapters = chapters_named(names)
    runs = [(f"seed-{seed}", {"seed": seed}, {}) for seed in seeds] + SAME_SEED
    for line in runs_side_by_side(
        [(chapter, *run) for chapter in chapters for run in runs], cores_of_this_process()
    ):
        print(line, flush=True)
    failed = False
    for chapter in chapters:
        failed |= report(chapter, [label for label, _, _ in runs])
    sys.exit(failed)


def seeds_asked_for(options):
    """The seeds that the options name."""
    match = re.fullmatch(r"--seeds[ =](?:(\d+)-)?(\d+)", " ".join(options) or "--seeds 10")
    if not match:
        sys.exit(
            f"robust does not know {' '.join(options)}; it takes --seeds 30, or --seeds 100-129."
        )
    first, last = match.groups()
    seeds = range(int(last)) if first is None else range(int(first), int(last) + 1)
    if not 2 <= len(seeds) <= 100:
        sys.exit(f"{len(seeds)} seeds asked for; from 2 to 100 at once can be had.")
    return seeds


def report(chapter, labels):
    """Print what the runs of a chapter showed and draw its picture; return whether one failed."""
    stored, failed, numbers = nbformat.read(chapter, as_version=4), False, {}
    for label in labels:
        fresh, claims = read_run(chapter, label)
        faults = [f"stopped: {fresh.metadata.stopped}"] if fresh.metadata.stopped else []
        faults += [f"not so: {c['name']}: {c['value']}" for c in claims if not c["holds"]]
        faults = faults or changed(chapter.stem, stored, fresh, same_numbers(stored, claims))
        failed |= bool(faults)
        for fault in faults:
            print(f"{chapter.stem}, {label}: {fault}")
        seen = {}
        for claim in claims:
            number = seen[claim["name"]] = seen.get(claim["name"], 0) + 1
            if claim["bounds"] and label.startswith("seed-"):
                numbers.setdefault((claim["name"], number), []).append(claim)
    rows = []
    for (name, number), claims in numbers.items():
        values, bounds = [claim["value"] for claim in claims], claims[0]["bounds"]
        name += f" ({number})" * (number > 1)
        rows.append((name, bounds, values, *on_even_scale(values, bounds)))
    print(f"\n{chapter.stem}: claims over {len(claims) if rows else 0} seeds")
    print(f"{'lowest':>10} {'mean':>10} {'highest':>10} {'deviation':>10} {'room':>6} scale  claim")
    for name, bounds, values, *evenly, scale in rows:
        space = room(*evenly)
        figures = min(values), statistics.fmean(values), max(values), statistics.stdev(values)
        at_ceiling = space < ENOUGH and all(value in bounds.values() for value in values)
        shown = "same" if math.isinf(space) else f"{space:.1f}" + "!" * (space < ENOUGH)
        text = ", ".join(f"{key.replace('_', ' ')} {bound:.4g}" for key, bound in bounds.items())
        print(
            " ".join(f"{figure:10.4g}" for figure in figures),
            f"{'ceil' if at_ceiling else shown:>6} {scale:5}  {name}; {text}",
        )
    if rows:
        evenly = [(name, *on_scale) for name, _, _, *on_scale, _ in rows]
        draw(evenly, KEPT / f"{chapter.stem}.png")
    return failed


def same_numbers(stored, claims):
    """Whether a run has measured to the last bit what the stored one has."""
    return fingerprint({claim.get("exactly") for claim in claims} - {None}) == stored.metadata.get(
        "measured"
    )


def changed(stem, stored, fresh, same=False):
    """The code cells whose texts or figures differ from the stored ones; `same`: where no pixel may differ."""
    faults = []
    envelopes = read_envelopes(stem)
    cells = [
        [cell for cell in notebook.cells if cell.cell_type == "code"]
        for notebook in (stored, fresh)
    ]
    for number, (before, now) in enumerate(zip(*cells, strict=True), 1):
        outputs = [whole_streams(cell.outputs) for cell in (before, now)]
        found = changed_texts(*outputs) or changed_faults(
            before, *outputs, envelopes.get(before.id)
        )
        found = found or (redrawn(*outputs) if same else [])
        faults += [f"code cell {number}: {fault}" for fault in found]
    return faults


def draw(rows, path):
    """A row for each claim, its name, numbers and bounds: the numbers in standard deviations from the nearest bound."""
    import bigmodel_helpers as bh
    from bigmodel_helpers.plotting import png_bytes

    rows = [row for row in rows if not math.isinf(room(*row[1:]))]
    figure, axes = bh.new_figure(height=1 + 0.25 * max(len(rows), 2), width=11)
    for height, (_, values, bounds) in enumerate(reversed(rows)):
        spread = statistics.stdev(values)
        inside = [min(distances(value, bounds)) / spread for value in values]
        axes.plot(inside, [height] * len(values), "|", color=bh.COLOURS["blue"])
    axes.axvline(0, color=bh.COLOURS["red"])
    axes.axvline(ENOUGH, color=bh.COLOURS["grey"], linestyle="--")
    axes.set(
        xlabel="standard deviations inside the bound (red: the bound; dashed: four)",
        yticks=range(len(rows)),
        yticklabels=[name[:60] for name, *_ in reversed(rows)],
        xscale="symlog",
    )
    path.write_bytes(png_bytes(figure))
