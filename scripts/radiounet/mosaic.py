"""Mosaicking of fields as the survey does it (ddf-pipeline `mosaic.py`).

One field is held at a time, with two accumulators on the output grid, so
memory does not grow with the number of fields.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from astropy.wcs import WCS
from scipy import ndimage

from radiounet.config import MosaicOptions
from radiounet.errors import BadDataError, BeamError, NotConvergedError, NotInArchiveError
from radiounet.image import Beam, Plane, copy_frequency, mosaic_wcs, read_plane, require_same_grid
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
from radiounet.sky import PIXEL_ARCSEC as MOSAIC_PIXEL_ARCSEC
from radiounet.sky import Mosaic, read_list

logger = logging.getLogger(__name__)

BEAM_ARCSEC = 20.0
CLIP_ROUNDS = 20
CLIP_TOLERANCE = 1e-6


@dataclass(frozen=True)
class FieldImages:
    """One field on disk: name, true-flux and apparent image, and flux factor f_i."""

    name: str
    int_path: str
    app_path: str
    flux_scale: float = 1.0


@dataclass
class Mosaicked:
    """A finished mosaic.

    Attributes
    ----------
    image : Plane
        Jy/beam, ``[y, x]``, NaN where no field contributes.
    weights : ndarray of float32, ``[y, x]``
        Sum of (B/sigma)^2, 1/(Jy/beam)^2; 0 where no field contributes.
    sigmas : dict
        Noise of each field used, Jy/beam.
    missing : dict
        Fields left out, and why.
    """

    image: Plane
    weights: np.ndarray
    sigmas: dict[str, float]
    missing: dict[str, Rejection]


def primary_beam(app: np.ndarray, true: np.ndarray, beam_cut: float) -> np.ndarray:
    """Primary beam ``median3x3(app / int)``, zero below the cut and where undefined.

    Parameters
    ----------
    app, true : ndarray, ``[y, x]``
        Apparent and true flux of the same field.
    beam_cut : float
        The survey uses 0.3.

    Returns
    -------
    ndarray of float32, ``[y, x]``
    """
    blank = ~np.isfinite(app) | ~np.isfinite(true)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(blank, np.float32(0), app / true).astype(np.float32)
    ratio[~np.isfinite(ratio)] = 0
    beam = ndimage.median_filter(ratio, size=3, mode="nearest")
    beam[(beam < beam_cut) | blank] = 0
    return beam


def clipped_rms(image: np.ndarray, box_px: int, clip_sigma: float) -> float:
    """Noise of a field: rms about zero of its central box, clipped iteratively.

    At most 20 rounds, until the value changes by less than 1e-6.

    Raises
    ------
    NotConvergedError
        Still changing after 20 rounds, or no data in the box.
    """
    half = box_px // 2
    y, x = (length // 2 for length in image.shape)
    box = image[max(y - half, 0) : y + half, max(x - half, 0) : x + half]
    values = box[np.isfinite(box)].astype(np.float64)
    previous = 0.0
    for _ in range(CLIP_ROUNDS):
        if values.size == 0:
            break
        rms = float(np.sqrt(np.mean(values**2)))
        if rms > 0 and abs(rms - previous) / rms < CLIP_TOLERANCE:
            return rms
        previous = rms
        values = values[np.abs(values) < clip_sigma * rms]
    raise NotConvergedError(
        f"the noise of the central {box_px} px did not settle in {CLIP_ROUNDS} rounds ({values.size} px left)"
    )


def make_mosaic(fields: Sequence[FieldImages], grid: WCS, options: MosaicOptions, circle: bool) -> Mosaicked:
    """Combine fields on a grid: ``I = sum(w r) / sum(w)``, ``w = (B / sigma)^2``.

    The result does not depend on the order in which fields are given.

    Parameters
    ----------
    fields : sequence of FieldImages
    grid : astropy.wcs.WCS
        With ``array_shape``, 4.5" pixels.
    options : MosaicOptions
    circle : bool
        Blank outside the circle inscribed in the square, as the survey does for DR2; DR3
        mosaics fill their square.

    Raises
    ------
    BadDataError
        No field contributes, or one is unusable and ``options.missing_field`` is ``reject``.
    """
    shape = grid.array_shape
    total = np.zeros(shape, np.float64)
    weights = np.zeros(shape, np.float64)
    sigmas: dict[str, float] = {}
    missing: dict[str, Rejection] = {}
    for field in sorted(fields, key=lambda one: one.name):
        try:
            sigma = _add_field(field, grid, options, total, weights)
        except BadDataError as error:
            if options.missing_field == "reject":
                raise
            logger.warning("field %s is left out: %s", field.name, error)
            file = getattr(error, "file", field.int_path)
            missing[field.name] = Rejection(field.name, "mosaic", file, f"{type(error).__name__}: {error}")
            continue
        if sigma is not None:
            sigmas[field.name] = sigma
    if not weights.any():
        reasons = "; ".join(f"{name}: {why.reason}" for name, why in missing.items()) or "none overlaps"
        raise NotInArchiveError(f"no field contributes to the mosaic ({reasons})")
    with np.errstate(invalid="ignore", divide="ignore"):
        image = (total / weights).astype(np.float32)
    image[weights == 0] = np.nan
    _blank_small_islands(image, options.min_island_px)
    if circle:
        _blank_outside_circle(image)
    weights[np.isnan(image)] = 0
    beam = Beam(BEAM_ARCSEC, BEAM_ARCSEC)
    return Mosaicked(Plane(image, grid, beam), weights.astype(np.float32), sigmas, missing)


def _add_field(
    field: FieldImages, grid: WCS, options: MosaicOptions, total: np.ndarray, weights: np.ndarray
) -> float | None:
    """Add one field to the accumulators; return its noise, or None where it does not overlap."""
    from reproject import reproject_interp

    true, app = read_plane(field.int_path), read_plane(field.app_path)
    require_same_grid(true, app, f"int and app of field {field.name}")
    if not true.beam.matches(BEAM_ARCSEC):
        raise BeamError(
            f"{field.int_path}: beam {true.beam.major_arcsec:.2f} x {true.beam.minor_arcsec:.2f} arcsec, "
            f"fields must have {BEAM_ARCSEC}"
        )
    sigma = clipped_rms(app.data, options.sigma_box_px, options.clip_sigma)
    part = _overlap(true, grid)
    if part is None:
        logger.info("field %s does not overlap", field.name)
        return None
    beam = primary_beam(app.data[part], true.data[part], options.beam_cut)
    if not beam.any():
        logger.info("field %s is below the primary beam cut everywhere on this mosaic", field.name)
        return None
    stack = np.stack([true.data[part], (beam / np.float32(sigma)) ** 2])
    planes, _ = reproject_interp((stack, true.wcs[part]), grid, grid.array_shape, order="bilinear")
    image, weight = planes
    usable = np.isfinite(image) & np.isfinite(weight) & (weight > 0)
    # scaled after reprojection, so that another scale needs no new regridding (ddf-pipeline #174)
    weight = np.where(usable, weight / field.flux_scale**2, 0)
    total += weight * np.where(usable, image * field.flux_scale, 0)
    weights += weight
    return sigma


def _overlap(plane: Plane, grid: WCS) -> tuple[slice, slice] | None:
    """The part of a field that the output grid reaches, two pixels wider."""
    ny, nx = grid.array_shape
    edge_y = np.concatenate(
        [np.linspace(-0.5, ny - 0.5, 101)] * 2 + [np.full(101, v) for v in (-0.5, ny - 0.5)]
    )
    edge_x = np.concatenate(
        [np.full(101, v) for v in (-0.5, nx - 0.5)] + [np.linspace(-0.5, nx - 0.5, 101)] * 2
    )
    x, y = plane.wcs.wcs_world2pix(*grid.wcs_pix2world(edge_x, edge_y, 0), 0)
    if not np.isfinite(x).any():
        return None
    low_y, high_y = int(np.nanmin(y)) - 2, int(np.nanmax(y)) + 3
    low_x, high_x = int(np.nanmin(x)) - 2, int(np.nanmax(x)) + 3
    rows = slice(max(low_y, 0), min(high_y, plane.data.shape[0]))
    columns = slice(max(low_x, 0), min(high_x, plane.data.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    return rows, columns


def _blank_small_islands(image: np.ndarray, min_px: int) -> None:
    """Blank connected islands of data of at most `min_px` pixels (ddf-pipeline `bad_pix_filter.py`)."""
    data = np.isfinite(image)
    labels, count = ndimage.label(data)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    image[data & (sizes <= min_px)[labels]] = np.nan


def _blank_outside_circle(image: np.ndarray) -> None:
    """Blank outside the circle inscribed in the square, as DR2 does."""
    n_px = image.shape[0]
    offset = (np.arange(n_px) + 1 - n_px / 2) ** 2
    image[offset[:, None] + offset[None, :] > (n_px / 2) ** 2] = np.nan


def mosaic_fields(
    place: Mosaic, release: str, fields: Sequence[str], products: Products, options: MosaicOptions
) -> None:
    """Make a mosaic from fetched fields and write its image and weights.

    Parameters
    ----------
    place : Mosaic
    release : {'dr2', 'dr3'}
    fields : sequence of str
        Names; a rejected field counts as missing.
    products : Products
        Where fields are read and the mosaic is written.
    options : MosaicOptions
    """
    scales = _flux_scales(options.flux_scale)
    usable, rejected = [], {}
    for name in fields:
        paths = products.field_image(name, "int"), products.field_image(name, "app")
        if rejection := next(filter(None, map(read_rejection, paths)), None):
            if options.missing_field == "reject":
                raise RejectedInputError(rejection)
            rejected[name] = rejection
        else:
            usable.append(FieldImages(name, *paths, scales.get(name, 1.0)))
    grid = mosaic_wcs(place, MOSAIC_PIXEL_ARCSEC)
    result = make_mosaic(usable, grid, options, circle=release == "dr2")
    result.missing.update(rejected)
    header = result.image.header()
    header["OBJECT"] = place.name
    copy_frequency(header, next(field.int_path for field in usable if field.name in result.sigmas))
    header.extend(
        provenance(nfields=len(result.sigmas), nmissing=len(result.missing), beamcut=options.beam_cut)
    )
    for field in usable:
        if field.name in result.sigmas:
            sigma = result.sigmas[field.name]
            header.add_history(f"field {field.name} sigma {sigma:.4e} Jy/beam, f {field.flux_scale:.4f}")
            for kind, path in (("int", field.int_path), ("app", field.app_path)):
                header.add_history(f"{kind} {sha256_of(path)}")
    for name in sorted(result.missing):
        header.add_history(f"missing {name}")
    left_out = [asdict(result.missing[name]) for name in sorted(result.missing)]
    write_json(products.left_out(place.name), {"left_out": left_out})
    write_fits(products.image(place.name), result.image.data, header)
    header["BUNIT"] = ("(Jy/beam)**-2", "sum of (primary beam / sigma)^2")
    write_fits(products.weights(place.name), result.weights, header)


def _flux_scales(path: str | None) -> dict[str, float]:
    """Factors f_i by field (in DR3, 5.9124 over the field's LoTSS/NVSS ratio)."""
    if path is None:
        return {}
    return {row["field"]: float(row["flux_scale"]) for row in read_list(path)}
