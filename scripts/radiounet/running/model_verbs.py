"""Verbs of the command that make and measure models: fetch-model, simulate, train, evaluate, score."""

import os
from collections.abc import Sequence
from pathlib import Path

from radiounet.images.model_files import imported_model_files, model_files, score_files
from radiounet.running.arguments import (
    add_evaluation_arguments,
    add_processes,
    add_simulation_arguments,
    add_training_arguments,
)
from radiounet.running.stage import run_stage, verb_parser, whole
from radiounet.settings.archive import PUBLISHED_MODELS, DownloadOptions, PublishedModel
from radiounet.settings.checkout import models_folder
from radiounet.settings.command_line import add_options, options_from
from radiounet.settings.simulate import OWN, SKIES, SimulateOptions
from radiounet.settings.train import OF_EVALUATION, OF_TRAINING, TrainOptions, pair_files

FETCH = f"""Fetch the published weights of Radio U-Net, or import a TensorFlow SavedModel of the same network.

Known by name: {", ".join(PUBLISHED_MODELS)}. For another name give --url or --from."""
FETCH_EXAMPLES = """
radiounet fetch-model --name radio-unet-original
radiounet fetch-model --name mine --from model.ckpt.zip --low 1e-7 --high 1e-2
"""


def fetch_model(arguments: Sequence[str]) -> None:
    """Run ``radiounet fetch-model``."""
    parser = verb_parser("fetch-model", FETCH, FETCH_EXAMPLES, reads=("url",))
    parser.add_argument("--name", required=True, help="name of the model")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", help="URL of its zip file")
    where.add_argument("--from", dest="url", help="local zip or folder of a SavedModel")
    others = [name for name in PublishedModel.model_fields if name != "url"]
    add_options(parser, PublishedModel, *others)
    parser.add_argument("--out", help=f"folder to write (default: {models_folder()}/NAME)".replace("%", "%%"))
    args = parser.parse_args(arguments)
    if not args.url:
        if args.name not in PUBLISHED_MODELS:
            parser.error(f"no published model is called {args.name}: give --url or --from")
        known = PUBLISHED_MODELS[args.name]
        args.url, args.checksum = known["url"], args.checksum or known["checksum"]
    out = Path(args.out or models_folder() / args.name)

    def work() -> None:
        from radiounet.network.saved_model import fetch_model as fetch_and_import

        fetch_and_import(args.name, options_from(args, PublishedModel), DownloadOptions(), out)

    run_stage(args, work, writes=imported_model_files(str(out)), name=args.name)


SIMULATE = """Simulate one pair: an image as LoTSS would make it, and the diffuse emission in it.

The same number of the pair, with the same options, gives the same pair."""
SIMULATE_EXAMPLES = """
radiounet simulate --pair 7 --out 7.fits
radiounet simulate --pair 8 --n-px 1024 --out 8.fits
"""


def simulate(arguments: Sequence[str]) -> None:
    """Run ``radiounet simulate``."""
    parser = verb_parser("simulate", SIMULATE, SIMULATE_EXAMPLES, writes=("out",))
    add_simulation_arguments(parser)
    add_options(parser, SimulateOptions)
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.simulation.simulate import write_pair

        write_pair(args.out, options_from(args, SimulateOptions), args.pair)

    run_stage(args, work, outputs=[args.out], name=f"pair {args.pair}")


TRAIN = """Train or fine-tune a network on pairs of image and truth.

A pair is a file of radiounet simulate, or IMAGE.fits:TRUTH.fits: an image in Jy/pixel and its noise-free
model, or an image in Jy/beam (20", 4.5" pixels) and its labels (0 no, 1 diffuse, 255 no data). A run that
was stopped goes on from its last checkpoint when you give the same command again."""
TRAIN_EXAMPLES = r"""
radiounet train --pairs *.fits --weights new.weights.h5 --curve new.csv
radiounet train --pairs A.fits:A.mask.fits B.fits:B.mask.fits --initial lotss-unet --frozen-layers 20 \
    --steps 500 --weights tuned.weights.h5 --curve tuned.csv
"""


def train(arguments: Sequence[str]) -> None:
    """Run ``radiounet train``."""
    parser = verb_parser("train", TRAIN, TRAIN_EXAMPLES, writes=("weights", "curve"))
    add_training_arguments(parser)
    add_options(parser, TrainOptions, *OF_TRAINING)
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.learning.runs import run_training

        options = options_from(args, TrainOptions, *OF_TRAINING)
        run_training(args.pairs, args.validation, options, args.weights, args.curve, args.threads)

    pairs = [file for pair in (*args.pairs, *args.validation) for file in pair_files(pair)]
    run_stage(args, work, reads=pairs, writes=[f"{args.weights}.checkpoint.npz"])


