"""Making mosaics from files, and writing what they are made of beside them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.coadd import Coadd
from radiounet.config import MosaicOptions
from radiounet.errors import CelestialError, NoOverlapError, ShapeMismatchError, UnitError
from radiounet.image import copy_frequency, mosaic_wcs, open_plane
from radiounet.mosaic import (
    FieldImages,
    FieldUsed,
    Mosaicked,
    make_mosaic,
    outside_cell,
    outside_circle,
)
from radiounet.products import (
    Products,
    RejectedInputError,
    Rejection,
    provenance,
    read_rejection,
    sha256_of,
    write_fits,
    write_json,
)
from radiounet.sky import PIXEL_ARCSEC, Survey, read_list

logger = logging.getLogger(__name__)

WEIGHTS_UNIT = ("(Jy/beam)**-2", "sum of (primary beam / sigma)^2")


def mosaic_fields(
    name: str, survey: Survey, fields: Sequence[str], products: Products, options: MosaicOptions
) -> None:
    """Make a mosaic from fetched fields; write its image, weights and sigma map, and what was left out.

    Parameters
    ----------
    name : str
        Of the mosaic.
    survey : Survey
    fields : sequence of str
        Names; a rejected field counts as missing.
    products : Products
        Where fields are read and the mosaic is written.
    options : MosaicOptions
    """
    usable, rejected = _usable(fields, products, options)
    grid = mosaic_wcs(survey.mosaics[name], PIXEL_ARCSEC)
    result = make_mosaic(usable, grid, options, _outside(name, survey, grid, options))
    result.missing.update(rejected)
    table = _fields_table(result)
    header = _header(name, result, table, options)
    left_out = result.missing | result.outside
    write_json(products.left_out(name), {"left_out": [asdict(left_out[one]) for one in sorted(left_out)]})
    write_fits(products.image(name), result.image.data, header, table, "FIELDS")
    write_fits(products.sigma(name), result.sigma(), header)
    header["BUNIT"] = WEIGHTS_UNIT
    write_fits(products.weights(name), result.weights, header)


def _usable(
    fields: Sequence[str], products: Products, options: MosaicOptions
) -> tuple[list[FieldImages], dict[str, Rejection]]:
    """Fields with the files that belong to each, and those already rejected."""
    scales = _flux_scales(options.flux_scale)
    usable, rejected = [], {}
    for name in fields:
        paths = products.field_image(name, "int"), products.field_image(name, "app")
        if rejection := next(filter(None, map(read_rejection, paths)), None):
            if options.missing_field == "reject":
                raise RejectedInputError(rejection)
            rejected[name] = rejection
            continue
        more = [
            template and template.format(field=name)
            for template in (options.noise_map, options.facets, options.facet_offsets, options.bad_facets)
        ]
        if more[3] and not Path(more[3]).exists():  # the survey lists bad facets where there are any
            more[3] = None
        usable.append(FieldImages(name, *paths, scales.get(name, 1.0), *more))
    return usable, rejected


def _flux_scales(path: str | None) -> dict[str, float]:
    """Factors f_i by field (in DR3, 5.9124 over the field's LoTSS/NVSS ratio)."""
    if path is None:
        return {}
    return {row["field"]: float(row["flux_scale"]) for row in read_list(path)}


def _outside(
    name: str, survey: Survey, grid: WCS, options: MosaicOptions
) -> Callable[[slice], np.ndarray] | None:
    """What is to be blanked."""
    blank = {"dr2": "circle", "dr3": "none"}[survey.release] if options.blank == "survey" else options.blank
    if blank == "circle":
        return outside_circle(grid.array_shape[0])
    if blank == "cell":
        return outside_cell(grid, lambda ra, dec: survey.owned(name, ra, dec))
    return None


def _fields_table(result: Mosaicked) -> Table:
    """One row per field: what it gave, from which files, or why it gave nothing."""
    rows = [_row_of(one) for one in result.used]
    for why in (result.missing | result.outside).values():
        rows.append({"field": why.name, "reason": why.reason})
    columns = {
        "field": "",
        "used": False,
        "sigma": np.nan,
        "flux_scale": np.nan,
        "facets": 0,
        "facets_left_out": 0,
        "offsets_replaced": 0,
        "shift_rows": np.nan,
        "shift_columns": np.nan,
        "int_sha256": "",
        "app_sha256": "",
        "reason": "",
    }
    rows = sorted(({**columns, **row} for row in rows), key=lambda row: row["field"])
    table = Table({name: [row[name] for row in rows] for name in columns})
    table["sigma"].unit = "Jy/beam"
    for name in ("shift_rows", "shift_columns"):
        table[name].unit = "pix"
    return table


def _row_of(one: FieldUsed) -> dict[str, object]:
    row = {"field": one.images.name, "used": True, "sigma": one.sigma_jy, "flux_scale": one.images.flux_scale}
    for kind, path in (("int", one.images.int_path), ("app", one.images.app_path)):
        row[f"{kind}_sha256"] = sha256_of(path)
    if one.facets is not None:
        rows, columns = np.median(one.facets.shifts, axis=0)
        row |= {"shift_rows": rows, "shift_columns": columns, "facets": len(one.facets.shifts)}
        row |= {"facets_left_out": len(one.facets.bad), "offsets_replaced": one.facets.replaced}
    return row


def _header(name: str, result: Mosaicked, table: Table, options: MosaicOptions) -> fits.Header:
    header = result.image.header()
    header["OBJECT"] = name
    copy_frequency(header, result.used[0].images.int_path)
    ratio = result.noise_ratio()
    logger.info("noise of the image is %.3f times its sigma map", ratio)
    header.extend(
        provenance(
            nfields=len(result.used),
            nmissing=len(result.missing),
            beamcut=options.beam_cut,
            noiserat=round(ratio, 4),
        )
    )
    for row in table:
        if not row["used"]:
            header.add_history(f"without {row['field']}")
            continue
        facets = f", {row['facets']} facets" if row["facets"] else ""
        header.add_history(
            f"field {row['field']} sigma {row['sigma']:.4e} Jy/beam, f {row['flux_scale']:.4f}{facets}"
        )
        for kind in ("int", "app"):
            header.add_history(f"{kind} {row[f'{kind}_sha256']}")
    return header


def coadd_files(pairs: Sequence[tuple[str, str]], like: str, image_path: str, weights_path: str) -> None:
    """Weighted mean of any images with given weight maps, on the grid of another file.

    Images are resampled bilinearly, in Jy/beam or any other unit that does not depend
    on the pixels' size.

    Parameters
    ----------
    pairs : sequence of (str, str)
        Image and weight map, on the same grid; weights 0 or NaN where not to be used.
    like : str
        FITS file with the output grid.
    image_path, weights_path : str
        Written: float32, NaN where no image contributes, and the summed weights.

    Raises
    ------
    UnitError
        The images differ in their unit.
    NoOverlapError
        None has a pixel on the grid.
    """
    grid = _grid_of(like)
    coadd = Coadd(grid)
    header = grid.to_header()
    first = open_plane(pairs[0][0], brightness=False).header
    for key in ("BUNIT", "BMAJ", "BMIN", "BPA"):
        if key in first:
            header[key] = first[key]
    met = 0
    # sorted, so that the order given does not change a bit of the sums
    for image_file, weight_file in sorted(pairs):
        image, weight = (open_plane(path, brightness=False) for path in (image_file, weight_file))
        if image.data.shape != weight.data.shape:
            raise ShapeMismatchError(
                f"{image_file} and {weight_file} differ in shape: {image.data.shape} and {weight.data.shape}"
            )
        unit = str(image.header.get("BUNIT", "")).strip()
        if unit.lower() != str(header.get("BUNIT", "")).strip().lower():
            raise UnitError(f"{image_file} is in {unit!r}, {pairs[0][0]} in {header.get('BUNIT', '')!r}")
        here = coadd.add(
            image.wcs,
            image.data.shape,
            lambda at, pair=(image, weight): tuple(one.window(*at) for one in pair),
        )
        met += here
        if not here:
            logger.warning("%s has no pixel on the grid of %s", image_file, like)
        header.add_history(f"added {Path(image_file).name}")
    if not met:
        raise NoOverlapError(f"no image has a pixel on the grid of {like}")
    data, weights = coadd.finish()
    header.extend(provenance(nfields=met))
    write_fits(image_path, data, header)
    header.remove("BUNIT", ignore_missing=True)
    write_fits(weights_path, weights, header)


def _grid_of(path: str) -> WCS:
    header = fits.getheader(path)
    grid = WCS(header).celestial
    if grid.naxis != 2:
        raise CelestialError(f"{path} has no celestial grid")
    grid.array_shape = tuple(header[f"NAXIS{axis + 1}"] for axis in (grid.wcs.lat, grid.wcs.lng))
    return grid
