"""Headers as files have them: what of one can be trusted, and the coordinates it gives."""

import io
import logging
import re
import warnings
from pathlib import Path
from typing import BinaryIO, TypeGuard

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS
from astropy.wcs.wcs import NoConvergence

from radiounet.errors import BrightnessError, CelestialError, GridError, TruncatedError
from radiounet.images.axes import AXIS_KIND, axis_value, spreads
from radiounet.images.geometry import (
    FK4_BEFORE,
    centre_cylinder,
    frame_of,
    middle,
    pixel_scales_arcsec,
    to_sky,
)
from radiounet.images.words import printable

logger = logging.getLogger(__name__)

MOST_PIXELS = 2**31
SCALES_ARCSEC = 1e-3, 3600.0
"""Pixel scales beyond these belong to no image of the radio sky."""
FARTHEST_LONGITUDE_DEG = 720.0
KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
LONGITUDE, LATITUDE = re.compile(r"(RA--|.LON)-"), re.compile(r"(DEC-|.LAT)-")
SKY_CARDS = ("LONPOLE", "LATPOLE", "RADESYS", "RADECSYS", "EQUINOX", "EPOCH", "MJD-OBS", "DATE-OBS")
SIP = re.compile(r"([AB])(P?_)(ORDER|DMAX|(\d+)_(\d+))")
PROJECTION = re.compile(r".{4}-(...)(-.*)?")
DISTORTIONS = "CPDIS{}", "CQDIS{}", "D2IMDIS{}", "AXISCORR"
"""Cards that name a distortion of an axis: by a table or a formula (FITS paper IV), or of a detector."""
INDEXED = re.compile(r"(PC|CD|PV)(?:(\d+)_(\d+)|(\d{3})(\d{3}))")
YEAR = re.compile(r"([BJ]?)\s*(\d{4}(?:\.\d*)?)")
HERTZ = re.compile(r"([kMG]?)(?:Hz|Hertz)", re.IGNORECASE)
HERTZ_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
MATRIX_TOLERANCE = 1e-3
"""How far two matrices of the same pixels may differ, relative to the largest term."""
FREQUENCY_AXES = re.compile(r"FREQ.*|SPECLNMF")
"""Kinds of an axis of frequency; the second is Obit's, of a plane per coefficient or channel (MGCLS)."""
FREQUENCIES_HZ = 1e6, 1e13
FREQUENCY_TOLERANCE = 0.01


def legible(header: fits.Header) -> fits.Header:
    """Copy of a header in which every card can be read.

    The first card of a keyword counts, and ``PC01_02`` is ``PC1_2``. What is no FITS value (``NaN``,
    a number gone wrong) becomes text, what is not printable a question mark; comments are left out.
    """
    clean = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        for card in header.cards:
            keyword = _with_plain_indices(card.keyword)
            if not KEYWORD.fullmatch(keyword) or keyword in ("COMMENT", "CONTINUE", "END"):
                continue
            value = _value(card)
            if keyword == "HISTORY":
                clean.add_history(printable(str(value)))
            elif keyword not in clean and not isinstance(value, fits.card.Undefined | None):
                clean[keyword] = printable(value) if isinstance(value, str) else value
    return clean


def _with_plain_indices(keyword: str) -> str:
    """``PC1_2`` for ``PC01_02`` and ``PC001002``; likewise of CD and PV."""
    if not (found := INDEXED.fullmatch(keyword)):
        return keyword
    first, second = (int(index) for index in found.groups()[1:] if index)
    return f"{found[1]}{first}_{second}"


def _value(card: fits.Card) -> object:
    try:
        value = card.value
    except (fits.VerifyError, ValueError, TypeError):
        value = _raw(card)
    # NaN and infinity have no place in a header, nor in the copy of one
    return str(value) if isinstance(value, float | complex) and not np.isfinite(value) else value


def _raw(card: fits.Card) -> str:
    """What stands in a card, where that is no FITS value."""
    try:
        return card.image[10:].split("/")[0].strip(" '")
    except (fits.VerifyError, ValueError, TypeError):  # not even text
        return "not readable"


def require_sane_axes(header: fits.Header, path: str | Path) -> tuple[int, ...]:
    """Lengths of the axes, as NAXIS has them; empty where there is no data.

    Raises
    ------
    TruncatedError
        A length that is none.
    GridError
        More pixels than can be meant.
    """
    count = header.get("NAXIS", 0)
    lengths = []
    for number in range(1, count + 1):
        length = header.get(f"NAXIS{number}")
        if isinstance(length, bool) or not isinstance(length, int) or length < 0:
            raise TruncatedError(f"{path} is damaged: NAXIS{number} is {length!r}")
        lengths.append(length)
    if np.prod(lengths, dtype=float) > MOST_PIXELS:
        raise GridError(f"{path} claims {' x '.join(map(str, lengths))} pixels, more than 2^31")
    return tuple(lengths)


