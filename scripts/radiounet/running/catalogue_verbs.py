"""Verbs of the command that work on catalogues: kit, evaluate-catalogue."""

from collections.abc import Sequence
from pathlib import Path

from radiounet.images.products import catalogue_evaluation_files, kit_files
from radiounet.images.writing import remove_leftovers
from radiounet.running.outputs import claim_outputs
from radiounet.running.stage import run_stage, verb_parser

KIT = """Write what is needed to look at clusters or islands of a catalogue again.

Each gets a folder with image.fits, residual.fits, probability.fits and mask.fits on the pixels of its
mosaic, regions.reg for DS9, clean_mask.fits for WSClean or DDFacet, and kit.json."""
KIT_EXAMPLES = """
radiounet kit results/dr2 "PSZ2 G112.48+56.99" --out kits
radiounet kit results/dr2 "RUN J100050.0+343021" "RUN J100410.5+350626" --out kits
radiounet kit OUT "Abell 2255" --out kits
"""


def kit(arguments: Sequence[str]) -> None:
    """Run ``radiounet kit``."""
    parser = verb_parser("kit", KIT, KIT_EXAMPLES, reads=("results",))
    parser.add_argument(
        "results", help="folder of a release's products, such as results/dr2, or of radiounet segment"
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="cluster or island, as in the catalogue")
    parser.add_argument("--out", required=True, help="folder to write to: one folder in it for each name")
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.publishing.kit import find_sources, require_no_other_kit, write_kit

        # the catalogues say which names are taken
        kits = {f"{args.out}/{one.stem}": one for one in find_sources(args.results, args.names)}
        claim_outputs([path for folder in kits for path in kit_files(folder).values()], [args.results])
        for folder, source in kits.items():
            require_no_other_kit(source, folder)
        for folder, source in kits.items():
            remove_leftovers(folder, below=False)
            write_kit(source, folder)

    run_stage(args, work, name=", ".join(args.names))


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
        help="column of the labels that holds name, class, ra or dec; can be repeated",
    )
    parser.add_argument(
        "--class",
        dest="meanings",
        action="append",
        default=[],
        metavar="TEXT=CLASS",
        help="class that a text, or a word, in the column of classes stands for; can be repeated",
    )
    parser.add_argument(
        "--recalibrate", action="store_true", help="fit p_diffuse to the labels, and write a new catalogue"
    )
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.learning.catalogue_evaluation import evaluate_catalogue as evaluate

        evaluate(args.catalogue, args.labels, args.out, args.column, args.meanings, args.recalibrate)

    writes = list(catalogue_evaluation_files(args.out).values())
    run_stage(args, work, writes=writes, name=Path(args.catalogue).name)
