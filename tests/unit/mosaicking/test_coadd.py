import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from reproject import reproject_interp
from reproject.mosaicking import reproject_and_coadd

from radiounet.errors import BrightnessError, NoOverlapError, NotFitsError, ShapeMismatchError, UnitError
from radiounet.images.image import grid_wcs
from radiounet.images.provenance import sha256_of
from radiounet.mosaicking.coadd import BLOCK_PX, Coadd, coadd_files, exact_pixels, lattice_of

LEVELS = (1e8, -1e8, 3e7, -3e7, 1e-3)
PLACES = [(150.0, 35.0), (359.7, 3.0), (12.0, 84.0), (200.0, 89.6), (180.0, -1.0)]


def add_plane(coadd, wcs, image, weight=None, **options):
    weight = np.ones_like(image) if weight is None else weight
    return coadd.add(wcs, image.shape, lambda at: (image[at], weight[at]), **options)


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_coordinates_are_exact_anywhere_on_a_mosaic(ra, dec):
    """Also near the pole, across RA 0, and in a field two degrees away."""
    grid = grid_wcs(ra, dec, 5916, 4.5)
    field = grid_wcs((ra + 1.9 / max(np.cos(np.radians(dec)), 0.02)) % 360, dec - 0.9, 6075, 4.5)
    lattice = lattice_of(grid, field, (6075, 6075))
    rng = np.random.default_rng(1)
    y, x = rng.uniform(0, 5915, (2, 20000))
    assert np.abs(lattice.at(y, x) - exact_pixels(grid, field, y, x)).max() < 1e-3


def test_a_grid_in_another_frame():
    galactic = WCS(naxis=2)
    galactic.wcs.ctype = ["GLON-SIN", "GLAT-SIN"]
    galactic.wcs.crval = [186.0, 52.0]
    galactic.wcs.crpix = [50.0, 50.0]
    galactic.wcs.cdelt = [-4.5 / 3600, 4.5 / 3600]
    grid = grid_wcs(150.0, 35.0, 100, 4.5)
    v, u = exact_pixels(grid, galactic, np.array([10.0]), np.array([20.0]))
    place = grid.pixel_to_world(20.0, 10.0).galactic
    expected = galactic.wcs_world2pix(place.l.deg, place.b.deg, 0)
    np.testing.assert_allclose([u[0], v[0]], [float(expected[0]), float(expected[1])], atol=1e-6)


def test_of_coordinates_that_are_not_smooth_every_pixel_is_a_node(monkeypatch):
    rng = np.random.default_rng(1)
    monkeypatch.setattr(
        "radiounet.mosaicking.coadd.exact_pixels", lambda grid, image, y, x: rng.random((2, *y.shape))
    )
    assert lattice_of(grid_wcs(150.0, 35.0, 10, 4.5), grid_wcs(150.0, 35.0, 10, 4.5), (10, 10)).step == 1


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_coordinates_of_the_kernel(ra, dec, monkeypatch):
    """Images whose values are their own rows and columns, less what they should be."""
    grid = grid_wcs(ra, dec, 300, 4.5)
    field = grid_wcs((ra + 0.1 / max(np.cos(np.radians(dec)), 0.02)) % 360, dec - 0.05, 340, 4.5)
    monkeypatch.setattr("radiounet.mosaicking.coadd.BLOCK_PX", 128)
    y, x = np.indices((300, 300)).astype(float)
    for axis, exact in enumerate(exact_pixels(grid, field, y, x)):
        ramp = np.indices((340, 340))[axis].astype(np.float32)
        coadd = Coadd(grid, threads=2)
        inside, added, unusable = add_plane(coadd, field, ramp)
        assert inside == added > 10_000
        assert not unusable
        # the sums are float64, the finished image is not
        mean = coadd._total / np.where(coadd._weights > 0, coadd._weights, np.nan)
        within = (exact > 0) & (exact < 339) & np.isfinite(mean)
        assert within.sum() > 10_000
        assert np.abs(mean - exact)[within].max() < 1e-3


def wcs_at(kind, longitude, latitude, n_px, pixel_deg):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = [f"RA---{kind}", f"DEC--{kind}"], [longitude, latitude]
    wcs.wcs.crpix, wcs.wcs.cdelt = [(one + 1) / 2 for one in n_px[::-1]], [-pixel_deg, pixel_deg]
    wcs.array_shape = n_px
    return wcs


