"""The picture of one image, made of what the stages write."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.products import Products, segment_files
from radiounet.images.words import save_figure
from radiounet.publishing.overview import _draw_beam, _limits, _right_edge, coarser, write_overview
from radiounet.running.outputs import made_here
from stages import DEC, RA, run_stages, write_image


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


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_the_same_products_make_the_same_bytes_and_are_known_again(halo, tmp_path):
    image, files = halo
    made = []
    for name in ("one", "two"):
        overview = tmp_path / f"{name}.png"
        write_overview(image, files | {"overview": str(overview)}, "a $1 <b>.fits, model m")
        made.append(overview.read_bytes())
        assert made_here(overview)
    assert made[0] == made[1]
    assert b"radiounet" in made[0][:200]


def test_mask_and_clusters_are_drawn(halo, tmp_path):
    image, files = halo
    drawn = {}
    for name, clusters in (("all", files["clusters"]), ("no clusters", str(tmp_path / "absent.ecsv"))):
        overview = tmp_path / f"{name}.png"
        write_overview(image, files | {"overview": str(overview), "clusters": clusters}, "a")
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
    write_overview(products.image("b"), files, "flat.fits")
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


def test_a_cluster_whose_centre_lies_outside_says_so(halo, tmp_path, monkeypatch):
    image, files = halo
    table = Table.read(files["clusters"])
    table["name"] = ["inside", "outside"]
    table["ra_deg"][1] = RA + 0.2
    table.write(tmp_path / "clusters.ecsv")
    drawn = []
    monkeypatch.setattr(
        "radiounet.publishing.overview.save_figure", lambda figure, *_, **__: drawn.append(figure)
    )
    paths = {"clusters": str(tmp_path / "clusters.ecsv"), "overview": str(tmp_path / "o.png")}
    write_overview(image, files | paths, "a")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert "inside" in texts
    assert "outside (centre outside)" in texts
    table["r500_arcmin"][1] = np.nan  # one that was not measured is not drawn, nor counted
    table.write(tmp_path / "clusters.ecsv", overwrite=True)
    write_overview(image, files | paths, "a")
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


@pytest.mark.parametrize("seen", [np.s_[:, :], np.s_[:, 60:130], np.s_[60:130], np.s_[40:150, 70:160]])
def test_the_picture_has_the_shape_of_the_data_with_the_numbers_above_all(halo, tmp_path, monkeypatch, seen):
    """Of one island; all that is drawn at an edge lies inside what is shown."""
    image, files = halo
    path = tmp_path / "image.fits"
    with fits.open(image) as opened:
        data = np.full_like(opened[0].data, np.nan)
        data[seen] = opened[0].data[seen]
        fits.writeto(path, data, opened[0].header)
    drawn = []

    def save(figure, path, dpi):
        drawn.append(figure)
        save_figure(figure, path, dpi)

    monkeypatch.setattr("radiounet.publishing.overview.save_figure", save)
    write_overview(path, files | {"overview": str(tmp_path / "o.png")}, "a")
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


@pytest.mark.parametrize("dec", [35.0, 90.0, -90.0])
def test_the_beam_is_drawn_from_the_north_of_the_reference(dec):
    axes = Figure().add_subplot()
    _draw_beam(
        axes, Plane(np.zeros((100, 100), np.float32), grid_wcs(150.0, dec, 100, 4.5), Beam(60, 25, 40))
    )
    # 40 deg from up, to the left
    assert axes.patches[0].angle % 180 == pytest.approx(130, abs=0.1)


@pytest.mark.parametrize(
    ("runs", "x", "half", "edge"),
    [
        ([(10, 20)], 15.0, 30, 19.5),  # inside
        ([(30, 40)], 15.0, 30, 39.5),  # an arc to the right of its centroid
        ([(2, 8)], 15.0, 30, 7.5),  # to its left
        ([(2, 8), (20, 25), (30, 40)], 15.0, 30, 24.5),  # the nearest
        ([(45, 50)], 15.0, 10, 15.0),  # another island
        ([(40, 50)], 45.0, 30, 49.5),  # at the border
        ([], 15.0, 30, 15.0),
    ],
)
def test_a_number_stands_at_the_right_edge_of_its_island(runs, x, half, edge):
    inside = np.zeros(50, bool)
    for start, end in runs:
        inside[start:end] = True
    assert _right_edge(inside, x, half) == edge
