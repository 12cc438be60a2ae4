"""The command ``radiounet``: what people do without the workflow.

Each verb is a function of a module of this room, which is imported for that verb only.
"""

import argparse
import os
from collections.abc import Sequence
from importlib import import_module

from radiounet import __version__
from radiounet.images.progress_bar import show_bars
from radiounet.running.parsers import new_parser

VERBS = {
    "segment": ("image_verbs", "mark diffuse emission in one image, and measure it"),
    "mosaic": ("image_verbs", "join images with given weights on one grid"),
    "compare": ("image_verbs", "compare two images of the same sky"),
    "fetch-model": ("model_verbs", "fetch the published weights, or import a SavedModel"),
    "simulate": ("model_verbs", "simulate one image and the diffuse emission in it"),
    "train": ("model_verbs", "train or fine-tune a network"),
    "evaluate": ("model_verbs", "evaluate trained weights, and write the model's folder"),
    "score": ("model_verbs", "score models on simulated skies, or on your images with labels"),
    "kit": ("catalogue_verbs", "write cut-outs, regions and a mask for CLEAN of clusters or islands"),
    "publish": ("publish_verbs", "make a folder for a web server of a finished run"),
    "site": ("site_verbs", "write the results site of a finished run"),
    "label": ("site_verbs", "give classes to clusters or islands by eye, in a browser"),
    "label-pairs": ("site_verbs", "turn labels given by eye into images to train with"),
    "evaluate-catalogue": ("catalogue_verbs", "compare a catalogue of clusters with classes given by people"),
}

INTERRUPTED = 130
"""Exit status after Ctrl-C, as in a shell."""

EXAMPLES = """examples:
  radiounet segment IMAGE.fits
  radiounet fetch-model --name radio-unet-original
  radiounet segment --help
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb that the command line names.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line; by default those of this process.
    """
    verbs = "\n".join(f"  {verb:<20}{summary}" for verb, (_, summary) in VERBS.items())
    parser = new_parser(
        "radiounet",
        usage="radiounet [--help] [--version] VERB ...",
        description=f"Diffuse radio emission with Radio U-Net.\n\nverbs:\n{verbs}",
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"radiounet {__version__}")
    parser.add_argument("verb", metavar="VERB", choices=tuple(VERBS), help="what to do, see above")
    parser.add_argument(
        "rest", metavar="...", nargs=argparse.REMAINDER, help="its options, see radiounet VERB --help"
    )
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow tells of every start otherwise
    show_bars()
    try:
        module = import_module(f"radiounet.running.{VERBS[args.verb][0]}")
        getattr(module, args.verb.replace("-", "_"))(args.rest)
    except KeyboardInterrupt:
        parser.exit(INTERRUPTED, f"radiounet {args.verb} was interrupted\n")
