"""One verdict of all mosaics that were compared with reference ones."""

from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--mosaics", nargs="+", required=True, help="results of scripts/verify_mosaic.py")
    parser.add_argument("--out", required=True, help="verdict to write (JSON; a page .md beside it)")
    args = parser.parse_args()

    def work() -> None:
        from radiounet.verification import merge_verifications

        merge_verifications(args.mosaics, args.out)

    run_stage(args, work, outputs=[])


if __name__ == "__main__":
    main()
