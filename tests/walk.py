"""What the stages write of four mosaics and three fields, for tests of the catalogues."""

import shutil
from pathlib import Path

import numpy as np
from astropy.table import Table

from radiounet.images.products import Products
from radiounet.images.rejections import read_left_out, read_rejection
from radiounet.images.squares import Mosaic
from radiounet.measuring.catalogue import unique_rejections
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.columns import COLUMNS, make_table
from radiounet.measuring.islands import find_islands
from radiounet.settings.releases import DR2
from radiounet.survey.cluster_tables import clusters_to_measure
from radiounet.survey.survey import Survey
from stages import MEASURE, SEGMENTATION, fetch_field, leave_out, reject_mosaic, run_stages, write_image

SURVEY = Survey(DR2, [Mosaic(name, ra, 30.0, 200) for name, ra in (("P1", 10.0), ("P2", 20.0), ("P3", 30.0))])
ROWS = (
    *("in P1,10,30,0.2,3", "no z,10.1,30,,3", "z 9,10,30,9,3", "in P3,30,30,0.2,3", "dec 95,10,95,0.2,3"),
    *("far,200,-30,0.2,3", "not in this run,20,30,0.2,3", ",,,,"),
)
MADE = {}
"""What the stages wrote: products, a table of each kind, input clusters, rejections by name."""


def make_walk(folder):
    """Mosaic P1 with a halo, P3 and P4 in no unit of brightness; field P10+20 is not there, P12 unlike."""
    products = Products(str(folder / "dr2"))
    (folder / "in.csv").write_text("\n".join(["name,ra,dec,z,M500", *ROWS]) + "\n")
    run_stages(products, {"P1": write_image(folder / "a.fits", CRVAL1=10.0, CRVAL2=30.0)})
    maps = products.image("P1"), products.probability("P1"), products.mask("P1")
    find_islands(*maps, SURVEY, "P1", MEASURE, products.islands("P1"))
    planes = [MosaicProducts("P1", *maps)]
    table, model = str(folder / "in.csv"), SEGMENTATION.model
    made = products.clusters("P1"), products.cutouts("P1")
    measure_clusters(table, SURVEY, "P1", planes, model, MEASURE, *made)
    rejected = {"P3": reject_mosaic(products, "P3", BUNIT="# 'unit' is \"Jy\" " + "x" * 40)}
    rejected["P4"] = reject_mosaic(products, "P4", BUNIT="K")
    fetch_field(products, "P10+20", folder)
    rejected["P10+20"] = read_rejection(products.field_source("P10+20"))
    other = Products(str(folder / "fields"))
    leave_out(other, Mosaic("P1", 10.0, 30.0, 100), folder, "P12", "P13")
    MADE["left out"] = other
    rejected["P12"], rejected["P13"] = sorted(read_left_out(other.left_out("P1")), key=lambda one: one.name)
    MADE["islands"], MADE["clusters"] = (
        Table.read(one("P1"), format="ascii.ecsv") for one in (products.islands, products.clusters)
    )
    MADE["rejected"] = make_table("rejected", unique_rejections(rejected.values()), {})
    MADE.update(products=products, rejections=rejected, input=clusters_to_measure(table, MEASURE))


def a_row(kind, **values):
    """First row of a table, with these values."""
    first = MADE[kind][:1].filled("")
    row = {name: first[name].tolist()[0] for name in COLUMNS[kind]}
    assert set(values) <= set(row)
    return row | values


def copy_of(products, *kinds_and_names):
    """Copy products of the walk."""
    for kind, name in kinds_and_names:
        target = Path(getattr(products, kind)(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(getattr(MADE["products"], kind)(name), target)


def read_catalogue(products, kind, suffix):
    options = {"format": "ascii.csv", "comment": "#"} if suffix == "csv" else {}
    table = Table.read(products.catalogue(kind, suffix), **options)
    table.convert_bytestring_to_unicode()  # as FITS has texts
    return table


def rows_of(table):
    """Return rows of plain values; NaN and masked numbers are None, CSV's True and False are bool."""
    columns = []
    for name in table.colnames:
        missing = "" if any(name in one and one[name].kind is str for one in COLUMNS.values()) else None
        values = [
            missing if one is None or one != one else one for one in np.ma.asarray(table[name]).tolist()
        ]
        columns.append([{"True": True, "False": False}.get(value, value) for value in values])
    return list(zip(*columns, strict=True))


def open_lines(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read().splitlines()
