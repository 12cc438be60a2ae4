"""A stage after `segment`, added to a copy of the checkout as CONTRIBUTING.md says: six files."""

from pathlib import Path

FILES = {
    "scripts/radiounet/measuring/areas.py": '''"""The sky that a mask marks."""

from astropy.io import fits
from astropy.table import Table

from radiounet.images.origins import mask_provenance
from radiounet.images.writing import write_ecsv


def measure_area(mask: str, target: str) -> None:
    """Write how many pixels a mask marks, and how many it knows."""
    plane = fits.getdata(mask)
    row = int((plane == 1).sum()), int((plane != 255).sum())
    write_ecsv(target, Table(rows=[row], names=["marked_px", "known_px"], meta=mask_provenance(mask)))
''',
    "scripts/measure_area.py": '''"""Measure the sky that a mask marks."""

from radiounet.measuring.areas import measure_area
from radiounet.running.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("mask",), writes=("out",))
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--mask", required=True, help="its mask")
    parser.add_argument("--out", required=True, help="table to write (ECSV)")
    args = parser.parse_args()
    work = lambda: measure_area(args.mask, args.out)
    run_stage(args, work, inputs=[args.mask], outputs=[args.out], name=args.mosaic)


if __name__ == "__main__":
    main()
''',
}
RULE = """

rule measure_area:
    input:
        mask=PRODUCTS.mask("{mosaic}"),
    output:
        table=PRODUCTS.area("{mosaic}"),
    log:
        PRODUCTS.log("measure_area", "{mosaic}"),
    benchmark:
        PRODUCTS.benchmark("measure_area", "{mosaic}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(10),
    params:
        code=FRESHNESS.code("measure_area"),
    shell:
        "stage measure_area --mosaic {wildcards.mosaic:q} --mask {input.mask:q}"
        " --out {output.table:q} --on-reject $ON_REJECT --log {log:q}"
"""
PRODUCT = '''    def area(self, mosaic: str) -> str:
        """Sky that a mask marks."""
        return f"{self.root}/areas/{mosaic}.ecsv"

'''
EDITS = {
    "scripts/radiounet/measuring/__init__.py": ("__all__ = [\n", '    "areas",\n'),
    "scripts/radiounet/running/stages.py": (
        'lasting=("probability", "mask"), on_gpu=True),\n',
        '    Stage("measure_area", "selected", "area", "Mpx", lasting=("area",)),\n',
    ),
    "scripts/radiounet/images/products.py": ('        return f"{self.root}/report.html"\n\n', PRODUCT),
}


def add_stage(checkout: Path) -> None:
    """Add it: module, script and rule, its row among the stages, its product."""
    for name, text in FILES.items():
        (checkout / name).write_text(text)
    with open(checkout / "workflow/rules/catalogue.smk", "a") as stream:
        stream.write(RULE)
    for name, (after, text) in EDITS.items():
        path = checkout / name
        before = path.read_text()
        assert before.count(after) == 1, name
        path.write_text(before.replace(after, after + text))
