"""Islands across the border of two cells: each patch of sky in exactly one row."""

import numpy as np
import pytest
from astropy.table import Table

from radiounet.catalogue import drop_duplicates
from radiounet.config import MeasureOptions
from radiounet.image import Beam, Plane, grid_wcs
from radiounet.islands import find_islands, footprint
from radiounet.masks import make_mask
from radiounet.products import provenance, write_fits
from radiounet.sky import Mosaic, Survey, separation_deg, unit_vectors

N_PX = 900
SURVEY = Survey("dr2", [Mosaic("west", 150.25, 35.0, N_PX), Mosaic("east", 149.75, 35.0, N_PX)])
BORDER = 150.0


def tables(tmp_path, sky, seed=1):
    """Islands of both mosaics; `sky` tells which positions are diffuse, noise frays the edges."""
    found = {}
    for name, place in SURVEY.mosaics.items():
        wcs = grid_wcs(place.ra_deg, place.dec_deg, N_PX, 4.5)
        y, x = np.indices((N_PX, N_PX))
        ra, dec = wcs.wcs_pix2world(x.ravel(), y.ravel(), 0)
        rng = np.random.default_rng([seed, len(found)])
        # one beam of 22 px, as the workflow cleans a mask
        mask = make_mask(sky(ra, dec, rng).reshape(N_PX, N_PX).astype(np.float32), 0.5, 22)
        noise = 1e-4 * rng.standard_normal((N_PX, N_PX)).astype(np.float32)
        plane = Plane(noise + 1e-3 * mask, wcs, Beam(20, 20))
        header = plane.header()
        header.extend(
            provenance(model="m", modelsha="0", inputsha="0", segmode="exact", precis="float32")
            + provenance(thresh=0.5, minbeams=1.0)[-2:]
        )
        paths = {kind: str(tmp_path / f"{name}.{kind}.fits") for kind in ("image", "probability", "mask")}
        write_fits(paths["image"], plane.data, header)
        write_fits(paths["probability"], mask.astype(np.float32), header)
        write_fits(paths["mask"], mask, header)
        target = str(tmp_path / f"{name}.ecsv")
        find_islands(*paths.values(), SURVEY, name, MeasureOptions(), target)
        found[name] = Table.read(target, format="ascii.ecsv")
    return found


def disc(ra0, dec0, radius_arcmin):
    def sky(ra, dec, rng):
        ragged = radius_arcmin + rng.uniform(-0.08, 0.08, ra.size)
        return 60 * separation_deg(unit_vectors(ra0, dec0), unit_vectors(ra, dec)) < ragged

    return sky


@pytest.mark.parametrize("ra", [149.93, 149.985, 149.9999, BORDER, 150.0001, 150.02, 150.07])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_island_near_the_border_is_in_the_catalogue_once(tmp_path, ra, seed):
    found = tables(tmp_path, disc(ra, 35.0, 2.0), seed)
    kept = [row for table in drop_duplicates([*found.values()]) for row in table]
    assert len(kept) == 1
    assert kept[0]["mosaic"] == ("west" if ra > 150.0001 else "east" if ra < 149.9999 else kept[0]["mosaic"])
    assert kept[0]["area_arcmin2"] == pytest.approx(np.pi * 4, rel=0.08)
    assert kept[0]["ra_deg"] == pytest.approx(ra, abs=0.005)


def test_every_owned_masked_position_lies_in_one_kept_island(tmp_path):
    def ridges(ra, dec, rng):
        ragged = 0.012 + rng.uniform(-0.0015, 0.0015, ra.size)
        long = (np.abs(dec - 35.1 - 0.3 * (ra - BORDER)) < ragged) & (np.abs(ra - BORDER) < 0.15)
        short = (np.abs(dec - 34.9) < ragged) & (np.abs(ra - 150.06) < 0.05)
        return long | short

    found = tables(tmp_path, ridges)
    kept = drop_duplicates([*found.values()])
    assert sum(len(table) for table in kept) == 2
    prints = [
        set(map(int, text.split()))
        for table, rows in zip(found.values(), kept, strict=True)
        for text, name in zip(table.meta["footprints"], table["name"], strict=True)
        if name in rows["name"]
    ]
    ra, dec = np.meshgrid(np.arange(149.84, 150.16, 0.0013), np.arange(34.85, 35.2, 0.0013))
    ra, dec = ra.ravel(), dec.ravel()
    core = (np.abs(dec - 35.1 - 0.3 * (ra - BORDER)) < 0.006) & (np.abs(ra - BORDER) < 0.14)
    core |= (np.abs(dec - 34.9) < 0.006) & (np.abs(ra - 150.06) < 0.04)
    for pixel in footprint(ra[core], dec[core]):
        assert sum(int(pixel) in one for one in prints) == 1


def test_an_island_of_another_cell_is_left_to_its_owner(tmp_path):
    found = tables(tmp_path, disc(150.2, 35.0, 1.5))
    assert len(found["west"]) == 1
    assert len(found["east"]) == 0
    assert found["west"]["owned_fraction"][0] == 1
    assert not found["west"]["touches_edge"][0]