def require_sane_scale(header: fits.Header, path: str | Path) -> None:
    """Raise `BrightnessError` unless what scales the numbers of an image is a number itself."""
    for key in ("BSCALE", "BZERO"):
        if key in header and not is_number(header[key]):
            raise BrightnessError(f"{path}: {key} is {header[key]!r}, not a finite number")
    if isinstance(header.get("BLANK"), str) and header.get("BITPIX", 0) > 0:
        raise BrightnessError(f"{path}: BLANK is {header['BLANK']!r}; among integers it must be one")


def without_blank(stream: BinaryIO, end: int) -> BinaryIO:
    """Copy of a file in which the card BLANK of its first header, which ends at a byte, is empty.

    Among floating-point numbers BLANK means nothing, but astropy takes a file for corrupt where it is
    no FITS value, such as ``NaN`` without quotes.
    """
    stream.seek(0)
    content = bytearray(stream.read())
    for at in range(0, end, fits.card.CARD_LENGTH):
        if content[at : at + 9] == b"BLANK   =":
            content[at : at + fits.card.CARD_LENGTH] = b" " * fits.card.CARD_LENGTH
    return io.BytesIO(content)


def celestial_axes(header: fits.Header) -> tuple[int, int] | None:
    """Numbers of the axes of longitude and latitude, from 1; None unless there is one of each."""
    kinds = {n: str(header.get(f"CTYPE{n}", "")) for n in range(1, header.get("NAXIS", 0) + 1)}
    found = [[n for n, kind in kinds.items() if which.match(kind)] for which in (LONGITUDE, LATITUDE)]
    return (found[0][0], found[1][0]) if [len(one) for one in found] == [1, 1] else None


