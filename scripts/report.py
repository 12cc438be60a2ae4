"""Write the report page of a run."""

from radiounet.config import Config
from radiounet.publish import write_report
from radiounet.sky import read_survey
from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--root", required=True, help="folder of the release's products, such as results/dr2")
    parser.add_argument("--config", required=True, help="the whole configuration, as JSON")
    parser.add_argument("--list", required=True, help="list of all mosaics (CSV)")
    parser.add_argument("--mosaics", nargs="+", required=True, help="names of the mosaics of this run")
    parser.add_argument("--out", required=True, help="page to write (HTML)")
    args = parser.parse_args()

    def work() -> None:
        config = Config.model_validate_json(args.config)
        survey = read_survey(config.survey, args.list)
        write_report(args.root, config, survey, args.mosaics, args.out)

    run_stage(args, work, outputs=[])


if __name__ == "__main__":
    main()
