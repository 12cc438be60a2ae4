"""The table of the images that a publication shows, shaped as ObsCore 1.1 of the IVOA asks."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table

from radiounet.images.beams import read_resolution
from radiounet.images.constants import LIGHT_M_S
from radiounet.images.geometry import middle, outline, pixel_area_arcsec2, to_sky
from radiounet.images.image import StoredImage
from radiounet.images.products import Publication
from radiounet.images.tables import votable_of
from radiounet.images.words import one_line
from radiounet.measuring.fluxes import frequency_of
from radiounet.publishing.coverage import COVERAGE_ORDER
from radiounet.settings.releases import Release

COLUMNS: dict[str, tuple[type, str, str, str]] = {
    "dataproduct_type": (str, "", "meta.code.class", "Kind of the data"),
    "dataproduct_subtype": (str, "", "meta.code.class", "mask or probability"),
    "calib_level": (int, "", "meta.code;obs.calib", "Calibration level: 4, made from images"),
    "obs_collection": (str, "", "meta.id", "Data release"),
    "obs_id": (str, "", "meta.id", "Mosaic"),
    "obs_publisher_did": (str, "", "meta.ref.ivoid", "Identifier of the file"),
    "obs_title": (str, "", "meta.title;obs", "Release and mosaic, and what else its image calls its object"),
    "access_url": (str, "", "meta.ref.url", "File, from the folder of the publication"),
    "access_format": (str, "", "meta.code.mime", "Format of the file"),
    "access_estsize": (int, "kbyte", "phys.size;meta.file", "Size of the file"),
    "target_name": (str, "", "meta.id;src", "Mosaic"),
    "s_ra": (float, "deg", "pos.eq.ra", "Centre, ICRS"),
    "s_dec": (float, "deg", "pos.eq.dec", "Centre, ICRS"),
    "s_fov": (float, "deg", "phys.angSize;instr.fov", "Diameter of the image"),
    "s_region": (str, "", "pos.outline;obs.field", "Outline, ICRS"),
    "s_xel1": (int, "", "meta.number", "Columns"),
    "s_xel2": (int, "", "meta.number", "Rows"),
    "s_pixel_scale": (float, "arcsec", "phys.angSize;instr.pixel", "Side of a pixel in the middle"),
    "s_resolution": (
        float,
        "arcsec",
        "pos.angResolution",
        "Major axis of the image's own beam",
    ),
    "t_min": (float, "d", "time.start;obs.exposure", "Start (not known)"),
    "t_max": (float, "d", "time.end;obs.exposure", "End (not known)"),
    "t_exptime": (float, "s", "time.duration;obs.exposure", "Exposure (not known)"),
    "t_resolution": (float, "s", "time.resolution", "Resolution in time (not known)"),
    "t_xel": (int, "", "meta.number", "Samples in time"),
    "em_min": (float, "m", "em.wl;stat.min", "Shortest wavelength of the band"),
    "em_max": (float, "m", "em.wl;stat.max", "Longest wavelength of the band"),
    "em_res_power": (float, "", "spect.resolution", "Resolving power (not known)"),
    "em_xel": (int, "", "meta.number", "Channels"),
    "o_ucd": (str, "", "meta.ucd", "What the pixels are"),
    "pol_states": (str, "", "meta.code;phys.polarization", "Polarisation"),
    "pol_xel": (int, "", "meta.number", "Polarisations"),
    "facility_name": (str, "", "meta.id;instr.tel", "Telescope"),
    "instrument_name": (str, "", "meta.id;instr", "Instrument"),
    "owned_area": (float, "deg2", "phys.angArea", "Sky that the mosaic owns and has data of (own column)"),
}
"""Kind, unit, UCD and description of each column, in the order of ObsCore."""
PIXELS = {"mask": "meta.code;stat", "probability": "stat.probability"}


def obscore_row(
    image: StoredImage, mosaic: str, release: Release, sizes: Mapping[str, int], covered: Sequence[int]
) -> dict[str, object]:
    """What is the same for all images of a mosaic.

    Parameters
    ----------
    image : StoredImage
        That mask and map were made from.
    mosaic : str
    release : Release
    sizes : mapping of str to int
        Bytes of the published files, by name.
    covered : sequence of int
        HEALPix pixels of `radiounet.publishing.coverage.covered_healpix_pixels`.
    """
    shape = image.data.shape
    ra, dec = (float(one) for one in to_sky(image.wcs, *middle(shape)))
    corners = np.column_stack(to_sky(image.wcs, *outline(shape)))
    shortest, longest = wavelengths(frequency_of(image.header, release), release.bandwidth_mhz)
    pixel = float(np.sqrt(pixel_area_arcsec2(image.wcs, *middle(shape))))
    resolution = read_resolution(image.header, image.beam, image.path)
    about = one_line(image.header.get("OBJECT", mosaic))
    return {
        "obs_id": mosaic,
        "obs_title": f"{release.title}, {mosaic}" + (f" ({about})" if about not in ("", mosaic) else ""),
        "s_ra": ra,
        "s_dec": dec,
        "s_fov": float(max(shape) * pixel / 3600),
        "s_region": "POLYGON ICRS " + " ".join(f"{value:.6f}" for value in corners.ravel()),
        "s_xel1": shape[1],
        "s_xel2": shape[0],
        "s_pixel_scale": round(pixel, 6),
        "s_resolution": round(resolution.major_arcsec, 6),
        "em_min": shortest,
        "em_max": longest,
        "owned_area": len(covered) * 4 * np.pi * np.degrees(1) ** 2 / (12 * 4**COVERAGE_ORDER),
        "sizes": {
            "mask": sizes[Publication.mask(mosaic)],
            "probability": sizes[Publication.probability(mosaic)],
        },
    }


def wavelengths(frequency_hz: float, bandwidth_mhz: float) -> tuple[float | None, float | None]:
    """Shortest and longest wavelength of a band around a frequency, m; None where that is NaN, not known."""
    if np.isnan(frequency_hz):
        return None, None
    half_hz = 5e5 * bandwidth_mhz
    return LIGHT_M_S / (frequency_hz + half_hz), LIGHT_M_S / (frequency_hz - half_hz)


def middle_of_band(row: Mapping) -> float | None:
    """Frequency in the middle of the band of `obscore_row`, Hz; None where it is not known."""
    if row["em_min"] is None:
        return None
    return LIGHT_M_S * (1 / row["em_min"] + 1 / row["em_max"]) / 2


def obscore_table(
    rows: Sequence[Mapping], release: Release, collection_id: str, url: str | None = None
) -> Table:
    """Return the table: two rows per mosaic, its mask and its probability map.

    Parameters
    ----------
    rows : sequence of mapping
        Of `obscore_row`.
    release : Release
    collection_id : str
        What identifiers of the files begin with, ``ivo://...``.
    url : str or None
        What their addresses begin with; None for names in the folder.
    """
    full = []
    for row in sorted(rows, key=lambda one: one["obs_id"]):
        for kind in PIXELS:
            name = getattr(Publication, kind)(row["obs_id"])
            full.append(
                {
                    "dataproduct_type": "image",
                    "dataproduct_subtype": kind,
                    "calib_level": 4,
                    "obs_collection": release.collection,
                    "obs_publisher_did": f"{collection_id}/{kind}?{row['obs_id']}",
                    "access_url": f"{url or ''}{name}",
                    "access_format": "image/fits",
                    "access_estsize": -(-row["sizes"][kind] // 1024),
                    "target_name": row["obs_id"],
                    "t_xel": 1,
                    "em_xel": 1,
                    "o_ucd": PIXELS[kind],
                    "pol_states": "/I/",
                    "pol_xel": 1,
                    "facility_name": release.facility,
                    "instrument_name": release.instrument,
                    **row,
                }
            )
    empty: dict[type, object] = {str: "", float: np.nan, int: 0}
    table = Table()
    for name, (numbers, unit, ucd, text) in COLUMNS.items():
        values = [row.get(name, empty[numbers]) for row in full]
        table[name] = np.array(values, numbers if full or numbers is not str else "U1")
        table[name].unit, table[name].description = unit or None, text
        table[name].info.meta = {"ucd": ucd}
    return table


def obscore_bytes(table: Table) -> dict[str, bytes]:
    """Return the table as VOTable and as FITS, by suffix."""
    from astropy.io import fits

    stream, other = io.BytesIO(), io.BytesIO()
    votable_of(table, "Published masks and probability maps").to_xml(stream)
    hdu = fits.table_to_hdu(_ascii(table))
    hdu.name = "OBSCORE"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(other)
    return {"vot": stream.getvalue(), "fits": other.getvalue()}


def _ascii(table: Table) -> Table:
    plain = table.copy()
    for name in plain.colnames:
        if plain[name].dtype.kind == "U":
            plain[name] = np.char.encode(np.asarray(plain[name]), "ascii", "replace")
    return plain
