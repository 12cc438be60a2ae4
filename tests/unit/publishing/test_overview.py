"""The picture of one image, made of what the stages write."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from radiounet.images.beams import Beam
from radiounet.images.geometry import to_pixels, to_sky
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.products import Products, segment_files
from radiounet.images.words import save_figure
from radiounet.measuring.cutouts import MeasuredMosaic
from radiounet.measuring.islands import Island, measure_islands
from radiounet.publishing.overview import (
    LONGEST_INCH,
    _draw_beam,
    _draw_islands,
    _labels,
    _limits,
    _number_islands,
    coarser,
    write_overview,
)
from radiounet.running.outputs import made_here
from stages import DEC, HALO, MEASURE, RA, run_stages, write_image


@pytest.fixture(scope="module")
def halo(tmp_path_factory):
    """Files of an image with a halo and two clusters, one of them at its border and with an odd name."""
    folder = tmp_path_factory.mktemp("halo")
    table = Table({"name": ["A", "$\\frac{$ <b>" + 90 * "y"], "ra": [RA, RA + 0.15], "dec": [DEC, DEC]})
    table["z"], table["R500"] = [0.2, 0.3], [2.0, 4.0]
    table["R500"].unit = "arcmin"
    table.write(folder / "clusters.ecsv")
    products = Products(str(folder / "images"))
    run_stages(products, {"a": write_image(folder / "a.fits")}, folder / "clusters.ecsv")
    files = segment_files(str(folder)) | {
        "mask": products.mask("a"),
        "islands": products.islands("a"),
        "clusters": products.clusters("a"),
    }
    return products.image("a"), files


@pytest.fixture
def drawn(monkeypatch):
    """Figures as they are written."""
    figures = []

    def save(figure, path, dpi):
        figures.append(figure)
        save_figure(figure, path, dpi)

    monkeypatch.setattr("radiounet.publishing.overview.save_figure", save)
    return figures


def islands_of(image, files):
    probability = files["mask"].replace("/masks/", "/probability/")
    return measure_islands(MeasuredMosaic.read(image, probability, files["mask"]), MEASURE)


def write(image, files, title="a"):
    write_overview(image, files, islands_of(image, files), title)


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_the_same_products_make_the_same_bytes_and_are_known_again(halo, tmp_path):
    image, files = halo
    made = []
    for name in ("one", "two"):
        overview = tmp_path / f"{name}.png"
        write(image, files | {"overview": str(overview)}, "a $1 <b>.fits, model m")
        made.append(overview.read_bytes())
        assert made_here(overview)
    assert made[0] == made[1]
    assert b"radiounet" in made[0][:200]


def test_mask_and_clusters_are_drawn(halo, tmp_path):
    image, files = halo
    drawn = {}
    for name, clusters in (("all", files["clusters"]), ("no clusters", str(tmp_path / "absent.ecsv"))):
        overview = tmp_path / f"{name}.png"
        write(image, files | {"overview": str(overview), "clusters": clusters})
        drawn[name] = pixels(overview)
    cyan, green = np.array([0x00, 0xB4, 0xD8]), np.array([0x8A, 0xFF, 0x80])

    def amount(picture, colour):
        return int((np.abs(drawn[picture] - colour).max(axis=2) < 12).sum())

    assert amount("all", cyan) > 200
    assert amount("no clusters", cyan) > 200
    assert amount("all", green) > 200
    assert amount("no clusters", green) == 0


def test_an_image_without_islands_and_noise_is_drawn(halo, tmp_path):
    _, files = halo
    image = tmp_path / "flat.fits"
    write_image(image, peak_snr=0.0)
    products = Products(str(tmp_path / "images"))
    run_stages(products, {"b": image})
    files = files | {
        "mask": products.mask("b"),
        "islands": products.islands("b"),
        "clusters": str(tmp_path / "absent.ecsv"),
        "overview": str(tmp_path / "flat.png"),
    }
    assert len(Table.read(files["islands"])) == 0
    write(products.image("b"), files)
    assert pixels(files["overview"]).std() > 10


def test_coarse_pixels_are_means_of_what_is_there():
    plane = np.array(
        [
            [1.0, 2.0, 3.0, np.nan, 5.0],
            [3.0, 2.0, np.nan, np.nan, 7.0],
            [0.0, 4.0, np.nan, np.nan, 9.0],
        ]
    )
    expected = [[2.0, 3.0, 6.0], [2.0, np.nan, 9.0]]
    np.testing.assert_array_equal(coarser(plane, 2), np.array(expected, np.float32))
    np.testing.assert_array_equal(coarser(plane, 1), plane.astype(np.float32))


def test_a_cluster_whose_centre_lies_outside_says_so(halo, tmp_path, drawn):
    image, files = halo
    table = Table.read(files["clusters"])
    table["name"] = ["inside", "outside"]
    table["ra_deg"][1] = RA + 0.2
    table.write(tmp_path / "clusters.ecsv")
    paths = {"clusters": str(tmp_path / "clusters.ecsv"), "overview": str(tmp_path / "o.png")}
    write(image, files | paths)
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert "inside" in texts
    assert "outside (centre outside)" in texts
    table["r500_arcmin"][1] = np.nan  # one that was not measured is not drawn, nor counted
    table.write(tmp_path / "clusters.ecsv", overwrite=True)
    write(image, files | paths)
    counts = [
        text.get_text()
        for figure in drawn
        for text in figure.findobj(Text)
        if "R500 and centre" in text.get_text()
    ]
    assert counts == ["R500 and centre (clusters: 2)", "R500 and centre (clusters: 1)"]


@pytest.mark.parametrize(
    ("seen", "limits"),
    [
        (np.s_[:, :], [[-0.5, 99.5], [-0.5, 59.5]]),
        (np.s_[20:40, 40:60], [[38.5, 60.5], [18.5, 40.5]]),  # a margin of 1 pixel of 20
        (np.s_[:20, 99:], [[98.45, 99.5], [-0.5, 20.5]]),  # none beyond the image
        (np.s_[:0], [[-0.5, 99.5], [-0.5, 59.5]]),
    ],
)
def test_what_is_shown_is_the_data_and_a_margin(seen, limits):
    plane = np.full((60, 100), np.nan)
    plane[seen] = 1
    np.testing.assert_allclose(_limits(plane), limits)


def blanked(image, seen, path):
    """Copy of an image with data in a part of it only."""
    with fits.open(image) as opened:
        data = np.full_like(opened[0].data, np.nan)
        data[seen] = opened[0].data[seen]
        fits.writeto(path, data, opened[0].header)
    return path


@pytest.mark.parametrize("seen", [np.s_[:, :], np.s_[:, 60:130], np.s_[60:130], np.s_[40:150, 70:160]])
def test_the_picture_has_the_shape_of_the_data_with_the_numbers_above_all(halo, tmp_path, drawn, seen):
    """Of one island; all that is drawn at an edge lies inside what is shown."""
    image, files = halo
    path = blanked(image, seen, tmp_path / "image.fits")
    write(path, files | {"overview": str(tmp_path / "o.png")})
    (figure,) = drawn
    axes, bar = figure.axes
    box = axes.get_window_extent()
    texts = {text.get_text(): text for text in axes.texts if text.get_text()}
    assert list(texts)[-1] == " 1"
    for name in ("N", "E", next(one for one in texts if one.endswith("'"))):
        assert box.contains(*texts[name].get_window_extent().get_points().mean(axis=0))
    assert box.contains(*axes.transData.transform(axes.patches[-1].center))  # the beam
    assert box.width / figure.bbox.width > 0.55
    assert box.height / figure.bbox.height > 0.55
    assert bar.get_window_extent().height == pytest.approx(box.height, rel=0.02)


@pytest.mark.parametrize("seen", [np.s_[:, 99:101], np.s_[:, 90:110], np.s_[99:101], np.s_[90:110]])
def test_a_strip_of_data_has_blank_sky_beside_it_and_a_picture_of_bounded_size(halo, tmp_path, drawn, seen):
    """Of 100:1 and 10:1; all texts lie on the paper."""
    image, files = halo
    path = blanked(image, seen, tmp_path / "image.fits")
    write_overview(path, files | {"overview": str(tmp_path / "o.png")}, [], "a")
    (figure,) = drawn
    axes, bar = figure.axes
    assert figure.get_size_inches().max() < LONGEST_INCH + 2
    box = axes.get_window_extent()
    assert max(box.width, box.height) == pytest.approx(6 * min(box.width, box.height), rel=0.02)
    # the strip lies in the middle
    place = axes.transData.transform(np.array(axes.images[0].get_extent()).reshape(2, 2).mean(axis=1))
    np.testing.assert_allclose(place, box.get_points().mean(axis=0), atol=2)
    assert bar.get_window_extent().height == pytest.approx(box.height, rel=0.02)
    low, high = figure.get_tightbbox().get_points()
    assert (low > -0.01).all()  # inch, a pixel
    assert (high < figure.get_size_inches() + 0.01).all()


def test_only_the_part_with_data_is_drawn_and_at_its_place(halo, tmp_path, drawn, monkeypatch):
    image, files = halo
    path = blanked(image, np.s_[40:150, 70:160], tmp_path / "image.fits")
    monkeypatch.setattr("radiounet.publishing.overview.LARGEST_PX", 50)
    write(path, files | {"overview": str(tmp_path / "o.png")})
    axes = drawn[0].axes[0]
    shown = axes.images[0].get_array()
    # with margins of 5 % 122 rows and 100 columns, of which 3 by 3 are one
    assert shown.shape == (41, 34)
    row, column = np.unravel_index(np.argmax(shown.filled(0)), shown.shape)
    place = to_pixels(grid_wcs(RA, DEC, 200, 4.5), *to_sky(axes.wcs, 3 * column + 1, 3 * row + 1))
    np.testing.assert_allclose(place, HALO[::-1], atol=6)
    (outline,) = axes.collections[0].get_paths()
    assert outline.contains_point((3 * column + 1, 3 * row + 1))


@pytest.mark.parametrize("dec", [35.0, 90.0, -90.0])
def test_the_beam_is_drawn_from_the_north_of_the_reference(dec):
    axes = Figure().add_subplot()
    _draw_beam(
        axes, Plane(np.zeros((100, 100), np.float32), grid_wcs(150.0, dec, 100, 4.5), Beam(60, 25, 40))
    )
    # 40 deg from up, to the left
    assert axes.patches[0].angle % 180 == pytest.approx(130, abs=0.1)


def island_of(number, wcs, pixels):
    """Island of some pixels ``(row, first column, column after the last)``."""
    runs = [(row, column) for row, *ends in pixels for column in range(*ends)]
    y, x = np.transpose(runs)
    ra, dec = to_sky(wcs, x.mean(), y.mean())
    row = {"ra_deg": float(ra), "dec_deg": float(dec), "area_arcmin2": 10.0 - number}
    return Island(y, x, 1, row)


@pytest.mark.parametrize("step", [1, 2])
def test_islands_cut_from_one_region_have_outlines_and_numbers_of_their_own(step):
    """By hand: 1 and 2 touch at columns 19 and 20, 3 is an arc around blank sky."""
    plane = Plane(np.zeros((60, 60), np.float32), grid_wcs(150.0, 35.0, 60, 4.5), Beam(20, 20))
    pixels = (
        [(row, 10, 20) for row in range(10, 21)],
        [(row, 20, 32) for row in range(10, 21)],
        [(40, 30, 50), *((row, *ends) for row in range(30, 40) for ends in ((30, 34), (46, 50)))],
    )
    islands = [island_of(number, plane.wcs, one) for number, one in enumerate(pixels)]
    labels = _labels(islands, (60 // step, 60 // step), step)
    axes = Figure().add_subplot(projection=plane.wcs)
    axes.set(xlim=(-0.5, 59.5), ylim=(-0.5, 59.5))
    _draw_islands(axes, islands, labels, step)
    _number_islands(axes, islands, labels, step, plane)
    lines = [path.vertices for path in axes.collections[0].get_paths()]
    ends = [(line.min(axis=0).tolist(), line.max(axis=0).tolist()) for line in lines]
    high = 20.5 if step == 1 else 21.5  # rows 20 and 21 are one
    expected = [([9.5, 9.5], [19.5, high]), ([19.5, 9.5], [31.5, high]), ([29.5, 29.5], [49.5, 20 + high])]
    assert ends == expected
    places = {text.get_text(): (*text.get_position(), text.get_ha()) for text in axes.texts}
    assert places["1 "] == (19.5, 15, "right")  # not in island 2
    assert places[" 2"] == (31.5, 15, "left")
    assert places[" 3"] == (49.5, 36, "left")  # mean of 20 pixels in row 40, and 8 in each of 30 to 39


@pytest.mark.parametrize(
    ("runs", "edge"),
    [
        ([(10, 20)], 19.5),
        ([(2, 8), (20, 25), (30, 40)], 39.5),  # an arc that is open upwards
        ([(40, 50)], 47.5),  # at the border, inside the picture
    ],
)
def test_a_number_stands_at_the_right_edge_of_its_island(runs, edge):
    wcs = grid_wcs(150.0, 35.0, 50, 4.5)
    island = island_of(0, wcs, [(25, *run) for run in runs])
    axes = Figure().add_subplot(projection=wcs)
    axes.set(xlim=(-0.5, 49.5), ylim=(-0.5, 49.5))
    labels = _labels([island], (50, 50), 1)
    _number_islands(axes, [island], labels, 1, Plane(np.zeros((50, 50)), wcs, Beam(20, 20)))
    (text,) = axes.texts
    assert text.get_position() == (pytest.approx(edge), 25)
