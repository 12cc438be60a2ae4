"""Islands across the border of two cells: each patch of sky in exactly one row."""

from functools import cache

import numpy as np
import pytest

from maps import write_products
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.squares import Mosaic, separation_deg, unit_vectors
from radiounet.measuring.duplicates import drop_duplicates
from radiounet.measuring.islands import Island, _name_parents, find_islands, footprint
from radiounet.measuring.mosaic_tables import read_mosaic_table
from radiounet.network.masks import make_mask
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import DR2
from radiounet.survey.survey import Survey

N_PX = 600
SURVEY = Survey(DR2, [Mosaic("west", 150.25, 35.0, N_PX), Mosaic("east", 149.75, 35.0, N_PX)])
BORDER = 150.0


@cache
def grid(name):
    """Coordinates of a mosaic, and the position of each of its pixels."""
    wcs = grid_wcs(SURVEY.mosaics[name].ra_deg, SURVEY.mosaics[name].dec_deg, N_PX, 4.5)
    y, x = np.indices((N_PX, N_PX))
    positions = wcs.wcs_pix2world(x.ravel(), y.ravel(), 0)
    for one in positions:
        one.setflags(write=False)
    return wcs, *positions


def tables(tmp_path, sky, seed=1, brightness=None):
    """Islands of both mosaics; `sky` tells which positions are diffuse, noise frays the edges.

    `brightness` is that of the positions in units of the noise; without it 10 in the mask.
    """
    found = {}
    for name in SURVEY.mosaics:
        wcs, ra, dec = grid(name)
        rng = np.random.default_rng([seed, len(found)])
        # one beam of 22 px, as the workflow cleans a mask
        mask = make_mask(sky(ra, dec, rng).reshape(N_PX, N_PX).astype(np.float32), 0.5, 22)
        noise = 1e-4 * rng.standard_normal((N_PX, N_PX)).astype(np.float32)
        shining = brightness(ra, dec).reshape(N_PX, N_PX) if brightness else 10 * mask
        plane = Plane((noise + 1e-4 * shining).astype(np.float32), wcs, Beam(20, 20))
        paths = {kind: str(tmp_path / f"{name}.{kind}.fits") for kind in ("image", "probability", "mask")}
        write_products(paths.values(), plane, mask, mask)
        target = str(tmp_path / f"{name}.ecsv")
        find_islands(*paths.values(), SURVEY, name, MeasureOptions(), target)
        found[name] = read_mosaic_table("islands", target)
    return found


def test_pieces_of_a_region_are_named_after_the_most_probable():
    none = np.zeros(0, int)
    rows = [
        {"name": "A", "p_max": 0.9, "area_arcmin2": 2.0},
        {"name": "B", "p_max": 0.6, "area_arcmin2": 8.0},
    ]
    for order in (rows, rows[::-1]):
        pieces = [Island(none, none, 1, dict(row)) for row in order]
        _name_parents(pieces)
        assert [one.row["parent"] for one in pieces] == ["A", "A"]


def disc(ra0, dec0, radius_arcmin):
    def sky(ra, dec, rng):
        ragged = radius_arcmin + rng.uniform(-0.08, 0.08, ra.size)
        return 60 * separation_deg(unit_vectors(ra0, dec0), unit_vectors(ra, dec)) < ragged

    return sky


@pytest.mark.parametrize("ra", [149.93, 149.985, 149.9999, BORDER, 150.0001, 150.02, 150.07])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_island_near_the_border_is_in_the_catalogue_once(tmp_path, ra, seed):
    found = tables(tmp_path, disc(ra, 35.0, 2.0), seed)
    kept = [row for table in drop_duplicates([*found.values()])[0] for row in table.rows]
    assert len(kept) == 1
    assert kept[0]["mosaic"] == ("west" if ra > 150.0001 else "east" if ra < 149.9999 else kept[0]["mosaic"])
    assert kept[0]["area_arcmin2"] == pytest.approx(np.pi * 4, rel=0.08)
    assert kept[0]["ra_deg"] == pytest.approx(ra, abs=0.005)


@pytest.mark.parametrize("end", [150.045, 150.02, 149.99])
def test_a_strip_of_which_one_mosaic_shows_a_part_is_in_the_catalogue_once(tmp_path, end):
    """East shows all of it; west a part, that is in its cell, as a whole or but for a little."""
    ends = [end, 149.97]

    def sky(ra, dec, rng):
        return (np.abs(dec - 35.0) < 0.02) & (ra > ends.pop(0)) & (ra < 150.08)

    found = tables(tmp_path, sky)
    (row,) = (row for table in drop_duplicates([*found.values()])[0] for row in table.rows)
    # 6.5' and 2.4', of the part in the west at least half
    assert row["area_arcmin2"] > 0.5 * 2.4 * 60 * 0.11 * np.cos(np.radians(35))


