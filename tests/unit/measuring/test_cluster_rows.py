"""What a row says of several candidates, and of the image."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from test_diffuse_classes import CLUSTER, DEC, RA, bar, halo, measured

from maps import write_products
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.resampling import to_model_grid
from radiounet.images.squares import Mosaic
from radiounet.measuring.catalogue_files import write_catalogue
from radiounet.measuring.cluster_sources import ClusterSources
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.columns import CLUSTERS, FIT, ISLANDS, make_table
from radiounet.measuring.islands import find_islands
from radiounet.measuring.mosaic_tables import read_mosaic_table
from radiounet.publishing.cds_readme import cds_files
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import DR2, OWN_IMAGES
from radiounet.survey.survey import Survey
from stages import SEGMENTATION


def test_of_two_halos_fit_and_sizes_are_those_of_the_brighter():
    bright, faint = halo(-32, 0, 8), 0.7 * halo(32, 0, 8)
    both, one, other = (measured(emission) for emission in (bright + faint, bright, faint))
    assert (both["class"], both["halo_count"], one["halo_count"]) == ("cRH", 2, 1)
    assert both["halo_flux_mjy"] == pytest.approx(one["halo_flux_mjy"] + other["halo_flux_mjy"], rel=0.02)
    for name in ("halo_las_arcmin", "halo_re_kpc", "fit_flux_mjy", "fit_dec_deg"):
        assert both[name] == pytest.approx(one[name], rel=0.02)
    assert both["fit_dec_deg"] < CLUSTER.dec_deg
    assert measured(bar(70, 0, 60, 5, 90))["halo_count"] == 0


def test_errors_of_several_relics_add_in_quadrature():
    """Noise of 3 and 4 mJy."""
    options = MeasureOptions(calibration_error=0.0)
    relics = [
        SimpleNamespace(
            measured=SimpleNamespace(total_jy=(0.1, noise, noise), shape=SimpleNamespace(las_arcmin=1.0))
        )
        for noise in (0.003, 0.004)
    ]
    row = ClusterSources(None, options, 144e6, [CLUSTER])._source("relic", relics, CLUSTER, 200.0)
    assert row["relic_flux_mjy"] == pytest.approx(200)
    assert row["relic_flux_err_mjy"] == pytest.approx(5)


def test_descriptions_say_which_columns_are_of_the_brightest_and_which_of_all():
    sizes = ["halo_las_arcmin", "halo_lls_kpc", "halo_re_kpc", "relic_las_arcmin", "relic_lls_kpc"]
    sizes += [f"relic_{name}" for name in ("width_kpc", "distance_kpc", "distance_r500", "tangential_deg")]
    for name in [*FIT, *sizes]:
        assert "brightest" in CLUSTERS[name].description, name
    for kind in ("halo", "relic"):
        for name in ("flux_mjy", "s150_mjy", "p150_w_hz"):
            assert f"all {kind} candidates that count" in CLUSTERS[f"{kind}_{name}"].description
    assert "-1 no fit, or no halo candidate" in CLUSTERS["fit_flag"].description
    assert not any("halo" in ISLANDS[name].description for name in FIT)


def products_of(folder, beam, release=OWN_IMAGES, **cards):
    """Image, probability and mask of an image of this beam that has a halo, brought to the model's beam."""
    noise = 1e-4 * np.random.default_rng(1).standard_normal((500, 500))
    plane = Plane((noise + halo()).astype(np.float32), grid_wcs(RA, DEC, 500, 4.5), beam)
    mask = halo() > 1e-4
    paths = [str(folder / f"{name}.fits") for name in ("image", "probability", "mask")]
    write_products(paths, to_model_grid(plane, 4.5, 20.0), 0.9 * mask, mask, **cards)
    return paths, Survey(release, [Mosaic("a", RA, DEC, 500)])


def islands_of(folder, beam, release=OWN_IMAGES, **cards):
    """Islands of an image that has a halo, brought to the model's beam."""
    paths, survey = products_of(folder, beam, release, **cards)
    find_islands(*paths, survey, "a", MeasureOptions(), str(folder / "a.ecsv"))
    return make_table("islands", read_mosaic_table("islands", folder / "a.ecsv").rows, {})


@pytest.mark.parametrize(
    ("beam", "release", "cards", "freq_mhz", "beam_arcsec"),
    [
        (Beam(20, 20), OWN_IMAGES, {"RESTFRQ": 1.28e9}, 1280.0, 20.0),
        (Beam(32, 18, 40), OWN_IMAGES, {"RESTFRQ": 144.627e6}, 144.627, 24.0),
        (Beam(60, 45), OWN_IMAGES, {"RESTFRQ": 144.627e6}, 144.627, 51.9615),
        (Beam(9, 9), OWN_IMAGES, {"RESTFRQ": 144.627e6}, 144.627, 20.0),
        (Beam(20, 20), OWN_IMAGES, {}, np.nan, 20.0),  # which nobody said
        (Beam(20, 20), DR2, {}, DR2.frequency_mhz, 20.0),
    ],
)
def test_islands_have_the_frequency_and_the_beam_of_their_image(
    tmp_path, beam, release, cards, freq_mhz, beam_arcsec
):
    table = islands_of(tmp_path, beam, release, **cards)
    assert len(table) == 1
    assert table["freq_mhz"][0] == pytest.approx(freq_mhz, nan_ok=True)
    assert table["beam_arcsec"][0] == pytest.approx(beam_arcsec)


@pytest.mark.parametrize(("beam", "beam_arcsec"), [(Beam(20, 20), 20.0), (Beam(60, 45), 51.9615)])
def test_clusters_have_the_beam_of_their_image_and_the_rms_per_beam_of_the_model(tmp_path, beam, beam_arcsec):
    paths, survey = products_of(tmp_path, beam)
    (tmp_path / "in.csv").write_text(f"name,ra,dec,z,M500\nC,{RA},{DEC},0.2,3\n")
    files = str(tmp_path / "a.ecsv"), str(tmp_path / "cutouts.fits")
    products = [MosaicProducts("a", *paths)]
    measure_clusters(
        str(tmp_path / "in.csv"), survey, "a", products, SEGMENTATION.model, MeasureOptions(), *files
    )
    (row,) = read_mosaic_table("clusters", tmp_path / "a.ecsv").rows
    assert row["beam_arcsec"] == pytest.approx(beam_arcsec)
    per_beam = 100 * 20**2 / beam_arcsec**2  # 100 uJy per beam of the image
    assert row["rms_ujy"] == pytest.approx(per_beam, rel=0.15)
    assert "per beam of the model" in CLUSTERS["rms_ujy"].description


def test_every_format_has_the_frequency_and_the_beam(tmp_path):
    table = islands_of(tmp_path, Beam(20, 20), RESTFRQ=1.28e9)
    read = {}
    for suffix in ("fits", "vot", "csv", "parquet"):
        write_catalogue(table, tmp_path / f"islands.{suffix}")
    read["fits"] = Table.read(tmp_path / "islands.fits", hdu=1)
    read["vot"] = Table.read(tmp_path / "islands.vot")
    read["csv"] = Table.read(tmp_path / "islands.csv", format="ascii.csv", comment="#")
    read["parquet"] = Table.read(tmp_path / "islands.parquet")
    for suffix, one in read.items():
        assert (one["freq_mhz"][0], one["beam_arcsec"][0]) == (1280.0, 20.0), suffix
        assert suffix == "csv" or one["freq_mhz"].unit == "MHz"
    readme = cds_files({"islands": table}, DR2, ["A"])["ReadMe"].decode()
    assert " MHz " in readme
