"""The columns of the catalogues, and tables with their units, UCDs and descriptions.

Tables are those of astropy and not of pandas, whose columns would lose these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table

from radiounet.errors import ConfigError
from radiounet.images.words import writable
from radiounet.network.architectures.registry import OTHER_CLASSES


@dataclass(frozen=True)
class Column:
    """One column of a catalogue."""

    kind: type
    unit: str | None
    ucd: str
    description: str
    digits: int = 3
    """After the decimal point, where a person reads it."""
    exponent: bool = False
    """Whether a person reads it as a power of ten."""


def class_column(name: str) -> str:
    """Column of the mean probability of a class."""
    return f"p_{name.lower().replace(' ', '_')}"


def _error_of(name: str, parts: str = "") -> Column:
    """Column of the error of a flux density."""
    return Column(float, "mJy", _ERROR, f"Error of {name}{parts}")


def _kpc(description: str, ucd: str = "phys.size") -> Column:
    return Column(float, "kpc", ucd, description, 1)


def _flag(description: str) -> Column:
    return Column(bool, None, "meta.code.qual", description)


_NOTES = {"artefact": ": as high in true islands as in false ones"}
_FLUX, _ERROR = "phot.flux.density;em.radio", "stat.error;phot.flux.density;em.radio"
_PARTS, _INDEX = ": noise, calibration and subtraction", ", with that of the spectral index"
_POSITION = {
    "ra_deg": Column(float, "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS", 5),
    "dec_deg": Column(float, "deg", "pos.eq.dec;meta.main", "Declination, ICRS", 5),
}
FIT = {
    "fit_ra_deg": Column(float, "deg", "pos.eq.ra;stat.fit", "Centre of the fit: right ascension, ICRS", 5),
    "fit_dec_deg": Column(float, "deg", "pos.eq.dec;stat.fit", "Centre of the fit: declination, ICRS", 5),
    "fit_i0_ujy_arcsec2": Column(
        float, "uJy / arcsec2", "phot.flux.density.sb;em.radio", "Central brightness I0 of the fit"
    ),
    "fit_i0_err_ujy_arcsec2": Column(
        float, "uJy / arcsec2", "stat.error;phot.flux.density.sb;em.radio", "Error of fit_i0_ujy_arcsec2"
    ),
    "fit_re_arcmin": Column(
        float, "arcmin", "phys.angSize", "E-folding radius of the fit, geometric mean of both axes"
    ),
    "fit_re_err_arcmin": Column(float, "arcmin", "stat.error;phys.angSize", "Error of fit_re_arcmin"),
    "fit_axis_ratio": Column(float, None, "phys.size.axisRatio", "Minor over major axis of the fit"),
    "fit_angle_deg": Column(
        float, "deg", "pos.posAng", "Position angle of the fit's major axis, north to east", 1
    ),
    "fit_flux_mjy": Column(float, "mJy", _FLUX, "Flux density of the fit to infinity, 2 pi I0 a b"),
    "fit_flux_err_mjy": _error_of("fit_flux_mjy", _PARTS),
    "fit_flux_3re_mjy": Column(float, "mJy", _FLUX, "Flux density of the fit within three e-folding radii"),
    "fit_flux_3re_err_mjy": _error_of("fit_flux_3re_mjy", _PARTS),
    "fit_chi2": Column(float, None, "stat.fit.chi2", "Chi2 of the fit per degree of freedom"),
    "fit_flag": Column(
        int,
        None,
        "meta.code.qual;stat.fit",
        "Sum of 1 not converged, 2 at a bound, 4 below 3 errors by noise, 8 chi2 above 2; -1 no fit",
    ),
}
_TAKEN_AWAY = {
    "compact_mjy": Column(float, "mJy", _FLUX, "Compact sources taken away in the island, or inside R500"),
    "compact_count": Column(int, None, "meta.number", "Number of components in compact_mjy"),
    "blanked_fraction": Column(float, None, "stat.filling", "Part filled as a resolved radio galaxy", 5),
    "compact_origin": Column(
        str, None, "meta.note", "Where the compact sources come from: image, table or high resolution"
    ),
    "extended_count": Column(
        int, None, "meta.number", "Components of the table that are too large to be compact, and were left"
    ),
}
_CLASS = {
    "class": Column(
        str, None, "meta.code.class", "cRH, cRR (candidates: no X-ray image is used), U, NDE or N/A"
    ),
    "reason": Column(str, None, "meta.note", "Why this class"),
}
_FLAGS = {
    "flag_galactic": _flag(
        "Galactic emission: by the class map in it and around it, or wide and close to the plane where the "
        "network has none"
    ),
    "flag_artefact": _flag("The island, or one of the cluster's, may be an artefact of a bright source"),
    "flag_agn": _flag("The island, or one of the cluster's, has a bright source in its middle"),
    "flag_edge": _flag("The island, or one of the cluster's, reaches the edge of the data"),
    "flag_blend": _flag("The island, or one of the cluster's, was cut from a region with other islands"),
    "flag_background": _flag("The island, or one of the cluster's, lay on a background above half the rms"),
}
_LATITUDE = {
    "galactic_latitude_deg": Column(float, "deg", "pos.galactic.lat", "Galactic latitude"),
}
_IMAGE = {
    "freq_mhz": Column(
        float, "MHz", "em.freq", "Frequency of the image, at which flux densities hold; NaN where not given"
    ),
    "beam_arcsec": Column(
        float,
        "arcsec",
        "phys.angSize;instr.beam",
        "FWHM of the resolution of the image that was measured, geometric mean of both axes",
    ),
}
ISLANDS = {
    "name": Column(str, None, "meta.id;meta.main", "Name of the island"),
    **_POSITION,
    "parent": Column(
        str, None, "meta.id.parent", "Name of the island's connected region: that of the most probable piece"
    ),
    **_CLASS,
    "area_arcmin2": Column(float, "arcmin2", "phys.angArea", "Area of the island"),
    "extent_arcmin": Column(float, "arcmin", "phys.angSize", "Largest size of the island in the mask"),
    "las_arcmin": Column(
        float, "arcmin", "phys.angSize", "Largest angular size above 3 rms of the image smoothed to two beams"
    ),
    "width_arcmin": Column(
        float,
        "arcmin",
        "phys.angSize",
        "FWHM across the long axis, from second moments of the whole, without the beam",
    ),
    "axis_ratio": Column(
        float,
        None,
        "phys.size.axisRatio",
        "Long over short axis (fit_axis_ratio: short over long), by second moments with the beam",
    ),
    "position_angle_deg": Column(
        float, "deg", "pos.posAng", "Position angle of the long axis, north to east; NaN without one", 1
    ),
    "p_mean": Column(float, None, "stat.probability;stat.mean", "Mean probability of diffuse emission"),
    "p_max": Column(float, None, "stat.probability;stat.max", "Largest probability of diffuse emission"),
    **{
        class_column(name): Column(
            float,
            None,
            "stat.probability;stat.mean",
            f"Mean probability of the class {name}{_NOTES.get(name, '')}",
        )
        for name in OTHER_CLASSES
    },
    "flux_mjy": Column(float, "mJy", _FLUX, "Diffuse flux density inside the island"),
    "flux_err_mjy": _error_of("flux_mjy", _PARTS),
    "total_flux_mjy": Column(
        float,
        "mJy",
        _FLUX,
        "Best estimate of the whole flux density: of the island and a beam around it, over held_fraction; "
        "at most 1.3 times that of a profile that fits and is not thin",
    ),
    "total_flux_err_mjy": _error_of(
        "total_flux_mjy", f"{_PARTS}, 15 % for the edge of the mask, and half of what was cut off"
    ),
    "held_fraction": Column(
        float,
        None,
        "arith.factor",
        "Part of the flux density that the island holds, by the brightness at its edge: 0.7 at least, and "
        "0.78 where compact sources outshine it",
    ),
    **FIT,
    **_TAKEN_AWAY,
    "peak_snr": Column(float, None, "stat.snr", "Brightest pixel without compact sources over the rms"),
    **_LATITUDE,
    **_FLAGS,
    **_IMAGE,
    "owned_fraction": Column(float, None, "stat.filling", "Part of the island inside the mosaic's cell"),
    "mosaic": Column(str, None, "meta.id.part", "Mosaic the island was found on"),
    "note": Column(str, None, "meta.note", "What of the settings could not be used"),
}

_LIMITS = {
    "flux_50_mjy": Column(float, "mJy", _FLUX, "Flux density at which half of the mock halos are found"),
    "flux_50_err_mjy": _error_of("flux_50_mjy"),
    "flux_90_mjy": Column(float, "mJy", _FLUX, "Flux density at which 90 % of the mock halos are found"),
    "flux_90_err_mjy": _error_of("flux_90_mjy"),
    "relic_flux_50_mjy": Column(
        float, "mJy", _FLUX, "Flux density at which half of the mock relics at R500 are found"
    ),
    "relic_flux_90_mjy": Column(
        float, "mJy", _FLUX, "Flux density at which 90 % of the mock relics at R500 are found"
    ),
    "bruno_limit_mjy": Column(
        float, "mJy", f"{_FLUX};stat.max", "Upper limit by the relation of Bruno et al. (2023)"
    ),
    "limit_trials": Column(int, None, "meta.number", "Mock halos and relics that were placed"),
    "limit_note": Column(str, None, "meta.note", "Why limits are missing, or what is special about them"),
}


def _source(kind: str) -> dict[str, Column]:
    """Columns of the halos or the relics of a cluster: sums of all that count, sizes of the brightest."""
    of_all = f"all {kind} candidates that count"
    return {
        f"{kind}_flux_mjy": Column(float, "mJy", _FLUX, f"Flux density of {of_all}"),
        f"{kind}_flux_err_mjy": _error_of(f"{kind}_flux_mjy"),
        f"{kind}_s150_mjy": Column(
            float, "mJy", "phot.flux.density;em.radio.100-200MHz", f"Flux density of {of_all}, at 150 MHz"
        ),
        f"{kind}_s150_err_mjy": _error_of(f"{kind}_s150_mjy", _INDEX),
        f"{kind}_p150_w_hz": Column(
            float,
            "W / Hz",
            "phys.luminosity;em.radio.100-200MHz",
            f"Power of {of_all}, at 150 MHz",
            exponent=True,
        ),
        f"{kind}_p150_err_w_hz": Column(
            float,
            "W / Hz",
            "stat.error;phys.luminosity;em.radio.100-200MHz",
            f"Error of {kind}_p150_w_hz{_INDEX}",
            exponent=True,
        ),
        f"{kind}_las_arcmin": Column(
            float,
            "arcmin",
            "phys.angSize",
            f"Largest angular size of the brightest {kind}, above 3 rms at two beams",
        ),
        f"{kind}_lls_kpc": _kpc(f"Largest linear size of the brightest {kind}, at the cluster's redshift"),
    }


_BRIGHTEST = "; of the brightest halo candidate"
_HALO_FIT = {name: replace(one, description=f"{one.description}{_BRIGHTEST}") for name, one in FIT.items()}
_HALO_FIT["fit_flag"] = replace(
    FIT["fit_flag"], description=f"{FIT['fit_flag'].description}, or no halo candidate{_BRIGHTEST}"
)
CLUSTERS = {
    "name": Column(str, None, "meta.id;meta.main", "Name of the cluster in the input catalogue"),
    **_POSITION,
    "redshift": Column(float, None, "src.redshift", "Redshift of the input catalogue", 4),
    "r500_arcmin": Column(float, "arcmin", "phys.angSize", "Angular R500"),
    "r500_kpc": _kpc("R500 at the cluster's redshift", "phys.size.radius"),
    "m500_msun": Column(
        float, "solMass", "phys.mass", "Mass inside R500, from R500 and redshift", exponent=True
    ),
    "mosaic": Column(str, None, "meta.id.part", "Mosaic whose cell holds the centre"),
    **_CLASS,
    "p_diffuse": Column(
        float, None, "stat.probability", "Probability of hosting detectable diffuse emission"
    ),
    "p_beam_max": Column(
        float, None, "stat.probability;stat.max", "Largest beam-averaged probability inside R500, blanks as 0"
    ),
    "mask_fraction": Column(float, None, "stat.filling", "Part of the covered aperture in the mask", 5),
    "flux_mjy": Column(float, "mJy", _FLUX, "Diffuse flux density of the cluster's own islands inside R500"),
    "flux_err_mjy": _error_of("flux_mjy", _PARTS),
    "flux_r500_mjy": Column(float, "mJy", _FLUX, "Diffuse flux density inside R500, mask or not"),
    "flux_r500_err_mjy": _error_of("flux_r500_mjy", _PARTS),
    **_source("halo"),
    "halo_count": Column(
        int, None, "meta.number", "Halo candidates that count; sizes and fit are those of the brightest"
    ),
    **_HALO_FIT,
    "halo_re_kpc": _kpc(
        "E-folding radius of the brightest halo, at the cluster's redshift", "phys.size.radius"
    ),
    "halo_re_err_kpc": _kpc("Error of halo_re_kpc, that of the fit", "stat.error;phys.size.radius"),
    **_source("relic"),
    "relic_count": Column(
        int, None, "meta.number", "Relic candidates that count; sizes and place are those of the brightest"
    ),
    "relic_width_kpc": _kpc("FWHM across the long axis of the brightest relic, without the beam"),
    "relic_distance_kpc": _kpc("Distance of the brightest relic's centroid, by brightness, from the cluster"),
    "relic_distance_r500": Column(
        float, None, "phys.size", "Distance of the brightest relic's centroid from the cluster, R500"
    ),
    "relic_tangential_deg": Column(
        float,
        "deg",
        "pos.posAng",
        "Angle between the brightest relic's long axis and the radial direction; 90 is tangential",
        1,
    ),
    **_TAKEN_AWAY,
    "island_count": Column(
        int, None, "meta.number", "Own islands on its mosaic: centred within 1.5 R500, or reaching into R500"
    ),
    "islands": Column(str, None, "meta.id.assoc", "Own islands in the catalogue of islands, NAME; ..."),
    "island_distance_arcmin": Column(
        float, "arcmin", "pos.angDistance", "Distance of the nearest masked pixel inside R500"
    ),
    "rms_ujy": Column(
        float,
        "uJy / beam",
        "stat.stdev;phot.flux.density;em.radio",
        "Median rms inside R500, per beam of the model, also where beam_arcsec is larger",
    ),
    **_IMAGE,
    "coverage": Column(float, None, "stat.filling", "Part of the aperture with data"),
    **_LATITUDE,
    **_FLAGS,
    "flag_coverage": _flag("Less than 80 % of the aperture has data, on all mosaics or on its own"),
    "flag_shared": _flag("An island reaches into R500 of this cluster and of another one"),
    "flag_r500": _flag("No table gives R500; it is assumed, see r500_arcmin"),
    **_LIMITS,
    "upper_limit_mjy": Column(
        float,
        "mJy",
        f"{_FLUX};stat.max",
        "Upper limit on a halo's flux density: flux_90_mjy where R500 has data (flag_coverage) and no mask "
        "holds anything inside it",
    ),
    "flag_upper_limit": _flag("There is an upper limit"),
    "note": Column(str, None, "meta.note", "Why not measured, what was not used, or how mosaics differ"),
    "other_names": Column(str, None, "meta.id", "Names in the other input catalogues, LIST: NAME; ..."),
}
LIMITS = {
    "name": Column(str, None, "meta.id;meta.main", "Name of the cluster in the input catalogue"),
    **_POSITION,
    "detected": Column(bool, None, "meta.code", "The mask of the cluster's mosaic holds a pixel inside R500"),
    **_LIMITS,
}
REJECTED = {
    "name": Column(str, None, "meta.id;meta.main", "Mosaic or field"),
    "stage": Column(str, None, "meta.code.class", "Stage that rejected it"),
    "file": Column(
        str,
        None,
        "meta.id;meta.file",
        "File that was at fault; if it is a product, from the folder of the run or of the region",
    ),
    "reason": Column(str, None, "meta.note", "Named error and what was found"),
}
COLUMNS = {"islands": ISLANDS, "clusters": CLUSTERS, "rejected": REJECTED}
"""Of the catalogues of a run."""
TABLES = COLUMNS | {"limits": LIMITS}
"""Of the tables of a mosaic, too."""
PAGE = "docs/reference/columns.md"
"""Page of the repository that describes every column."""


def make_table(kind: str, rows: Sequence[dict], meta: dict) -> Table:
    """Build a catalogue table with unit, UCD and description of every column.

    Parameters
    ----------
    kind : {'islands', 'clusters', 'limits', 'rejected'}
    rows : sequence of dict
        One value per column.
    meta : dict
        Provenance. Line ends and control characters become spaces in all texts.
    """
    table = Table(
        meta={key: writable(value) if isinstance(value, str) else value for key, value in meta.items()}
    )
    for name, column in TABLES[kind].items():
        values = [writable(str(row[name])) if column.kind is str else row[name] for row in rows]
        table[name] = np.array(values, dtype=column.kind if rows or column.kind is not str else "U1")
        table[name].unit = column.unit
        table[name].description = column.description
        table[name].info.meta = {"ucd": column.ucd}
    return table


EMPTY = {float: np.nan, int: 0, bool: False, str: ""}
"""What a column holds where nothing was measured."""


def number_formats(table: Table) -> dict[str, str]:
    """Format of every column of numbers, as a person reads them.

    Raises
    ------
    ConfigError
        A column that no catalogue of this version has.
    """
    known = ISLANDS | CLUSTERS | LIMITS | REJECTED
    if others := set(table.colnames) - known.keys():
        raise ConfigError(
            f"{', '.join(sorted(others))}: no columns of this version; merge the catalogue again"
        )
    chosen = {name: known[name] for name in table.colnames if known[name].kind is float}
    return {name: f"%.{one.digits}{'e' if one.exponent else 'f'}" for name, one in chosen.items()}
