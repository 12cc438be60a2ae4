"""Fetch cut-outs of a 6 arcsec image around the clusters whose centre a mosaic's cell owns."""

from radiounet.measuring.high_resolution import fetch_high_resolution
from radiounet.running.stage import run_stage, stage_parser
from radiounet.survey.cells import cell_pixel
from radiounet.survey.cluster_tables import clusters_to_measure
from radiounet.survey.survey import add_survey_options, survey_from


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("clusters", "list"), writes=("out",))
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--clusters", required=True, help="cluster table")
    parser.add_argument("--out", required=True, help="cut-outs to write (FITS)")
    add_survey_options(parser)
    args = parser.parse_args()
    template = args.settings.mosaics.high_resolution
    if template is None:
        parser.error("mosaics.high_resolution names no images")

    def work() -> None:
        survey, clusters = survey_from(args), clusters_to_measure(args.clusters, args.settings.measure)
        places = [c.ra_deg for c in clusters], [c.dec_deg for c in clusters]
        mine = [clusters[index] for index in survey.members([args.mosaic], *places)[args.mosaic]]
        names: dict[str, str | int] = {"mosaic": args.mosaic}
        if "{pixel}" in template:
            names["pixel"] = cell_pixel(args.mosaic)
        fetch_high_resolution(
            template,
            names,
            [one for one in mine if one.measurable],
            survey.release.beam_arcsec,
            args.settings.archive.download,
            args.out,
        )

    run_stage(args, work, outputs=[args.out], name=args.mosaic)


if __name__ == "__main__":
    main()
