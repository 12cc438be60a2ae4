from dataclasses import replace

import numpy as np
import pytest

from maps import write_products
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.squares import Mosaic
from radiounet.measuring.clusters import ClusterMeter, MosaicProducts
from radiounet.network.cluster_probability import FEATURES, HostCalibration
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import DR2, OWN_IMAGES
from radiounet.survey.survey import Cluster, Survey

OPTIONS = MeasureOptions()
BEAM_PX = np.pi / (4 * np.log(2)) * 20**2 / 4.5**2  # 22.38 px in a 20" beam
RA, DEC, N_PX = 150.0, 40.0, 300
CENTRE_PX = 149  # FITS 150, counted from 0
RMS_JY = 1e-4
FAINT = 4e-4
"""Brightness of a patch: four times the noise, so that no pixel of it stands out as a source."""


class Mosaics:
    """Synthetic mosaics in a folder, and the meter that reads them."""

    def __init__(self, folder):
        self.folder = folder
        self.places, self.products = [], []

    def add(self, image=0.0, probability=0.0, mask=0, name="P1", dec=DEC, above_px=0.0, resolution=None):
        """Add a mosaic; a number for `image` is the brightness around the cluster, which may lie higher."""
        if np.isscalar(image):
            image = glow(image, above_px)
        plane = Plane(spread(image, np.float32), grid_wcs(RA, dec, N_PX, 4.5), Beam(20, 20), resolution)
        paths = [str(self.folder / f"{name}_{kind}.fits") for kind in ("image", "probability", "mask")]
        plane.data[...] += RMS_JY * np.random.default_rng(1).standard_normal(plane.data.shape)
        write_products(paths, plane, spread(probability, np.float32), spread(mask, np.uint8))
        self.places.append(Mosaic(name, RA, dec, N_PX))
        self.products.append(MosaicProducts(name, *paths))
        return self

    def measure(self, ra=RA, dec=DEC, r500_arcmin=3.0, hosts=None, others=(), release=DR2):
        # their discs reach everywhere here: who owns a pixel is the nearest centre
        places = [replace(place, n_px=3 * N_PX) for place in self.places]
        cluster = Cluster("C", ra, dec, 0.2, r500_arcmin)
        meter = ClusterMeter(Survey(release, places), self.products, hosts, OPTIONS, [cluster, *others])
        row, self.cutout = meter.measure(cluster, self.places[0].name)
        return row


def spread(layer, kind):
    return np.broadcast_to(np.asarray(layer, kind), (N_PX, N_PX)).copy()


def glow(brightness, above_px=0.0):
    """A disc that holds the aperture, on blank sky that is wide enough to be the background."""
    y, x = np.mgrid[:N_PX, :N_PX] - CENTRE_PX
    return np.where(np.hypot(y - above_px, x) < 55, brightness, 0)


def zeros(kind=np.float32):
    return np.zeros((N_PX, N_PX), kind)


def calibrated(feature):
    """A calibration that has a weight of 2 for one feature, and -1 as its intercept."""
    return HostCalibration(
        features=FEATURES,
        mean=(0.0,) * len(FEATURES),
        scale=(1.0,) * len(FEATURES),
        weights=[2.0 * (one == feature) for one in FEATURES],
        intercept=-1.0,
        clusters=9,
    )