@pytest.mark.parametrize("far_deg", [70, 80, 84, 88, 92])
def test_a_tangent_plane_far_away_adds_nothing(far_deg):
    grid, far = (wcs_at("TAN", ra, 0.0, (301, 301), 4.5 / 3600) for ra in (120.0, 120.0 + far_deg))
    assert add_plane(Coadd(grid), far, np.ones((301, 301), np.float32)) == (0, 0, 0)


@pytest.mark.parametrize("ra", [90.0, 179.9, 180.0, 181.0, 359.99])
def test_the_seam_of_an_all_sky_map_is_no_seam_of_the_mosaic(ra):
    sky, grid = wcs_at("CAR", 0.0, 0.0, (180, 360), 1.0), wcs_at("SIN", ra, 0.0, (50, 50), 0.2)
    row, column = np.indices((180, 360))
    coadd = Coadd(grid)
    assert add_plane(coadd, sky, (row + 0.0 * column).astype(np.float32))[1] == 2500
    y, x = np.indices((50, 50))
    dec = grid.all_pix2world(np.stack([x.ravel(), y.ravel()], -1), 0)[:, 1].reshape(50, 50)
    np.testing.assert_allclose(coadd.finish()[0], dec + 89.5, atol=1e-4)


@pytest.mark.parametrize("kind", ["SIN", "ZEA", "AIT", "MOL"])
@pytest.mark.parametrize("side", [40, 77, 181])
def test_nothing_is_lost_at_the_limb_of_the_sky(kind, side):
    width_deg = 145.0 if kind == "SIN" else 400.0
    grid = wcs_at(kind, 120.0, 50.0 if kind == "SIN" else 0.0, (side, side), width_deg / side)
    y, x = np.indices((side, side))
    on_sky = np.isfinite(grid.all_pix2world(np.stack([x.ravel(), y.ravel()], -1), 0)[:, 0])
    on_sky = on_sky.reshape(side, side)
    assert 0.2 < on_sky.mean() < 0.8
    data = np.where(on_sky, x + 1000.0 * y, np.nan).astype(np.float32)
    coadd = Coadd(grid)
    add_plane(coadd, grid, data)
    np.testing.assert_allclose(coadd.finish()[0], data, rtol=1e-5)


def test_the_same_grid_gives_the_same_pixels():
    grid = grid_wcs(150.0, 35.0, 70, 4.5)
    image = np.random.default_rng(1).standard_normal((70, 70)).astype(np.float32)
    coadd = Coadd(grid)
    add_plane(coadd, grid, image)
    mean, weights = coadd.finish()
    np.testing.assert_allclose(mean, image, atol=1e-6)
    np.testing.assert_allclose(weights, 1, atol=1e-6)


def test_two_images_by_hand():
    grid = grid_wcs(150.0, 35.0, 4, 4.5)
    shifted = grid.deepcopy()
    shifted.wcs.crpix = [2.5, 2.0]  # half a pixel to the right: column x lies at x + 0.5
    coadd = Coadd(grid)
    add_plane(coadd, grid, np.full((4, 4), 2, np.float32), np.full((4, 4), 3, np.float32))
    ramp = np.tile(np.arange(4, dtype=np.float32), (4, 1))
    add_plane(coadd, shifted, ramp, np.full((4, 4), 8, np.float32), scale=2.0)
    mean, weights = coadd.finish()
    # weight 8 / 2^2 = 2, image 2 (x + 0.5); beyond the last centre its value holds for half a pixel
    np.testing.assert_allclose(mean[1], [(6 + 2 * v) / 5 for v in (1, 3, 5, 6)], rtol=1e-6)
    np.testing.assert_allclose(weights, 5, rtol=1e-6)


def test_blanks_count_where_they_are_and_nowhere_else():
    grid = grid_wcs(150.0, 35.0, 40, 4.5)
    image = np.ones((40, 40), np.float32)
    image[10, 20] = np.nan
    weight = np.ones_like(image)
    weight[30] = np.nan
    half = grid.deepcopy()
    half.wcs.crpix = [20.25, 20.0]
    coadd = Coadd(grid)
    add_plane(coadd, half, image, weight)
    mean, _ = coadd.finish()
    blank = np.argwhere(np.isnan(mean))
    assert {tuple(at) for at in blank if at[0] < 25} == {(10, 19), (10, 20)}
    assert {at[0] for at in blank if at[0] > 25} == {30}


