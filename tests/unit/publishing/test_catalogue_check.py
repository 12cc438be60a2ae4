"""Catalogues of every kind of run pass the check, those of other tables do not."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from pyarrow import parquet

from radiounet.errors import ConfigError
from radiounet.images.products import CATALOGUE_KINDS, CATALOGUE_SUFFIXES, Products
from radiounet.images.rejections import Rejection, write_rejected
from radiounet.images.writing import write_ecsv, write_json
from radiounet.measuring.catalogue import merge_catalogues, write_catalogues
from radiounet.measuring.columns import CLUSTERS, EMPTY, ISLANDS, LIMITS, make_table
from radiounet.measuring.mosaic_tables import read_run_tables
from radiounet.publishing.catalogue_check import check_merged, read_votable, same_in_all_formats

META = {"modelsha": "a1", "segmode": "exact", "thresh": "0.1", "minbeams": "1.0"}
KINDS = {"clusters": CLUSTERS, "islands": ISLANDS, "limits": LIMITS}
TRIALS = json.dumps({"trials": 3})
PLACE = {"ra_deg": 150.0, "dec_deg": 35.0}


def write(products, kind, mosaic, *rows, **meta):
    columns = KINDS[kind]
    blank = {name: EMPTY[column.kind] for name, column in columns.items()} | PLACE
    known = [{name: value for name, value in (blank | row).items() if name in columns} for row in rows]
    write_ecsv(getattr(products, kind)(mosaic), make_table(kind, known, META | meta))


def cluster(name, mosaic, **values):
    return {"name": name, "mosaic": mosaic, "coverage": 1.0, "mask_fraction": 0.0, **values}


def two_mosaics(products, names="ab", fluxes=(10.0, 10.0)):
    """Tables of two mosaics that show the same cluster, with its limit on each."""
    for mosaic, flux in zip(names, fluxes, strict=True):
        write(products, "clusters", mosaic, cluster("A", mosaic))
        write(products, "islands", mosaic)
        write(products, "limits", mosaic, {"name": "A", "flux_90_mjy": flux}, limits=TRIALS)


def check(products, mosaics):
    paths = {
        (kind, suffix): products.catalogue(kind, suffix)
        for kind in CATALOGUE_KINDS
        for suffix in CATALOGUE_SUFFIXES
    }
    check_merged(products, mosaics, {kind: same_in_all_formats(paths, kind) for kind in CATALOGUE_KINDS})


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [cluster("A", "a", redshift=0.2), cluster("A", "a", redshift=0.2)],
        [cluster("A", "a", redshift=0.3), cluster("A", "a", redshift=0.2)],
        [cluster("A", "a", coverage=np.nan), cluster("A", "a", coverage=np.nan)],
        [cluster("0001", "a"), cluster("0002", "a")],
        [cluster("1.50", "a")],
        [cluster("nan", "a"), cluster("True", "a"), cluster("  ", "a"), cluster("ü ☃ #,\t\x07", "a")],
        [cluster("A", "a", redshift=1 / 3, flux_mjy=-0.0, p_diffuse=1e-300)],
    ],
)
def test_a_good_run_passes(tmp_path, rows):
    products = Products(str(tmp_path / "dr2"))
    write(products, "clusters", "a", *rows)
    write(products, "islands", "a", {"name": "RUN J1", "mosaic": "a"})
    merge_catalogues(products.root, ["a"])
    check(products, ["a"])


def test_own_images_of_the_same_cluster_and_their_limits_pass(tmp_path):
    products = Products(str(tmp_path / "images"))
    two_mosaics(products, ("0001", "0002"), (10.0, 20.0))
    merge_catalogues(products.root, ["0001", "0002"], limits=True)
    check(products, ["0001", "0002"])
    table = read_votable(products.catalogue("clusters", "vot"))
    assert dict(zip(table["mosaic"], table["upper_limit_mjy"], strict=True)) == {"0001": 10.0, "0002": 20.0}
    write(products, "limits", "0002", {"name": "A", "flux_90_mjy": 21.0}, limits=TRIALS)
    with pytest.raises(ConfigError, match="the table of mosaic 0002: A has flux_90_mjy 20.0, not 21.0"):
        check(products, ["0001", "0002"])


def test_a_rejected_table_passes_if_the_catalogue_says_so(tmp_path):
    products = Products(str(tmp_path / "dr2"))
    two_mosaics(products)
    write_rejected(products.clusters("b"), Rejection("b", "measure_clusters", "x.fits", "no column"))
    merge_catalogues(products.root, ["a", "b"])
    check(products, ["a", "b"])
    shutil.move(products.root, tmp_path / "moved")
    check(Products(str(tmp_path / "moved")), ["a", "b"])
    moved = Products(str(tmp_path / "moved"))
    write_rejected(moved.clusters("b"), Rejection("b", "measure_clusters", "y.fits", "no column"))
    with pytest.raises(ConfigError, match="does not say that measure_clusters rejected b"):
        check(moved, ["a", "b"])
    write_rejected(moved.clusters("b"), Rejection("b", "measure_clusters", "x.fits", "truncated"))
    with pytest.raises(ConfigError, match="does not say that measure_clusters rejected b .truncated"):
        check(moved, ["a", "b"])
    write(moved, "clusters", "b")
    with pytest.raises(ConfigError, match="says that measure_clusters rejected b .* no longer does"):
        check(moved, ["a", "b"])
    write_rejected(moved.clusters("b"), Rejection("b", "measure_clusters", "x.fits", "no column"))
    why = Rejection("a", "find_islands", "x.fits", "truncated")
    write_rejected(Products(str(tmp_path / "moved")).islands("a"), why)
    with pytest.raises(ConfigError, match=r"does not say that find_islands rejected a \(truncated\)"):
        check(Products(str(tmp_path / "moved")), ["a", "b"])


def test_a_row_that_no_table_has_is_refused(tmp_path):
    products = Products(str(tmp_path / "dr2"))
    write(products, "clusters", "a", cluster("A", "a"), cluster("B", "a"))
    write(products, "islands", "a")
    merge_catalogues(products.root, ["a"])
    write(products, "clusters", "a", cluster("A", "a"))
    with pytest.raises(ConfigError, match="the table of mosaic a: that has no such row B"):
        check(products, ["a"])
    Path(products.clusters("a")).unlink()
    write(products, "clusters", "a", cluster("A", "a"), cluster("B", "a"), cluster("C", "a"))
    with pytest.raises(ConfigError, match="the table of mosaic a: C is missing"):
        check(products, ["a"])


@pytest.mark.parametrize(
    ("suffix", "old", "new"),
    [
        ("vot", b'unit="mJy"', b'unit="Jy"'),
        ("csv", b"# flux_mjy [mJy]", b"# flux_mjy [Jy]"),
        ("csv", b"# minbeams", b"# license: none\n# minbeams"),
        ("fits", b"'mJy     '", b"'Jy      '"),
        ("fits", b"TUCD1   = 'meta", b"TUCD1   = 'time"),
        ("fits", b"'Name of", b"'Fame of"),
        ("parquet", b"Jy", b"Ty"),
    ],
)
def test_a_changed_unit_or_description_is_refused(tmp_path, suffix, old, new):
    products = Products(str(tmp_path / "dr2"))
    write(products, "clusters", "a", cluster("A", "a"))
    write(products, "islands", "a")
    merge_catalogues(products.root, ["a"])
    path = Path(products.catalogue("clusters", suffix))
    if suffix == "parquet":
        whole = parquet.read_table(path)
        field = whole.schema.field("flux_mjy")
        place = whole.schema.get_field_index("flux_mjy")
        changed = field.with_metadata({key: one.replace(old, new) for key, one in field.metadata.items()})
        parquet.write_table(whole.cast(whole.schema.set(place, changed)), path)
    else:
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(ConfigError, match="was changed: its "):
        check(products, ["a"])


@pytest.mark.parametrize("rejected", ["a", "ab"])
def test_limits_that_could_not_be_measured_pass(tmp_path, rejected):
    products = Products(str(tmp_path / "dr2"))
    two_mosaics(products)
    for mosaic in rejected:
        write_rejected(products.limits(mosaic), Rejection(mosaic, "measure_limits", "p.fits", "is bad"))
    merge_catalogues(products.root, ["a", "b"], limits=True)
    check(products, ["a", "b"])
    write(products, "limits", "a", limits=TRIALS)
    with pytest.raises(ConfigError, match=r"rejected a \(is bad\), which it no longer does|its limits is"):
        check(products, ["a", "b"])


def test_a_mosaic_that_another_region_rejected_as_a_neighbour_passes(tmp_path):
    """It may have been fetched again since; a field left out of a mosaic has the name of one."""
    products = Products(str(tmp_path / "dr2"))
    two_mosaics(products)
    run = read_run_tables(products, ["a", "b"], [], [], False, [])
    run.rejections.append(Rejection("b", "fetch_mosaic", "mosaics/b/image.fits", "is bad"))
    write_catalogues(products, run)
    with pytest.raises(ConfigError, match="says that fetch_mosaic rejected b"):
        check(products, ["a", "b"])
    write_json(products.region_index(), {})
    check(products, ["a", "b"])
    Path(products.region_index()).unlink()
    run.rejections[0] = Rejection("b", "mosaic", "fields/b/app.fits", "is bad")
    write_catalogues(products, run)
    with pytest.raises(ConfigError, match="says that mosaic rejected b"):
        check(products, ["a", "b"])
    write_json(products.left_out("neighbour"), {"left_out": [vars(run.rejections[0])]})
    check(products, ["a", "b"])


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize(
    "file", ["{root}/mosaics/a/image.fits", "https://host/a/mosaic.fits", "/data/a.fits", "a"]
)
def test_a_reason_counts_without_its_paths(tmp_path, monkeypatch, moved, file):
    """The file may be a product, what was fetched, an image of one's own, or a name alone."""
    monkeypatch.chdir(tmp_path)
    Path("my results").mkdir()
    products = Products("my results/dr2")
    write(products, "clusters", "a", cluster("A", "a"))

    def reject(said):
        at = file.format(root=products.root)
        why = f"ChecksumError: {products.root}/mosaics/a/image.fits.part {said}"
        write_rejected(products.islands("a"), Rejection("a", "fetch_mosaic", at, why))

    reject("has adler32 1, not 2 (Jy/beam)")
    merge_catalogues(products.root, ["a"])
    check(products, ["a"])
    check(Products(str(tmp_path / products.root)), ["a"])
    there = Products(str(shutil.move(products.root, tmp_path / "moved"))) if moved else products
    check(there, ["a"])
    if moved:
        shutil.move(there.root, products.root)
    reject("has BUNIT K, not Jy/beam")
    if moved:
        shutil.move(products.root, there.root)
    with pytest.raises(ConfigError, match="does not say that fetch_mosaic rejected a"):
        check(there, ["a"])


@pytest.mark.parametrize("suffix", ["parquet", "csv", "vot"])
def test_a_catalogue_that_another_program_wrote_again_is_refused_by_name(tmp_path, suffix):
    products = Products(str(tmp_path / "dr2"))
    write(products, "clusters", "a", cluster("A", "a", redshift=0.2))
    write(products, "islands", "a")
    merge_catalogues(products.root, ["a"])
    path = Path(products.catalogue("clusters", suffix))
    if suffix == "csv":
        path.write_text(path.read_text().replace(",0.2000,", ",about 0.2,"))
    elif suffix == "vot":
        path.write_text(re.sub("<DESCRIPTION>.*?</DESCRIPTION>", "", path.read_text(), flags=re.DOTALL))
    else:
        Table.read(path).write(path, overwrite=True)
    with pytest.raises(ConfigError, match="was changed: its column"):
        check(products, ["a"])
