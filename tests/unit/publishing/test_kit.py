"""The kit of a cluster and of an island, made of what the stages write."""

import json
import os
import re
import shutil
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.wcs import WCS
from regions import CircleSkyRegion, PointSkyRegion, PolygonSkyRegion, Regions

from programs import ROOT
from radiounet.errors import ConfigError
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.products import Products, kit_files, segment_files
from radiounet.images.provenance import sha256_of
from radiounet.images.reading import ecsv_table
from radiounet.images.writing import write_ecsv
from radiounet.measuring.cutout_files import StoredCutout, read_cutout
from radiounet.publishing import catalogue_objects, labelling
from radiounet.publishing import kit as kit_module
from radiounet.publishing.catalogue_objects import CatalogueObject, read_catalogues, write_regions
from radiounet.publishing.kit import find_sources, write_kit
from radiounet.publishing.labelling import candidates
from radiounet.running.cli import main
from radiounet.running.outputs import made_here
from stages import DEC, HALO, RA, as_segmented, run_to_catalogue, write_image

N_PX = 300
SOURCE = (175, 165)
"""Row and column of a compact source."""


def halo_place():
    return SkyCoord.from_pixel(HALO[1], HALO[0], grid_wcs(RA, DEC, N_PX, 4.5))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Products of a mosaic with a halo in a cluster, a compact source, and a cluster that is not measured."""
    folder = tmp_path_factory.mktemp("kit")
    image = write_image(folder / "a.fits", n_px=N_PX)
    with fits.open(image, mode="update") as hdus:
        y, x = np.indices((N_PX, N_PX))
        sigma = 20 / 4.5 / 2.3548
        hdus[0].data += 5e-3 * np.exp(-((y - SOURCE[0]) ** 2 + (x - SOURCE[1]) ** 2) / (2 * sigma**2))
    place = halo_place()
    table = Table({"name": ["Abell {1}", "z 9", "nowhere"], "ra": [place.ra.deg, RA, RA]})
    table["dec"] = [place.dec.deg, DEC, 95.0]
    table["z"], table["R500"] = [0.2, 9.0, 0.2], [4.0, np.nan, 4.0]
    return run_to_catalogue(folder, image, table)


def island_name(products):
    islands = Table.read(products.catalogue("islands", "vot"))
    return str(islands["name"][np.argmax(islands["flux_mjy"])])


@pytest.fixture(scope="module", params=["cluster", "island"])
def kit(request, run, tmp_path_factory):
    name = "Abell {1}" if request.param == "cluster" else island_name(run)
    folder = tmp_path_factory.mktemp(request.param)
    (source,) = find_sources(run.root, [name])
    assert source.kind == request.param
    write_kit(source, str(folder))
    return request.param, kit_files(str(folder))


def test_the_cutouts_are_pixels_of_the_mosaic(run, kit):
    kind, files = kit
    header = fits.getheader(files["image"])
    left, low = header["CORNER1"], header["CORNER2"]
    part = slice(low, low + header["NAXIS2"]), slice(left, left + header["NAXIS1"])
    for one in ("probability", "mask"):
        np.testing.assert_array_equal(fits.getdata(files[one]), fits.getdata(getattr(run, one)("a"))[part])
        assert "BUNIT" not in fits.getheader(files[one])
    whole = fits.getdata(run.image("a"))[part]
    image, residual = fits.getdata(files["image"]), fits.getdata(files["residual"])
    level = whole - image
    # a background without structure on the scale of the image
    assert np.nanstd(level) < 1e-5
    np.testing.assert_array_equal(np.isnan(image), np.isnan(whole))
    if kind == "cluster":
        taken = (image - residual)[SOURCE[0] - low, SOURCE[1] - left]
        assert taken == pytest.approx(5e-3, rel=0.15)
    for one in ("image", "residual", "probability", "mask"):
        wcs = WCS(fits.getheader(files[one]))
        np.testing.assert_allclose(
            wcs.wcs_pix2world([[7, 9]], 0),
            WCS(fits.getheader(run.image("a"))).wcs_pix2world([[7 + left, 9 + low]], 0),
            atol=1e-10,
        )
    assert header["BUNIT"] == "JY/BEAM"
    assert (header["BMAJ"], header["BMIN"], header["BPA"]) == (20 / 3600, 20 / 3600, 0)


@pytest.mark.parametrize(("freq_mhz", "expected_hz"), [(1300.0, 1.3e9), (np.nan, 1.44e8)])
def test_the_mask_for_clean_has_the_frequency_of_the_catalogue(run, tmp_path, freq_mhz, expected_hz):
    """It may be that of the release, where no header has one."""
    (source,) = find_sources(run.root, ["Abell {1}"])
    table = Table(source.row)
    table["freq_mhz"] = [freq_mhz]
    write_kit(replace(source, row=table[0]), str(tmp_path))
    files = kit_files(str(tmp_path))
    assert fits.getheader(files["clean_mask"])["CRVAL3"] == pytest.approx(expected_hz)
    assert ("RESTFRQ" in fits.getheader(files["image"])) == np.isfinite(freq_mhz)


def test_a_catalogue_of_an_older_version_has_no_frequency_and_is_told(run, tmp_path):
    (source,) = find_sources(run.root, ["Abell {1}"])
    table = Table(source.row)
    table.remove_column("freq_mhz")
    with pytest.raises(ConfigError, match="have no column freq_mhz, because an older version made them"):
        write_kit(replace(source, row=table[0]), str(tmp_path))


def test_the_residual_has_the_level_that_blanked_pixels_count_with(run, tmp_path, monkeypatch):
    (source,) = find_sources(run.root, ["Abell {1}"])
    found, read = catalogue_objects.cut(source)
    level = np.full_like(found.residual.data, np.nan)
    level[20:23, 30:34] = 2.5e-4
    monkeypatch.setattr(kit_module, "cut", lambda _: (replace(found, level=level), read))
    write_kit(source, str(tmp_path))
    residual = fits.getdata(kit_files(str(tmp_path))["residual"])
    np.testing.assert_array_equal(residual, np.where(np.isnan(level), found.residual.data, level))


def test_the_mask_is_one_that_wsclean_and_ddfacet_read(kit):
    """WSClean: RA---SIN, one frequency, EQUINOX 2000 or none; DDFacet: one HDU, 4 axes, not empty."""
    _, files = kit
    with fits.open(files["clean_mask"]) as hdus:
        assert len(hdus) == 1
        header, mask = hdus[0].header, hdus[0].data
    shape = fits.getdata(files["image"]).shape
    assert mask.shape == (1, 1, *shape)
    assert header["BITPIX"] == -32
    assert [header[f"CTYPE{n}"] for n in range(1, 5)] == ["RA---SIN", "DEC--SIN", "FREQ", "STOKES"]
    assert [header[f"CRVAL{n}"] for n in (3, 4)] == [1.44e8, 1]
    assert {"CDELT3", "CDELT4"} <= set(header)
    assert not {"EQUINOX", "BSCALE", "BZERO", "BUNIT"} & set(header)
    assert set(np.unique(mask)) == {0, 1}
    assert mask[0, 0][fits.getdata(files["mask"]) == 1].all()
    image, residual = fits.getdata(files["image"]), fits.getdata(files["residual"])
    assert mask[0, 0][image - residual > 2e-3].all()
    assert mask.mean() < 0.5


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # a script ends with its files
@pytest.mark.parametrize("mask", ["clean_mask", "mask"])
def test_the_snippet_of_the_guide_brings_either_mask_to_another_grid(kit, mask, tmp_path, monkeypatch):
    _, files = kit
    guide = (ROOT / "docs/howto/follow_up.md").read_text()
    snippet = textwrap.dedent(re.search(r"```python\n(.*?)```", guide, re.DOTALL)[1])
    if mask == "mask":
        instead, of = re.search(r"write `(.*?)` in place of `(.*?)`", guide).groups()
        snippet = snippet.replace(of, instead).replace("clean_mask.fits", "mask.fits")
    monkeypatch.chdir(tmp_path)
    shutil.copy(files[mask], ".")
    shutil.copy(files["clean_mask"], "mine-image.fits")
    exec(snippet, {})
    found = fits.getdata("mine-mask.fits")
    expected = fits.getdata(files[mask]) == 1
    np.testing.assert_array_equal(found == 1, expected if mask == "clean_mask" else expected[None, None])


def test_the_regions_show_r500_the_island_and_the_compact_source(run, kit):
    kind, files = kit
    found = Regions.read(files["regions"], format="ds9")
    circles, polygons, points = (
        [one for one in found if isinstance(one, shape)]
        for shape in (CircleSkyRegion, PolygonSkyRegion, PointSkyRegion)
    )
    assert len(circles) + len(polygons) + len(points) == len(found)
    wcs, place = grid_wcs(RA, DEC, N_PX, 4.5), halo_place()
    assert sum(bool(one.contains(place, wcs)) for one in polygons) == 1
    if kind == "cluster":
        (circle,) = circles
        assert circle.center.separation(place) < 0.01 * u.arcsec
        assert circle.radius.to_value(u.arcmin) == pytest.approx(4.0)
        assert circle.meta["text"] == "R500 of Abell  1 "
        source = SkyCoord.from_pixel(SOURCE[1], SOURCE[0], wcs)
        assert min(one.center.separation(source) for one in points) < 3 * u.arcsec
        cutout = read_cutout(run.cutouts("a"), "Abell {1}", place.ra.deg, place.dec.deg)
        assert len(points) == len(cutout.components)
    else:
        assert circles == []


def test_the_outline_of_an_island_runs_along_the_edges_of_its_pixels(tmp_path):
    """Pixels 10 to 20 reach from 9.5 to 20.5."""
    plane = Plane(np.zeros((40, 50), np.float32), grid_wcs(RA, DEC, 50, 4.5), Beam(20, 20))
    islands = np.zeros(plane.data.shape, np.int32)
    islands[10:21, 30:36] = 3
    none = Table({name: np.empty(0) for name in ("ra_deg", "dec_deg", "peak_jy", "error_jy")})
    cutout = StoredCutout(plane, 0 * plane.data, islands, islands > 0, none, 1e-4, np.s_[0:40, 0:50])
    path = str(tmp_path / "a.reg")
    write_regions(path, cutout, CatalogueObject("island", Table({"ra_deg": [RA]})[0], {}), "a")
    (outline,) = Regions.read(path, format="ds9")
    x, y = outline.vertices.to_pixel(plane.wcs)
    assert [x.min(), x.max(), y.min(), y.max()] == pytest.approx([29.5, 35.5, 9.5, 20.5], abs=1e-3)


def test_the_kit_names_its_products_and_is_known_again(run, kit):
    kind, files = kit
    content = json.loads(Path(files["kit"]).read_text())
    used = run.cutouts("a") if kind == "cluster" else run.image("a")
    assert content["products"] == {
        path: sha256_of(path) for path in (used, run.probability("a"), run.mask("a"))
    }
    written = {key: path for key, path in files.items() if key != "kit"}
    assert content["files"] == {Path(path).name: sha256_of(path) for path in written.values()}
    assert all(made_here(Path(path)) for path in files.values())


def test_the_same_products_make_the_same_kit(run, tmp_path):
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        for source in find_sources(run.root, ["Abell {1}"]):
            write_kit(source, str(folder))
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]


def test_a_folder_of_segment_will_do_as_well(run, kit, tmp_path):
    kind, files = kit
    own = as_segmented(run, tmp_path / "own")
    name = json.loads(Path(files["kit"]).read_text())["kit"]
    (source,) = find_sources(own, [name])
    write_kit(source, str(tmp_path / "kit"))
    for key, path in kit_files(str(tmp_path / "kit")).items():
        if key != "kit":
            assert Path(path).read_bytes() == Path(files[key]).read_bytes(), (kind, key)


def test_an_unknown_name_is_an_error_that_names_near_ones(run):
    with pytest.raises(ConfigError, match=r"is called Abel 1; did you mean Abell \{1\}"):
        find_sources(run.root, ["Abel 1"])
    with pytest.raises(ConfigError, match="there is no folder .*typo"):
        find_sources(run.root + "typo", ["Abell {1}"])
    with pytest.raises(ConfigError, match="has no catalogues"):
        find_sources(run.root + "/catalogue", ["Abell {1}"])


def test_two_places_of_one_name_are_told_apart_by_nobody(run, monkeypatch, caplog):
    """A kit or a label of one would be taken for the other. Two images of one cluster are one place."""
    tables = read_catalogues(run.root)
    clusters = tables["cluster"]
    tables["cluster"] = vstack([clusters, clusters[clusters["name"] == "Abell {1}"]])
    for module in (kit_module, labelling):
        monkeypatch.setattr(module, "read_catalogues", lambda _: tables)
    assert (
        len(find_sources(run.root, ["Abell {1}"])) == len(candidates(run.root, "cluster", "catalogue")) == 1
    )
    # an island of two own images has a name, and two centroids that are not quite the same
    islands = tables["island"]
    tables["island"] = vstack([islands, islands[:1]])
    tables["island"]["ra_deg"][-1] += 1e-4
    assert len(find_sources(run.root, [str(islands["name"][0])])) == 1
    assert len(candidates(run.root, "island", "catalogue")) == len(islands)
    # a chain of centroids is one island in any order, and two clusters are two however close
    for steps in ([0.9, 1.8, 0], [0, 1.8, 0.9]):
        tables["island"] = vstack([islands[:1]] * 3)
        tables["island"]["dec_deg"] += np.array(steps) / 60
        assert len(candidates(run.root, "island", "catalogue")) == 1
    # a list of clusters made of islands: the island near the cluster is the cluster
    tables["island"]["name"] = "Abell {1}"
    for name in ("ra_deg", "dec_deg"):
        tables["island"][name] = tables["cluster"][name][-1] + 1e-6
    assert len(find_sources(run.root, ["Abell {1}"])) == 1
    tables["island"] = islands
    tables["cluster"]["dec_deg"][-1] += 0.9 / 60
    with pytest.raises(ConfigError, match=r"2 clusters or islands called Abell \{1\}, at RA .* and RA "):
        find_sources(run.root, ["Abell {1}"])
    with pytest.raises(ConfigError, match="no cluster that was measured and has a name of its own$"):
        candidates(run.root, "cluster", "catalogue")
    assert f"left out: 2 of {run.root} are called Abell {{1}}, at RA " in caplog.text
    tables["cluster"]["p_diffuse"] = np.nan
    with pytest.raises(ConfigError, match="no cluster that was measured$"):
        candidates(run.root, "cluster", "catalogue")


@pytest.mark.filterwarnings("error:.*masked element")
def test_all_names_without_a_kit_are_told_with_their_reasons_before_one_is_written(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr("radiounet.running.stage.configure", lambda _: None)
    island, out = island_name(run), tmp_path / "kits"
    names = ["Abell {1}", "nowhere", "z 9", "Abel 1", island]
    with pytest.raises(SystemExit, match="78"):
        main(["kit", run.root, *names, "--out", str(out)])
    assert not out.exists()
    with pytest.raises(ConfigError) as caught:
        find_sources(run.root, names)
    cure = "if its row in your table of clusters is wrong, correct it and measure again"
    advice = f"leave it out here; or, {cure}"
    assert str(caught.value) == (
        f"no kit is written: nowhere was not measured (declination 95 deg is outside -90..90 deg): {advice}; "
        f"z 9 was not measured (redshift 9 is outside 0.001..5; neither M500 nor R500): {advice}; "
        f"no cluster or island of {run.root} is called Abel 1; did you mean Abell {{1}}?"
    )


def test_an_island_of_a_purged_mosaic_says_so(run, tmp_path):
    shutil.copytree(run.root, tmp_path / "images")
    Path(Products(str(tmp_path / "images")).image("a")).unlink()
    with pytest.raises(ConfigError, match="is not there any more"):
        find_sources(str(tmp_path / "images"), [island_name(run)])


def test_the_verb_writes_a_folder_for_each_name_and_nothing_over_files_of_others(run, tmp_path, monkeypatch):
    monkeypatch.setattr("radiounet.running.stage.configure", lambda _: None)
    out = tmp_path / "kits"
    command = ["kit", run.root, "Abell {1}", island_name(run), "--out", str(out)]
    main(command)
    left = out / "Abell_1" / ".image.fits.node0042-77.abcd1234.fits"
    left.write_text("half")  # by a command that was killed
    os.utime(left, (1e9, 1e9))
    main(command)  # over its own
    assert not left.exists()
    assert sorted(one.name for one in out.iterdir()) == ["Abell_1", island_name(run).replace(" ", "_")]
    (out / "Abell_1" / "regions.reg").write_text("my own notes")
    with pytest.raises(SystemExit, match="78"):
        main(command)
    assert (out / "Abell_1" / "regions.reg").read_text() == "my own notes"


NAMES = ("Änne", "Önne", "A 1", "A_1", "..", "n" * 300)


@pytest.fixture
def renamed(run, tmp_path):
    """A folder of ``radiounet segment`` whose islands are one, under several names."""
    folder = as_segmented(run, tmp_path / "OUT")
    path = segment_files(folder)["islands"]
    table = ecsv_table(path)
    table = table[[int(np.argmax(table["flux_mjy"]))] * len(NAMES)]
    table["name"] = NAMES
    write_ecsv(path, table)
    return folder


def test_every_name_has_a_folder_of_its_own_whatever_else_is_asked_for(renamed, tmp_path, monkeypatch):
    monkeypatch.setattr("radiounet.running.stage.configure", lambda _: None)
    out = tmp_path / "kits"
    for names in (NAMES[1:], NAMES[:1], NAMES[::-1]):
        main(["kit", renamed, *names, "--out", str(out)])
    found = {path.parent.name: json.loads(path.read_text())["kit"] for path in out.glob("*/kit.json")}
    assert found == {
        **{"nne": "Änne", "nne~2": "Önne", "A_1": "A 1", "A_1~2": "A_1"},
        **{"unnamed": "..", "n" * 80: "n" * 300},
    }
    assert not [path for path in out.iterdir() if path.is_file()]


def test_the_kit_of_another_is_not_overwritten(renamed, tmp_path, monkeypatch):
    """In the results of another run the name has another place."""
    monkeypatch.setattr("radiounet.running.stage.configure", lambda _: None)
    command = ["kit", renamed, "Änne", "--out", str(tmp_path / "kits")]
    main(command)
    before = (tmp_path / "kits" / "nne" / "kit.json").read_bytes()
    path = segment_files(renamed)["islands"]
    write_ecsv(path, ecsv_table(path)[1:])
    command[2] = "Önne"
    with pytest.raises(SystemExit, match="78"):
        main(command)
    assert (tmp_path / "kits" / "nne" / "kit.json").read_bytes() == before


def test_the_image_that_has_most_of_a_cluster_counts(run, monkeypatch):
    tables = read_catalogues(run.root)
    clusters = tables["cluster"][tables["cluster"]["name"] == "Abell {1}"]
    tables["cluster"] = vstack([clusters] * 3)
    tables["cluster"]["coverage"] = [0.2, 0.9, np.nan]
    tables["cluster"]["mosaic"] = ["little", "a", "nothing"]
    monkeypatch.setattr(kit_module, "read_catalogues", lambda _: tables)
    (source,) = find_sources(run.root, ["Abell {1}"])
    assert source.row["mosaic"] == "a"


def test_the_mask_for_clean_holds_blanked_radio_galaxies(run, tmp_path, monkeypatch):
    def with_a_galaxy(*arguments):
        cutout = read_cutout(*arguments)
        assert cutout.compact[2, 3] == 0 == cutout.islands[2, 3]
        cutout.islands[2, 3] = -1
        return cutout

    monkeypatch.setattr(catalogue_objects, "read_cutout", with_a_galaxy)
    (source,) = find_sources(run.root, ["Abell {1}"])
    write_kit(source, str(tmp_path))
    files = kit_files(str(tmp_path))
    clean, diffuse = fits.getdata(files["clean_mask"])[0, 0], fits.getdata(files["mask"])
    assert (clean[2, 3], diffuse[2, 3] == 1) == (1, False)
