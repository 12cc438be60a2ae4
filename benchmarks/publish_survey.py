"""Time and memory of the job ``publish_survey`` for surveys of several sizes.

Its input is what the publication of one mosaic recorded, moved to other cells of DR3, which are covered in
full. Give a finished run of the demo and its publication (``radiounet publish``).
"""

import json
import sys
import tempfile
from pathlib import Path

import healpy
import numpy as np

from common import print_table, run
from radiounet.images.products import Publication
from radiounet.images.writing import write_json
from radiounet.publishing.coverage import MASK_ORDER, joined, moc_of
from radiounet.running.parsers import new_parser
from radiounet.settings.releases import DR3

NSIDE = DR3.nside or 0
JOB = """
import sys
from radiounet.images.products import Products, Publication
from radiounet.publishing.published_survey import publish_survey
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import DR3
results, out, *mosaics = sys.argv[1:]
publish_survey(Products(results), Publication(out), DR3, mosaics, PublishOptions())
"""


def write_records(publication: str, known: dict, count: int) -> list[str]:
    """Write the records of as many mosaics; returns their names."""
    order = int(np.log2(NSIDE))
    inside = 4 ** (MASK_ORDER - order)
    places = joined([known["found"]["mask"]], MASK_ORDER).flatten() % inside
    names = [f"{DR3.prefix}{cell:05d}" for cell in range(count)]
    for cell, name in enumerate(names):
        nested = int(healpy.ring2nest(NSIDE, cell))
        mask = moc_of((nested * inside + places).tolist(), MASK_ORDER).to_string()
        row = known["found"]["row"] | {"obs_id": name}
        found = known["found"] | {"coverage": f"{order}/{nested}", "mask": mask, "row": row}
        write_json(Publication(publication).record("mosaic", name), known | {"found": found})
    return names


def main() -> None:
    """Print the table."""
    parser = new_parser(description=__doc__)
    parser.add_argument("results", help="results of a run of DR3, such as demo/results/dr3")
    parser.add_argument("publication", help="its publication")
    args = parser.parse_args()
    record = next(Path(Publication(args.publication).record("mosaic", "a")).parent.glob("[!.]*.json"))
    known = json.loads(record.read_text(encoding="utf-8"))
    rows = []
    for count in (100, 300, 1571):
        with tempfile.TemporaryDirectory() as folder:
            names = write_records(folder, known, count)
            cost = run([sys.executable, "-c", JOB, args.results, folder, *names])
            rows.append([count, f"{cost.seconds:.1f}", f"{cost.gigabytes:.2f}"])
    print_table(["mosaics", "wall time, s", "peak memory, GB"], rows)


if __name__ == "__main__":
    main()
