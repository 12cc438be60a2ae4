"""The islands of a mask: measured, and cut to the cell of their mosaic."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from radiounet.images.background import background_arcmin, subtract_background
from radiounet.images.gaussian import FWHM_AREA
from radiounet.images.geometry import jacobian, to_sky
from radiounet.images.image import Plane, read_plane
from radiounet.images.noise import local_rms
from radiounet.images.origins import check_maps, mask_provenance
from radiounet.images.reading import fits_plane, reading
from radiounet.images.writing import class_extension, write_ecsv
from radiounet.measuring.columns import class_column, make_table
from radiounet.measuring.separation import separate
from radiounet.network.architectures.registry import OTHER_CLASSES
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.survey import Survey

FOOTPRINT_NSIDE = 8192


@dataclass(frozen=True)
class FluxMeasurement:
    """Integrated flux density and its error, Jy."""

    flux_jy: float
    error_jy: float


@dataclass(frozen=True)
class Island:
    """One island of a mask.

    Attributes
    ----------
    y, x : ndarray of int, ``[pixel]``
        Its pixels.
    region : int
        Number of the connected region that it is, or was cut from.
    row : dict
        What was measured; keys as in `radiounet.measuring.columns.ISLANDS`.
    """

    y: np.ndarray
    x: np.ndarray
    region: int
    row: dict[str, object]


def integrate(
    image: np.ndarray,
    rms: np.ndarray,
    plane: Plane,
    calibration_error: float,
    area: np.ndarray | float = 1.0,
) -> FluxMeasurement:
    """Flux density of pixels: ``sum(I pixel area) / beam area``.

    The error adds the noise, ``rms sqrt(number of beams)``, and the
    calibration error in quadrature (Cassano et al. 2013, eq. 1).

    Parameters
    ----------
    image, rms : ndarray, ``[pixel]``
        Brightness and local noise, Jy/beam.
    plane : Plane
        Gives the beam of the unit, and the resolution that makes pixels independent.
    calibration_error : float
        Fraction of the flux density.
    area : ndarray, ``[pixel]``, or float
        Solid angle of each pixel over that of one in the middle of the plane, see
        `Plane.relative_area`.
    """
    flux = float((image * area).sum(dtype=np.float64)) / plane.beam_area_px
    beams = max(float(np.broadcast_to(area, image.shape).sum()) / plane.resolution_area_px, 1.0)
    # rms in Jy/beam of the unit, times the beams of the unit in one independent element
    rms = rms * (plane.resolution_area_px / plane.beam_area_px)
    noise = float(np.sqrt(np.mean(np.square(rms, dtype=np.float64)) * beams))
    return FluxMeasurement(flux, float(np.hypot(noise, calibration_error * flux)))


def measure_islands(
    mask: np.ndarray,
    probability: np.ndarray,
    plane: Plane,
    options: MeasureOptions,
    classes: dict[str, np.ndarray] | None = None,
) -> list[Island]:
    """Measure every island of a mask: a connected region, or a piece that was cut from one.

    Parameters
    ----------
    mask : ndarray of uint8, ``[y, x]``
    probability : ndarray, ``[y, x]``
    plane : Plane
        The image, Jy/beam.
    options : MeasureOptions
    classes : mapping of str to ndarray of uint8, ``[y, x]``, optional
        From `read_classes`; a class that is missing is NaN in the catalogue.

    Returns
    -------
    list of Island
        From bottom to top; the position is the centroid weighted with probability. The columns
        ``mosaic`` and ``owned_fraction`` are left to `find_islands`.

    See Also
    --------
    radiounet.measuring.separation.separate : how touching objects are cut apart.
    """
    if not (mask == 1).any():
        return []
    rms = local_rms(plane.data)
    beam_px = float(np.sqrt(plane.resolution_area_px / FWHM_AREA))
    plane = replace(plane, data=subtract_background(plane.data, rms, beam_px, mask == 1))
    labels, regions = separate(mask, plane.data / rms, probability, beam_px)
    islands = []
    for index, part in enumerate(ndimage.find_objects(labels), start=1):
        y, x = np.nonzero((labels[part] == index) & np.isfinite(plane.data[part]))
        if y.size == 0:  # reference mode also predicts blank pixels
            continue
        y, x = y + part[0].start, x + part[1].start
        row = _measure(y, x, probability, plane, rms, options)
        row |= {class_column(name): _mean((classes or {}).get(name), y, x) for name in OTHER_CLASSES}
        islands.append(Island(y, x, int(regions[index - 1]), row))
    _name_parents(islands)
    return islands


def _mean(values: np.ndarray | None, y: np.ndarray, x: np.ndarray) -> float:
    return float("nan") if values is None else float(values[y, x].mean() / 255)


def read_classes(probability: str) -> dict[str, np.ndarray]:
    """Other classes in the extensions of a probability map, ``[y, x]`` uint8, 255 for a probability of 1."""
    with reading(probability), fits.open(probability, do_not_scale_image_data=True) as hdus:
        held = {hdu.name for hdu in hdus}
        return {
            name: hdus[class_extension(name)].data for name in OTHER_CLASSES if class_extension(name) in held
        }


def _name_parents(islands: Sequence[Island]) -> None:
    """Name every region after its most probable island, of equally probable ones the largest."""
    best: dict[int, object] = {}
    for one in sorted(islands, key=lambda one: (one.row["p_max"], one.row["area_arcmin2"])):
        best[one.region] = one.row["name"]
    for one in islands:
        one.row["parent"] = best[one.region]


def _measure(
    y: np.ndarray,
    x: np.ndarray,
    probability: np.ndarray,
    plane: Plane,
    rms: np.ndarray,
    options: MeasureOptions,
) -> dict[str, object]:
    chance = probability[y, x].astype(np.float64)
    centre_y, centre_x = np.average(y, weights=chance), np.average(x, weights=chance)
    ra, dec = to_sky(plane.wcs, centre_x, centre_y)
    area = plane.relative_area(y, x)
    flux = integrate(plane.data[y, x], rms[y, x], plane, options.calibration_error, area)
    # on the sky around the centroid, in pixels of the middle of the image
    across, up = jacobian(plane.wcs, centre_x, centre_y) / plane.pixel_arcsec @ [x - centre_x, y - centre_y]
    place = SkyCoord(ra, dec, unit="deg")
    latitude = float(place.galactic.b.deg)
    return {
        "name": designation(place),
        "ra_deg": float(ra),
        "dec_deg": float(dec),
        "area_arcmin2": float(area.sum()) * plane.pixel_arcsec**2 / 3600,
        "las_arcmin": largest_size_px(up, across) * plane.pixel_arcsec / 60,
        "p_mean": float(chance.mean()),
        "p_max": float(chance.max()),
        "flux_mjy": 1e3 * flux.flux_jy,
        "flux_err_mjy": 1e3 * flux.error_jy,
        "peak_sigma": float(np.max(plane.data[y, x] / rms[y, x])),
        "galactic_latitude_deg": latitude,
        "galactic": abs(latitude) < options.galactic_latitude_deg,
        "touches_edge": _touches_blank(y, x, plane.data),
    }


def _touches_blank(y: np.ndarray, x: np.ndarray, data: np.ndarray) -> bool:
    """Whether a pixel beside an island is blank, or beyond the image."""
    ny, nx = data.shape
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        near_y, near_x = y + dy, x + dx
        if near_y.min() < 0 or near_x.min() < 0 or near_y.max() >= ny or near_x.max() >= nx:
            return True
        if np.isnan(data[near_y, near_x]).any():
            return True
    return False


def designation(place: SkyCoord) -> str:
    """Name from truncated coordinates, ``RUN JHHMMSS.s+DDMMSS`` (IAU rules)."""
    ra = place.ra.to_string("hourangle", sep="", precision=4, pad=True)[:8]
    dec = place.dec.to_string("deg", sep="", precision=3, pad=True, alwayssign=True)[:7]
    return f"RUN J{ra}{dec}"


def largest_size_px(y: np.ndarray, x: np.ndarray) -> float:
    """Largest distance between two pixels of an island, plus one pixel for their extent.

    Parameters
    ----------
    y, x : ndarray, ``[pixel]``
        Along two perpendicular directions, px.
    """
    points = np.stack([y, x], axis=1).astype(float)
    if len(points) > 3:
        try:
            points = points[ConvexHull(points).vertices]
        except QhullError:  # all on one line: its ends lie farthest apart
            along = points[:, np.ptp(points, axis=0).argmax()]
            points = points[[along.argmin(), along.argmax()]]
    return 1.0 + (float(pdist(points).max()) if len(points) > 1 else 0.0)


def find_islands(
    image: str, probability: str, mask: str, survey: Survey, mosaic: str, options: MeasureOptions, target: str
) -> None:
    """Measure the islands of all connected regions that reach into a mosaic's cell.

    An island across the border of two cells is found on both mosaics; the table's
    metadata hold every island's footprint, by which
    `radiounet.measuring.duplicates.drop_duplicates` keeps one of them. Two mosaics may cut a region
    along different lines, so the pieces of a region stay together: those outside the
    cell are in the table as well, with an ``owned_fraction`` of 0.

    Raises
    ------
    OriginError
        Mask, probability map and image were not made from each other.
    """
    check_maps(image, probability, mask)
    plane = read_plane(image)
    islands = measure_islands(
        fits_plane(mask), fits_plane(probability), plane, options, read_classes(probability)
    )
    places = [to_sky(plane.wcs, one.x, one.y) for one in islands]
    owned = [float(survey.owned(mosaic, ra, dec).mean()) for ra, dec in places]
    reached = {one.region for one, part in zip(islands, owned, strict=True) if part > 0}
    kept = [number for number, one in enumerate(islands) if one.region in reached]
    rows = [islands[number].row | {"mosaic": mosaic, "owned_fraction": owned[number]} for number in kept]
    meta = mask_provenance(mask) | {
        "calibration_error": options.calibration_error,
        "background_arcmin": background_arcmin(plane.pixel_arcsec),
    }
    if survey.cells.disjoint:  # own images are not compared with each other
        meta["footprints"] = [" ".join(map(str, footprint(*places[number]))) for number in kept]
    write_ecsv(target, make_table("islands", rows, meta))


def footprint(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """HEALPix pixels (nside 8192, 26", NESTED) that positions lie in, sorted."""
    import healpy

    return np.unique(healpy.ang2pix(FOOTPRINT_NSIDE, ra_deg, dec_deg, nest=True, lonlat=True))
