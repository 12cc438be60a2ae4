"""Verbs of the command that publish a finished run: publish."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.products import LOCK_FILE, Products, Publication, segment_files
from radiounet.images.regional_products import products_at
from radiounet.running.arguments import add_processes
from radiounet.running.locks import hold, let_go, require_free
from radiounet.running.stage import run_stage, verb_parser
from radiounet.settings.command_line import add_options, options_from
from radiounet.settings.publish import PublishOptions, require_aladin
from radiounet.settings.releases import Release, parse_release
from radiounet.survey.survey import read_survey

PUBLISH = """Make one folder of a finished run that can be put on a web server as it is.

It holds compressed masks and probability maps, catalogues with a ReadMe for CDS, MOCs, HiPS of image,
probability and mask, a table of the images, a research object (RO-Crate), citation texts, the results
site and checksums.
The same command again changes no file; one that was stopped goes on."""
PUBLISH_EXAMPLES = """
radiounet publish results/dr3 --out publication
radiounet publish results/dr2 --list resources/footprints/dr2_mosaics.csv --out publication
"""


def release_option(text: str) -> Release:
    """Value of the option ``--release``; see `radiounet.settings.releases.parse_release`."""
    try:
        return parse_release(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def publish(arguments: Sequence[str]) -> None:
    """Run ``radiounet publish``."""
    parser = verb_parser("publish", PUBLISH, PUBLISH_EXAMPLES, reads=("results", "list", "aladin"))
    parser.add_argument("results", help="folder of a release's products, such as results/dr2")
    parser.add_argument("--out", required=True, help="folder to write to")
    parser.add_argument(
        "--release",
        type=release_option,
        help="release: the name of a published one, images for own images, or an entry of releases as JSON "
        "(default: that of the run's configuration, or else the folder's name)",
    )
    parser.add_argument(
        "--list",
        help="list of all mosaics of the release (CSV), which decides who owns the sky at the border of the "
        "run (default: the mosaics of the run alone)",
    )
    add_processes(parser)
    add_options(parser, PublishOptions)
    args = parser.parse_args(arguments)
    args.out = os.path.normpath(args.out)
    record = Publication(args.out).record("summary", "all")
    run_stage(args, lambda: _publish(args, Path(record).parents[1]), writes=[record])


def _publish(args: argparse.Namespace, records: Path) -> None:
    """Publish a run that nobody changes meanwhile; the folder `records` tells a publication from others."""
    _require_places(args, records)
    if args.threads > 1:
        from radiounet.publishing.side_by_side import start_server

        start_server()
    from radiounet.publishing.publication import publish as publish_run
    from radiounet.publishing.publication import run_mosaics, survey_of_run

    products = products_at(args.results.rstrip("/"))
    mosaics = run_mosaics(products)
    release = _release(args)
    survey = read_survey(release, args.list) if args.list else survey_of_run(products, release, mosaics)
    options = options_from(args, PublishOptions)
    regions = {products.of(name) for name in mosaics} - {products.root}
    require_free(args.results)
    records.mkdir(parents=True, exist_ok=True)  # a publication that is stopped at once is one
    places = _to_lock(args, products, regions)
    try:
        for place in places:
            hold(place)
        for region in sorted(regions):
            require_free(region)
        publish_run(products, Publication(args.out), survey, mosaics, args.threads, options)
    finally:
        for place in places:
            let_go(place)


def _require_places(args: argparse.Namespace, records: Path) -> None:
    """Refuse folders and files that cannot be used, before hours of work."""
    out = Path(args.out)
    if out.is_dir() and {one.name for one in out.iterdir()} - {LOCK_FILE} and not records.is_dir():
        raise ConfigError(f"{args.out} is not empty and is not a publication: write somewhere else")
    if args.aladin is not None:
        require_aladin(args.aladin)
    if not Path(args.results).is_dir():
        raise ConfigError(f"there is no folder {args.results}")
    if Path(segment_files(args.results)["mask"]).is_file():
        raise ConfigError(f"{args.results} is of radiounet segment, not of a survey: radiounet site shows it")
    if args.list and not Path(args.list).is_file():
        raise ConfigError(f"there is no list {args.list}: make it with snakemake --cores 1 -- lists")


def _release(args: argparse.Namespace) -> Release:
    """The release that is named, or that of the run, or that of the folder's name."""
    from radiounet.publishing.site import release_of_run

    folder = Products(str(Path(args.results).resolve())).release
    release = args.release or release_of_run(args.results) or _named(folder)
    return release if release.name else release.model_copy(update={"name": folder})


def _to_lock(args: argparse.Namespace, products: Products, regions: set[str]) -> list[str]:
    """Folders to lock: a run that began meanwhile would replace what is being published."""
    is_inside = Path(args.out).resolve().is_relative_to(Path(args.results).resolve())
    places = [args.results] if is_inside or _can_lock(args.results) else []
    places += [] if is_inside else [args.out]
    of_all = str(Path(products.region_index()).parent)
    return [*places, of_all] if regions and _can_lock(of_all) else places


def _named(folder: str) -> Release:
    try:
        return parse_release(folder)
    except ConfigError as error:
        raise ConfigError(f"{error}: name the release of the folder with --release") from None


def _can_lock(folder: str) -> bool:
    """Whether this user may lock a folder, which may be that of another person."""
    lock = Path(folder) / LOCK_FILE
    return os.access(folder, os.W_OK) and (not lock.exists() or os.access(lock, os.W_OK))
