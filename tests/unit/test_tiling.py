import h5py
import numpy as np
import pytest

from models import tiny_card
from radiounet.errors import GridError
from radiounet.tiling import layout, read_layout, stitch, write_tiles

SHAPES = [(192, 192), (288, 288), (300, 517), (191, 97), (1, 1), (2000, 2000), (577, 192)]


def cut(plane, where):
    padded = np.zeros(where.padded, plane.dtype)
    low = where.pad_low
    padded[low : low + plane.shape[0], low : low + plane.shape[1]] = plane
    return [padded[y : y + where.tile_px, x : x + where.tile_px] for y, x in where.origins()]


def cores(tiles, where):
    m = where.margin_px
    return np.array([tile[m : m + where.core_px, m : m + where.core_px] for tile in tiles])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("tile_px", "core_px"), [(192, 96), (256, 128), (64, 32), (64, 48), (32, 32)])
def test_exact_tiles_stitch_back_to_the_bit(shape, tile_px, core_px):
    plane = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    where = layout(shape, tile_px, core_px, "exact")
    tiles = cut(plane, where)
    assert all(tile.shape == (tile_px, tile_px) for tile in tiles)
    np.testing.assert_array_equal(stitch(cores(tiles, where), where.origins(), where), plane)


def test_reference_layout_of_a_published_image():
    # spec: n = floor((2000 - 192) / 96) + 1 = 19 tiles, predicted pixels 48..1871
    where = layout((2000, 2000), 192, 96, "reference")
    assert where.counts == (19, 19)
    plane = np.arange(4_000_000, dtype=np.float32).reshape(2000, 2000)
    joined = stitch(cores(cut(plane, where), where), where.origins(), where)
    np.testing.assert_array_equal(joined[48:1872, 48:1872], plane[48:1872, 48:1872])
    assert np.isnan(joined[:48]).all()
    assert np.isnan(joined[1872:]).all()
    assert np.isnan(joined[:, :48]).all()
    assert np.isnan(joined[:, 1872:]).all()


@pytest.mark.parametrize("shape", [(192, 192), (480, 480), (500, 650)])
def test_exact_mode_holds_every_tile_of_the_reference_where_it_was(shape):
    reference, exact = (layout(shape, 192, 96, mode) for mode in ("reference", "exact"))
    wanted = {tuple(origin) for origin in reference.origins()}
    there = {tuple(origin - exact.pad_low) for origin in exact.origins()}
    assert wanted <= there


def test_every_pixel_lies_in_exactly_one_core():
    where = layout((301, 222), 192, 96, "exact")
    hits = np.zeros((301, 222), int)
    for origin in where.origins():
        hits[where.core_of(origin)[0]] += 1
    assert (hits == 1).all()


def test_reference_refuses_an_image_smaller_than_a_tile():
    with pytest.raises(GridError, match="use mode exact"):
        layout((150, 400), 192, 96, "reference")


def test_tiles_file_stores_the_plane_once_and_knows_where_data_is(tmp_path):
    rng = np.random.default_rng(2)
    image = rng.standard_normal((300, 200)).astype(np.float32) * 1e-4
    image[:, :150] = np.nan
    card = tiny_card()
    write_tiles(tmp_path / "t.h5", image, card, "exact", {"model": "tiny"})
    with h5py.File(tmp_path / "t.h5") as store:
        where = read_layout(store, card)
        assert store["plane"].shape == where.padded
        assert store.attrs["model"] == "tiny"
        used = where.origins()[store["has_data"][...]]
        # cores of 32 px start at -16: those that reach columns 150..199 start at 144 and 176
        assert sorted({int(x) - where.pad_low + where.margin_px for _, x in used}) == [144, 176]
        low = where.pad_low
        plane = store["plane"][low : low + 300, low : low + 200]
        assert (plane[:, :150] == 0).all()
        rms = store["rms"][...]
        np.testing.assert_allclose(plane[:, 150:], np.arcsinh(image[:, 150:] / rms[:, 150:]), rtol=1e-6)
        assert (store["plane"][:low] == 0).all()


def test_padding_has_the_value_of_blank_pixels(tmp_path):
    card = tiny_card(normalisation={"kind": "log10", "low": 1e-7, "high": 1e-2, "floor": 1e-9})
    image = np.full((64, 64), 1e-2, np.float32)
    image += np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32) * 1e-4
    write_tiles(tmp_path / "t.h5", image, card, "exact", {})
    with h5py.File(tmp_path / "t.h5") as store:
        assert (store["plane"][0] == 0).all()
        assert store["plane"][...].max() == 1