def celestial_wcs(
    header: fits.Header, axes: tuple[int, int], shape: tuple[int, int], path: str | Path
) -> WCS:
    """Two-dimensional WCS of the celestial axes, longitude first.

    Built from their cards alone, so that nothing of a frequency or Stokes axis can spoil it.

    Parameters
    ----------
    header : astropy.io.fits.Header
        From `legible`.
    axes : (int, int)
        From `celestial_axes`.
    shape : (int, int)
        Of the plane, ``[y, x]``.
    path : path
        For messages.

    Raises
    ------
    CelestialError
        A card is missing or no number, the coordinates put the image nowhere on the sky, or have another
        distortion than SIP or TPV.
    """
    _require_known_distortion(header, axes, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            wcs = WCS(_sky_header(header, axes))
            wcs.wcs.set()
        if not wcs.has_celestial or (wcs.wcs.lng, wcs.wcs.lat) != (0, 1):
            raise CelestialError(f"no pair of celestial axes among {list(wcs.wcs.ctype)}")
        if abs(wcs.wcs.crval[0]) > FARTHEST_LONGITUDE_DEG:
            raise CelestialError(f"CRVAL{axes[0]} is {wcs.wcs.crval[0]:g} deg")
        wcs.wcs.crval = [wcs.wcs.crval[0] % 360, wcs.wcs.crval[1]]
        wcs.wcs.set()
        centre_cylinder(wcs, shape)
        _require_place(wcs, shape)
    except CelestialError as error:
        raise CelestialError(f"{path}: its coordinates mean no place on the sky: {error}") from None
    except (ValueError, KeyError, TypeError, ArithmeticError, MemoryError, NoConvergence) as error:
        # wcslib's errors are ValueErrors of several lines
        text = " ".join(str(error).split())
        raise CelestialError(f"{path}: its coordinates cannot be read: {text}") from error
    wcs.array_shape = shape
    return wcs


def _require_known_distortion(header: fits.Header, axes: tuple[int, int], path: str | Path) -> None:
    for axis in axes:
        kind = str(header[f"CTYPE{axis}"]).strip()
        found = PROJECTION.fullmatch(kind)
        if found and (found[1] in ("TNX", "ZPX") or found[2] not in (None, "-SIP")):
            card, value = f"CTYPE{axis}", kind
        else:
            keys = (key.format(axis) for key in DISTORTIONS)
            card = next((key for key in keys if _names_distortion(header.get(key))), "")
            value = header.get(card)
        if card:
            raise CelestialError(
                f"{path}: {card} {value!r} is a distortion that is not understood: bring the image to a grid "
                "without distortion, or with that of SIP or TPV"
            )


def _names_distortion(value: object) -> bool:
    return str(value or "").strip().upper() not in ("", "NONE")


def _sky_header(header: fits.Header, axes: tuple[int, int]) -> fits.Header:
    sky = fits.Header([("NAXIS", 2)])
    matrix = _matrix_kind(header, axes)
    for new, old in enumerate(axes, start=1):
        for key in ("CTYPE", "CUNIT"):
            if f"{key}{old}" in header:
                sky[f"{key}{new}"] = str(header[f"{key}{old}"])
        for key in ("CRVAL", "CRPIX", *(("CDELT",) if matrix == "PC" else ())):
            sky[f"{key}{new}"] = _number(header, f"{key}{old}")
        if f"CROTA{old}" in header:
            sky[f"CROTA{new}"] = _number(header, f"CROTA{old}")
        for number in range(100):
            if (key := f"PV{old}_{number}") in header:
                sky[f"PV{new}_{number}"] = _number(header, key)
        for new_other, old_other in enumerate(axes, start=1):
            if (key := f"{matrix}{old}_{old_other}") in header:
                sky[f"{matrix}{new}_{new_other}"] = _number(header, key)
        for other in set(range(1, header["NAXIS"] + 1)) - set(axes):
            for key in (f"{kind}{i}_{j}" for kind in ("CD", "PC") for i, j in ((old, other), (other, old))):
                if header.get(key, 0) != 0:
                    raise CelestialError(f"{key} mixes the celestial axes with another")
    kind = str(header[f"CTYPE{axes[0]}"])
    for key in SKY_CARDS:
        if key in header and (value := _sky_value(header, key, kind)) is not None:
            sky[key] = value
    for key in header:
        if found := SIP.fullmatch(key):
            axis, inverse, term, p, q = found.groups()
            if axes[0] > axes[1]:  # the distortion of the other axis, by the powers of the other
                axis, term = "AB"[axis == "A"], f"{q}_{p}" if p else term
            sky[f"{axis}{inverse}{term}"] = _number(header, key)
    if abs(sky["CRVAL2"]) > 90 and str(sky.get("CUNIT2", "deg")).strip().lower().startswith("deg"):
        raise CelestialError(f"CRVAL{axes[1]} is {sky['CRVAL2']:g}, a latitude beyond 90 deg")
    return sky


def _sky_value(header: fits.Header, key: str, kind: str) -> str | float | None:
    """What a card of `SKY_CARDS` says; None where it says nothing that longitudes of a kind need."""
    if key == "DATE-OBS":
        return str(header[key])
    if key in ("RADESYS", "RADECSYS"):
        return str(header[key]).strip().upper()
    if key in ("EQUINOX", "EPOCH"):
        return _equinox(header, key, kind)
    if key == "MJD-OBS" and not is_number(header[key]):
        return None
    return _number(header, key)


def _equinox(header: fits.Header, key: str, kind: str) -> float | None:
    """Year of an equinox, which some write as text, ``J2000``."""
    system = str(header.get("RADESYS", header.get("RADECSYS", ""))).strip().upper()
    if kind[:4] in ("GLON", "SLON") or system == "ICRS":
        return header[key] if is_number(header[key]) else None
    year = YEAR.fullmatch(str(header[key]).strip().upper())
    if isinstance(header[key], str) and year:
        # without a system the year says which it is
        usual = "B" if float(year[2]) < FK4_BEFORE else "J"
        if system or year[1] in ("", usual):
            return float(year[2])
    return _number(header, key)


def _matrix_kind(header: fits.Header, axes: tuple[int, int]) -> str:
    """Which matrix gives the linear terms: CD, or else PC, with CDELT.

    Raises
    ------
    CelestialError
        Both are there, against the standard, and differ.
    """
    found = {kind: [[_term(header, f"{kind}{i}_{j}") for j in axes] for i in axes] for kind in ("CD", "PC")}
    there = {kind: any(one is not None for row in rows for one in row) for kind, rows in found.items()}
    if not there["CD"]:
        return "PC"
    if there["PC"]:
        steps = [_number(header, f"CDELT{i}") if f"CDELT{i}" in header else 1.0 for i in axes]
        given = np.array([[one or 0.0 for one in row] for row in found["CD"]])
        other = np.diag(steps) @ [
            [float(i == j) if one is None else one for j, one in enumerate(row)]
            for i, row in enumerate(found["PC"])
        ]
        if np.abs(given - other).max() > MATRIX_TOLERANCE * np.abs(given).max():
            raise CelestialError("its CDi_j and its PCi_j are both there, and differ")
    return "CD"


def _term(header: fits.Header, key: str) -> float | None:
    return _number(header, key) if key in header else None


def _number(header: fits.Header, key: str) -> float | int:
    if key not in header:
        raise CelestialError(f"there is no {key}")
    value = header[key]
    if not is_number(value):
        raise CelestialError(f"{key} is {value!r}, not a finite number")
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Whether the value of a card is a finite number, be it an integer."""
    return not isinstance(value, bool) and isinstance(value, int | float) and bool(np.isfinite(float(value)))


def _require_place(wcs: WCS, shape: tuple[int, int]) -> None:
    """Raise `CelestialError` unless the middle of an image lies on the sky, with pixels of some size."""
    frame_of(wcs)
    if abs(wcs.wcs.crval[1]) > 90 or not np.isfinite(wcs.wcs.crval).all():
        raise CelestialError(f"its reference lies at latitude {wcs.wcs.crval[1]:g} deg")
    place = middle(shape)
    linear = wcs.pixel_scale_matrix @ (np.array(place) + 1 - wcs.wcs.crpix)
    if not np.isfinite(linear).all() or np.hypot(*linear) > 360:
        raise CelestialError(
            f"its middle lies {np.hypot(*linear):.3g} deg from the reference pixel, {list(wcs.wcs.crpix)}"
        )
    longitude, latitude = to_sky(wcs, *place)
    if not (np.isfinite(longitude) and np.isfinite(latitude)):
        raise CelestialError("its middle is off the sky")
    longest, shortest = pixel_scales_arcsec(wcs, *place)
    if not SCALES_ARCSEC[0] <= shortest <= longest <= SCALES_ARCSEC[1]:
        raise CelestialError(f"its pixels measure {longest:.3g} x {shortest:.3g} arcsec")


def frequency_hz(header: fits.Header) -> float | None:
    """Frequency of a plane, Hz; None where the header has none that can be one.

    The frequency axis comes first, since RESTFRQ may be that of a spectral line, or
    what a program wrote by default; then RESTFRQ, then RESTFREQ. Where they disagree by
    more than 1 % the log says so. An axis along which the frequency varies over the image by more than
    1 % is left out.

    Parameters
    ----------
    header : astropy.io.fits.Header
        From `legible`.
    """
    # an axis that was taken out of the data leaves its cards behind
    axes = [
        found[1]
        for key in header
        if (found := AXIS_KIND.fullmatch(key)) and FREQUENCY_AXES.fullmatch(str(header[key]).strip())
    ]
    given = {f"CRVAL{n}": value for n in axes if (value := _axis_hz(header, n)) is not None}
    given |= {key: header[key] for key in ("RESTFRQ", "RESTFREQ") if key in header}
    known = {key: float(value) for key, value in given.items() if _is_frequency(value)}
    for key in sorted(set(given) - set(known)):
        if given[key] != 0:  # 0 is how programs write that there is none
            logger.warning("%s is %r, no frequency in Hz: left out", key, given[key])
    if not known:
        return None
    key, value = next(iter(known.items()))
    others = {k: v for k, v in known.items() if abs(v / value - 1) > FREQUENCY_TOLERANCE}
    if others:
        logger.warning("the frequency is taken from %s, %g Hz; the header also has %s", key, value, others)
    return value


def _axis_hz(header: fits.Header, axis: str) -> object:
    """Frequency of an axis, Hz; what stands there if that is none, None where it varies over the image."""
    value = header.get(f"CRVAL{axis}", "missing")
    try:
        unit = str(header.get(f"CUNIT{axis}", "Hz")).strip() or "Hz"
        hertz = HERTZ.fullmatch(unit)  # in capitals, too
        factor = HERTZ_PREFIXES[hertz[1].lower()] if hertz else u.Unit(unit).to(u.Hz)
        middle_value = axis_value(header, axis)
        spread = spreads(header, axis)
    except (TypeError, ValueError, OverflowError):
        return value
    if sum(spread.values()) > FREQUENCY_TOLERANCE * abs(middle_value):
        cards = ", ".join(spread)
        logger.warning("the frequency of axis %s varies over the image (%s): left out", axis, cards)
        return None
    return float(middle_value * factor)


def _is_frequency(value: object) -> TypeGuard[float]:
    low, high = FREQUENCIES_HZ
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
