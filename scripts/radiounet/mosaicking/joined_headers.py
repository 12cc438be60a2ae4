"""What headers of images must have in common to be joined, and what the result has of them."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from radiounet.errors import BeamError, FrequencyError, UnitError
from radiounet.images.axes import require_total_intensity
from radiounet.images.beams import Beam, falls_between, read_beam, read_resolution
from radiounet.images.fits_planes import celestial_plane, open_image
from radiounet.images.geometry import middle, pixel_scales_arcsec
from radiounet.images.headers import frequency_hz
from radiounet.images.image import StoredPlane
from radiounet.images.resampling import beam_on
from radiounet.images.units import is_per_pixel, same_unit

logger = logging.getLogger(__name__)

FREQUENCY_TOLERANCE = 0.05
"""How far frequencies may differ: the flux density of emission with a spectral index of -1 does as much."""


def require_one_kind(headers: Mapping[str, fits.Header]) -> None:
    """Refuse images, headers by path, that mean nothing when they are joined.

    Raises
    ------
    StokesError
        One is of polarised emission.
    UnitError
        They differ in their unit, it is one per pixel, or one of them could be milli- or megajansky.
    FrequencyError
        Their frequencies differ by more than 5 %.
    """
    first, known = next(iter(headers.items()))
    for path, header in headers.items():
        require_total_intensity(header, path)
        if is_per_pixel(header):
            raise UnitError(
                f"{path} is in {header['BUNIT']!r}, which changes with the size of the pixels: "
                "convert it to Jy/beam, with weights that fit it"
            )
        if not same_unit(known, header, path):
            raise UnitError(
                f"{path} is in {header.get('BUNIT', '')!r}, {first} in {known.get('BUNIT', '')!r}: "
                "bring both to one unit, with weights that fit it"
            )
    require_one_frequency(headers)


def require_one_frequency(headers: Mapping[str, fits.Header]) -> None:
    """Raise `FrequencyError` if the frequencies of images, headers by path, differ by more than 5 %."""
    frequencies = _frequencies(headers)
    if frequencies:
        low, high = (
            min(frequencies, key=frequencies.__getitem__),
            max(frequencies, key=frequencies.__getitem__),
        )
        if frequencies[high] > (1 + FREQUENCY_TOLERANCE) * frequencies[low]:
            raise FrequencyError(
                f"{low} is of {1e-6 * frequencies[low]:.6g} MHz, {high} of "
                f"{1e-6 * frequencies[high]:.6g} MHz: images that differ by more than "
                f"{100 * FREQUENCY_TOLERANCE:g} % make no mosaic"
            )


def common_cards(headers: Mapping[str, fits.Header], grid: WCS) -> fits.Header:
    """Unit, frequency and beam on a grid of images, headers by path, that `require_one_kind` lets pass."""
    cards = fits.Header()
    unit = str(next(iter(headers.values())).get("BUNIT", "")).strip()
    if unit:
        cards["BUNIT"] = unit
    cards.update(frequency_card(headers))
    _add_beam(cards, headers, grid)
    return cards


def frequency_card(headers: Mapping[str, fits.Header]) -> dict[str, tuple[float, str]]:
    """Mean frequency of images, headers by path; none if no header has one."""
    frequencies = _frequencies(headers)
    without = sorted(set(headers) - set(frequencies))
    if without:
        taken = "the result has that of the others" if frequencies else "the result has none"
        logger.warning("no frequency in the header of %s: %s", ", ".join(without), taken)
    return {"RESTFRQ": (float(np.mean(list(frequencies.values()))), "Hz")} if frequencies else {}


def _frequencies(headers: Mapping[str, fits.Header]) -> dict[str, float]:
    """Frequencies, Hz, of those images that have one."""
    found = {path: frequency_hz(header) for path, header in headers.items()}
    return {path: value for path, value in found.items() if value}


def set_common_date(grid: WCS, images: Sequence[WCS]) -> None:
    """Give a grid the date of observation of its images, where all have the same, else none.

    The grid's own is that of another image. Call before converting positions: FK4 positions depend on the
    date.
    """
    dates = {(one.wcs.dateobs, str(one.wcs.mjdobs)) for one in images}
    grid.wcs.dateobs, mjd = dates.pop() if len(dates) == 1 else ("", "nan")
    grid.wcs.mjdobs = float(mjd)


def _add_beam(cards: fits.Header, headers: Mapping[str, fits.Header], grid: WCS) -> None:
    """Write the beam of images, and the resolution they were made with, where all have the same.

    Directions are as counted on the result's grid, whatever that of an image.
    """
    beams: dict[str, tuple[Beam, Beam]] = {}
    for path in headers:
        data, header, table = open_image(path, beams=True)
        try:
            beam = read_beam(header, table, path)
            resolution = read_resolution(header, beam, path)
        except BeamError as error:
            logger.warning("%s; the result has no beam in its header", error)
            continue
        wcs, plane = celestial_plane(data, header, path)
        stored = StoredPlane(path, plane, wcs, header)
        beams[path] = beam_on(grid, beam, stored), beam_on(grid, resolution, stored)
    _tell_of_wide_pixels(grid, {path: beam for path, (beam, _) in beams.items()})
    if len(beams) < len(headers):
        return
    first, (beam, resolution) = next(iter(beams.items()))
    for path, (other, other_resolution) in beams.items():
        if not other.is_about(beam):
            logger.warning(
                "the images differ in their beam, %s has %s, %s has %s: the result has none in its header",
                *(first, beam, path, other),
            )
            return
        if other_resolution.area_arcsec2 > resolution.area_arcsec2:
            resolution = other_resolution
    for path, (_, other) in beams.items():
        if not resolution.is_round and not other.is_about(resolution):
            logger.warning("the result has the resolution %s; that of %s is %s", resolution, path, other)
    cards.update(beam.cards())
    if not resolution.is_about(beam):
        cards.update(resolution.cards("RES", ", resolution of the coarsest image"))


def _tell_of_wide_pixels(grid: WCS, beams: Mapping[str, Beam]) -> None:
    """Warn where a beam, by path of its image, falls between pixels."""
    pixel_arcsec = pixel_scales_arcsec(grid, *middle(grid.array_shape))[0]
    path, beam = min(beams.items(), key=lambda one: one[1].minor_arcsec, default=("", None))
    if beam and falls_between(beam, pixel_arcsec):
        logger.warning(
            "the pixels of the grid, %.3g arcsec, are wider than half of the beam of %s, %s: "
            "flux densities of small sources will be wrong; take a grid of finer pixels",
            *(pixel_arcsec, path, beam),
        )