def test_what_lies_off_the_grid_adds_nothing():
    coadd = Coadd(grid_wcs(150.0, 35.0, 40, 4.5))
    plane = np.ones((40, 40), np.float32)
    assert add_plane(coadd, grid_wcs(153.0, 35.0, 40, 4.5), plane) == (0, 0, 0)
    assert add_plane(coadd, grid_wcs(330.0, -35.0, 40, 4.5), plane) == (0, 0, 0)
    assert add_plane(coadd, coadd.grid, plane, np.zeros_like(plane)) == (1600, 0, 0)
    mean, weights = coadd.finish()
    assert np.isnan(mean).all()
    assert not weights.any()


def test_facets_shift_their_sources_and_leave_out_others():
    grid = grid_wcs(150.0, 35.0, 60, 4.5)
    image = np.zeros((60, 60), np.float32)
    image[20, 10] = image[20, 50] = image[45, 30] = 1.0
    facets = np.zeros((60, 60), np.int16)
    facets[:, 30:] = 1
    facets[40:] = -1
    shifts = np.array([[2.0, -1.0], [0.0, 0.0]])
    coadd = Coadd(grid)
    add_plane(coadd, grid, image, facets=lambda at: facets[at], shifts=shifts)
    mean, weights = coadd.finish()
    # in facet 0 sources lie two rows up and one column back of where they should
    assert mean[18, 11] == pytest.approx(1)
    assert mean[20, 50] == pytest.approx(1)
    assert np.nansum(mean) == pytest.approx(2)
    assert not weights[40:].any()


def test_blocks_leave_no_seam():
    n_px = BLOCK_PX + 100
    grid = grid_wcs(150.0, 35.0, n_px, 4.5)
    field = grid_wcs(150.02, 35.01, n_px, 4.5)
    y, x = np.indices((n_px, n_px))
    image = (np.sin(x / 40) + np.cos(y / 30)).astype(np.float32)
    coadd = Coadd(grid)
    add_plane(coadd, field, image)
    mean, _ = coadd.finish()
    expected, _ = reproject_interp((image, field), grid, shape_out=(n_px, n_px), order="bilinear")
    both = np.isfinite(mean) & np.isfinite(expected)
    assert both[BLOCK_PX - 5 : BLOCK_PX + 5, 100:400].all()
    assert np.abs(mean - expected)[both].max() < 1e-5


def write_pair(folder, name, wcs, image, weight, unit="JY/BEAM"):
    header = wcs.to_header()
    header.update(BUNIT=unit, BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0)
    paths = [str(folder / f"{name}{end}.fits") for end in ("", ".weight")]
    fits.PrimaryHDU(image.astype(np.float32), header).writeto(paths[0])
    fits.PrimaryHDU(weight.astype(np.float32), wcs.to_header()).writeto(paths[1])
    return tuple(paths)


@pytest.fixture
def pairs(tmp_path):
    """Three images across RA 0, with weights that fall off and blank corners."""
    rng = np.random.default_rng(2)
    made = []
    for n, (ra, dec) in enumerate([(0.02, 61.0), (359.95, 61.02), (0.0, 60.97)]):
        wcs = grid_wcs(ra, dec, 150, 4.5)
        y, x = np.indices((150, 150)) - 75
        weight = np.exp(-(x**2 + y**2) / 4000) * (1 + n)
        image = rng.standard_normal((150, 150))
        image[:20, :20] = np.nan
        made.append((wcs, image, weight, write_pair(tmp_path, f"f{n}", wcs, image, weight)))
    return made


