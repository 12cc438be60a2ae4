"""Mock objects in small images; a stand-in for the network calls diffuse what is bright after smoothing."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table
from scipy import ndimage
from scipy.special import expit

from maps import broad_plane
from models import tiny_card
from radiounet.errors import OriginError
from radiounet.images.beams import Beam
from radiounet.images.geometry import to_sky
from radiounet.images.image import Plane, grid_wcs, place_of
from radiounet.images.products import Products
from radiounet.images.resampling import prepare_image
from radiounet.images.squares import Mosaic
from radiounet.measuring.clusters import MosaicProducts
from radiounet.measuring.columns import LIMITS
from radiounet.measuring.injection import MockedImage, Trial
from radiounet.measuring.limits import Site, find_limits, measure_limits
from radiounet.measuring.mocks import Canvas, halo
from radiounet.network.devices import cpu_threads
from radiounet.network.inference import open_model, write_cores
from radiounet.network.masks import stitch_cores
from radiounet.network.model_cards import ModelCard, model_folder, read_card, write_card
from radiounet.network.tiling import tile_image
from radiounet.settings.limits import LimitOptions
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import OWN_IMAGES
from radiounet.settings.segmentation import Segmentation
from radiounet.survey.survey import Cluster, Survey
from stages import DEC, RA, run_stages, write_image

COSMOLOGY = FlatLambdaCDM(70, 0.3)
OPTIONS = LimitOptions(trials=24, relics=False)
N_PX = 300
CLUSTER = Cluster("C", RA, DEC, 0.3, 3.0)
LOG10 = {"kind": "log10", "low": 1e-7, "high": 1e-2, "floor": 1e-9}


class StandIn:
    """Predicts diffuse emission where the smoothed input of a tile exceeds a level."""

    precision = "float32"

    def __init__(self, level: float):
        self.level = level

    def cores(self, plane, starts, where):
        for start, origin, inner in zip(starts, *where.origins(starts), strict=True):
            tile = plane[tuple(slice(one, one + where.tile_px) for one in origin)]
            probability = expit(20 * (ndimage.gaussian_filter(tile, 4, mode="nearest") - self.level))
            kept = probability[tuple(slice(one, one + where.core_px) for one in inner)]
            yield start[None], kept[None].astype(np.float32)


class Walk:
    """An image and its maps by the stages, with the stand-in as the network."""

    def __init__(self, folder, peak_snr=0.0, normalisation=None, level=1.1, **cards):
        self.card = tiny_card(normalisation=normalisation or {"kind": "asinh_snr"})
        self.folder, self.network = folder, StandIn(level)
        self.model = folder / "model"
        self.model.mkdir()
        (self.model / "network.weights.h5").write_bytes(b"none")
        digest = "140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe"  # of these bytes
        raw = self.card.model_dump() | {"weights": {"file": "network.weights.h5", "sha256": digest}}
        self.card = ModelCard.model_validate(raw)
        write_card(self.model, self.card)
        source = write_image(folder / "source.fits", n_px=N_PX, peak_snr=peak_snr, **cards)
        self.products = self.segment(source, "a")
        self.survey = Survey(OWN_IMAGES, [Mosaic("a", *place_of(self.products.image, 4.5))])

    def segment(self, source, name) -> MosaicProducts:
        image, tiles, cores, probability, mask = (
            str(self.folder / f"{name}.{end}") for end in ("fits", "t.h5", "c.h5", "p.fits", "m.fits")
        )
        prepare_image(str(source), image, 4.5, 20.0)
        tile_image(image, str(self.model), "exact", tiles)
        write_cores(tiles, self.network, self.card, cores)
        stitch_cores(cores, image, str(self.model), Segmentation(), probability, mask)
        return MosaicProducts(name, image, probability, mask)

    def scene(self) -> MockedImage:
        one = self.products
        return MockedImage(one.image, one.probability, one.mask, self.card, self.network)

    def limits(self, *clusters: Cluster, options=OPTIONS) -> list[dict]:
        return find_limits(clusters, self.scene(), options, COSMOLOGY)

    def table(self, rows: str, name="limits.ecsv", **limits) -> Table:
        table, target = self.folder / "in.csv", str(self.folder / name)
        table.write_text("name,ra,dec,z,M500\n" + rows)
        options = LimitOptions(**({"trials": 24, "relics": False} | limits))
        place = self.survey, self.products, self.card
        measure_limits(str(table), *place, lambda: self.network, options, MeasureOptions(), target)
        return Table.read(target, format="ascii.ecsv")


@pytest.fixture
def walk(tmp_path):
    return Walk(tmp_path)


def a_halo(scene, y=160.0, x=150.0, radius_px=8.0):
    return halo(scene.canvas(y, x), (y, x), radius_px, 0.8, 0.3)


def test_mocks_have_the_beam_that_the_image_was_made_with(tmp_path):
    scene = Walk(tmp_path, BMAJ=60 / 3600, BMIN=25 / 3600, BPA=45.0).scene()
    mock = a_halo(scene, radius_px=0.01)
    assert mock.peak == pytest.approx(20**2 / (60 * 25), rel=0.01)  # of 1 Jy, per beam of 20 arcsec
    y, x = np.mgrid[mock.box]
    found = [[np.average((a - a0) * (b - b0), weights=mock.light) for b, b0 in ((y, 160), (x, 150))]
             for a, a0 in ((y, 160), (x, 150))]  # fmt: skip
    long, short = (60 / 4.5 / 2.3548) ** 2, (25 / 4.5 / 2.3548) ** 2
    # north is up and east is left: the long axis lies from the upper left to the lower right
    expected = [[(long + short) / 2, (short - long) / 2], [(short - long) / 2, (long + short) / 2]]
    np.testing.assert_allclose(found, expected, rtol=0.02)


@pytest.mark.parametrize("cards", [{}, {"BMAJ": 60 / 3600, "BMIN": 25 / 3600, "BPA": 45.0}])
def test_without_a_mock_the_network_sees_what_it_saw_for_the_map(tmp_path, cards):
    """Its input depends on the beam that the image was made with."""
    walk = Walk(tmp_path, **cards)
    scene = walk.scene()
    scene.look([Trial(a_halo(scene), 0.0)])
    stored = fits.getdata(walk.products.probability)
    assert scene._alone
    for start, core in scene._alone.items():
        target, source = scene._where.core_of(start)
        np.testing.assert_allclose(core[source], stored[target], atol=1e-6)


def test_a_bright_mock_is_found_and_a_faint_one_is_not(walk):
    scene = walk.scene()
    mock = a_halo(scene)
    assert scene.look([Trial(mock, 1.0), Trial(mock, 1e-5), Trial(mock, 1.0)]) == [True, False, True]


def test_what_the_mask_has_already_is_not_found(tmp_path):
    walk = Walk(tmp_path, peak_snr=20.0)  # a halo at row 105, column 99
    scene = walk.scene()
    assert scene.mask[105, 99]
    there, elsewhere = a_halo(scene, 105.0, 99.0, 4.0), a_halo(scene, 200.0, 200.0, 4.0)
    assert scene.look([Trial(one, 0.02) for one in (there, elsewhere)]) == [False, True]


@pytest.mark.parametrize("normalisation", [{"kind": "asinh_snr"}, LOG10])
def test_mocks_are_found_as_in_an_image_that_holds_them(tmp_path, normalisation):
    """At the border and across cores, all stages on an image with the mock decide like the short way."""
    walk = Walk(tmp_path, normalisation=normalisation, level=0.7 if normalisation == LOG10 else 1.1)
    scene = walk.scene()
    trials = [
        Trial(a_halo(scene, y, x, 6.0), flux)
        for y, x in ((160.0, 150.0), (15.0, 290.0), (96.0, 192.0))
        for flux in (3e-3, 8e-3, 2e-2, 6e-2)
    ]
    short, long = scene.look(trials), []
    for number, trial in enumerate(trials):
        with fits.open(walk.products.image) as hdus:
            hdus[0].data[trial.mock.box] += np.float32(trial.flux_jy) * trial.mock.light
            hdus.writeto(tmp_path / f"{number}.source.fits")
        made = walk.segment(tmp_path / f"{number}.source.fits", f"trial{number}")
        new = (fits.getdata(made.mask)[trial.mock.box] == 1) & ~scene.mask[trial.mock.box]
        share = trial.mock.light[new].sum() / scene.plane.beam_area_px
        long.append(bool(share >= 0.3))
    assert short == long
    assert {True, False} == set(long)


def test_other_mocks_have_the_same_limits_within_their_errors(walk):
    (row,) = walk.limits(CLUSTER, options=LimitOptions(trials=48, relics=False))
    again = LimitOptions(trials=48, relics=False, seed=2)
    (other,) = walk.limits(CLUSTER, options=again)
    assert row["flux_50_mjy"] != other["flux_50_mjy"]
    ratio = abs(np.log(row["flux_50_mjy"] / other["flux_50_mjy"]))
    errors = [one["flux_50_err_mjy"] / one["flux_50_mjy"] for one in (row, other)]
    assert ratio < 3 * np.hypot(*errors)
    assert row["flux_50_mjy"] < row["flux_90_mjy"]
    assert row["limit_trials"] == 48
    assert not row["detected"]
    assert row["limit_note"] == ""


def test_the_relation_of_bruno_by_hand(walk):
    (row,) = walk.limits(CLUSTER)
    # 0.3: 4.454 kpc per arcsec; 6 times 200 kpc are 269.4"; 269.4^2 / 20^2 = 181.4 beams, in mJy, rms 0.1
    assert row["bruno_limit_mjy"] == pytest.approx(10**-0.091 * 0.1 * 181.4**0.789, rel=0.1)


@pytest.mark.parametrize(
    ("resolution", "units", "beams"), [(None, 1, 181.4), (Beam(60, 60), 9, 20.16), (Beam(60, 40), 6, 30.24)]
)
def test_the_relation_of_bruno_counts_beams_of_the_image(resolution, units, beams):
    """And their noise: of 0.1 mJy in a beam of 20", times the beams of 20" in one of the image."""
    plane = Plane(np.zeros((N_PX, N_PX), np.float32), grid_wcs(RA, DEC, N_PX, 4.5), Beam(20, 20), resolution)
    rms = np.full_like(plane.data, 1e-4)
    scene = SimpleNamespace(plane=plane, canvas=partial(Canvas.around, plane), rms=rms)
    found = Site(CLUSTER, scene, OPTIONS, COSMOLOGY).bruno_jy
    assert found == pytest.approx(10**-0.091 * 1e-4 * units * beams**0.789, rel=0.01)


def test_the_relation_of_bruno_holds_far_from_the_middle_of_an_image():
    plane = broad_plane()
    canvas = partial(Canvas.around, plane)
    scene = SimpleNamespace(plane=plane, canvas=canvas, rms=np.full_like(plane.data, 1e-3))
    limits = []
    for column in (1200, 2200):
        ra, dec = (float(one) for one in to_sky(plane.wcs, column, 150))
        limits.append(Site(Cluster("C", ra, dec, 0.02, 45.0), scene, OPTIONS, COSMOLOGY).bruno_jy)
    assert limits[1] == pytest.approx(limits[0], rel=1e-3)


def test_a_cluster_without_redshift_has_mocks_by_its_r500(walk):
    known, unknown = walk.limits(CLUSTER, Cluster("D", RA, DEC, np.nan, 3.0))
    assert "redshift" not in known["limit_note"]
    assert unknown["limit_note"] == "no redshift: mocks as if R500 were 1200 kpc"
    assert np.isfinite(unknown["flux_50_mjy"])
    # 3' for 1200 kpc: 6 times 200 kpc are 180"; 81 beams
    assert unknown["bruno_limit_mjy"] == pytest.approx(10**-0.091 * 0.1 * 81**0.789, rel=0.1)


def test_a_cluster_without_redshift_and_r500_has_limits(walk):
    table = walk.table(f"no z,{RA},{DEC},,3\n")
    assert table["limit_note"].tolist() == [
        "no redshift; R500 is assumed; no redshift: mocks as if R500 were 1200 kpc"
    ]
    assert np.isfinite(table["flux_90_mjy"][0])


def test_mocks_of_a_nearby_cluster_are_no_larger_than_the_background_allows(walk):
    # 0.02: 0.405 kpc per arcsec, 1.82 per px; 1248 px, twice 13 boxes of 48, are 6 times 379 kpc
    site = Site(Cluster("A", RA, DEC, 0.02, 45.0), walk.scene(), OPTIONS, COSMOLOGY)
    (note,) = site.notes
    assert note == "mock halos of up to 379 kpc: larger ones span more than twice the scale of the background"
    assert site.series().keys() == {"halo"}


def test_a_cluster_as_near_as_virgo_has_no_mocks_and_says_so(walk):
    # 0.004: 100 kpc are 270 px, so those of 400 kpc would be drawn on 21,000 px
    (row,) = walk.limits(Cluster("V", RA, DEC, 0.004, 230.0), options=LimitOptions(trials=24))
    assert row["limit_trials"] == 0
    assert np.isnan([row[name] for name in ("flux_50_mjy", "flux_90_mjy", "relic_flux_90_mjy")]).all()
    assert row["limit_note"] == (
        "no mock halos: those of 100 kpc span more than twice the scale of the background; "
        "no mock relics: those of 500 kpc span more than twice the scale of the background"
    )


def test_other_clusters_of_the_mosaic_change_nothing(walk):
    other = Cluster("D", RA + 0.05, DEC, 0.3, 3.0)
    both, alone = walk.limits(CLUSTER, other), walk.limits(other)
    assert both[1] == alone[0]


def test_a_cluster_whose_own_halo_fills_its_middle_has_no_free_place(tmp_path):
    walk = Walk(tmp_path, peak_snr=200.0)
    plane = walk.scene().plane
    ra, dec = (float(one) for one in plane.wcs.all_pix2world([[99, 105]], 0)[0])
    (row,) = walk.limits(Cluster("C", ra, dec, 0.3, 1.5))
    assert row["detected"]
    assert np.isnan([row[name] for name in ("flux_50_mjy", "flux_90_mjy")]).all()
    assert "found no free place" in row["limit_note"]


def test_a_cluster_at_the_edge_has_mocks_where_there_are_data(walk):
    ra, dec = (
        float(one) for one in walk.scene().plane.wcs.all_pix2world([[150, 12]], 0)[0]
    )  # rows 0-9 blank
    (row,) = walk.limits(Cluster("C", ra, dec, 0.3, 3.0))
    assert np.isfinite(row["flux_50_mjy"])


def test_a_network_that_finds_nothing_is_told(tmp_path):
    (row,) = Walk(tmp_path, level=99.0).limits(CLUSTER)
    assert np.isnan(row["flux_50_mjy"])
    assert row["limit_note"].startswith("halos: none was found up to")


def test_relics_have_columns_of_their_own(walk):
    (row,) = walk.limits(CLUSTER, options=LimitOptions(trials=24))
    assert row["limit_trials"] == 48
    assert 0 < row["relic_flux_50_mjy"] < row["relic_flux_90_mjy"]
    (without,) = walk.limits(CLUSTER)
    assert without["flux_50_mjy"] == row["flux_50_mjy"]
    assert np.isnan(without["relic_flux_50_mjy"])


ROWS = f"C,{RA},{DEC},0.3,3\nz 9,{RA + 0.01},{DEC},9,3\nfar,10,80,0.3,3\n"


def test_the_table_has_one_row_for_each_cluster_of_the_mosaic(walk, monkeypatch):
    monkeypatch.setattr(walk.network, "precision", "bfloat16")  # of the limits; the mask has another
    table = walk.table(ROWS)
    assert table["name"].tolist() == ["C", "z 9"]
    assert np.isfinite(table["flux_50_mjy"][0])
    assert np.isnan(table["flux_50_mjy"][1])
    assert table["limit_note"].tolist()[1] == "redshift 9 is outside 0.001..5"
    assert table.colnames == list(LIMITS)
    for name, column in LIMITS.items():
        assert str(table[name].unit or "") == (column.unit or "")
        assert table[name].description == column.description
        assert check_ucd(column.ucd, check_controlled_vocabulary=True), column.ucd
    assert table.meta["modelsha"] == walk.card.weights.sha256
    assert table.meta["limits_precis"] == "bfloat16"
    assert table.meta["limits_threads"] == cpu_threads()
    assert '"seed":1' in table.meta["limits"]


def test_rows_are_in_the_order_of_the_list(walk):
    """So that two of the same name and place can be told apart; the second has an impossible redshift."""
    table = walk.table(f"C,{RA},{DEC},0.3,3\nC,{RA},{DEC},9,3\nA,{RA - 0.01},{DEC},0.3,3\n")
    assert table["name"].tolist() == ["C", "C", "A"]
    assert np.isfinite(table["flux_50_mjy"]).tolist() == [True, False, True]


def test_the_same_input_gives_the_same_bytes(walk):
    walk.table(ROWS, "first.ecsv")
    walk.table(ROWS, "second.ecsv")
    first, second = ((walk.folder / f"{name}.ecsv").read_bytes() for name in ("first", "second"))
    assert first == second
    walk.table(ROWS, "third.ecsv", seed=2)
    assert (walk.folder / "third.ecsv").read_bytes() != first


def test_no_network_is_loaded_where_there_is_no_cluster(walk):
    target = str(walk.folder / "none.ecsv")

    def loaded():
        raise AssertionError

    place = walk.survey, walk.products, walk.card
    measure_limits(None, *place, loaded, LimitOptions(), MeasureOptions(), target)
    table = Table.read(target, format="ascii.ecsv")
    assert len(table) == 0
    assert not {"limits_precis", "limits_threads"} & table.meta.keys()


def test_maps_of_another_model_are_refused(walk):
    one = walk.products
    for other in (tiny_card(), walk.card.model_copy(update={"peak": 0.7})):
        with pytest.raises(OriginError, match="another model or card"):
            MockedImage(one.image, one.probability, one.mask, other, walk.network)


@pytest.mark.slow
def test_the_shipped_network_finds_mocks_in_noise(tmp_path):
    products = Products(str(tmp_path / "images"))
    run_stages(products, {"a": write_image(tmp_path / "a.fits", n_px=400, peak_snr=0.0)})
    predictor, _ = open_model(model_folder("lotss-pair"))
    maps = products.image("a"), products.probability("a"), products.mask("a")
    scene = MockedImage(*maps, read_card(model_folder("lotss-pair")), predictor)
    ra, dec = (float(one) for one in scene.plane.wcs.all_pix2world([[200, 210]], 0)[0])
    (row,) = find_limits([Cluster("C", ra, dec, 0.2, 4.0)], scene, OPTIONS, COSMOLOGY)
    assert 0.3 < row["flux_50_mjy"] / row["bruno_limit_mjy"] < 5
    assert row["flux_50_mjy"] < row["flux_90_mjy"] < 20 * row["bruno_limit_mjy"]


def test_tiles_laid_around_a_mock_see_the_image_that_is_there(tmp_path):
    """Where a halo is in the image, and at its border; elsewhere they would see something else."""
    model = model_folder("lotss-pair")
    products = Products(str(tmp_path / "images"))
    run_stages(products, {"a": write_image(tmp_path / "a.fits", n_px=400)})
    predictor, card = open_model(model)
    maps = products.image("a"), products.probability("a"), products.mask("a")
    scene = MockedImage(*maps, card, predictor)
    stored = np.nan_to_num(scene._probability)
    assert stored.max() > 0.5
    for place in (np.unravel_index(stored.argmax(), stored.shape), (12, 390)):
        nothing = Trial(halo(scene.canvas(*place), place, 12.0, 1.0, 0.0), 0.0)
        starts = scene._touched(nothing.mock.region)
        assert (starts % card.step_px == 0).all()
        for start, core in zip(starts, scene._predict(starts, scene._tiles(nothing, starts)), strict=True):
            target, source = scene._where.core_of(start)
            known = scene.has_data[target]
            np.testing.assert_allclose(core[source][known], stored[target][known], atol=0.03)
            if stored[target].max() > 0.5:  # what lies 8 px beside would differ
                moved = np.roll(core[source], 8, axis=0)
                assert np.abs(moved - stored[target])[known].max() > 0.2
    # what the image holds is no mock, though its map had missed it in tiles that lie otherwise
    scene._probability[:], scene.mask[:] = 0.0, False
    place = np.unravel_index(stored.argmax(), stored.shape)
    nothing = Trial(halo(scene.canvas(*place), place, 12.0, 1.0, 0.0), 0.0)
    assert scene.look([nothing]) == [False]
    assert all(core.base is None for core in scene._alone.values())  # a view holds all cores of its batch
    scene._alone = {start: np.zeros_like(core) for start, core in scene._alone.items()}
    assert scene.look([nothing]) == [True]  # so the test would see it
    scene._alone.clear()
    free = Trial(halo(scene.canvas(300, 100), (300, 100), 12.0, 1.0, 0.0), 0.03)
    assert scene.look([free]) == [True]


def test_halos_and_relics_of_a_cluster_are_drawn_apart(walk):
    series = Site(CLUSTER, walk.scene(), LimitOptions(trials=24), COSMOLOGY).series()
    halos, relics = (series[kind].rng.random(4) for kind in ("halo", "relic"))
    assert not (halos == relics).any()
