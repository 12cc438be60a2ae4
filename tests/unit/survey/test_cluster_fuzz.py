"""Mutated cluster tables, from a fixed seed: each ends in a catalogue or in a named error.

What counts as nonsense, and must never come out of a table as a measurement:

- fewer or more rows in the catalogue than the table has, or a row without a name or of two lines;
- a measured row whose right ascension is outside 0..360 deg, declination outside -90..90 deg,
  R500 outside 0.05..320 arcmin, or a redshift that is neither missing nor in 0.001..5;
- an unmeasured row that does not say why, or one with a probability or a flux density;
- a probability outside 0..1, a coverage outside 0..1, an infinite number anywhere;
- another row than the mutated one that changes.
"""

import io
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import Column, MaskedColumn, Table

from models import write_tiny_model
from radiounet.errors import ConfigError
from radiounet.images.image import grid_wcs, place_of
from radiounet.images.resampling import prepare_image
from radiounet.images.squares import Mosaic
from radiounet.measuring.catalogue_files import write_catalogue
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.columns import make_table
from radiounet.measuring.mosaic_tables import read_mosaic_table
from radiounet.network.inference import open_model, write_cores
from radiounet.network.masks import stitch_cores
from radiounet.network.tiling import tile_image
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import OWN_IMAGES
from radiounet.settings.segmentation import Segmentation
from radiounet.survey.cluster_tables import read_clusters
from radiounet.survey.survey import Survey
from skies import draw_noise

SEED = 20_15
FORMATS = ("ecsv", "fits", "vot", "csv", "txt")
OPTIONS = MeasureOptions()
NUMBERS = (
    np.nan,
    np.inf,
    -np.inf,
    1e300,
    -1e300,
    1e-300,
    0.0,
    -0.0,
    -1.0,
    1e-9,
    95.0,
    -999.0,
    1e5,
    1e17,
    None,
)
TEXTS = (
    *("", "NULL", "--", "n/a", "abc", "12 34 xx", "1_000", "0x10", "1e400", "\u0661\u0662", "\u22125", "1,5"),
    *("12:61:00", "99 99 99", "inf", "-Infinity", "1 2 3 4", "[]", "1;2", "+", ".", "e5", "<b>", "25:00:00"),
)
NAMES = (
    *("", "   ", "#B", "# B c", "B" * 240, "<b>&\"B'|$x_1$", "A", "Große B", "../../B", "-rf", "--", "nan"),
    *("=1+1", "{mosaic}", "B,C", "B;C", 'B"', "B\tC", "B\nC", "B\x07\x00"),
)
UNITS = (
    "",
    "Msun",
    "10+14Msun",
    "furlong",
    "Mpc/h",
    "[solMass]",
    "DEGREE",
    "s",
    "1e14",
    "m",
    "h",
    "---",
    "dex",
)


def base(size):
    table = Table({"name": ["A", "B", "C"], "ra": [150.0, 150.01, 149.99], "dec": [35.0, 35.01, 34.99]})
    table["z"] = [0.2, 0.3, 0.4]
    table["ra"].unit = table["dec"].unit = "deg"
    table[size] = [3.0, 4.0, 5.0] if size == "M500" else [1.0, 1.1, 1.2]
    table[size].unit = "1e14 solMass" if size == "M500" else "Mpc"
    return table


def content(table, kind):
    """A table as bytes; what a format cannot hold is written as its own writers would."""
    if kind == "fits":
        plain = table.copy()
        for name in plain.colnames:
            if plain[name].dtype.kind == "U":
                plain[name] = [str(value).encode() for value in plain[name]]
        units = {name: str(table[name].unit or "") for name in table.colnames}
        for name in plain.colnames:
            plain[name].unit = None
        hdu = fits.table_to_hdu(plain)
        for number, name in enumerate(table.colnames, start=1):
            if units[name]:
                hdu.header[f"TUNIT{number}"] = units[name]
        stream = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
        return stream.getvalue()
    if kind == "vot":
        stream = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the writer, on units that it does not know
            from_table(table).to_xml(stream)
        return stream.getvalue()
    stream = io.StringIO()
    table.write(
        stream, format={"ecsv": "ascii.ecsv", "csv": "ascii.csv", "txt": "ascii.commented_header"}[kind]
    )
    return stream.getvalue().encode()


def other_cell(table, rng):
    """Another value in one cell of row 1."""
    size = table.colnames[-1]
    name = str(rng.choice(["name", "ra", "dec", "z", size]))
    values = NAMES if name == "name" else NUMBERS if rng.random() < 0.6 else TEXTS
    value = values[rng.integers(len(values))]
    old = table[name].tolist()
    if value is None:
        table[name] = MaskedColumn(old, mask=[False, True, False], unit=table[name].unit)
    elif isinstance(value, str):
        table[name] = Column([str(old[0]), value, str(old[2])], unit=table[name].unit)
    else:
        table[name][1] = value
    return f"{name} {value!r}"