@pytest.mark.parametrize(("resolution", "fwhm"), [(None, 20), (Beam(40, 40), 40), (Beam(45, 20), 30)])
def test_p_diffuse_comes_from_the_calibration_of_the_card(tmp_path, resolution, fwhm):
    """Beams are those that the image was made with."""
    mask = zeros(np.uint8)
    mask[N_PX // 2 - 20 : N_PX // 2 + 20, N_PX // 2 - 20 : N_PX // 2 + 20] = 1
    mosaics = Mosaics(tmp_path).add(mask=mask, probability=0.9 * mask, resolution=resolution)
    row = mosaics.measure(hosts=calibrated("log_mask_beams"))
    beams = 40 * 40 / (1.1330900354567985 * (fwhm / 4.5) ** 2)
    assert row["p_diffuse"] == pytest.approx(1 / (1 + np.exp(1 - 2 * np.log10(1 + beams))), rel=1e-6)
    assert row["p_beam_max"] == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize(
    ("dec", "latitude", "is_low"),
    [(40.0, 52, False), (-50.0, 4, True), (-65.0, -8, True), (-85.0, -23, False)],
)
def test_p_diffuse_counts_low_latitudes_on_both_sides_of_the_galactic_plane(mosaics, dec, latitude, is_low):
    row = mosaics.add(dec=dec).measure(dec=dec, hosts=calibrated("galactic"))
    assert row["galactic_latitude_deg"] == pytest.approx(latitude, abs=1)
    assert row["p_diffuse"] == pytest.approx(1 / (1 + np.exp(-1 if is_low else 1)))


# an aperture of 3' holds pi 40^2 = 5027 pixels of 4.5"
APERTURE_PX = np.pi * 40**2


@pytest.fixture
def mosaics(tmp_path):
    return Mosaics(tmp_path)


def test_row_repeats_the_cluster(mosaics):
    row = mosaics.add().measure()
    assert [row[key] for key in ("name", "ra_deg", "dec_deg", "redshift", "r500_arcmin", "mosaic")] == [
        "C", RA, DEC, 0.2, 3.0, "P1",
    ]  # fmt: skip
    # sin b = sin d sin 27.128 + cos d cos 27.128 cos(a - 192.859)
    pole = np.radians(27.12825)
    sine = np.sin(np.radians(DEC)) * np.sin(pole)
    sine += np.cos(np.radians(DEC)) * np.cos(pole) * np.cos(np.radians(RA - 192.85948))
    assert row["galactic_latitude_deg"] == pytest.approx(np.degrees(np.arcsin(sine)), abs=1e-3)


def test_nothing_found(mosaics):
    row = mosaics.add(probability=0.1).measure()
    assert row["mask_fraction"] == 0
    assert row["p_diffuse"] == row["p_beam_max"] == pytest.approx(0.1)
    assert np.isnan([row["flux_mjy"], row["flux_err_mjy"], row["island_distance_arcmin"]]).all()


@pytest.mark.parametrize(("resolution", "fwhm"), [(None, 20), (Beam(60, 60), 60), (Beam(80, 20), 40)])
def test_probability_is_averaged_over_the_beam(mosaics, resolution, fwhm):
    """That of the image, round and of the same area."""
    probability = zeros()
    probability[CENTRE_PX, CENTRE_PX + 10] = 1
    sigma_px = fwhm / 4.5 / np.sqrt(8 * np.log(2))
    row = mosaics.add(probability=probability, resolution=resolution).measure()
    assert row["p_diffuse"] == pytest.approx(1 / (2 * np.pi * sigma_px**2), rel=0.02)


@pytest.mark.parametrize(("shift", "inside"), [(35, True), (55, False)])
def test_only_the_aperture_counts(mosaics, shift, inside):
    mask = zeros(np.uint8)
    mask[CENTRE_PX + shift - 1 : CENTRE_PX + shift + 2, CENTRE_PX] = 1
    row = mosaics.add(probability=mask, mask=mask).measure()
    assert (row["p_diffuse"] > 0.05) is inside
    assert row["mask_fraction"] == pytest.approx(3 * inside / APERTURE_PX, rel=0.01)
    assert np.isfinite(row["flux_mjy"]) == inside


def test_wide_aperture(mosaics):
    mask = zeros(np.uint8)
    mask[CENTRE_PX + 105, CENTRE_PX] = 1
    row = mosaics.add(mask=mask).measure(r500_arcmin=8.0)  # 106.7 px
    assert row["coverage"] == pytest.approx(1, abs=0.002)
    assert row["island_distance_arcmin"] == pytest.approx(105 * 4.5 / 60, rel=1e-3)


def test_mask_fraction(mosaics):
    mask = zeros(np.uint8)
    mask[:, CENTRE_PX:] = 1
    assert mosaics.add(mask=mask).measure()["mask_fraction"] == pytest.approx(0.5, abs=0.01)


def test_no_data_is_not_in_the_mask(mosaics):
    assert mosaics.add(mask=255).measure()["mask_fraction"] == 0


def patch():
    """A disc inside the aperture, as a mask."""
    return disc_px(25, 0)


PATCH_MJY = 1e3 * FAINT * np.pi * 25**2 / BEAM_PX


def test_flux_of_a_patch(mosaics):
    row = mosaics.add(image=FAINT * patch(), mask=patch()).measure()
    assert row["flux_mjy"] == pytest.approx(PATCH_MJY, rel=0.03)
    # the aperture holds nothing else
    assert row["flux_r500_mjy"] == pytest.approx(PATCH_MJY, abs=row["flux_r500_err_mjy"])


def test_flux_is_counted_above_the_background(mosaics):
    row = mosaics.add(image=5e-4 + FAINT * patch(), mask=patch()).measure()
    assert row["flux_mjy"] == pytest.approx(PATCH_MJY, rel=0.03)


def test_compact_sources_in_the_mask_do_not_count(mosaics):
    y, x = np.mgrid[:N_PX, :N_PX]
    sigma = 20 / 4.5 / np.sqrt(8 * np.log(2))
    points = [(150, 150, 5e-3), (140, 161, 2e-3)]
    sources = sum(peak * np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * sigma**2)) for a, b, peak in points)
    row = mosaics.add(image=sources + FAINT * patch(), mask=patch()).measure()
    assert row["compact_mjy"] == pytest.approx(7, rel=0.1)
    assert row["compact_count"] == 2
    assert row["flux_mjy"] == pytest.approx(PATCH_MJY, rel=0.08)


