"""Merge the tables of all mosaics into the catalogues of clusters, islands and rejections."""

from radiounet.catalogue import merge_catalogues
from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--root", required=True, help="folder of the release's products, such as results/dr2")
    parser.add_argument("--mosaics", nargs="+", required=True, help="names of the mosaics")
    parser.add_argument("--fields", nargs="*", default=[], help="names of the fields used")
    parser.add_argument("--neighbours", nargs="*", default=[], help="mosaics made to measure clusters only")
    args = parser.parse_args()

    def work() -> None:
        merge_catalogues(args.root, args.mosaics, args.fields, args.neighbours)

    run_stage(args, work, outputs=[])


if __name__ == "__main__":
    main()