EVALUATE = """Evaluate trained weights on held-out images beside other methods, and write the model's folder.

How the weights were trained is read from their learning curve."""
EVALUATE_EXAMPLES = r"""
radiounet evaluate --calibration-pairs C.fits:C.mask.fits D.fits:D.mask.fits \
    --held-out-pairs H.fits:H.mask.fits --weights tuned.weights.h5 --curve tuned.csv --name tuned --out tuned
"""


def evaluate(arguments: Sequence[str]) -> None:
    """Run ``radiounet evaluate``."""
    parser = verb_parser("evaluate", EVALUATE, EVALUATE_EXAMPLES, reads=("weights", "curve"))
    add_evaluation_arguments(parser)
    parser.add_argument("--name", required=True, help="name of the model")
    add_options(parser, TrainOptions, *OF_EVALUATION)
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.learning.runs import run_evaluation

        options = options_from(args, TrainOptions, *OF_EVALUATION)
        images = args.held_out_pairs, args.calibration_pairs
        run_evaluation(*images, options, args.weights, args.curve, args.name, args.out, args.threads)

    pairs = [file for pair in (*args.held_out_pairs, *args.calibration_pairs) for file in pair_files(pair)]
    run_stage(args, work, reads=pairs, writes=model_files(args.out))


SCORE = """Score models, and two methods without learning, on the same images.

What they are scored on is a simulated sky (own, wide, shifted_a, shifted_b), or a folder of images in
Jy/beam, on any grid, with labels. The labels of NAME.fits (or .fit, also with .gz or .fz) are DS9 regions in
NAME.reg, or numbers in NAME.labels.fits, NAME.regions.fits or NAME.mask.fits (or .fit, also with .gz or .fz):
0 no diffuse emission, 1, 2, ... regions, 255 or NaN unknown. Its clusters are in NAME.clusters.ecsv, if you
have any. Endings may be in upper case. Written for each is a folder with evaluation.md, evaluation.png,
images.png and scores.json."""
SCORE_EXAMPLES = r"""
radiounet score lotss-unet --on mine --out scores
radiounet score lotss-unet lotss-classes published-unet --on own shifted_a mine --out scores
"""


def score(arguments: Sequence[str]) -> None:
    """Run ``radiounet score``."""
    parser = verb_parser("score", SCORE, SCORE_EXAMPLES)
    parser.add_argument("models", nargs="+", metavar="MODEL", help="name of a model, or its folder")
    parser.add_argument(
        "--on", nargs="+", required=True, metavar="SET", help="simulated sky, or folder of images with labels"
    )
    parser.add_argument(
        "--labels", help="folder in which labels are looked for first (default: beside the images)"
    )
    parser.add_argument(
        "--images", type=whole(1), default=12, help="images of each simulated sky (default: %(default)s)"
    )
    parser.add_argument(
        "--calibration",
        type=whole(0),
        default=8,
        help="other images of each of the four skies, to choose thresholds for what has none "
        "(default: %(default)s, 32 images in all, which takes minutes). With 0 nothing is simulated for it, "
        "and only models with a calibration of their own are scored",
    )
    parser.add_argument("--out", required=True, help="folder to write to: one folder in it for each set")
    add_processes(parser)
    args = parser.parse_args(arguments)
    sets = {one: f"{args.out}/{Path(os.path.abspath(one)).name}" for one in args.on}
    if len({*sets.values()}) < len(args.on):
        parser.error(f"--on: two of {args.on} would be written to one folder")
    for sky in (one for one in args.on if one in (OWN, *SKIES) and Path(one).is_dir()):
        parser.error(f"--on {sky}: there is a folder of that name, too; give its whole path, or rename it")
    models = list(dict.fromkeys(args.models))

    def work() -> None:
        from radiounet.learning.open_scores import run_scores

        run_scores(models, sets, args.images, args.calibration, args.threads, args.labels)

    writes = [path for folder in sets.values() for path in score_files(folder)]
    reads = [*(one for one in args.on if Path(one).is_dir()), *([args.labels] if args.labels else [])]
    run_stage(args, work, reads=reads, writes=writes, name=", ".join(models))
