"""Picture of the images that models were scored on: what is true, and what a model marks."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from radiounet.learning.evaluation import predicted_mask
from radiounet.learning.methods import Calibration, Method
from radiounet.learning.scenes import Scene, read_scene
from radiounet.settings.train import ImageGrid, pair_files

MOST = 12
COLUMNS = 3
SHOWN_SNR = (-3.0, 15.0)
TRUE, MARKED = "#0072B2", "#D55E00"


def draw_scored(
    method: Method, settled: Calibration, paths: Sequence[str], truth_snr: float, grid: ImageGrid
) -> Figure:
    """Draw the first `MOST` images with outlines of the truth and of a method's mask.

    Parameters
    ----------
    method, settled
        What makes the mask.
    paths : sequence of str
        See `radiounet.learning.scenes.read_scene`.
    truth_snr, grid
        See there, too.
    """
    shown = paths[:MOST]
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(4 * columns, 4.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, path in zip(panels, shown, strict=False):
        scene = read_scene(path, truth_snr, grid)
        _draw(axes, scene, predicted_mask(method, settled, scene))
        axes.set_title(Path(pair_files(path)[0]).name.removesuffix(".fits"), fontsize=9)
    lines = [Line2D([], [], color=colour) for colour in (TRUE, MARKED)]
    figure.legend(lines, ("truth", method.name), loc="outside upper center", ncols=2, frameon=False)
    return figure


def _draw(axes: Axes, scene: Scene, marked: np.ndarray) -> None:
    snr = np.arcsinh(np.clip(scene.image / scene.rms, *SHOWN_SNR))
    axes.imshow(snr, origin="lower", cmap="gray_r", interpolation="nearest")
    for mask, colour in ((scene.mask, TRUE), (marked, MARKED)):
        if mask.any():
            axes.contour(mask, levels=[0.5], colors=colour, linewidths=0.8)
