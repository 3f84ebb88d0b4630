"""The small helper package of the workbook: what two chapters need and none of them teaches.

Chapters write ``import bigmodel_helpers as bh`` and use the names below. Importing it has no effect: TensorFlow is
not loaded, no style is set, no seed is drawn. There is no layer, loss, model or training loop in here, on purpose:
those are what the chapters teach.
"""

from .claims import check_close, claim
from .data import load_data
from .exercises import check
from .explore import explore, still
from .pictures import image_folder
from .plotting import COLOURS, new_figure, plot_lines, plot_matrix, show_figure, show_images
from .runtime import progress, quietly, setup
from .settings import check_setting

__all__ = [
    "COLOURS",
    "check",
    "check_close",
    "check_setting",
    "claim",
    "explore",
    "image_folder",
    "load_data",
    "new_figure",
    "plot_lines",
    "plot_matrix",
    "progress",
    "quietly",
    "setup",
    "show_figure",
    "show_images",
    "still",
]
