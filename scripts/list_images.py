"""Write the list of own images: name, centre and size, from their headers."""

from radiounet.images.image import place_of
from radiounet.images.squares import Mosaic
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.releases import OWN_IMAGES
from radiounet.survey.lists import write_mosaic_list


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("images",), writes=("out",))
    parser.add_argument("--names", nargs="+", required=True, help="names of the images")
    parser.add_argument("--images", nargs="+", required=True, help="their FITS files, in the same order")
    parser.add_argument("--out", required=True, help="list to write (CSV)")
    args = parser.parse_args()

    def work() -> None:
        named = zip(args.names, args.images, strict=True)
        write_mosaic_list(
            args.out, [Mosaic(name, *place_of(path, OWN_IMAGES.pixel_arcsec)) for name, path in named]
        )

    run_stage(args, work, outputs=[])


if __name__ == "__main__":
    main()