def test_flux_error(mosaics):
    row = mosaics.add(image=FAINT * patch(), mask=patch()).measure()
    noise = 1e3 * RMS_JY * np.sqrt(2 * np.pi * 25**2 / BEAM_PX)
    assert row["flux_err_mjy"] == pytest.approx(np.hypot(noise, 0.1 * row["flux_mjy"]), rel=0.05)


def test_island_distance(mosaics):
    mask = zeros(np.uint8)
    mask[CENTRE_PX + 20, CENTRE_PX] = 1
    mask[CENTRE_PX, CENTRE_PX - 30] = 1
    # 20 px of 4.5"
    assert mosaics.add(mask=mask).measure()["island_distance_arcmin"] == pytest.approx(1.5, rel=1e-3)


def test_full_coverage(mosaics):
    assert mosaics.add().measure()["coverage"] == pytest.approx(1, abs=0.01)


def test_half_off_the_image(mosaics):
    top = DEC + (N_PX - 1 - CENTRE_PX + 0.5) * 4.5 / 3600
    row = mosaics.add(probability=0.6).measure(dec=top)
    assert row["coverage"] == pytest.approx(0.5, abs=0.01)
    assert row["p_diffuse"] == pytest.approx(0.6)


def test_half_blank(mosaics):
    probability, mask, image = zeros() + 0.4, zeros(np.uint8), glow(FAINT)
    probability[:, :CENTRE_PX], image[:, :CENTRE_PX], mask[:, :CENTRE_PX] = np.nan, np.nan, 255
    mask[:, CENTRE_PX:] = 1
    row = mosaics.add(image, probability, mask).measure()
    assert row["coverage"] == pytest.approx(0.5, abs=0.01)
    assert row["mask_fraction"] == 1
    assert row["p_diffuse"] == pytest.approx(0.4)
    assert row["flux_mjy"] == pytest.approx(1e3 * FAINT * APERTURE_PX / 2 / BEAM_PX, rel=0.04)


