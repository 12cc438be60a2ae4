"""What a publication of two mosaics that share a border holds."""

import json
import re
import shutil
from pathlib import Path

import healpy
import numpy as np
import pytest
from astropy.io import ascii as text_tables
from astropy.io import fits
from astropy.io.votable import parse, parse_single_table
from astropy.table import Table
from mocpy import MOC
from PIL import Image

from published import HOSTILE, NAMES, OPTIONS, SECOND_RA, SURVEY, bytes_of, copy_of, publish_to, state_of
from radiounet.images.geometry import to_pixels, to_sky
from radiounet.images.image import open_plane
from radiounet.images.products import HIPS_LAYERS, Products, Publication
from radiounet.images.provenance import sha256_of
from radiounet.images.regional_products import products_at, write_index
from radiounet.images.rejections import Rejection, write_rejected
from radiounet.images.squares import Mosaic
from radiounet.images.writing import write_json
from radiounet.measuring.catalogue import merge_catalogues
from radiounet.publishing.catalogue_check import read_votable
from radiounet.publishing.cds_readme import cds_files
from radiounet.publishing.compressed_maps import PROBABILITY_STEP
from radiounet.publishing.coverage import covered_healpix_pixels
from radiounet.publishing.hips import TileMaker, sample, tile_pixels, tile_places
from radiounet.publishing.obscore import obscore_row
from radiounet.publishing.publication import publish, run_mosaics, survey_of_run
from radiounet.publishing.records import JobFiles, read_record
from radiounet.publishing.research_object import NO_LIMITS
from radiounet.running.cli import main
from radiounet.settings.releases import DR2, OWN_IMAGES
from radiounet.survey.survey import Survey
from stages import DEC, N_PX, RA

MANDATORY = {
    *("creator_did", "obs_title", "dataproduct_type", "hips_version", "hips_release_date", "hips_status"),
    *("hips_tile_format", "hips_order", "hips_tile_width", "hips_frame"),
}
"""What HiPS 1.0 asks of every properties file (section 4.4.1)."""


def test_the_islands_of_a_cluster_are_those_of_the_catalogue(run):
    clusters, islands = (read_votable(run.catalogue(kind, "vot")) for kind in ("clusters", "islands"))
    named = {name for names in clusters["islands"] for name in str(names).split("; ")}
    assert named
    assert named <= set(islands["name"])


def test_regions_are_published_as_one_piece(run, published, tmp_path):
    survey = Products(str(tmp_path / "dr2"))
    shutil.copytree(f"{run.root}/catalogue", f"{survey.root}/catalogue")
    for region in ("0_1", "0_2"):
        shutil.copytree(run.root, f"{survey.root}/regions/{region}")
    write_index(survey, {"a": "0_1", "b": "0_2", "c": "0_2"})
    out = publish_to(tmp_path / "publication", products_at(survey.root))
    assert bytes_of(out) == bytes_of(published)


def test_masks_are_exact_and_probabilities_have_their_precision(run, published):
    for name in NAMES:
        mask, probability = fits.getdata(run.mask(name)), fits.getdata(run.probability(name))
        with fits.open(published.at(published.mask(name)), checksum=True) as hdus:
            np.testing.assert_array_equal(hdus[1].data, mask)
            assert hdus[1].header["MODELSHA"] == fits.getheader(run.mask(name))["MODELSHA"]
        with fits.open(published.at(published.probability(name)), checksum=True) as hdus:
            found = hdus[1].data
        np.testing.assert_array_equal(np.isnan(found), np.isnan(probability))
        assert np.nanmax(np.abs(found - probability)) <= PROBABILITY_STEP / 2 + 1e-7
        with fits.open(published.at(published.probability(name)), disable_image_compression=True) as hdus:
            header = hdus[1].header
        assert (header["ZCMPTYPE"], header["ZBITPIX"], header["BLANK"]) == ("RICE_1", 16, -32768)
        assert {"CHECKSUM", "DATASUM"} <= set(header)
        assert not re.search(r"\d{4}-\d\d-\d\dT", header.comments["CHECKSUM"])