def test_coadd_of_files_is_that_of_reproject(tmp_path, pairs):
    grid = grid_wcs(0.0, 61.0, 120, 4.5)
    like, out, out_weight = (str(tmp_path / f"{name}.fits") for name in ("like", "out", "weights"))
    fits.PrimaryHDU(np.zeros((120, 120), np.float32), grid.to_header()).writeto(like)
    coadd_files([paths for *_, paths in pairs], like, out, out_weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, _ = reproject_and_coadd(
            [(image.astype(np.float32), wcs) for wcs, image, *_ in pairs],
            grid,
            shape_out=(120, 120),
            input_weights=[weight for _, _, weight, _ in pairs],
            reproject_function=reproject_interp,
            order="bilinear",
        )
    ours = fits.getdata(out)
    both = np.isfinite(ours) & np.isfinite(expected) & (fits.getdata(out_weight) > 0)
    assert both.mean() > 0.9
    assert np.abs(ours - expected)[both].max() < 1e-4 * np.abs(expected[both]).max()
    header = fits.getheader(out)
    assert (header["BUNIT"], header["NFIELDS"]) == ("JY/BEAM", 3)
    assert header["BMAJ"] == pytest.approx(20 / 3600)


def test_order_of_files_does_not_change_a_bit(tmp_path, pairs):
    wcs, image, weight, _ = pairs[0]
    # so large and of either sign that another order of the sums would show
    files = [write_pair(tmp_path, f"s{n}", wcs, image + level, weight) for n, level in enumerate(LEVELS)]
    results = []
    for n, order in enumerate((files, files[::-1])):
        out, out_weight = (str(tmp_path / f"{n}{end}.fits") for end in ("", "w"))
        coadd_files(order, files[0][0], out, out_weight)
        results.append((fits.getdata(out), fits.getdata(out_weight)))
        history = list(fits.getheader(out)["HISTORY"])
        assert history[:2] == ["image s0.fits", f"sha256 {sha256_of(files[0][0])}"]
        assert len(history) == 4 * len(files)
    np.testing.assert_array_equal(*(image for image, _ in results))
    np.testing.assert_array_equal(*(weights for _, weights in results))


def test_files_that_do_not_fit(tmp_path, pairs):
    wcs, image, weight, good = pairs[0]
    out = str(tmp_path / "out.fits"), str(tmp_path / "weights.fits")
    kelvin = write_pair(tmp_path, "kelvin", wcs, image, weight, unit="K")
    with pytest.raises(UnitError, match=r"kelvin.fits is in 'K', .*f0.fits in 'JY/BEAM'"):
        coadd_files([kelvin, good], good[0], *out)
    with pytest.raises(ShapeMismatchError, match="differ in shape"):
        coadd_files([(good[0], write_pair(tmp_path, "s", wcs, image[1:], weight[1:])[1])], good[0], *out)
    far = write_pair(tmp_path, "far", grid_wcs(90.0, 0.0, 150, 4.5), image, weight)
    with pytest.raises(ShapeMismatchError, match="differ in their coordinates"):
        coadd_files([(good[0], far[1])], good[0], *out)
    with pytest.raises(NoOverlapError, match="no image has a pixel with weight on the grid"):
        coadd_files([far], good[0], *out)
    with pytest.raises(NotFitsError, match="no file"):
        coadd_files([good], str(tmp_path / "absent.fits"), *out)
    assert not (tmp_path / "out.fits").exists()


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_solid_areas_of_0_are_blank_among_floats(tmp_path, dtype):
    wcs = grid_wcs(0.0, 61.0, 60, 4.5)
    image = np.full((60, 60), 3, dtype)
    image[:, :20] = 0
    image[40, 40] = 0  # a value
    pairs = []
    for name, plane in (("a", image), ("b", np.full((60, 60), 9, dtype))):
        pairs.append(write_pair(tmp_path, name, wcs, plane, np.ones((60, 60))))
        with fits.open(pairs[-1][0]) as hdus:
            hdus[0].data = plane
            hdus.writeto(pairs[-1][0], overwrite=True)
    coadd_files(pairs, pairs[0][0], str(tmp_path / "o.fits"), str(tmp_path / "w.fits"))
    made = fits.getdata(tmp_path / "o.fits")
    assert made[30, 10] == (9 if dtype == np.float32 else 4.5)
    assert (made[30, 30], made[40, 40]) == (6, 4.5)


def test_areas_of_minus_9999_are_refused_unless_their_weight_is_0(tmp_path, pairs, monkeypatch):
    wcs, image, weight, _ = pairs[0]
    far = np.where(np.arange(150) < 40, -9999.0, image)
    pair = write_pair(tmp_path, "w", wcs, far, np.where(np.arange(150) < 40, 0.0, weight))
    coadd_files([pair], pair[0], str(tmp_path / "ok.fits"), str(tmp_path / "okw.fits"))
    made = fits.getdata(tmp_path / "ok.fits")
    assert np.isnan(made[:, :39]).all()
    assert np.nanmin(made[:, 40:]) > -10
    for number, edge in enumerate((40, 32)):
        blank = np.arange(150)[:, None] < edge
        pair = write_pair(tmp_path, f"rows{number}", wcs, np.where(blank, -9999.0, image), weight)
        with monkeypatch.context() as patch:
            patch.setattr("radiounet.mosaicking.coadd.BLOCK_PX", 32)  # the last area fills one strip
            with pytest.raises(BrightnessError, match="areas of -9999"):
                coadd_files([pair], pair[0], str(tmp_path / "o.fits"), str(tmp_path / "w.fits"))
    pair = write_pair(tmp_path, "m", wcs, far, weight)
    with pytest.raises(BrightnessError, match=r"m\.fits: areas of -9999: write NaN"):
        coadd_files([pair], pair[0], str(tmp_path / "o.fits"), str(tmp_path / "w.fits"))
    assert not (tmp_path / "o.fits").exists()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_areas_of_infinity_are_blank(tmp_path, pairs, value):
    wcs, image, weight, _ = pairs[0]
    far = np.where(np.arange(150) < 40, value, image)
    pair = write_pair(tmp_path, "a", wcs, far, weight)
    coadd_files([pair], pair[0], str(tmp_path / "o.fits"), str(tmp_path / "w.fits"))
    made = fits.getdata(tmp_path / "o.fits")
    assert np.isnan(made[:, :40]).all()
    np.testing.assert_allclose(made[20:, 40:], image[20:, 40:], rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -1.0])
