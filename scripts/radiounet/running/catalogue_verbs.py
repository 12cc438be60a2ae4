"""Verbs of the command that work on catalogues: evaluate-catalogue."""

from collections.abc import Sequence
from pathlib import Path

from radiounet.images.products import catalogue_evaluation_files
from radiounet.running.stage import run_stage, verb_parser

EVALUATE_CATALOGUE = """Compare a catalogue of clusters with classes that people gave to the same clusters.

The labels are a table with the columns name and class, and positions if it has any: for instance that of
Botteon et al. (2022). Classes are RH, RR, cRH, cRR, U, NDE, N/A, or several of them (RH+RR). Written are
evaluation.md, .json and .png, labels_matched.ecsv and, with --recalibrate, catalogue_recalibrated.ecsv."""
EVALUATE_CATALOGUE_EXAMPLES = """
radiounet evaluate-catalogue clusters.fits botteon2022.tsv --out evaluation
radiounet evaluate-catalogue clusters.fits mine.csv --column class=Type --class halo=RH --out evaluation
radiounet evaluate-catalogue clusters.fits botteon2022.tsv --recalibrate --out evaluation
"""


def evaluate_catalogue(arguments: Sequence[str]) -> None:
    """Run ``radiounet evaluate-catalogue``."""
    parser = verb_parser(
        "evaluate-catalogue", EVALUATE_CATALOGUE, EVALUATE_CATALOGUE_EXAMPLES, reads=("catalogue", "labels")
    )
    parser.add_argument("catalogue", help="catalogue of clusters (FITS, VOTable, CSV or ECSV)")
    parser.add_argument("labels", help="table of labels, in the same formats or as text of VizieR")
    parser.add_argument("--out", required=True, help="folder to write to")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="what name, class, ra or dec is called in the labels; repeat for more",
    )
    parser.add_argument(
        "--class",
        dest="meanings",
        action="append",
        default=[],
        metavar="TEXT=CLASS",
        help="what a text, or a word of it, in the column of classes means; repeat for more",
    )
    parser.add_argument(
        "--recalibrate", action="store_true", help="fit p_diffuse to the labels, and write a new catalogue"
    )
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.learning.catalogue_evaluation import evaluate_catalogue as evaluate

        evaluate(args.catalogue, args.labels, args.out, args.column, args.meanings, args.recalibrate)

    writes = list(catalogue_evaluation_files(args.out).values())
    run_stage(args, work, outputs=[], writes=writes, name=Path(args.catalogue).name)
