"""Verbs of the command that show a finished run: site."""

from collections.abc import Sequence
from pathlib import Path

from radiounet.images.products import SiteFiles
from radiounet.running.stage import run_stage, verb_parser

RESULTS_HELP = "folder of a release's products, such as results/dr2, or of radiounet segment"
SITE = """Write the results site of a finished run: one page that needs no server.

Written are index.html and the folder site in the folder given with --out: a sky map, lists of clusters and
islands that can be filtered, a page for each with pictures, numbers, FITS cut-outs and DS9 regions, what
was rejected, and how the run was made. What an earlier call has made is kept where nothing has changed."""
SITE_EXAMPLES = """
radiounet site results/dr2 --out publication
radiounet site OUT --out publication
radiounet site results/dr3 --out publication --aladin node_modules/aladin-lite/dist/aladin.umd.cjs
"""


def site(arguments: Sequence[str]) -> None:
    """Run ``radiounet site``."""
    parser = verb_parser("site", SITE, SITE_EXAMPLES, reads=("results", "aladin"))
    parser.add_argument("results", help=RESULTS_HELP)
    parser.add_argument("--out", required=True, help="folder of the publication")
    parser.add_argument(
        "--aladin", help="program of Aladin Lite, which shows the HiPS of the publication (a .js file)"
    )
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.publishing.site import write_site

        write_site(args.results, args.out, args.aladin)

    run_stage(args, work, outputs=[], writes=[SiteFiles(args.out).data("run")], name=Path(args.results).name)
