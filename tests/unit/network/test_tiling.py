import h5py
import numpy as np
import pytest

from models import tiny_card
from radiounet.errors import GridError
from radiounet.images.noise import local_rms
from radiounet.network.model_cards import BEAM_PX, network_input
from radiounet.network.tiling import layout, read_layout, stitch, write_tiles

SHAPES = [(192, 192), (288, 288), (300, 517), (191, 97), (1, 1), (2000, 2000), (577, 192)]


def tiles_of(plane, where):
    padded = np.zeros(where.padded, plane.dtype)
    padded[: plane.shape[0], : plane.shape[1]] = plane
    origins, _ = where.origins(where.starts())
    return [padded[y : y + where.tile_px, x : x + where.tile_px] for y, x in origins]


def cores(tiles, where):
    _, inner = where.origins(where.starts())
    size = where.core_px
    return np.array([t[y : y + size, x : x + size] for t, (y, x) in zip(tiles, inner, strict=True)])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("tile_px", "core_px"), [(192, 96), (256, 128), (64, 32), (64, 48), (32, 32)])
def test_exact_tiles_stitch_back_to_the_bit(shape, tile_px, core_px):
    plane = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    where = layout(shape, tile_px, core_px, "exact")
    tiles = tiles_of(plane, where)
    assert all(tile.shape == (tile_px, tile_px) for tile in tiles)
    kept = cores(tiles, where)
    assert kept.shape == (len(tiles), core_px, core_px)
    np.testing.assert_array_equal(stitch(kept, where.starts(), where), plane)


def test_reference_layout_of_a_published_image():
    # spec: n = floor((2000 - 192) / 96) + 1 = 19 tiles, predicted pixels 48..1871
    where = layout((2000, 2000), 192, 96, "reference")
    assert where.counts == (19, 19)
    plane = np.arange(4_000_000, dtype=np.float32).reshape(2000, 2000)
    joined = stitch(cores(tiles_of(plane, where), where), where.starts(), where)
    np.testing.assert_array_equal(joined[48:1872, 48:1872], plane[48:1872, 48:1872])
    assert np.isnan(joined[:48]).all()
    assert np.isnan(joined[1872:]).all()
    assert np.isnan(joined[:, :48]).all()
    assert np.isnan(joined[:, 1872:]).all()


@pytest.mark.parametrize("shape", [(192, 192), (480, 480), (500, 650)])
def test_exact_mode_holds_every_tile_of_the_reference_where_it_was(shape):
    reference, exact = (layout(shape, 192, 96, mode) for mode in ("reference", "exact"))
    wanted, there = (
        {
            (*start, *origin)
            for start, origin in zip(
                one.starts().tolist(), one.origins(one.starts())[0].tolist(), strict=True
            )
        }
        for one in (reference, exact)
    )
    assert wanted <= there


def test_a_tile_at_a_border_slides_inwards_until_it_is_full_of_image():
    # cores of 384 px start at -320, 64, 448 and 832 of 1000
    where = layout((1000, 1000), 512, 384, "exact")
    tiles, inner = where.origins(where.starts()[:4])
    assert where.starts()[:4, 1].tolist() == [-320, 64, 448, 832]
    assert tiles[:, 1].tolist() == [0, 0, 384, 488]
    # the last core moves with its tile as far as it must: 1000 - 384 = 616
    assert (tiles + inner)[:, 1].tolist() == [0, 64, 448, 616]
    target, source = where.core_of(where.starts()[3])
    assert (target[1], source[1]) == (slice(832, 1000), slice(832 - 616, 384))


def test_an_image_smaller_than_a_tile_is_seen_whole_by_every_tile():
    where = layout((200, 200), 512, 384, "exact")
    assert where.padded == (512, 512)
    assert (where.origins(where.starts())[0] == 0).all()


def test_every_pixel_lies_in_exactly_one_core():
    where = layout((301, 222), 192, 96, "exact")
    hits = np.zeros((301, 222), int)
    for start in where.starts():
        hits[where.core_of(start)[0]] += 1
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
        used = where.starts()[store["has_data"][...]]
        np.testing.assert_array_equal(store["starts"][...], where.starts())
        # cores of 32 px start at -16: those that reach columns 150..199 start at 144 and 176
        assert sorted({int(x) for _, x in used}) == [144, 176]
        plane = store["plane"][:300, :200]
        assert (plane[:, :150] == 0).all()
        expected = network_input(card.normalisation, image, BEAM_PX)[:, 150:]
        np.testing.assert_allclose(plane[:, 150:], expected, rtol=1e-6)
        # of blank sky next to no background is taken away
        np.testing.assert_allclose(expected, np.arcsinh(image / local_rms(image))[:, 150:], atol=0.01)


def test_padding_has_the_value_of_blank_pixels(tmp_path):
    card = tiny_card(normalisation={"kind": "log10", "low": 1e-7, "high": 1e-2, "floor": 1e-9})
    image = np.full((40, 50), 1e-2, np.float32)
    image += np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32) * 1e-4
    write_tiles(tmp_path / "t.h5", image, card, "exact", {})
    with h5py.File(tmp_path / "t.h5") as store:
        assert store["plane"].shape == (64, 64)
        assert (store["plane"][40:] == 0).all()
        assert (store["plane"][:, 50:] == 0).all()
        assert store["plane"][...].max() == 1