def nothing_measured(row):
    keys = ("p_diffuse", "mask_fraction", "flux_mjy", "flux_err_mjy", "island_distance_arcmin")
    return (
        row["note"] == "no data inside R500"
        and row["coverage"] == 0
        and np.isnan([row[key] for key in keys]).all()
    )


def test_blank_aperture(mosaics):
    probability, mask = zeros() + 0.4, zeros(np.uint8)
    probability[:, 60:240], mask[:, 60:240] = np.nan, 255
    image = np.where(np.isnan(probability), np.nan, 1e-3)
    assert nothing_measured(mosaics.add(image, probability, mask).measure())


@pytest.mark.parametrize(
    ("ra", "dec"), [(RA, DEC + 1), (RA, DEC - 1), (RA + 1, DEC), (RA - 1, DEC), (RA + 180, -DEC), (0, -90)]
)
def test_cluster_off_the_image(mosaics, ra, dec):
    assert nothing_measured(mosaics.add(probability=0.9, mask=1).measure(ra, dec))


NORTH = 151 * 4.5 / 3600  # the two images overlap by half; no row lies on the border of their cells
MIDDLE = DEC + NORTH / 2


def two(mosaics, **layers):
    mosaics.add(**layers, above_px=75.5)
    return mosaics.add(**layers, name="P2", dec=DEC + NORTH, above_px=-75.5)


def disc_px(radius, above_px):
    """A disc as a mask, some pixels above the middle of the image."""
    y, x = np.mgrid[:N_PX, :N_PX] - CENTRE_PX
    return (np.hypot(x, y - above_px) < radius).astype(np.uint8)


def test_aperture_on_two_mosaics_counts_no_pixel_twice(mosaics):
    row = two(mosaics, image=FAINT, mask=disc_px(60, 75.5), probability=0.3).measure(dec=MIDDLE)
    assert row["coverage"] == pytest.approx(1, abs=0.01)
    assert row["flux_mjy"] == pytest.approx(1e3 * FAINT * APERTURE_PX / BEAM_PX, rel=0.03)
    assert row["p_diffuse"] == pytest.approx(0.3)


def test_coverage_of_two_mosaics_counts_no_pixel_twice(mosaics):
    probability = zeros() + 0.3
    probability[:, CENTRE_PX:] = np.nan
    row = two(mosaics, probability=probability).measure(dec=MIDDLE)
    assert row["coverage"] == pytest.approx(0.5, abs=0.01)


def test_patch_on_two_mosaics_is_counted_once(mosaics):
    mosaics.add(mask=disc_px(20, 75.5), image=FAINT * disc_px(20, 75.5))
    mosaics.add(mask=disc_px(20, -75.5), image=FAINT * disc_px(20, -75.5), name="P2", dec=DEC + NORTH)
    row = mosaics.measure(dec=MIDDLE)
    assert row["flux_mjy"] == pytest.approx(1e3 * FAINT * np.pi * 20**2 / BEAM_PX, rel=0.05)
    assert row["mask_fraction"] == pytest.approx(0.25, rel=0.02)


def test_each_half_of_the_mask_comes_from_its_owner(mosaics):
    mosaics.add(mask=1)
    mosaics.add(mask=0, name="P2", dec=DEC + NORTH)
    assert mosaics.measure(dec=MIDDLE)["mask_fraction"] == pytest.approx(0.5, rel=0.02)