def test_every_owned_masked_position_lies_in_one_kept_island(tmp_path):
    def ridges(ra, dec, rng):
        ragged = 0.012 + rng.uniform(-0.0015, 0.0015, ra.size)
        long = (np.abs(dec - 35.1 - 0.3 * (ra - BORDER)) < ragged) & (np.abs(ra - BORDER) < 0.15)
        short = (np.abs(dec - 34.9) < ragged) & (np.abs(ra - 150.06) < 0.05)
        return long | short

    found = tables(tmp_path, ridges)
    kept, _ = drop_duplicates([*found.values()])
    assert sum(len(table.rows) for table in kept) == 2
    prints = [
        set(map(int, text.split()))
        for table, those_kept in zip(found.values(), kept, strict=True)
        for text, row in zip(table.meta["footprints"], table.rows, strict=True)
        if row in those_kept.rows
    ]
    ra, dec = np.meshgrid(np.arange(149.84, 150.16, 0.0013), np.arange(34.85, 35.2, 0.0013))
    ra, dec = ra.ravel(), dec.ravel()
    core = (np.abs(dec - 35.1 - 0.3 * (ra - BORDER)) < 0.006) & (np.abs(ra - BORDER) < 0.14)
    core |= (np.abs(dec - 34.9) < 0.006) & (np.abs(ra - 150.06) < 0.04)
    for pixel in footprint(ra[core], dec[core]):
        assert sum(int(pixel) in one for one in prints) == 1


def test_an_island_of_another_cell_is_left_to_its_owner(tmp_path):
    found = tables(tmp_path, disc(150.2, 35.0, 1.5))
    assert found["east"].rows == []
    (row,) = found["west"].rows
    assert row["owned_fraction"] == 1
    assert not row["flag_edge"]


def gaussians(*places):
    """Brightness of Gaussians with a FWHM of 1.5 arcmin, in units of the noise; right ascensions."""

    def brightness(ra, dec):
        vectors = unit_vectors(ra, dec)
        distances = (60 * separation_deg(unit_vectors(place, 35.0), vectors) for place in places)
        return sum(20 * np.exp2(-4 * (distance / 1.5) ** 2) for distance in distances)

    return brightness


APART = 3 / 60 / np.cos(np.radians(35.0))


@pytest.mark.parametrize("middle", [149.95, 149.99, BORDER, 150.01, 150.05])
def test_touching_objects_across_the_border_are_in_the_catalogue_once_each(tmp_path, middle):
    brightness = gaussians(middle - APART / 2, middle + APART / 2)

    def sky(ra, dec, rng):
        return brightness(ra, dec) > rng.uniform(0.5, 1.2, ra.size)

    found = tables(tmp_path, sky, brightness=brightness)
    for table in found.values():
        assert len(table.rows) in (0, 2)  # a region as a whole, or not at all
    kept, _ = drop_duplicates([*found.values()])
    rows = [row for table in kept for row in table.rows]
    assert sorted(row["ra_deg"] for row in rows) == pytest.approx(
        [middle - APART / 2, middle + APART / 2], abs=0.004
    )
    assert len({row["mosaic"] for row in rows}) == 1
    assert {row["parent"] for row in rows} == {max(rows, key=lambda row: row["area_arcmin2"])["name"]}


def test_a_piece_that_only_its_owner_joins_to_a_region_is_not_lost(tmp_path):
    """West sees both objects as one region; on east a gap in the mask parts them."""
    west, east = BORDER + 0.3 * APART, BORDER - 0.7 * APART
    brightness = gaussians(west, east)
    calls = []

    def sky(ra, dec, rng):
        calls.append(1)
        gap = (np.abs(ra - (west + east) / 2) < 0.004) if len(calls) == 2 else False
        return (brightness(ra, dec) > 1) & ~gap

    found = tables(tmp_path, sky, brightness=brightness)
    assert len({row["parent"] for row in found["west"].rows}) == 1
    kept, _ = drop_duplicates([*found.values()])
    rows = [row for table in kept for row in table.rows]
    assert sorted(row["ra_deg"] for row in rows) == pytest.approx([east, west], abs=0.004)


def test_pieces_name_the_most_probable_as_their_parent(tmp_path):
    brightness = gaussians(150.25 - APART / 2, 150.25 + APART / 2, 150.45)
    found = tables(tmp_path, lambda ra, dec, rng: brightness(ra, dec) > 1, brightness=brightness)["west"].rows
    assert len(found) == 3
    (alone,) = (row for row in found if row["ra_deg"] > 150.4)
    assert alone["parent"] == alone["name"]
    pieces = [row for row in found if row["ra_deg"] < 150.4]
    (parent,) = {row["parent"] for row in pieces}
    assert parent in [row["name"] for row in pieces]