def test_checksums_are_of_every_file(published):
    lines = Path(published.at(published.checksums())).read_text().splitlines()
    listed = {line.split("  ", 1)[1]: line[:64] for line in lines}
    there = {
        str(path.relative_to(published.root))
        for path in Path(published.root).rglob("*")
        if path.is_file() and ".made" not in path.parts
    }
    assert there == {*listed, published.checksums()}
    assert all(sha256_of(published.at(name)) == found for name, found in listed.items())


def test_a_second_publication_changes_no_file_and_another_has_the_same_bytes(run, published, tmp_path):
    before = state_of(published.root)
    publish_to(published.root, run)
    assert state_of(published.root) == before
    assert bytes_of(publish_to(tmp_path / "other", run, processes=2)) == bytes_of(published)


def test_a_release_described_by_another_paper_is_cited_by_it(run, published, tmp_path):
    folder = shutil.copytree(published.root, tmp_path / "again")
    release = DR2.model_copy(update={"paper": "Doe et al. 2027", "doi": "10.1000/182"})
    publication = publish_to(folder, run, release=release)
    assert "Doe et al. 2027, doi:10.1000/182" in Path(publication.at("CITATION.md")).read_text()
    before, after = bytes_of(published), bytes_of(publication)
    changed = {name for name in after if after[name] != before.get(name)}
    texts = {"CITATION.md", ".zenodo.json", "ro-crate-metadata.json"}
    # the site gives the sizes of what can be downloaded
    assert changed == texts | {
        "SHA256SUMS",
        ".made/summary/all.json",
        ".made/site/all.json",
        "site/data/run.js",
    }


def tiles(published, layer, order):
    found = Path(published.at(published.hips(layer))).glob(f"Norder{order}/Dir*/Npix*.fits")
    return {int(path.stem.removeprefix("Npix")): raw(path) for path in found}


def raw(path):
    """Numbers of a file as they are: 255 in a mask, which astropy makes NaN."""
    with fits.open(path, do_not_scale_image_data=True, memmap=False) as hdus:
        return hdus[0].data


def tiles_with_data(image, plane):
    """Tiles that hold the centre of a pixel with data; all this sky is owned by one of the mosaics."""
    y, x = np.nonzero(np.isfinite(plane))
    return np.unique(healpy.ang2pix(2**7, *to_sky(image.wcs, x, y), nest=True, lonlat=True)).tolist()


def test_every_hips_pixel_is_that_of_its_owner(run, published):
    """By hand: the nearer of the two mosaics, its four pixels around weighted by their distances."""
    images = {name: open_plane(run.image(name)) for name in NAMES}
    planes = {name: image.window().astype(float) for name, image in images.items()}
    masks = {name: fits.getdata(run.mask(name)) for name in NAMES}
    found, marked, seen = tiles(published, "image", 7), tiles(published, "mask", 7), dict.fromkeys(NAMES, 0)
    assert found.keys() == marked.keys()
    pixels = 0
    for number, tile in found.items():
        ra, dec = tile_places(7, number)
        own = SURVEY.owner(ra, dec)
        expected, expected_mask = np.full(tile.shape, np.nan), np.full(tile.shape, 255)
        for name in NAMES:
            x, y = to_pixels(images[name].wcs, ra, dec)
            mine = (own == name) & (x >= 0) & (y >= 0) & (x <= N_PX - 1) & (y <= N_PX - 1)
            x, y, plane = x[mine], y[mine], planes[name]
            left, low = (np.minimum(np.floor(one).astype(int), N_PX - 2) for one in (x, y))
            east, north = x - left, y - low
            expected[mine] = (1 - north) * (
                (1 - east) * plane[low, left] + east * plane[low, left + 1]
            ) + north * ((1 - east) * plane[low + 1, left] + east * plane[low + 1, left + 1])
            expected_mask[mine] = masks[name][np.rint(y).astype(int), np.rint(x).astype(int)]
            seen[name] += np.isfinite(expected[mine]).sum()
        np.testing.assert_array_equal(np.isnan(tile), np.isnan(expected))
        peak = np.nanmax(np.abs(expected))
        assert np.nanmax(np.abs(tile - expected)) <= 1e-6 * peak
        np.testing.assert_array_equal(marked[number], expected_mask)
        pixels += np.isfinite(tile).sum()
    assert min(seen.values()) > 10000
    # no gap: the sky that is shown is the sky that the mosaics own and have data of, but for its rim
    area = pixels * healpy.nside2pixarea(2**16, degrees=True)
    covered = MOC.from_fits(published.at(published.moc("coverage", "fits"))).sky_fraction * 41252.96
    assert area == pytest.approx(covered, rel=0.02)
    assert set(found) == {number for name in NAMES for number in tiles_with_data(images[name], planes[name])}