def other_column(table, rng):
    """Another unit, name or kind of a column; another number of rows."""
    name = str(rng.choice(table.colnames[1:]))
    what = rng.integers(6)
    if what == 0:
        unit = UNITS[rng.integers(len(UNITS))]
        table[name].unit = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table[name].info.unit = unit or None
        return f"{name} in {unit}"
    if what == 1:
        table.rename_column(name, f"{name}_x")
    elif what == 2:
        table[name.swapcase()] = table[name]
    elif what == 3:
        table[name] = table[name].astype(bool)
    elif what == 4:
        table[name] = np.outer(table[name], [1, 2])
    else:
        table.remove_rows(slice(None))
    return f"{name}, {what}"


def other_bytes(data, rng):
    """Bytes changed, lost, added or twice."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        place, length = int(rng.integers(len(data))), int(rng.integers(1, 30))
        what = rng.integers(5)
        if what == 0:
            data[place] = int(rng.integers(256))
        elif what == 1:
            del data[place : place + length]
        elif what == 2:
            data[place:place] = rng.bytes(length)
        elif what == 3:
            data[place:place] = data[place : place + length]
        else:
            del data[max(place, 10) :]
    return bytes(data)


def mutants():
    """Tables as bytes, with what was done to them; 160 of them."""
    rng = np.random.default_rng(SEED)
    for number in range(160):
        kind = FORMATS[number % len(FORMATS)]
        table = base("M500" if kind in ("csv", "txt") else str(rng.choice(["M500", "R500"])))
        if number % 4 == 3:
            yield number, kind, "bytes", other_bytes(content(table, kind), rng)
            continue
        cell = number % 4 < 2
        what = (other_cell if cell else other_column)(table, rng)
        try:
            data = content(table, kind)
        except ValueError:  # CSV and plain text take no columns of two dimensions
            kind = "ecsv"
            data = content(table, kind)
        yield number, kind, what if cell else f"column {what}", data


@pytest.fixture(scope="module")
def measure(tmp_path_factory):
    """Measure a cluster table on an image that has gone through the real stages."""
    folder = tmp_path_factory.mktemp("image")
    data = 1e-4 * draw_noise(100, 20 / 4.5, np.random.default_rng(1))
    header = grid_wcs(150.0, 35.0, 100, 4.5).to_header()
    header.update(BUNIT="JY/BEAM", BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0)
    fits.writeto(folder / "a.fits", data, header)
    card = write_tiny_model(folder / "tiny")
    model, settings = str(folder / "tiny"), Segmentation()
    names = ("image.fits", "tiles.h5", "cores.h5", "probability.fits", "mask.fits")
    image, tiles, cores, probability, mask = (str(folder / name) for name in names)
    prepare_image(folder / "a.fits", image, card.pixel_arcsec, card.beam_arcsec)
    tile_image(image, model, settings.mode, tiles)
    write_cores(tiles, open_model(folder / "tiny", None, "float32")[0], card, cores)
    stitch_cores(cores, image, model, settings, probability, mask)
    survey = Survey(OWN_IMAGES, [Mosaic("image", *place_of(image, 4.5))])
    products = [MosaicProducts("image", image, probability, mask)]

    def work(path):
        target = folder / "clusters.ecsv"
        made = str(target), str(folder / "cutouts.fits")
        measure_clusters(str(path), survey, "image", products, model, OPTIONS, *made, unplaced=True)
        found = read_mosaic_table("clusters", target)
        return make_table("clusters", found.rows, found.meta)

    return work


def nonsense(rows, clusters):
    """What of the list above is in a catalogue."""
    found = []
    for row in rows:
        measured = np.isfinite(row["coverage"])
        numbers = [row[name] for name in rows.colnames if rows[name].dtype.kind == "f"]
        places = 0 <= row["ra_deg"] < 360 and -90 <= row["dec_deg"] <= 90
        if not row["name"] or "\n" in row["name"] or np.isinf(numbers).any():
            found.append("no name, two lines or infinite")
        if measured and not (places and 0.05 <= row["r500_arcmin"] <= 320):
            found.append("measured in a place or a size that cannot be")
        if not (np.isnan(row["redshift"]) or 1e-3 <= row["redshift"] <= 5):
            found.append("redshift")
        if not measured and not row["note"]:
            found.append("not measured, and no reason")
        if not measured and np.isfinite([row["p_diffuse"], row["p_beam_max"], row["flux_mjy"]]).any():
            found.append("a measurement of nothing")
        if any(
            not (0 <= row[name] <= 1)
            for name in ("p_diffuse", "p_beam_max", "coverage")
            if row[name] == row[name]
        ):
            found.append("fraction")
    if len(rows) > len(clusters):
        found.append("more rows than the table has")
    return found


def test_a_cluster_without_a_position_is_on_no_mosaic(tmp_path, measure):
    path = tmp_path / "a.csv"
    path.write_text(
        "name,ra,dec,z,M500\nA,150,35,0.2,3\nB,,,0.2,3\nC,150,95,0.2,3\nD,150,35,9,3\nE,10,35,0.2,3\n"
    )
    rows = measure(path)
    assert dict(zip(rows["name"], rows["mosaic"], strict=True)) == {
        "A": "image",
        "B": "",
        "C": "",
        "D": "image",
    }


@pytest.mark.slow
def test_mutated_tables_end_in_a_catalogue_or_a_named_error(tmp_path, measure):
    path = tmp_path / "a table"
    ends, found = {"catalogue": 0, "error": 0}, []
    for number, kind, what, data in mutants():
        path.write_bytes(data)
        label = f"{number} ({kind}): {what}"
        try:
            clusters = read_clusters(path, OPTIONS)
            rows = measure(path)
        except ConfigError:
            ends["error"] += 1
            continue
        ends["catalogue"] += 1
        assert nonsense(rows, clusters) == [], label
        if not what.startswith(("column", "bytes")):
            assert len(clusters) == len(rows) + sum(far(one) for one in clusters) == 3, label
            first = rows["r500_arcmin"][rows["name"] == "A"][0]
            assert first == pytest.approx(4.811705 if "M500" in str(data) else 5.051033), label
            assert "C" in rows["name"], label
        found += [dict(zip(rows.colnames, row, strict=True)) for row in rows]
    merged = make_table("clusters", found, {})
    for suffix in ("fits", "vot", "csv"):
        write_catalogue(merged, tmp_path / f"c.{suffix}")
        options = {"format": "ascii.csv", "comment": "#"} if suffix == "csv" else {}
        assert len(Table.read(tmp_path / f"c.{suffix}", **options)) == len(found), suffix
    assert sum(ends.values()) == 160
    assert min(ends.values()) > 30, ends


def far(cluster):
    """Whether a cluster has a position, outside the image."""
    return abs(cluster.ra_deg - 150) > 0.1 or abs(cluster.dec_deg - 35) > 0.1


def test_what_is_left_out_of_an_image_is_counted_and_the_rest_has_a_note(tmp_path, measure, caplog):
    rows = (
        "A,150,35,0.2,3",
        "far,10,-35,0.2,3",
        "no z,150,35,,3",
        "z 9,150,35,9,3",
        "dec 95,150,95,0.2,3",
        "#,150,35,0.2,5e-14",
    )
    (tmp_path / "in.csv").write_text("\n".join(["name,ra,dec,z,M500", *rows]) + "\n")
    with caplog.at_level("INFO"):
        found = measure(tmp_path / "in.csv")
    assert found["name"].tolist() == ["A", "no z", "z 9", "#", "dec 95"]
    assert found["mosaic"].tolist() == ["image", "image", "image", "image", ""]
    assert found["note"].tolist() == [
        "no frequency in the image: 144 MHz assumed",
        "no redshift; R500 is assumed; no frequency in the image: 144 MHz assumed",
        "redshift 9 is outside 0.001..5",
        "M500 5 solMass is outside 1e+12..1e+16 solMass",
        "declination 95 deg is outside -90..90 deg",
    ]
    assert np.isfinite(found["p_diffuse"]).tolist() == [True, True, False, False, False]
    assert np.isfinite(found["galactic_latitude_deg"]).tolist() == [True, True, True, True, False]
    assert (found.meta["clusters_rows"], found.meta["clusters_outside"]) == (6, 1)
    assert "outside image: far" in caplog.messages
    assert (
        f"4 of the 6 clusters of {tmp_path}/in.csv lie in image, 2 of these can be measured"
        in caplog.messages
    )
    assert f"1 cluster of {tmp_path}/in.csv: no redshift; R500 is assumed (no z)" in caplog.messages


@pytest.mark.parametrize(
    ("ra", "hint"),
    [
        (100, ""),
        (
            10,
            "; all right ascensions are below 24 deg: if the table gives hours and does not say so, name "
            "their unit with --unit ra=hourangle or, in the configuration, measure.unit",
        ),
    ],
)
def test_none_of_the_clusters_lies_in_the_image(tmp_path, measure, caplog, ra, hint):
    (tmp_path / "in.csv").write_text(f"name,ra,dec,z,M500\nfar,{ra},-35,0.2,3\n")
    with caplog.at_level("INFO"):
        assert len(measure(tmp_path / "in.csv")) == 0
    said = f"0 of the 1 clusters of {tmp_path}/in.csv lie in image, 0 of these can be measured"
    assert f"{said}{hint}" in caplog.messages
