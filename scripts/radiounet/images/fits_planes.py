"""Which HDU of a FITS file holds the image, and which of its axes are celestial."""

import os
import re
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS

from radiounet.errors import (
    CelestialError,
    NotFitsError,
    TruncatedError,
)
from radiounet.images.headers import (
    celestial_axes,
    celestial_wcs,
    legible,
    require_sane_axes,
    require_sane_scale,
    without_blank,
)
from radiounet.images.reading import reading


def open_image(path: str | Path, beams: bool = False) -> tuple[np.ndarray, fits.Header, Table | None]:
    """First image with celestial axes, or else the first image; its header; a table BEAMS, if asked."""
    with warnings.catch_warnings(), reading(path, NotFitsError, TruncatedError):
        warnings.simplefilter("ignore", AstropyWarning)
        # opened here, since astropy leaves a file open whose first header it cannot read
        with open(path, "rb") as stream:
            source: BinaryIO = stream
            if stream.read(6) == b"SIMPLE":  # by lengths below 0 astropy goes astray before it shows them
                stream.seek(0)
                header = legible(fits.Header.fromfile(stream))
                require_sane_axes(header, path)
                require_sane_scale(header, path)
                if header.get("NAXIS") == 0 and (extension := stream.read(8)) == b"XTENSION":
                    stream.seek(-len(extension), os.SEEK_CUR)
                    header = legible(fits.Header.fromfile(stream))
                if isinstance(header.get("BLANK"), str):
                    source = without_blank(stream, stream.tell())
            source.seek(0)
            # unsigned integers as such would lose their BLANK
            with fits.open(source, uint=False) as hdus:
                return _choose(hdus, path, beams)


def _choose(
    hdus: fits.HDUList, path: str | Path, beams: bool
) -> tuple[np.ndarray, fits.Header, Table | None]:
    chosen, table = None, None
    for hdu in hdus:
        header = legible(hdu.header)
        lengths = require_sane_axes(header, path)
        if hdu.is_image and len(lengths) >= 2 and 0 not in lengths:
            better = chosen is None or not celestial_axes(chosen[1])
            if better and (chosen is None or celestial_axes(header)):
                chosen = hdu, header
        if chosen and not beams and celestial_axes(chosen[1]):
            break
        if beams and hdu.name == "BEAMS" and isinstance(hdu, fits.BinTableHDU):
            _require_whole(hdu, path)
            table = Table.read(hdu)
    if chosen is None:
        raise CelestialError(f"{path} holds no image")
    hdu, header = chosen
    require_sane_scale(header, path)
    _restore_micro(hdu, header, path)
    _require_whole(hdu, path)
    return hdu.data, header, table


def _require_whole(hdu: Any, path: str | Path) -> None:
    """Raise `TruncatedError` if the file ends inside the data of an HDU that is not compressed."""
    with open(path, "rb") as stream:
        is_plain = stream.read(6) == b"SIMPLE"
    if not is_plain or isinstance(hdu, fits.CompImageHDU):
        return
    found, expected = os.path.getsize(path), hdu.fileinfo()["datLoc"] + hdu.size
    if found < expected:
        raise TruncatedError(f"{path} is cut short: it has {found} bytes, its header says {expected}")


def _restore_micro(hdu: Any, header: fits.Header, path: str | Path) -> None:
    """Put the micro sign back into BUNIT, where astropy has question marks for what is not ASCII."""
    if "?" not in str(header.get("BUNIT", "")):
        return
    place = hdu.fileinfo()
    with open(path, "rb") as stream:
        stream.seek(place["hdrLoc"])
        raw = stream.read(place["datLoc"] - place["hdrLoc"])
    # as Latin-1 or as UTF-8, which has one more byte before it
    found = re.search(rb"BUNIT   = '\s*\xc2?\xb5(Jy[ -&(-~]*)'", raw)
    if found:
        header["BUNIT"] = "u" + found[1].decode("ascii").strip()


def celestial_plane(data: np.ndarray, header: fits.Header, path: str | Path) -> tuple[WCS, np.ndarray]:
    """WCS and pixels, ``[y, x]``, of the one celestial plane of an array with its header.

    Raises
    ------
    CelestialError
        No pair of celestial axes, or more than one plane.
    """
    axes = celestial_axes(header)
    if axes is None:
        keys = [f"CTYPE{n}" for n in range(1, data.ndim + 1)]
        if not any(key in header for key in keys):
            lacking = " and no ".join(keys[:2])
            raise CelestialError(f"{path}: its header has no {lacking}, so no place on the sky")
        kinds = [header.get(key) for key in keys]
        raise CelestialError(f"{path}: no pair of celestial axes among {kinds}")
    longitude, latitude = (data.ndim - axis for axis in axes)
    others = [axis for axis in range(data.ndim) if axis not in (longitude, latitude)]
    if any(data.shape[axis] != 1 for axis in others):
        raise CelestialError(
            f"{path}: shape {data.shape} is more than one celestial plane; cut out the one that is meant"
        )
    plane = np.transpose(data, (*others, latitude, longitude))[(0,) * len(others)]
    return celestial_wcs(header, axes, plane.shape, path), plane
