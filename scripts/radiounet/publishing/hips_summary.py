"""What stands beside the tiles of a HiPS: Allsky, properties, Moc.fits."""

from collections.abc import Container, Iterable, Mapping

import healpy
import numpy as np
from astropy.io import fits
from mocpy import MOC

from radiounet import __version__
from radiounet.images.dates import latest_date
from radiounet.images.products import HIPS_LAYERS, Publication
from radiounet.images.words import one_line
from radiounet.publishing.coverage import moc_bytes
from radiounet.publishing.hips import (
    BRIGHT_RMS,
    EMPTY,
    HALVED,
    SOFT_RMS,
    WIDTH,
    fits_bytes,
    png_bytes,
    tile_name,
)
from radiounet.publishing.hips_parts import TOP_ORDER
from radiounet.publishing.obscore import wavelengths
from radiounet.publishing.records import JobFiles
from radiounet.settings.releases import Release

ALLSKY_COLUMNS = 27
ALLSKY_WIDTH = 64
UNKNOWN_DATE = "1970-01-01T00:00Z"
"""Release date where no image says when it was made."""
TITLES = {
    "image": "image",
    "probability": "probability of diffuse emission",
    "mask": "mask of diffuse emission",
}


def allsky(publication: Publication, layer: str, files: Container[str]) -> np.ndarray:
    """Preview of all tiles of `TOP_ORDER`, ``[y, x]`` as in FITS: 27 columns, the first tile top left.

    Parameters
    ----------
    publication : Publication
    layer : str
    files : container of str
        Of the publication: a tile that is none of them is one of an earlier publication.
    """
    count = healpy.nside2npix(2**TOP_ORDER)
    rows = -(-count // ALLSKY_COLUMNS)
    whole = np.full((rows * ALLSKY_WIDTH, ALLSKY_COLUMNS * ALLSKY_WIDTH), EMPTY[layer])
    for number in range(count):
        name = f"{tile_name(layer, TOP_ORDER, number)}.fits"
        if name in files:
            row, column = rows - 1 - number // ALLSKY_COLUMNS, number % ALLSKY_COLUMNS
            y, x = row * ALLSKY_WIDTH, column * ALLSKY_WIDTH
            whole[y : y + ALLSKY_WIDTH, x : x + ALLSKY_WIDTH] = _reduced(layer, _tile(publication.at(name)))
    return whole


def _tile(path: str) -> np.ndarray:
    """Plane of a tile; of a mask with its 255, which astropy would make NaN."""
    with fits.open(path, memmap=False, do_not_scale_image_data=True) as hdus:
        plane = hdus[0].data
    return plane.astype(plane.dtype.newbyteorder("="))


def _reduced(layer: str, plane: np.ndarray) -> np.ndarray:
    while plane.shape[0] > ALLSKY_WIDTH:
        plane = HALVED[layer](plane)
    return plane


def write_summary(
    publication: Publication,
    release: Release,
    moc: MOC,
    about: Mapping,
    order: int,
    files: Container[str],
    job_files: JobFiles,
) -> None:
    """Write what stands beside the tiles of all layers.

    Parameters
    ----------
    publication : Publication
        Its tiles are there.
    release : Release
    moc : mocpy.MOC
        Coverage.
    about : mapping
        ``rms_jy``, ``date``, ``ra_deg``, ``dec_deg``, ``fov_deg``, ``frequency_hz``, ``progenitors``.
    order : int
        Finest order.
    files : container of str
        See `allsky`.
    job_files : JobFiles
    """
    for layer in HIPS_LAYERS:
        folder = Publication.hips(layer)
        plane = allsky(publication, layer, files)
        job_files.put(f"{folder}/Norder{TOP_ORDER}/Allsky.fits", fits_bytes(layer, plane))
        job_files.put(f"{folder}/Norder{TOP_ORDER}/Allsky.png", png_bytes(layer, plane, about["rms_jy"]))
        job_files.put(f"{folder}/Moc.fits", moc_bytes(moc)["fits"])
        entries = properties(layer, release, moc, about, order)
        text = "".join(f"{key:<24} = {value}\n" for key, value in entries.items())
        job_files.put(f"{folder}/properties", text.encode("utf-8"))


def publisher_id(release: Release) -> str:
    """Identifier that those of all parts of a publication begin with."""
    return f"ivo://radiounet/{release.name}"


def properties(layer: str, release: Release, moc: MOC, about: Mapping, order: int) -> dict[str, str]:
    """Entries of a file ``properties`` (HiPS 1.0, section 4.4.1), in order."""
    pixel_deg = healpy.nside2resol(2**order * WIDTH, arcmin=True) / 60
    band = {}
    if about["frequency_hz"] is not None:
        ends = wavelengths(about["frequency_hz"], release.bandwidth_mhz)
        band = {name: f"{end:.6g}" for name, end in zip(("em_min", "em_max"), ends, strict=True)}
    low, high = {
        "image": (-SOFT_RMS * about["rms_jy"], BRIGHT_RMS * about["rms_jy"]),
        "probability": (0, 1),
        "mask": (0, 1),
    }[layer]
    entries = {
        "creator_did": f"{publisher_id(release)}/{layer}",
        "obs_collection": release.collection,
        "obs_title": f"{release.title}: {TITLES[layer]}",
        "obs_description": f"Radio U-Net over {release.title}: {TITLES[layer]}; "
        "every position from the mosaic that owns it",
        "prov_progenitor": about["progenitors"],
        "obs_regime": "Radio",
        **band,
        "dataproduct_type": "image",
        "hips_version": "1.4",
        "hips_builder": f"radiounet {__version__}",
        "hips_creator": "radiounet",
        "hips_release_date": about["date"] or UNKNOWN_DATE,
        "hips_status": "public master clonableOnce",
        "hips_frame": "equatorial",
        "hips_order": order,
        "hips_order_min": TOP_ORDER,
        "hips_tile_width": WIDTH,
        "hips_tile_format": "png fits",
        "hips_pixel_bitpix": 8 if layer == "mask" else -32,
        "hips_pixel_scale": f"{pixel_deg:.6g}",
        "s_pixel_scale": f"{release.pixel_arcsec / 3600:.6g}",
        "hips_pixel_cut": f"{low:.4g} {high:.4g}",
        "hips_pixel_function": "asinh" if layer == "image" else "linear",
        # a coarser pixel of the mask is diffuse where any below it is, for which there is no word
        **({"hips_hierarchy": "mean"} if layer != "mask" else {}),
        "hips_sampling": "nearest" if layer == "mask" else "bilinear",
        "hips_initial_ra": f"{about['ra_deg']:.6f}",
        "hips_initial_dec": f"{about['dec_deg']:.6f}",
        "hips_initial_fov": f"{about['fov_deg']:.4g}",
        "moc_sky_fraction": f"{moc.sky_fraction:.6g}",
        "moc_order": moc.max_order,
    }
    return {key: one_line(value) for key, value in entries.items()}


def release_date(texts: Iterable[str]) -> str:
    """Latest of the dates in the headers of images, ``YYYY-MM-DDThh:mmZ``; '' where none is a date."""
    latest = latest_date(texts)
    return f"{latest[:16]}Z" if latest else ""
