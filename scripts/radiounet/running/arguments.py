"""Options that a program of a rule and a verb of the command have in common.

It imports no other room, so that the hash of a program's code holds no more than it uses.
"""

import argparse
import os
from collections.abc import Sequence
from typing import Any

from radiounet.running.stage import positive, whole

EVALUATED = "files of `simulate`, or IMAGE.fits:LABELS[:CLUSTERS] (DS9 regions, or numbers as of `score`)"


class _Listed(argparse.Action):
    """Takes words, and @FILE for those in the lines of a file."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, [one for value in values or () for one in self._words(value)])

    def _words(self, value: str) -> list[str]:
        if not value.startswith("@"):
            return [value]
        path = value[1:]
        try:
            # bytes that are no text become letters that cannot be printed
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                words = [line for line in stream.read().splitlines() if line.strip()]
        except OSError as error:
            raise argparse.ArgumentError(self, f"{path} cannot be read: {error.strerror}") from None
        if not words or not all(word.isprintable() for word in words):
            raise argparse.ArgumentError(self, f"{path} is not a text file with a name in each line")
        return words


def add_comparison_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison of two images."""
    parser.add_argument("--ours", required=True, help="FITS image, Jy/beam")
    parser.add_argument("--published", required=True, help="FITS image of the same sky, on any grid")
    parser.add_argument(
        "--out", required=True, help="folder for comparison.json and .png, sources.ecsv, difference.fits"
    )
    parser.add_argument(
        "--min-snr", type=positive, default=10.0, help="faintest sources compared (default: %(default)s)"
    )


def add_simulation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of one simulated pair."""
    parser.add_argument(
        "--pair", type=whole(0), required=True, help="number of the pair, which is also its seed"
    )
    parser.add_argument(
        "--out",
        required=True,
        help="FITS file to write: image, TRUTH, RMS, OBJECTS, CAUSE, CLASSES, CLUSTERS, OBJECT_LIST",
    )


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a training."""
    listed = "or @FILE with one in each line"
    parser.add_argument(
        "--pairs", nargs="+", required=True, action=_Listed, help=f"pairs to train on, {listed}"
    )
    parser.add_argument(
        "--validation", nargs="+", default=[], action=_Listed, help=f"pairs for the validation loss, {listed}"
    )
    parser.add_argument(
        "--weights", required=True, help="weights to write (.weights.h5), with a checkpoint beside them"
    )
    parser.add_argument("--curve", required=True, help="learning curve to write (CSV)")
    parser.add_argument("--threads", type=whole(1), help="CPU threads of the network (default: all)")


def add_evaluation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of an evaluation."""
    parser.add_argument(
        "--held-out-pairs", nargs="+", required=True, help=f"pairs to measure on: {EVALUATED}"
    )
    parser.add_argument(
        "--calibration-pairs",
        nargs="+",
        required=True,
        help="pairs to choose thresholds by, in the same form; at least one must hold diffuse emission",
    )
    parser.add_argument("--weights", required=True, help="weights that `train` wrote")
    parser.add_argument("--curve", required=True, help="learning curve that `train` wrote")
    parser.add_argument("--out", required=True, help="folder of the model to write")
    parser.add_argument("--threads", type=whole(1), default=1, help="CPU threads (default: %(default)s)")


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Give a verb the number of processes that it works with."""
    parser.add_argument(
        "--threads",
        type=whole(1),
        default=len(os.sched_getaffinity(0)),
        help="processes (default: %(default)s)",
    )
