"""Making mosaics from files, and writing what they are made of beside them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.errors import ConfigError
from radiounet.images.dates import image_date, latest_date
from radiounet.images.fits_planes import open_image
from radiounet.images.image import mosaic_wcs
from radiounet.images.products import Products
from radiounet.images.provenance import provenance, sha256_of
from radiounet.images.rejections import RejectedInputError, Rejection, read_rejection
from radiounet.images.repeats import require_unique
from radiounet.images.words import enumerated, printable
from radiounet.images.writing import write_fits, write_json
from radiounet.mosaicking.joined_headers import frequency_card, require_one_frequency
from radiounet.mosaicking.mosaic import (
    FieldImages,
    FieldUsed,
    Mosaicked,
    make_mosaic,
    outside_cell,
    outside_circle,
)
from radiounet.settings.mosaics import MosaicOptions
from radiounet.survey.survey import Survey, read_list

logger = logging.getLogger(__name__)

KINDS = ("int", "app", "noise", "facets", "offsets", "bad")
"""Files of a field, as `FieldImages` has them."""
WEIGHTS_UNIT = ("(Jy/beam)**-2", "sum of (primary beam / rms)^2")


def mosaic_fields(
    name: str,
    survey: Survey,
    fields: Sequence[str],
    products: Products,
    options: MosaicOptions,
    threads: int = 1,
) -> None:
    """Make a mosaic from fetched fields; write its image, weights and rms map, and what was left out.

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
    threads : int

    Raises
    ------
    FrequencyError
        Frequencies of the fields differ by more than 5 %.
    """
    if name not in survey.mosaics:
        raise ConfigError(
            f"there is no mosaic {name} among the {len(survey.mosaics)} of {survey.release.name}"
        )
    usable, rejected = _usable(sorted(set(fields)), products, options)
    grid = mosaic_wcs(survey.mosaics[name], survey.release.pixel_arcsec)
    outside = _outside(name, survey, grid, options)
    result = make_mosaic(usable, grid, options, outside, threads, beam_arcsec=survey.release.beam_arcsec)
    result.missing.update(rejected)
    tables = {"FIELDS": _fields_table(result), "FACETS": _facets_table(result)}
    header = _header(name, result, tables["FIELDS"], options)
    left_out = result.missing | result.outside
    write_json(products.left_out(name), {"left_out": [asdict(left_out[one]) for one in sorted(left_out)]})
    write_fits(products.image(name), result.image.data, header, tables)
    write_fits(products.rms(name), result.rms(), header)
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
        absent = [path for path in paths if not Path(path).exists()]
        rejections = [
            Rejection(name, "mosaic", path, "NotFitsError: there is no such file") for path in absent
        ]
        rejections += filter(None, (read_rejection(path) for path in paths if path not in absent))
        if rejections:
            if options.missing_field == "reject":
                raise RejectedInputError(rejections[0])
            rejected[name] = rejections[0]
            continue
        more = [
            template and template.format(field=name)
            for template in (options.noise_map, options.facets, options.facet_offsets, options.bad_facets)
        ]
        if more[3] and not Path(more[3]).exists():  # the survey lists bad facets where there are any
            more[3] = None
        usable.append(FieldImages(name, *paths, scales.get(name, 1.0), *more))
    names = [one.name for one in usable]
    if options.flux_scale and (without := [one for one in names if one not in scales]):
        logger.warning("%s has no factor for %s: 1 is used", options.flux_scale, enumerated(without))
    if options.bad_facets:
        listed = [one.name for one in usable if one.bad_path]
        logger.info("fields with a list of bad facets: %s", enumerated(listed) if listed else "none")
    return usable, rejected


def _flux_scales(path: str | None) -> dict[str, float]:
    """Factors f_i by field (in DR3, 5.9124 over the field's LoTSS/NVSS ratio); 1 where none is given.

    Raises
    ------
    ConfigError
        The table cannot be read, a factor is no number above 0, or a field stands twice.
    """
    if path is None:
        return {}
    key = f"mosaics.options.flux_scale: {path}"
    try:
        rows = [(row["field"], row["flux_scale"]) for row in read_list(path, ("field", "flux_scale"))]
        scales = {field: float(text) for field, text in rows if text}
    except (ConfigError, OSError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{key} has no columns field, flux_scale ({what})") from None
    require_unique(key, "field", (field for field, _ in rows), ConfigError)
    wrong = [field for field, scale in scales.items() if not (np.isfinite(scale) and scale > 0)]
    if wrong:
        raise ConfigError(f"{key} has {scales[wrong[0]]} for {wrong[0]}: it must be above 0")
    return scales


def _outside(
    name: str, survey: Survey, grid: WCS, options: MosaicOptions
) -> Callable[[slice], np.ndarray] | None:
    """What is to be blanked."""
    blank = survey.release.blank if options.blank == "survey" else options.blank
    if blank == "circle":
        return outside_circle(grid.array_shape[0])
    if blank == "cell":
        return outside_cell(grid, lambda ra, dec: survey.owned(name, ra, dec))
    return None


def _fields_table(result: Mosaicked) -> Table:
    """One row per field: what it gave, from which files, or why it gave nothing."""
    rows = [_row_of(one) for one in result.used]
    for why in (result.missing | result.outside).values():
        rows.append({"field": why.name, "reason": printable(why.reason)})
    columns = {
        "field": "",
        "used": False,
        "rms": np.nan,
        "flux_scale": np.nan,
        "facets": 0,
        "facets_left_out": 0,
        "offsets_replaced": 0,
        **{f"{kind}_sha256": "" for kind in KINDS},
        "reason": "",
    }
    rows = sorted(({**columns, **row} for row in rows), key=lambda row: str(row["field"]))
    table = Table({name: [row[name] for row in rows] for name in columns})
    table["rms"].unit = "Jy/beam"
    return table


def _row_of(one: FieldUsed) -> dict[str, object]:
    images = one.images
    row = {"field": images.name, "used": True, "rms": one.rms_jy, "flux_scale": images.flux_scale}
    for kind in KINDS:
        path = getattr(images, f"{kind}_path")
        row[f"{kind}_sha256"] = sha256_of(path) if path else ""
    if one.facets is not None:
        row |= {"facets": len(one.facets.labels), "facets_left_out": len(one.facets.bad)}
        row["offsets_replaced"] = len(one.facets.replaced)
    return row


def _facets_table(result: Mosaicked) -> Table | None:
    """One row per facet of every field used by facet: its offset, and whether it was left out."""
    rows = [
        (one.images.name, label, *one.facets.offsets_arcsec[n], n in one.facets.replaced, n in one.facets.bad)
        for one in result.used
        if one.facets is not None
        for n, label in enumerate(one.facets.labels)
    ]
    if not rows:
        return None
    names = ("field", "facet", "offset_east", "offset_north", "replaced", "left_out")
    table = Table(rows=rows, names=names)
    for name in ("offset_east", "offset_north"):
        table[name].unit = "arcsec"
    return table


def _header(name: str, result: Mosaicked, table: Table, options: MosaicOptions) -> fits.Header:
    header = result.image.header()
    header["OBJECT"] = name
    headers = {one.images.int_path: open_image(one.images.int_path)[1] for one in result.used}
    require_one_frequency(headers)
    header.update(frequency_card(headers))
    if latest := latest_date(map(image_date, headers.values())):
        header["DATE-MAP"] = (latest, "latest date of the fields")
    ratio = result.noise_ratio()
    logger.info("noise of the image is %.3f times its rms map", ratio)
    header.extend(
        provenance(
            nfields=len(result.used),
            nmissing=len(result.missing),
            beamcut=options.beam_cut,
            noiserat=round(ratio, 4) if np.isfinite(ratio) else None,
        )
    )
    if options.flux_scale:
        header.add_history(f"flux scales {sha256_of(options.flux_scale)}")
    for row in table:
        if not row["used"]:
            header.add_history(f"without {row['field']}")
            continue
        facets = f", {row['facets']} facets, offsets in extension FACETS" if row["facets"] else ""
        header.add_history(
            f"field {row['field']} rms {row['rms']:.4e} Jy/beam, f {row['flux_scale']:.4f}{facets}"
        )
        for kind in KINDS:
            if row[f"{kind}_sha256"]:
                header.add_history(f"{kind} {row[f'{kind}_sha256']}")
    return header