def test_a_pixel_without_weight_is_a_hole_like_a_blank(tmp_path, value):
    """Half a pixel beside it nothing of its 100 Jy/beam is left."""
    wcs, grid = grid_wcs(0.0, 61.0, 40, 4.5), grid_wcs(0.0, 61.0, 40, 4.5)
    grid.wcs.crpix = [20.5, 20.5]
    rng = np.random.default_rng(1)
    image, gone = 1e-3 + 1e-5 * rng.standard_normal((40, 40)), np.zeros((40, 40), bool)
    gone[10:20, 12:25] = gone[30, 30] = True
    made = []
    for name, brightness, weight in (("weight", 100.0, value), ("blank", np.nan, 1.0)):
        pair = write_pair(
            *(tmp_path, name, wcs, np.where(gone, brightness, image), np.where(gone, weight, 1.0))
        )
        like = write_pair(tmp_path, f"{name}like", grid, image, image)[0]
        coadd_files([pair], like, str(tmp_path / f"{name}o.fits"), str(tmp_path / f"{name}w.fits"))
        made.append(fits.getdata(tmp_path / f"{name}o.fits"))
    np.testing.assert_array_equal(*made)
    # a pixel between four is gone with any of them
    assert np.isnan(made[0]).sum() == 11 * 14 + 4
    assert np.nanmax(made[0]) < 2e-3