def test_part_owned_by_a_mosaic_that_is_not_given(mosaics):
    mosaics.add(probability=0.3).places.append(Mosaic("P2", RA, DEC + NORTH, N_PX))
    assert mosaics.measure(dec=MIDDLE)["coverage"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("shown_px", "part", "note"),
    [
        (0, 0.5, "flux densities and islands cover only the 50 % of R500 on its own mosaic"),
        (35, 0.974, "flux densities and islands cover only the 97 % of R500 on its own mosaic"),
        (37, 0.988, ""),
    ],
)
def test_what_only_a_neighbour_shows_is_not_in_the_flux_density_and_said(mosaics, shown_px, part, note):
    """Of the disc of 40 px around the cluster the rest is the segment beyond some pixels from its middle."""
    image = FAINT * disc_px(60, 75.5).astype(float)
    image[CENTRE_PX + 76 + shown_px :] = np.nan
    probability = np.where(np.isnan(image), np.nan, 0.3)
    mosaics.add(image=image, probability=probability, mask=disc_px(60, 75.5))
    disc = disc_px(60, -75.5)  # in both masks
    mosaics.add(image=FAINT * disc, probability=0.3, mask=disc, name="P2", dec=DEC + NORTH)
    row = mosaics.measure(dec=MIDDLE)
    assert row["coverage"] == pytest.approx(1, abs=0.01)
    assert row["note"] == note
    assert row["flag_coverage"] is (part < 0.8)
    assert row["flux_r500_mjy"] == pytest.approx(1e3 * FAINT * APERTURE_PX * part / BEAM_PX, rel=0.06)


@pytest.mark.parametrize("first", [100, CENTRE_PX + 12])  # far from the aperture; within 1.5 R500
def test_a_cluster_that_its_own_mosaic_does_not_show(mosaics, first):
    image = np.full((N_PX, N_PX), np.nan)
    image[:first] = 0
    mosaics.add(image=image, probability=np.where(np.isnan(image), np.nan, 0.3))
    mosaics.add(image=FAINT * disc_px(60, -75.5), probability=0.3, name="P2", dec=DEC + NORTH)
    row = mosaics.measure(dec=MIDDLE)
    assert mosaics.cutout is None
    assert (row["class"], row["reason"]) == ("N/A", "its own mosaic has no data inside R500")
    assert row["flag_coverage"] is True
    assert row["note"] == "its own mosaic has no data inside R500"
    assert row["coverage"] == pytest.approx(0.5, abs=0.01)


def test_a_frequency_that_nobody_said_is_told(mosaics, caplog):
    """A release says it for all its images, the user's own images in their headers."""
    row = mosaics.add(image=FAINT, probability=0.3).measure()
    assert (row["note"], row["freq_mhz"]) == ("", 144.0)
    assert "assumed" not in caplog.text
    row = mosaics.measure(release=OWN_IMAGES)
    assert np.isnan(row["freq_mhz"])
    assert row["note"] == "no frequency in the image: 144 MHz assumed"
    assumed = "P1_image.fits: no frequency in the image: 144 MHz assumed for powers and flux densities at"
    assert caplog.text.count(f"{assumed} 150 MHz;") == 1


def test_a_cluster_at_the_end_of_a_long_island_is_no_cluster_without_emission(mosaics):
    """The island reaches from 16 px beside the cluster to the border, 150 px on the other side."""
    y, x = np.mgrid[:N_PX, :N_PX] - CENTRE_PX
    mask = ((np.abs(y) < 16) & (x >= -16)).astype(np.uint8)
    row = mosaics.add(image=FAINT * mask, mask=mask, probability=0.9 * mask).measure(r500_arcmin=1.0)
    assert row["mask_fraction"] == 1
    assert row["flux_mjy"] == pytest.approx(1e3 * FAINT * APERTURE_PX / 9 / BEAM_PX, rel=0.1)
    assert (row["class"], row["island_count"]) == ("U", 1)
    assert row["islands"].startswith("RUN J")
    # (150 - 16) / 2 px of 4.5"
    assert row["reason"].startswith("U: reaches into R500, but its centroid lies at 5.0")
    assert row["flag_edge"]
    assert mosaics.cutout.own.any()
