"""Verbs of the command that show a finished run: site, label."""

import getpass
import logging
from collections.abc import Sequence
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.products import SiteFiles
from radiounet.running.arguments import add_processes
from radiounet.running.stage import run_stage, verb_parser, whole

logger = logging.getLogger("radiounet.running.site_verbs")

RESULTS_HELP = "folder of a release's products, such as results/dr2, or of radiounet segment"
SITE = """Write the results site of a finished run: one page that needs no server.

Written are index.html and the folder site in the folder given with --out: a sky map, lists of clusters and
islands that can be filtered, a page for each with pictures, numbers, FITS cut-outs and DS9 regions, what
was rejected, and how the run was made. What an earlier call has made is kept where nothing has changed."""
SITE_EXAMPLES = """
radiounet site results/dr2 --out publication
radiounet site OUT --out publication
radiounet site results/dr3 --out publication --aladin node_modules/aladin-lite/dist/aladin.js
"""


def site(arguments: Sequence[str]) -> None:
    """Run ``radiounet site``."""
    parser = verb_parser("site", SITE, SITE_EXAMPLES, reads=("results", "aladin"))
    parser.add_argument("results", help=RESULTS_HELP)
    parser.add_argument("--out", required=True, help="folder of the publication")
    parser.add_argument(
        "--aladin", help="program of Aladin Lite, which shows the HiPS of the publication (a .js file)"
    )
    add_processes(parser)
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.publishing.site import write_site

        write_site(args.results, args.out, args.aladin, args.threads)

    run_stage(args, work, writes=[SiteFiles(args.out).data("run")], name=Path(args.results).name)


LABEL = """Give classes to clusters or islands by eye, in a browser on this machine.

Open the address that is printed. One key each stands for halo, relic, both, no emission, radio galaxy,
artefact, Galactic and unsure; z takes the last label back, s goes on without one. Every label is written
at once; the same command goes on where it stopped. Ctrl-C ends it."""
LABEL_EXAMPLES = """
radiounet label results/dr2 --out labels.ecsv
radiounet label results/dr2 --of islands --order catalogue --out labels_islands.ecsv
"""


def label(arguments: Sequence[str]) -> None:
    """Run ``radiounet label``."""
    parser = verb_parser("label", LABEL, LABEL_EXAMPLES, reads=("results",), writes=("out",))
    parser.add_argument("results", help=RESULTS_HELP)
    parser.add_argument("--out", required=True, help="table of labels to write, or to go on with (ECSV)")
    parser.add_argument(
        "--of",
        choices=("clusters", "islands"),
        default="clusters",
        help="what to label (default: %(default)s)",
    )
    parser.add_argument(
        "--order",
        choices=("uncertain", "catalogue"),
        default="uncertain",
        help="the probability nearest to 0.5 first, or as in the catalogue (default: %(default)s)",
    )
    parser.add_argument("--who", help="name of who labels (default: your login)")
    parser.add_argument(
        "--port", type=whole(0, 65_535), default=0, help="port to use (default: any that is free)"
    )
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.publishing.label_server import Labelling, LabelServer
        from radiounet.publishing.labelling import LabelTable, candidates

        sources = candidates(args.results, args.of.removesuffix("s"), args.order)
        table = LabelTable(args.out, args.who or _login())
        try:
            server = LabelServer(Labelling(sources, table), args.port)
        except OSError as error:  # another program has the port, or this user may not
            raise ConfigError(
                f"port {args.port} cannot be used: {error.strerror}; give another one with --port, "
                "or leave it out for one that is free"
            ) from None
        logger.info("open %s in a browser; Ctrl-C ends", server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            there = f"the labels are in {args.out}" if Path(args.out).exists() else "there are no labels yet"
            logger.info("ended; %s", there)
        finally:
            server.server_close()

    run_stage(args, work, name=Path(args.results).name)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # as in a container, under a number without a name
        raise ConfigError("your login has no name: give one with --who") from None


LABEL_PAIRS = """Turn labels given by eye into images of labels, which radiounet train takes.

Written are, for each mosaic with labelled candidates, an image with 0 (no diffuse emission), 1 (diffuse
emission) and 255 (not known), and pairs.txt, the pairs of image and labels, for:
radiounet train --pairs @FOLDER/pairs.txt ..."""
LABEL_PAIRS_EXAMPLES = """
radiounet label-pairs results/dr2 labels.ecsv --out labelled
"""


def label_pairs(arguments: Sequence[str]) -> None:
    """Run ``radiounet label-pairs``."""
    parser = verb_parser("label-pairs", LABEL_PAIRS, LABEL_PAIRS_EXAMPLES, reads=("results", "labels"))
    parser.add_argument("results", help=RESULTS_HELP)
    parser.add_argument("labels", help="table of radiounet label (ECSV)")
    parser.add_argument("--out", required=True, help="folder to write to")
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.publishing.label_pairs import write_label_pairs

        write_label_pairs(args.results, args.labels, args.out)

    run_stage(args, work, writes=[f"{args.out}/pairs.txt"], name=Path(args.results).name)