def test_tiles_of_coarser_orders_are_means_of_their_children(published):
    for layer in HIPS_LAYERS:
        fine, coarse = tiles(published, layer, 7), tiles(published, layer, 6)
        assert {number // 4 for number in fine} == set(coarse)
        number = next(iter(fine))
        place = number % 4
        # rows of FITS count from the bottom, numbers of children from the top, down first (HiPS 1.0)
        y, x = (0 if place % 2 else 256), (256 if place > 1 else 0)
        part = coarse[number // 4][y : y + 256, x : x + 256]
        blocks = fine[number].reshape(256, 2, 256, 2).swapaxes(1, 2).reshape(256, 256, 4)
        if layer == "mask":
            known = (blocks != 255).any(axis=-1)
            np.testing.assert_array_equal(part, np.where(known, (blocks == 1).any(axis=-1), 255))
            continue
        known = np.isfinite(blocks).any(axis=-1)
        np.testing.assert_array_equal(known, np.isfinite(part))
        np.testing.assert_allclose(part[known], np.nanmean(blocks[known], axis=-1), rtol=1e-5, atol=1e-9)


def test_pictures_and_allsky(published):
    for layer in HIPS_LAYERS:
        folder = Path(published.at(published.hips(layer)))
        number, tile = next(iter(tiles(published, layer, 3).items()))
        picture = np.array(Image.open(folder / f"Norder3/Dir0/Npix{number}.png"))
        assert picture.shape == (512, 512, 4 if layer == "mask" else 2)  # at an edge: grey and opacity
        shown = (tile == 1) if layer == "mask" else np.isfinite(tile)
        np.testing.assert_array_equal(picture[::-1, :, -1] > 0, shown)
        header = fits.getheader(folder / f"Norder3/Dir0/Npix{number}.fits")
        assert header.get("BUNIT") == ("JY/BEAM" if layer == "image" else None)
        whole = raw(folder / "Norder3/Allsky.fits")
        assert whole.shape == (29 * 64, 27 * 64)
        row, column = 28 - number // 27, number % 27
        part = whole[64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
        shown = (part != 255) if layer == "mask" else np.isfinite(part)
        assert shown.any()
        assert shown.sum() == ((whole != 255) if layer == "mask" else np.isfinite(whole)).sum()


def test_properties_follow_the_standard(published):
    for layer in HIPS_LAYERS:
        lines = Path(published.at(f"{published.hips(layer)}/properties")).read_text().splitlines()
        found = dict(re.fullmatch(r"(\w+) += (.+)", line).groups() for line in lines)
        assert len(found) == len(lines)
        assert set(found) >= MANDATORY
        assert re.fullmatch(r"ivo://[\w./-]+", found["creator_did"])
        assert found["hips_release_date"] == "2020-01-01T00:00Z"
        assert re.fullmatch(r"(public|private) (master|mirror) (un)?clonable(Once)?", found["hips_status"])
        assert set(found["hips_tile_format"].split()) <= {"png", "jpeg", "fits", "tsv"}
        assert found["hips_frame"] in ("equatorial", "galactic", "ecliptic")
        assert (found["hips_order"], found["hips_tile_width"], found["dataproduct_type"]) == (
            "7",
            "512",
            "image",
        )
        low, high = map(float, found["hips_pixel_cut"].split())
        assert low < high
        moc = MOC.from_fits(published.at(f"{published.hips(layer)}/Moc.fits"))
        assert moc == MOC.from_fits(published.at(published.moc("coverage", "fits")))
        assert float(found["moc_sky_fraction"]) == pytest.approx(moc.sky_fraction, rel=1e-5)


def test_mocs_hold_what_is_covered_and_marked(run, published):
    for kind in ("coverage", "mask"):
        moc = MOC.from_fits(published.at(published.moc(kind, "fits")))
        assert moc == MOC.from_json(json.loads(Path(published.at(published.moc(kind, "json"))).read_text()))
    marked = MOC.from_fits(published.at(published.moc("mask", "fits")))
    for name in NAMES:
        plane = open_plane(run.mask(name), brightness=False)
        y, x = np.nonzero(plane.data == 1)
        ra, dec = plane.wcs.all_pix2world(x, y, 0)
        mine = SURVEY.owned(name, ra, dec)
        pixels = healpy.ang2pix(2**14, ra[mine], dec[mine], nest=True, lonlat=True)
        assert set(pixels.tolist()) <= set(np.asarray(marked.flatten()).astype(int).tolist())


def test_records_hold_the_sky_of_a_mosaic_as_mocs_and_others_are_made_again(run, published, tmp_path):
    """Earlier versions listed the HEALPix pixels, as numbers: gigabytes for all mosaics of a survey."""
    folder = shutil.copytree(published.root, tmp_path / "again")
    for name in NAMES:
        record = Path(Publication(str(folder)).record("mosaic", name))
        content = read_record(record)
        found, plane = content["found"], open_plane(run.probability(name), brightness=False)
        covered, _ = covered_healpix_pixels(plane.wcs, plane.window(), SURVEY, name)
        pixels = {kind: MOC.from_string(found[kind]).flatten().tolist() for kind in ("coverage", "mask")}
        assert pixels["coverage"] == covered
        assert len(found["coverage"]) < 3 * len(covered)
        content["made_of"]["code"] = "earlier"
        write_json(record, content | {"found": found | pixels})
    assert bytes_of(publish_to(folder, run)) == bytes_of(published)


def test_links_are_whole_addresses_where_the_address_is_known(run, published, tmp_path):
    options = OPTIONS.model_copy(update={"url": "https://example.org/dr2/"})
    names, publication = run_mosaics(run), Publication(str(tmp_path))
    shutil.copytree(published.root, tmp_path, dirs_exist_ok=True)
    publish(run, publication, survey_of_run(run, DR2, names), names, 1, options)
    table = read_votable(tmp_path / publication.catalogue("clusters", "vot"))
    address, _, name = table["cutouts_url"][0].partition("site/")
    assert address == "https://example.org/dr2/"
    assert (tmp_path / "site" / name).is_file()


def test_a_mosaic_whose_clusters_were_rejected_is_published_without_them(run, tmp_path):
    """As for a table of components that cannot be read: mask and islands are good."""
    products = copy_of(run, tmp_path)
    why = Rejection("a", "measure_clusters", "components.fits", "no column")
    for path in (products.clusters("a"), products.cutouts("a")):
        write_rejected(path, why)
    merge_catalogues(products.root, [*NAMES, "c"])
    published = publish_to(tmp_path / "out", products)
    assert (tmp_path / "out" / Publication.mask("a")).is_file()
    assert not (tmp_path / "out" / Publication.cutouts("a")).exists()
    rejected = read_votable(published.at(published.catalogue("rejected", "vot")))
    assert "no column" in list(rejected["reason"])


def test_catalogues_keep_their_bytes_and_the_votables_have_links(run, published):
    for kind in ("clusters", "islands", "rejected"):
        for suffix in ("fits", "csv", "parquet"):
            assert (
                Path(published.at(published.catalogue(kind, suffix))).read_bytes()
                == Path(run.catalogue(kind, suffix)).read_bytes()
            )
    for kind in ("clusters", "islands"):
        path = Path(published.at(published.catalogue(kind, "vot")))
        table, before = read_votable(path), read_votable(run.catalogue(kind, "vot"))
        assert table.colnames == [*before.colnames, "cutouts_url"]
        assert list(table["name"]) == list(before["name"])
        assert len(table)
        for row in table:
            with fits.open(path.parent / row["cutouts_url"]) as hdus:
                assert hdus[0].header["OBJECT"].startswith(str(row["name"])[:10])
        content = parse_single_table(path)
        assert content.fields[-1].ucd == "meta.ref.url;meta.file"
        assert "diffuse radio emission" in content.description
        assert {one.name for one in content.fields if one.ref == "icrs"} >= {"ra_deg", "dec_deg"}
        assert [one.system for one in parse(path).iter_coosys()] == ["ICRS"]


def test_cds_readme_is_read_back_to_the_values_of_the_csv(run, published):
    for kind in ("clusters", "islands"):
        reader = text_tables.get_reader(text_tables.Cds, readme=published.at(published.cds("ReadMe")))
        found = reader.read(published.at(published.cds(f"{kind}.dat")))
        expected = read_votable(run.catalogue(kind, "vot"))
        rounded = Table.read(run.catalogue(kind, "csv"), format="ascii.csv", comment="#")
        assert found.colnames == expected.colnames
        assert len(found) == len(expected) > 0
        for name in expected.colnames:
            ours, theirs = expected[name], found[name]
            if ours.dtype.kind == "f":
                numbers = [np.ma.filled(np.ma.asarray(one, float), np.nan) for one in (rounded[name], theirs)]
                np.testing.assert_array_equal(*numbers, err_msg=name)
                unit = "uJy" if name == "rms_ujy" else ours.unit or ""  # CDS has no beam
                assert (theirs.unit or "") == unit, name
            elif ours.dtype.kind in "ib":
                np.testing.assert_array_equal(np.asarray(ours).astype(int), theirs, err_msg=name)
            else:
                texts = ["" if one is np.ma.masked else str(one) for one in theirs]
                plain = [" ".join(str(one).encode("ascii", "replace").decode().split()) for one in ours]
                assert texts == plain, name
        assert all(
            len(line) <= 80 for line in Path(published.at(published.cds("ReadMe"))).read_text().split("\n")
        )


def test_authors_stand_in_the_readme_without_accents(run, published):
    assert "\n  Doe, Jane; Roe, Rick\n" in Path(published.at(published.cds("ReadMe"))).read_text()
    tables = {"clusters": read_votable(run.catalogue("clusters", "vot"))}
    readme = cds_files(tables, DR2, ["Müller, Zoë", "Ōta, 太郎"])["ReadMe"].decode()
    assert "\n  Muller, Zoe; Ota, ??\n" in readme


def test_obscore_has_a_row_for_each_file(published):
    table = read_votable(published.at(published.obscore("vot")))
    assert list(table["access_url"]) == [
        name for one in NAMES for name in (published.mask(one), published.probability(one))
    ]
    for row in table:
        path = Path(published.at(row["access_url"]))
        assert row["access_estsize"] == -(-path.stat().st_size // 1024)
        assert row["s_xel1"] == row["s_xel2"] == N_PX
        assert row["s_resolution"] == 20
        assert (row["facility_name"], row["instrument_name"]) == ("LOFAR", "HBA")
        assert row["obs_title"].startswith("LoTSS DR2 (144 MHz), ")
    # a band of 48 MHz around 144 MHz
    assert table["em_min"][0] == pytest.approx(299792458 / 168e6, rel=1e-9)
    assert table["em_max"][0] == pytest.approx(299792458 / 120e6, rel=1e-9)
    assert Table.read(published.at(published.obscore("fits"))).colnames == table.colnames


def test_research_object_lists_the_files_of_the_publication(run, published):
    crate = json.loads(Path(published.at("ro-crate-metadata.json")).read_text())
    entities = {one["@id"]: one for one in crate["@graph"]}
    meta = read_votable(run.catalogue("clusters", "vot")).meta
    assert meta["modelsha"] in entities["#used-weights"]["value"]
    assert meta["clusters_sha256"] in entities["#used-clusters"]["value"]
    for part in entities["./"]["hasPart"]:
        assert Path(published.at(part["@id"])).exists()
        if "sha256" in entities[part["@id"]]:
            assert entities[part["@id"]]["sha256"] == sha256_of(published.at(part["@id"]))
    # no upper limits were measured in this run
    assert not Path(published.at(published.completeness())).exists()
    assert NO_LIMITS in Path(published.at("site/data/run.js")).read_text()
    texts = [Path(published.at(name)).read_text() for name in (".zenodo.json", "CITATION.md")]
    for key in ("model", "modelsha", "codehash"):
        assert all(str(meta[key]) in text.replace("\\", "") for text in texts)
    configuration = Path(published.at("workflow/config/config.yaml"))
    assert configuration.read_bytes() == Path(run.configuration()).read_bytes()


def test_hostile_names_stay_text(published):
    table = read_votable(published.at(published.catalogue("clusters", "vot")))
    assert list(table["name"]) == [HOSTILE]
    readme = Path(published.at(published.cds("clusters.dat"))).read_text()
    assert '<script>alert(1)</script> "x" \' ? ?' in readme


def test_the_verb_publishes_what_the_workflow_does(run, published, tmp_path):
    folder = tmp_path / "publication"
    main(["publish", run.root, "--release", "dr2", "--out", str(folder), "--threads", "1"])
    table = Table.read(folder / Publication.obscore("fits"))
    assert list(table["access_url"]) == list(
        Table.read(published.at(published.obscore("fits")))["access_url"]
    )
    for layer in HIPS_LAYERS:
        made, expected = tiles(Publication(str(folder)), layer, 7), tiles(published, layer, 7)
        assert made.keys() == expected.keys()
        for number, tile in made.items():
            np.testing.assert_array_equal(tile, expected[number])


def test_obscore_tells_the_resolution_of_an_image_that_is_coarser_than_the_model(run, tmp_path):
    """Its brightness is per beam of the model all the same."""
    path = shutil.copyfile(run.image("a"), tmp_path / "a.fits")
    sizes = {Publication.mask("a"): 1, Publication.probability("a"): 1}
    assert obscore_row(open_plane(path), "a", DR2, sizes, [])["s_resolution"] == 20
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update({"RESBMAJ": 60 / 3600, "RESBMIN": 45 / 3600, "RESBPA": 10.0, "OBJECT": "Coma"})
    row = obscore_row(open_plane(path), "a", DR2, sizes, [])
    assert row["s_resolution"] == pytest.approx(60)
    assert row["obs_title"] == f"{DR2.title}, a (Coma)"
    fits.setval(path, "OBJECT", value="a")
    assert obscore_row(open_plane(path), "a", DR2, sizes, [])["obs_title"] == f"{DR2.title}, a"


def test_own_images_that_overlap_are_shown_in_the_order_of_their_names(run, tmp_path):
    """The first shows all it has data of, also where the middle of the other is nearer."""
    own = Survey(OWN_IMAGES, [Mosaic("a", RA, DEC, N_PX), Mosaic("b", SECOND_RA, DEC, N_PX)])
    number = int(healpy.ang2pix(2**7, SECOND_RA - 0.02, DEC, nest=True, lonlat=True))
    cells = list(range(4 * number, 4 * number + 4))
    job_files = JobFiles(Publication(str(tmp_path)))
    TileMaker(own, run, {"a": cells, "b": cells}, 1e-4, 7).write(number >> 8, job_files)
    tile = raw(next(tmp_path.glob(f"hips/image/Norder7/*/Npix{number}.fits")))
    ra, dec = tile_places(7, number)
    places = {name: tile_pixels(open_plane(run.image(name)).wcs, 7, number) for name in NAMES}
    values = {}
    for name, place in places.items():
        planes = {kind: open_plane(getattr(run, kind)(name), brightness=False) for kind in HIPS_LAYERS}
        values[name] = sample(planes, *place)["image"]
    first = np.isfinite(values["a"])
    assert (first & np.isfinite(values["b"])).any()
    assert (first & (SURVEY.owner(ra, dec) == "b")).any()
    np.testing.assert_array_equal(tile, np.where(first, values["a"], values["b"]))
