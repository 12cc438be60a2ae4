"""Verbs of the command that work on images: segment, mosaic, compare."""

import os
from collections.abc import Sequence
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.beams import BEAM_HELP, Beam
from radiounet.images.products import comparison_files, segment_files
from radiounet.running.arguments import add_comparison_arguments
from radiounet.running.stage import run_stage, verb_parser, whole
from radiounet.settings.command_line import add_options, options_from
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.segmentation import Segmentation

SEGMENT = """Mark diffuse emission in one image, and measure it.

The image may have any pixel scale, frame and projection; it is brought to the beam and the grid of the
model. Written are a probability map, a mask, tables of the islands and, if you give clusters, of the
clusters, and a picture (overview.png)."""
SEGMENT_EXAMPLES = """
radiounet segment IMAGE.fits
radiounet segment IMAGE.fits --clusters CLUSTERS.ecsv --out OUT
radiounet segment IMAGE.fits --model lotss-unet --threshold 0.3 --out OUT
"""


def segment(arguments: Sequence[str]) -> None:
    """Run ``radiounet segment``."""
    parser = verb_parser("segment", SEGMENT, SEGMENT_EXAMPLES, reads=("image", "clusters"))
    parser.add_argument("image", help="FITS image, Jy/beam")
    parser.add_argument("--clusters", help="cluster table: name, ra, dec, z, and M500 or R500")
    parser.add_argument("--beam", help=BEAM_HELP)
    parser.add_argument("--out", help="folder to write to (default: IMAGE-segmented, where you are)")
    parser.add_argument(
        "--model", default=Segmentation().model, help="model: its name or its folder (default: %(default)s)"
    )
    # how images share a job is for surveys
    others = [name for name in Segmentation.model_fields if name not in ("model", "mosaics_per_job")]
    add_options(parser, Segmentation, *others)
    add_options(parser, MeasureOptions)
    args = parser.parse_args(arguments)
    if args.out is None:
        args.out = f"{Path(args.image).name.partition('.fits')[0]}-segmented"

    def work() -> None:
        from radiounet.running.single_image import segment_image

        measure = options_from(args, MeasureOptions)
        segmentation = options_from(args, Segmentation, *others)
        beam = Beam.from_text(args.beam) if args.beam else None
        if measure.unit and args.clusters is None:
            raise ConfigError("--unit applies to the cluster table: give --clusters too, before --unit")
        segment_image(args.image, args.model, segmentation, measure, args.clusters, args.out, beam)

    from radiounet.network.model_cards import model_folder

    products = list(segment_files(args.out).values())
    run_stage(args, work, writes=products, reads=[str(model_folder(args.model))], name=args.image)


MOSAIC = """Join images with given weights on one grid: the weighted mean of each pixel.

Give each image its weight map, in the same order. Images are resampled bilinearly."""
MOSAIC_EXAMPLES = r"""
radiounet mosaic --image A.fits --weight A.weight.fits --image B.fits --weight B.weight.fits \
    --like GRID.fits --out MOSAIC.fits --out-weight MOSAIC.weight.fits
"""


def mosaic(arguments: Sequence[str]) -> None:
    """Run ``radiounet mosaic``."""
    parser = verb_parser(
        "mosaic",
        MOSAIC,
        MOSAIC_EXAMPLES,
        reads=("image", "weight", "like"),
        writes=("out", "out_weight"),
    )
    images = "image to add (FITS); repeat for more"
    parser.add_argument("--image", action="append", required=True, help=images)
    parser.add_argument("--weight", action="append", required=True, help="its weights, in the same order")
    parser.add_argument("--like", required=True, help="FITS file with the grid wanted")
    parser.add_argument("--out", required=True, help="image to write")
    parser.add_argument("--out-weight", required=True, help="summed weights to write")
    parser.add_argument("--threads", type=whole(1), help="threads (default: as many as cores)")
    args = parser.parse_args(arguments)
    if len(args.image) != len(args.weight):
        parser.error(f"{len(args.image)} images, but {len(args.weight)} weights")
    threads = args.threads or len(os.sched_getaffinity(0))

    def work() -> None:
        from radiounet.mosaicking.coadd import coadd_files

        pairs = list(zip(args.image, args.weight, strict=True))
        coadd_files(pairs, args.like, args.out, args.out_weight, threads)

    run_stage(args, work, name=args.out)


COMPARE = """Compare an image with another of the same sky: flux densities, positions, noise, pixels.

The images may have different grids. Written are comparison.json and .png, sources.ecsv, difference.fits."""
COMPARE_EXAMPLES = """
radiounet compare --ours MOSAIC.fits --published LOTSS.fits --out COMPARISON
"""


def compare(arguments: Sequence[str]) -> None:
    """Run ``radiounet compare``."""
    parser = verb_parser("compare", COMPARE, COMPARE_EXAMPLES, reads=("ours", "published"))
    add_comparison_arguments(parser)
    args = parser.parse_args(arguments)

    def work() -> None:
        from radiounet.mosaicking.comparison import compare_mosaics

        compare_mosaics(args.ours, args.published, args.out, args.min_snr)

    outputs = list(comparison_files(args.out).values())
    run_stage(args, work, outputs=outputs, inputs=[args.ours], name=Path(args.out).name)
