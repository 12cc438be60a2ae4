"""Whether the products that a stage reads were made from each other.

Every product records what it was made from, as SHA-256. A stage compares these before it
uses two products together, so that a mask of another image or cores of another model never
end in a catalogue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from radiounet import __version__
from radiounet.errors import OriginError
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.reading import fits_header

if TYPE_CHECKING:
    from astropy.io import fits

SHARED_CARDS = ("MODEL", "MODELSHA", "CARDSHA", "IMAGESHA", "INPUTSHA", "SEGMODE", "PRECIS", "THREADS")
"""What a mask and the probability map that it was made from have in common."""


def check_maps(image: str, probability: str, mask: str) -> None:
    """Raise `OriginError` unless mask and probability map were made together, from this image."""
    there, here = fits_header(probability), fits_header(mask)
    for key in SHARED_CARDS:
        if there.get(key) != here.get(key):
            raise origin_error(
                mask, f"{mask} was not made from {probability}: {key} {here.get(key)}, not {there.get(key)}"
            )
    found = sha256_of(image)
    if here.get("IMAGESHA") != found:
        raise origin_error(
            mask,
            f"{mask} was made from another image than {image}: IMAGESHA {here.get('IMAGESHA')}, not {found}",
        )


def maps_provenance(probability: str, mask: str) -> dict[str, object]:
    """Provenance of a table made from a mask and its map, with the checksums of both."""
    return mask_provenance(mask) | {
        "mask_sha256": sha256_of(mask),
        "probability_sha256": sha256_of(probability),
    }


def mask_provenance(mask: str) -> dict[str, object]:
    """Provenance of a table made from a mask."""
    header = fits_header(mask)
    keys = (
        "MODEL",
        "MODELSHA",
        "IMAGESHA",
        "INPUTSHA",
        "SEGMODE",
        "PRECIS",
        "THRESH",
        "MINBEAMS",
    )
    made = {key.lower(): header[key] for key in keys}
    # maps of a GPU have no threads, and those of an older version no card
    made |= {key.lower(): header[key] for key in ("CARDSHA", "THREADS") if key in header}
    return {"version": __version__, "codehash": code_hash(), **made, "maskpeak": mask_peak(header)}


def mask_peak(header: fits.Header) -> float:
    """Probability that every island of a mask reaches; its threshold if an older version made it."""
    return float(header.get("MASKPEAK", header["THRESH"]))


def origin_error(path: str, text: str) -> OriginError:
    """Return the error of a product that does not belong to the others; it says what to do."""
    error = OriginError(
        f"{text}; `snakemake` makes it anew, `snakemake rerun --config only=rejected` if it was rejected, "
        f"and `snakemake --forcerun {path}` if it was damaged and kept its date"
    )
    error.file = path
    return error
