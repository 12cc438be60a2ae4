"""Classes of islands and clusters, decided on images with hand-made sources."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.measuring.apertures import box_around
from radiounet.measuring.cluster_sources import ClusterSources, cluster_sizes
from radiounet.measuring.cutouts import MeasuredMosaic, cut_out
from radiounet.measuring.diffuse_classes import Decision, classify_cluster
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.survey import Cluster

RA, DEC, N_PX = 150.0, 40.0, 500
MIDDLE = 249
RMS = 1e-4
OPTIONS = MeasureOptions()
FREQUENCY_HZ = 144e6
SIGMA = 20 / 4.5 / np.sqrt(8 * np.log(2))
CLUSTER = Cluster("C", RA, DEC, 0.2, 6.0)  # R500 of 80 px
SHAPES = np.mgrid[:N_PX, :N_PX] - MIDDLE


def halo(y0=0.0, x0=0.0, radius=14.0, peak=12e-4):
    y, x = SHAPES
    return ndimage.gaussian_filter(peak * np.exp(-np.hypot(y - y0, x - x0) / radius), SIGMA)


def bar(y0, x0, length, width, angle_deg, peak=6e-4):
    """A ridge at some pixels from the middle; its angle from the y axis towards smaller x."""
    y, x = SHAPES
    angle = np.radians(angle_deg)
    along = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
    across = (y - y0) * np.sin(angle) + (x - x0) * np.cos(angle)
    return peak * np.exp(-0.5 * (across / width) ** 2) * (np.abs(along) < length / 2)


def measured(
    emission,
    cluster=CLUSTER,
    clusters=(),
    p_diffuse=0.9,
    classes=None,
    dec=DEC,
    p=0.8,
    beside=0.0,
    resolution=None,
):
    white = np.random.default_rng(5).standard_normal((N_PX, N_PX))
    smooth = ndimage.gaussian_filter(white, SIGMA)
    plane = Plane(
        (emission + beside + RMS * smooth / smooth.std()).astype(np.float32),
        grid_wcs(RA, dec, N_PX, 4.5),
        Beam(20, 20),
        resolution,
    )
    mask = (emission > 0.7 * RMS).astype(np.uint8)
    mosaic = MeasuredMosaic.of(plane, np.where(mask, p, 0.1).astype(np.float32), mask, classes)
    sources = ClusterSources(mosaic, OPTIONS, FREQUENCY_HZ, clusters or [cluster])
    return sources.measure(cluster, cut_out(mosaic, box_around(plane, cluster, 1.5)), p_diffuse, 1.0)[0]


def test_a_halo():
    row = measured(halo())
    assert row["class"] == "cRH"
    assert "exponential profile" in row["reason"]
    total = 1e3 * 2 * np.pi * 12e-4 * 14**2 / (np.pi / (4 * np.log(2)) * 20**2 / 4.5**2)
    assert row["fit_flux_mjy"] == pytest.approx(total, rel=0.12)
    # an exponential profile has more light beyond the edge of the island than a Gaussian
    assert 0.8 * total < row["halo_flux_mjy"] < total
    assert row["fit_re_arcmin"] == pytest.approx(14 * 4.5 / 60, rel=0.1)
    # 198 kpc per arcmin at z 0.2
    assert row["halo_re_kpc"] == pytest.approx(198 * row["fit_re_arcmin"], rel=0.01)
    assert row["halo_re_err_kpc"] == pytest.approx(198 * row["fit_re_err_arcmin"], rel=0.01)
    # exp(-3) (1 + 3): 0.8 of the light within three radii
    assert row["fit_flux_3re_err_mjy"] == pytest.approx(0.8009 * row["fit_flux_err_mjy"], rel=1e-3)
    assert row["halo_s150_err_mjy"] / row["halo_s150_mjy"] == pytest.approx(
        np.hypot(row["halo_flux_err_mjy"] / row["halo_flux_mjy"], 0.4 * np.log(150 / 144)), rel=1e-3
    )
    assert row["relic_count"] == 0
    assert row["island_count"] == 1


def test_a_relic_is_tangential():
    row = measured(bar(70, 0, 60, 5, 90))
    assert row["class"] == "cRR"
    assert row["relic_distance_r500"] == pytest.approx(70 / 80, rel=0.03)
    assert row["relic_distance_kpc"] == pytest.approx(70 * 4.5 / 60 * 198, rel=0.03)
    assert row["relic_tangential_deg"] == pytest.approx(90, abs=4)
    # FWHM of 2.355 x 5 px
    assert row["relic_width_kpc"] == pytest.approx(2.355 * 5 * 4.5 / 60 * 198, rel=0.25)


@pytest.mark.parametrize("dec", [40.0, 89.8, 90.0, -89.95])
def test_directions_hold_near_a_pole(dec):
    cluster = replace(CLUSTER, dec_deg=dec)
    across = measured(bar(0, 70, 60, 5, 0), cluster, dec=dec)  # beside the centre, from south to north
    assert across["class"] == "cRR"
    assert across["relic_tangential_deg"] == pytest.approx(90, abs=5)
    along = measured(bar(0, 70, 60, 5, 90), cluster, dec=dec)
    assert along["class"] == "U"


def test_a_radial_bar_is_uncertain():
    row = measured(bar(70, 0, 60, 5, 0))
    assert row["class"] == "U"
    assert "not tangential, as a relic is" in row["reason"]


def test_an_island_of_one_pixel_has_no_long_axis():
    y, x = SHAPES
    row = measured(1e-4 * ((y == 60) & (x == 0)), beside=halo(60, 0, 6, 3e-4))
    assert row["class"] == "U"
    assert row["reason"].startswith(
        "U: centroid at 0.75 R500: too far out for a halo; axis ratio 1.0; no long"
    )


@pytest.mark.parametrize(
    ("emission", "expected"),
    [
        (halo(32, 0), "cRH"),  # round, at 0.4 R500
        (bar(32, 0, 40, 5, 0), "cRH"),  # radial, at 0.4 R500
        (bar(44, 0, 40, 5, 0), "U"),  # radial, at 0.55 R500
        (bar(32, 0, 40, 5, 90), "cRR"),  # tangential
        (bar(100, 0, 40, 12, 90), "cRR"),  # tangential, at 1.25 R500
        (bar(8, 0, 40, 5, 90), "cRH"),  # tangential, in the middle
    ],
)
def test_halo_or_relic_by_place_and_direction(emission, expected):
    row = measured(emission)
    assert row["class"] == expected, row["reason"]


def test_a_halo_and_a_relic():
    row = measured(halo() + bar(0, 75, 60, 5, 0))
    assert row["class"] == "cRH+cRR"
    assert row["relic_count"] == 1
    of_halo, of_relic = row["islands"].split("; ")
    assert f"{of_halo} cRH: " in row["reason"]
    assert f"{of_relic} cRR: " in row["reason"]


def test_a_faint_second_candidate_counts_nowhere_and_is_named():
    row = measured(halo() + 0.5 * bar(0, 75, 40, 5, 0))
    of_halo, of_relic = row["islands"].split("; ")
    assert (row["class"], row["island_count"], row["relic_count"]) == ("cRH", 2, 0)
    assert "relic_flux_mjy" not in row
    text = row["reason"].partition(f"{of_relic} cRR: ")[2]
    assert text.endswith("below 0.3 of the brightest candidate, not counted")
    assert "not counted" not in row["reason"].partition(f"{of_relic} cRR: ")[0]


def test_nothing():
    row = measured(np.zeros((N_PX, N_PX)))
    assert row["class"] == "NDE"
    assert row["island_count"] == 0
    assert row["flux_r500_mjy"] == pytest.approx(0, abs=3 * row["flux_r500_err_mjy"])


def test_an_improbable_host_is_uncertain():
    row = measured(halo(), p_diffuse=0.2)
    assert row["class"] == "U"
    assert row["reason"].startswith("p_diffuse 0.20 below 0.3; cRH: ")
    assert measured(halo(), p_diffuse=0.3)["class"] == "cRH"


def test_a_radio_galaxy_of_the_class_map():
    """The island has a mean probability of diffuse emission of 0.8: with 0.71 it is a halo with a galaxy."""
    galaxy = np.full((N_PX, N_PX), 180, np.uint8)
    shown = halo(peak=3.5e-4, radius=20)
    row = measured(shown, classes={"radio galaxy": galaxy})
    assert row["class"] == "cRH"
    assert "with a radio galaxy (p 0.71)" in row["reason"]
    row = measured(shown, classes={"radio galaxy": galaxy + 30})
    assert row["class"] == "U"
    assert "a radio galaxy more than diffuse (p 0.82)" in row["reason"]


@pytest.mark.parametrize(
    ("dec", "is_low"), [(40.0, False), (-50.0, True), (-65.0, True), (-85.0, False)]
)  # Galactic latitudes of 52, 4, -8 and -23 deg
def test_a_wide_island_is_galactic_on_both_sides_of_the_galactic_plane(dec, is_low):
    row = measured(bar(0, 0, 240, 10, 0), replace(CLUSTER, dec_deg=dec), dec=dec)
    assert row["flag_galactic"] is is_low


def test_a_reason_names_all_doubts_and_no_source_that_is_not_there():
    classes = {
        name: np.full((N_PX, N_PX), 230, np.uint8) for name in ("Galactic", "artefact", "radio galaxy")
    }
    row = measured(halo(peak=3.5e-4, radius=20), classes=classes)
    assert not row["flag_artefact"]
    assert row["flag_galactic"]
    doubts = "Galactic emission more than diffuse (p 0.90); a radio galaxy more than diffuse (p 0.90)"
    assert doubts in row["reason"]
    assert "bright source" not in row["reason"]


def test_an_island_near_a_very_bright_source_may_be_its_artefact():
    y, x = SHAPES
    source = np.exp(-0.5 * ((y - 60) ** 2 + x**2) / SIGMA**2)
    far, too_far = (np.exp(-0.5 * ((y - one) ** 2 + x**2) / SIGMA**2) for one in (95, 120))
    # the island of 1.2 mJy/beam has a radius of 35 px, and 15 beams are 67 px; its cut-out ends after 10
    cases = (0.3 * source, False), (3.0 * source, True), (3.0 * far, True), (3.0 * too_far, False)
    for beside, is_near in cases:
        row = measured(halo(), beside=beside)  # which is not in the mask
        assert row["flag_artefact"] == is_near
        assert ("near a very bright source" in row["reason"]) == is_near


def test_noise_is_no_bright_source_beside_an_island_without_light():
    row = measured(np.where(halo() > 0.7 * RMS, halo(), 0), beside=-2 * halo())
    assert not row["flag_artefact"]


def test_no_candidate_has_a_negative_flux_density():
    """A faint island in a bowl: grown by a beam, as for its total, it holds less than nothing."""
    y, x = SHAPES
    away = np.hypot(y, x)
    row = measured(halo(radius=6, peak=4e-4), beside=np.where((away > 12) & (away < 16), -4e-4, 0.0))
    assert row["flux_mjy"] > 0
    assert (row["class"], row.get("halo_flux_mjy")) == ("U", None)
    assert "no flux density left with the surroundings of the island" in row["reason"]


def test_what_else_is_there_does_not_make_an_island_uncertain():
    """0.71 of Galactic emission is less than the 0.8 of diffuse emission."""
    classes = {name: np.full((N_PX, N_PX), 180, np.uint8) for name in ("Galactic", "artefact")}
    row = measured(halo(), classes=classes)
    assert (row["class"], row["flag_galactic"], row["flag_artefact"]) == ("cRH", True, False)
    assert "on Galactic emission (p 0.71)" in row["reason"]
    assert "artefact" not in row["reason"]
    assert measured(halo(), classes={"Galactic": classes["Galactic"] + 30})["class"] == "U"


def test_an_island_that_is_more_galactic_than_diffuse_has_the_flag():
    """Galactic emission of 0.4 in the island and none around it."""
    galactic = np.where(halo() > 0.7 * RMS, 102, 0).astype(np.uint8)
    for p, label in ((0.35, "U"), (0.45, "cRH")):
        row = measured(halo(), classes={"Galactic": galactic}, p=p)
        assert (row["class"], row["flag_galactic"]) == (label, label == "U")


def test_an_island_is_no_galactic_surroundings_of_its_own():
    """It fills half of the image, and would bring the mean of the whole to 0.3."""
    wide = halo(radius=73)
    inside = wide > 0.7 * RMS
    assert 0.5 < inside.mean() < 0.6
    classes = {"Galactic": np.where(inside, 140, 0).astype(np.uint8)}
    assert not measured(wide, classes=classes)["flag_galactic"]
    classes["Galactic"][~inside] = 90  # 0.35 of 255
    assert measured(wide, classes=classes)["flag_galactic"]


def test_an_island_of_two_clusters_belongs_to_the_nearer_and_says_so():
    near = replace(CLUSTER, name="near")
    far = Cluster("far", RA, DEC + 70 * 4.5 / 3600, 0.2, 6.0)
    one, other = (measured(halo(), cluster, [near, far]) for cluster in (near, far))
    assert (one["class"], one["island_count"], one["flag_shared"]) == ("cRH", 1, True)
    assert (other["class"], other["island_count"], other["flag_shared"]) == ("U", 0, True)
    assert other["reason"] == "the emission inside R500 belongs to near"
    assert one["flux_mjy"] == measured(halo(), near)["flux_mjy"]
    assert "flux_mjy" not in other


def test_a_cluster_whose_size_is_a_guess_takes_nothing_of_a_known_one():
    guess = Cluster("guess", RA, DEC + 2.5 / 60, np.nan, 5.0, assumed_size=True)
    row, other = (measured(halo(), one, [CLUSTER, guess]) for one in (CLUSTER, guess))
    assert row["flux_mjy"] == measured(halo())["flux_mjy"]
    assert (other["class"], other["island_count"]) == ("U", 0)
    assert "flux_mjy" not in other


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [2, 1, 0]])
def test_a_known_cluster_keeps_a_piece_in_its_r500_though_others_have_the_most(order):
    ridge = ndimage.gaussian_filter(bar(0, 0, 120, 12, 0), 8)
    known = Cluster("known", RA, DEC - 75 * 4.5 / 3600, 0.2, 2.5)  # reaches an eighth of the ridge
    guesses = [
        Cluster(name, RA, DEC + y * 4.5 / 3600, np.nan, 5.0, assumed_size=True)
        for name, y in (("a", -20), ("b", 30))
    ]
    every = [known, *guesses]
    rows = [measured(ridge, cluster, [every[n] for n in order]) for cluster in every]
    whole = measured(ridge)["flux_mjy"]
    assert 0.02 * whole < rows[0]["flux_mjy"] < 0.25 * whole
    assert sum(row["flux_mjy"] for row in rows) == pytest.approx(whole, rel=0.05)
    # the guess alone does not get it either
    pair = measured(ridge, known, [guesses[0], known])
    assert pair["flux_mjy"] == pytest.approx(rows[0]["flux_mjy"])


def test_a_known_r500_that_touches_the_island_of_a_guess_makes_no_source():
    """A few pixels are no relic: they stay with the rest, and both clusters say that they share it."""
    ridge = ndimage.gaussian_filter(bar(0, 0, 120, 12, 0), 8)
    guess = Cluster("guess", RA, DEC, np.nan, 5.0, assumed_size=True)
    found = []
    for radius in (0.01, 2.7):  # arcmin; the second reaches the end of the ridge
        known = Cluster("known", RA, DEC - 100 * 4.5 / 3600, 0.2, radius)
        found.append([measured(ridge, one, [known, guess]) for one in (known, guess)])
    for known, _ in found:
        assert known["island_count"] == 0
        assert "flux_mjy" not in known
    assert found[1][0]["reason"] == "the emission inside R500 belongs to guess"
    assert found[1][1]["flux_mjy"] == found[0][1]["flux_mjy"]
    assert [row["flag_shared"] for row in found[1]] == [True, True]


def test_a_guess_elsewhere_changes_nothing_between_known_clusters():
    ridge = ndimage.gaussian_filter(bar(0, 0, 120, 12, 0), 8)
    one = Cluster("a", RA, DEC - 10 * 4.5 / 3600, 0.2, 5.0)
    other = Cluster("b", RA, DEC + 75 * 4.5 / 3600, 0.2, 2.5)
    guess = Cluster("c", RA, DEC + 11 / 60, np.nan, 5.0, assumed_size=True)
    for cluster in (one, other):
        alone, beside = (measured(ridge, cluster, every) for every in ([one, other], [one, other, guess]))
        assert (alone["class"], alone["reason"]) == (beside["class"], beside["reason"])
        assert alone.get("flux_mjy") == beside.get("flux_mjy")


def test_of_two_rows_at_one_place_the_known_size_counts():
    known = replace(CLUSTER, name="known", r500_arcmin=3.0)
    guess = replace(CLUSTER, name="guess", r500_arcmin=5.0, assumed_size=True)
    beside = replace(CLUSTER, name="beside", dec_deg=DEC + 2.5 / 60, r500_arcmin=5.0, assumed_size=True)
    for others in ([known, guess, beside], [guess, beside, known]):
        assert "flux_mjy" not in measured(halo(), beside, others)


def test_an_island_over_two_clusters_is_shared_out():
    """One ridge without a minimum, and a cluster in either half: each has its half, and says so."""
    first, second = (Cluster(name, RA, DEC + y * 4.5 / 3600, 0.2, 4.0) for name, y in (("a", -30), ("b", 30)))
    ridge = ndimage.gaussian_filter(bar(0, 0, 120, 12, 0), 8)
    rows = [measured(ridge, cluster, [first, second]) for cluster in (first, second)]
    alone = measured(ridge)  # with one cluster in its middle
    for row, other in zip(rows, "ba", strict=True):
        assert (row["class"], row["island_count"], row["flag_shared"]) == ("cRH", 1, True)
        assert row["reason"].endswith(f"a part of an island shared with {other}")
        assert row["halo_flux_mjy"] == pytest.approx(0.5 * alone["halo_flux_mjy"], rel=0.1)
    assert sum(row["flux_mjy"] for row in rows) == pytest.approx(alone["flux_mjy"], rel=0.02)
    assert rows[0]["islands"] == rows[1]["islands"] == alone["islands"]
    assert not alone["flag_shared"]


@pytest.mark.parametrize("apart_arcsec", [0.0, 0.3, 9.0])
def test_two_rows_at_one_place_share_an_island(apart_arcsec):
    rows = [
        replace(CLUSTER, name=name, dec_deg=DEC + n * apart_arcsec / 3600)
        for n, name in enumerate(("first", "second"))
    ]
    both = [measured(halo(), cluster, rows) for cluster in rows]
    assert [(row["class"], row["island_count"]) for row in both] == [("cRH", 1)] * 2


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 0, 2]])
def test_rows_in_a_chain_are_at_one_place_in_any_order(order):
    rows = [replace(CLUSTER, name=str(n), dec_deg=DEC + 9 * n / 3600) for n in range(3)]
    for cluster in rows:
        row = measured(halo(), cluster, [rows[n] for n in order])
        assert (row["class"], row["island_count"]) == ("cRH", 1)


def test_an_island_larger_than_r500():
    small = replace(CLUSTER, r500_arcmin=1.0)  # 13 px
    row = measured(halo(), small)
    assert row["class"] == "cRH"
    whole = measured(halo())
    assert row["halo_flux_mjy"] == pytest.approx(whole["halo_flux_mjy"], rel=0.02)
    assert row["flux_r500_mjy"] < 0.5 * whole["flux_r500_mjy"]


def test_without_a_redshift_there_are_flux_densities_and_no_kpc():
    unknown = replace(CLUSTER, redshift=np.nan)
    row = measured(halo(), unknown)
    assert row["halo_flux_mjy"] > 0
    assert np.isnan([row["halo_lls_kpc"], row["halo_p150_w_hz"], row["halo_re_kpc"]]).all()
    assert np.isnan([*cluster_sizes(unknown, OPTIONS).values()]).all()


def test_an_assumed_r500_is_no_result():
    assumed = replace(CLUSTER, assumed_size=True)
    row = measured(bar(70, 0, 60, 5, 90), assumed)
    assert row["class"] == "cRR"
    assert row["reason"].endswith("R500 is assumed")
    assert np.isnan(row["relic_distance_r500"])
    assert row["relic_distance_kpc"] == pytest.approx(70 * 4.5 / 60 * 198, rel=0.03)
    assert np.isnan([*cluster_sizes(assumed, OPTIONS).values()]).all()


def test_mass_of_r500_by_hand():
    # H(z)^2 = 70^2 (0.3 1.2^3 + 0.7); rho_c = 3 H^2 / (8 pi G); 6' at 198.0 kpc per arcmin
    sizes = cluster_sizes(CLUSTER, OPTIONS)
    assert sizes["r500_kpc"] == pytest.approx(6 * 198.0, rel=1e-3)
    hubble = 70e3 / 3.0857e22 * np.sqrt(0.3 * 1.2**3 + 0.7)
    density = 3 * hubble**2 / (8 * np.pi * 6.6743e-11)
    mass = 500 * density * 4 / 3 * np.pi * (sizes["r500_kpc"] * 3.0857e19) ** 3 / 1.98841e30
    assert sizes["m500_msun"] == pytest.approx(mass, rel=1e-3)


@pytest.mark.parametrize(
    ("labels", "p_diffuse", "coverage", "expected"),
    [
        ([], 0.1, 1.0, "NDE"),
        ([], 0.9, 0.0, "N/A"),
        (["cRH"], 0.9, 1.0, "cRH"),
        (["cRR", "cRH", "U"], 0.9, 1.0, "cRH+cRR"),
        (["U"], 0.9, 1.0, "U"),
        (["cRH"], np.nan, 1.0, "U"),
    ],
)
def test_class_of_a_cluster(labels, p_diffuse, coverage, expected):
    decisions = [Decision(label, "why") for label in labels]
    fluxes = [10.0, 4.0, 1.0][: len(labels)]
    assert classify_cluster(decisions, fluxes, p_diffuse, coverage).label == expected


@pytest.mark.parametrize(("coverage", "told"), [(1.0, False), (0.8, False), (0.79, True), (0.05, True)])
def test_a_reason_tells_that_little_of_a_cluster_was_observed(coverage, told):
    reason = classify_cluster([], [], 0.1, coverage).reason
    assert reason.endswith(f"; only {100 * coverage:.0f} % of R500 was measured") is told


def test_a_much_fainter_candidate_does_not_count():
    decisions = [Decision("cRH", "why"), Decision("cRR", "why")]
    assert classify_cluster(decisions, [10.0, 2.9], 0.9, 1.0).label == "cRH"
    assert classify_cluster(decisions, [10.0, 3.1], 0.9, 1.0).label == "cRH+cRR"


@pytest.mark.parametrize(
    ("r500_arcmin", "resolution", "expected"),
    [(2.0, None, "cRH"), (2.0, Beam(70, 70), "U"), (0.5, None, "U")],
)
def test_a_small_cluster_in_the_halo_of_a_large_one_may_own_the_piece_around_it(
    r500_arcmin, resolution, expected
):
    """Nearer to it, in R500, are the points of a disc: with k the ratio of both R500, of k / (1 - k^2) times
    40 px. That is 15 px (32 beams, or 2.6 of 70"), or 3.4 px (1.6 beams) where R500 is 0.5 arcmin."""
    large = replace(CLUSTER, name="large")
    small = Cluster("small", RA, DEC + 40 * 4.5 / 3600, 0.6, r500_arcmin)
    every = [large, small]
    one, other = (measured(halo(radius=24), cluster, every, resolution=resolution) for cluster in every)
    assert (one["class"], other["class"]) == ("cRH", expected)
    assert ("a part of an island shared with large" in other["reason"]) == (expected != "U")
    assert (one["flag_shared"], other["flag_shared"]) == (True, True)


def test_a_cluster_in_the_hole_of_a_ring_has_none_of_it():
    """The small cluster is nearest to the ring's centre, and the large one to all of its pixels."""
    y, x = SHAPES
    ring = 8e-4 * (np.abs(np.hypot(y, x) - 30) < 6)
    small = Cluster("small", RA, DEC, 0.2, 1.0)
    large = Cluster("large", RA, DEC + 40 * 4.5 / 3600, 0.2, 8.0)
    one, other = (measured(ring, cluster, [small, large]) for cluster in (small, large))
    assert (one["island_count"], other["island_count"]) == (0, 1)
    assert "shared" not in other["reason"]


def test_a_cluster_whose_r500_does_not_reach_an_island_may_own_a_part_as_a_relic():
    """The ridge ends at 1.1 R500 of the large cluster, farther from the small one in units of its R500."""
    small = Cluster("small", RA + 20 * 4.5 / 3600 / np.cos(np.radians(DEC)), DEC, 0.2, 20 * 4.5 / 60)
    large = Cluster("large", RA, DEC + 160 * 4.5 / 3600, 0.2, 100 * 4.5 / 60)
    row = measured(bar(0, 0, 100, 5, 0), small, [small, large])
    assert row["island_count"] == 1
    assert "a part of an island shared with large" in row["reason"]


@pytest.mark.parametrize(
    ("away_px", "label", "count", "reason"),
    [
        (25, "U", 1, "U: centroid at 1.2"),  # radial
        (95, "U", 1, "U: reaches into R500, but its centroid lies at 4.7"),
        (110, "U", 1, "U: reaches into R500, but its centroid lies at 5.4"),
        (125, "NDE", 0, "no island of its own within R500, or centred within 1.5 R500"),
    ],
)
def test_a_cluster_beside_a_long_island_has_it_where_it_reaches_into_r500(away_px, label, count, reason):
    """The island ends at 100 px; R500 is 20 px."""
    cluster = Cluster("C", RA, DEC - away_px * 4.5 / 3600, 0.2, 1.5)
    row = measured(bar(0, 0, 200, 6, 0), cluster)
    assert (row["class"], row["island_count"]) == (label, count)
    assert row["reason"].startswith(reason)
    assert ("flux_mjy" in row) == (count > 0)


def test_an_island_centred_too_far_out_is_no_relic_though_it_reaches_into_r500():
    row = measured(bar(125, 0, 160, 25, 90))  # 50 px to either side; R500 is 80 px
    assert (row["class"], row["island_count"], row["relic_count"]) == ("U", 1, 0)
    assert "its centroid lies at 1.55 R500" in row["reason"]


def test_an_island_centred_too_far_out_leaves_the_class_to_others():
    row = measured(halo() + bar(125, 0, 140, 5, 0))
    assert (row["class"], row["island_count"], row["relic_count"]) == ("cRH", 2, 0)
    assert "U: reaches into R500, but its centroid lies at 1.55 R500" in row["reason"]
    assert row["halo_flux_mjy"] == pytest.approx(measured(halo())["halo_flux_mjy"], rel=0.02)
