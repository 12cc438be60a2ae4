"""Tile-compressed planes of whole numbers (Rice): the same plane has the same bytes.

Astropy's own rounding of floats falls back to gzip for parts that it cannot round, and gzip stores the time
of writing.
"""

import io
from collections.abc import Iterable

import numpy as np
from astropy.io import fits

PROBABILITY_STEP = 4e-5
"""Published probabilities are whole multiples of this: an error of 2e-5 at most. 1 is 25000, in 16 bits."""
TILE_ROWS = 16


def rounded(
    plane: np.ndarray, header: fits.Header, step: float, kind: type = np.int16, name: str = "COMPRESSED_IMAGE"
) -> fits.CompImageHDU:
    """Compress a plane of floats as multiples of a step.

    Parameters
    ----------
    plane : ndarray of float, ``[y, x]``
        NaN where there is no data.
    header : astropy.io.fits.Header
    step : float
        In the unit of the plane.
    kind : type
        ``numpy.int16`` or ``numpy.int32``; what it cannot hold becomes its largest or smallest number.
    name : str
        Of the extension.
    """
    limits = np.iinfo(kind)
    whole: np.ndarray = np.full(plane.shape, limits.min, kind)  # which is BLANK
    known = np.isfinite(plane)
    whole[known] = np.clip(np.round(plane[known].astype(float) / step), limits.min + 1, limits.max)
    header = header.copy()
    header.add_history(f"rounded to multiples of {step:g}; BLANK where there is no data")
    hdu = compressed(whole, header, name)
    hdu.header["BSCALE"], hdu.header["BZERO"] = step, 0.0
    hdu.header["BLANK"] = int(limits.min)
    return hdu


def compressed(plane: np.ndarray, header: fits.Header, name: str = "COMPRESSED_IMAGE") -> fits.CompImageHDU:
    """Compress a plane of whole numbers, ``[y, x]``."""
    tile = (min(TILE_ROWS, plane.shape[0]), plane.shape[1])
    return fits.CompImageHDU(plane, header, name=name, compression_type="RICE_1", tile_shape=tile)


def compressed_file(*hdus: fits.CompImageHDU, about: Iterable[fits.Card] = ()) -> bytes:
    """FITS file of compressed planes, with checksums that hold no date.

    Parameters
    ----------
    *hdus : CompImageHDU
    about : iterable of Card
        Of the first header.
    """
    first, stream = fits.PrimaryHDU(header=fits.Header(about)), io.BytesIO()
    fits.HDUList([first, *hdus]).writeto(stream)
    stream.seek(0)
    with fits.open(stream, disable_image_compression=True, memmap=False) as written:
        return _with_checksums(written)


def _with_checksums(hdus: fits.HDUList) -> bytes:
    """Bytes of a FITS file with CHECKSUM and DATASUM, whose comments are no dates as astropy's are."""
    for hdu in hdus:
        hdu.add_checksum(when="of the HDU")
        hdu.header.comments["DATASUM"] = "of the data unit"
        hdu.add_checksum(when="of the HDU", override_datasum=False)
    stream = io.BytesIO()
    hdus.writeto(stream)
    return stream.getvalue()
