"""Normalise the image of a mosaic, predict it with a model, and write its probability map and mask.

In a run, with --root and --beside, also those of the other mosaics of its job: they are laid on a
shelf, where the programs of these mosaics take them.
"""

from radiounet.running.shared_job import segment_mosaics
from radiounet.running.stage import stage_parser, whole
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("image",), writes=("probability", "mask"))
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--image", required=True, help="FITS image at the model's beam and pixel scale")
    parser.add_argument("--probability", required=True, help="probability map to write (FITS)")
    parser.add_argument("--mask", required=True, help="mask to write (FITS)")
    parser.add_argument("--root", help="folder of the products of a run, which has the shelf")
    parser.add_argument("--beside", nargs="*", default=[], help="all mosaics of its job")
    parser.add_argument("--threads", type=whole(1), default=2, help="CPU threads (default: %(default)s)")
    add_settings(parser)
    segment_mosaics(parser.parse_args())


if __name__ == "__main__":
    main()