@pytest.mark.parametrize(("value", "count"), [(-0.1, 4), (-1.0, 4), (-np.inf, 4), (np.inf, 4), (0.0, 0)])
def test_pixels_that_a_bad_weight_reaches_are_counted(tmp_path, caplog, value, count):
    """Those between four, of which one has it; a weight of 0 is no mistake."""
    wcs, grid = grid_wcs(0.0, 61.0, 40, 4.5), grid_wcs(0.0, 61.0, 40, 4.5)
    grid.wcs.crpix = [20.5, 20.5]
    weight = np.ones((40, 40))
    weight[20, 20] = value
    pair = write_pair(tmp_path, "a", wcs, 1e-3 * np.ones((40, 40)), weight)
    like = write_pair(tmp_path, "like", grid, np.ones((40, 40)), weight)[0]
    coadd_files([pair], like, str(tmp_path / "o.fits"), str(tmp_path / "w.fits"))
    said = [one.args[1] for one in caplog.records if "infinite or below 0" in one.msg]
    assert said == ([count] if count else [])
    assert np.isnan(fits.getdata(tmp_path / "o.fits")[10:30, 10:30]).sum() == 4


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (1, 1)])
def test_an_image_of_one_row_or_column(tmp_path, shape):
    wcs = wcs_at("SIN", 150.0, 35.0, shape, 4.5 / 3600)
    image = np.arange(1.0, 31.0)[: shape[0] * shape[1]].reshape(shape)
    pair = write_pair(tmp_path, "line", wcs, image, np.full(shape, 2.0))
    coadd_files([pair], pair[0], str(tmp_path / "o.fits"), str(tmp_path / "w.fits"))
    np.testing.assert_allclose(fits.getdata(tmp_path / "o.fits"), image, rtol=1e-6)
    np.testing.assert_allclose(fits.getdata(tmp_path / "w.fits"), 2)
    # its pixels are areas: of two rows of half the height both lie on one
    finer = wcs_at("SIN", 150.0, 35.0, (2 * shape[0] + 2, 2 * shape[1] + 2), 2.25 / 3600)
    like = write_pair(tmp_path, "like", finer, np.ones(finer.array_shape), np.ones(finer.array_shape))[0]
    coadd_files([pair], like, str(tmp_path / "o2.fits"), str(tmp_path / "w2.fits"))
    made = fits.getdata(tmp_path / "o2.fits")
    assert np.isfinite(made[1:-1, 1:-1]).all()
    assert np.isfinite(made).sum() == 4 * image.size


def test_a_grid_keeps_its_distortion(tmp_path, pairs):
    wcs, image, weight, _ = pairs[0]
    cards = wcs.to_header()
    cards.update(CTYPE1="RA---SIN-SIP", CTYPE2="DEC--SIN-SIP")
    cards.update(A_ORDER=2, A_2_0=5e-4, B_ORDER=2, B_0_2=-3e-4)
    paths = [str(tmp_path / f"{name}.fits") for name in ("sip", "sipw", "out", "outw")]
    for path, plane in zip(paths, (image, weight), strict=False):
        fits.writeto(path, plane.astype(np.float32), cards)
    coadd_files([(paths[0], paths[1])], paths[0], *paths[2:])
    given, made = (WCS(fits.getheader(path)) for path in (paths[0], paths[2]))
    place = [[0.0, 0.0], [149.0, 10.0]]
    np.testing.assert_allclose(made.all_pix2world(place, 0), given.all_pix2world(place, 0), atol=1e-9)
    assert np.abs(given.all_pix2world(place, 0) - wcs.all_pix2world(place, 0)).max() > 1e-3


def test_an_image_of_the_whole_sky_fits_its_weights(tmp_path):
    """Its corners are not on the sky."""
    wcs = wcs_at("SIN", 120.0, 50.0, (181, 181), 0.8)
    pair = write_pair(tmp_path, "sky", wcs, np.ones((181, 181)), np.ones((181, 181)))
    coadd_files([pair], pair[0], str(tmp_path / "o.fits"), str(tmp_path / "w.fits"))
    other = wcs_at("SIN", 120.5, 50.0, (181, 181), 0.8)
    shifted = write_pair(tmp_path, "other", other, np.ones((181, 181)), np.ones((181, 181)))
    with pytest.raises(ShapeMismatchError, match="differ in their coordinates"):
        coadd_files([(pair[0], shifted[1])], pair[0], str(tmp_path / "o2.fits"), str(tmp_path / "w2.fits"))


def test_declination_first(tmp_path, pairs):
    """A file whose first axis is the declination shows the same sky."""
    wcs, image, weight, good = pairs[0]
    swapped = []
    for path in good:
        data, header = fits.getdata(path), fits.getheader(path)
        for key in ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT"):
            header[f"{key}1"], header[f"{key}2"] = header[f"{key}2"], header[f"{key}1"]
        swapped.append(str(tmp_path / f"swapped{len(swapped)}.fits"))
        fits.PrimaryHDU(data.T.copy(), header).writeto(swapped[-1])
    results = []
    for pair in (good, swapped):
        coadd_files([pair], good[0], str(tmp_path / "o.fits"), str(tmp_path / "w.fits"))
        results.append(fits.getdata(tmp_path / "o.fits"))
        for name in "ow":
            (tmp_path / f"{name}.fits").unlink()
    np.testing.assert_allclose(*results, atol=1e-6)
