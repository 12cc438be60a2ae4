"""Mosaicking of fields as the survey does it (ddf-pipeline `mosaic.py`).

Fields are mapped from their files and added window by window to two sums, so memory
grows neither with the number of fields nor with their size.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from skimage.morphology import remove_small_objects

from radiounet.errors import (
    AllBlankError,
    BadDataError,
    BeamCutError,
    BeamError,
    BrightnessError,
    NoOverlapError,
    NotConvergedError,
)
from radiounet.images.beams import Beam
from radiounet.images.geometry import to_sky
from radiounet.images.image import Plane, StoredImage, StoredPlane, open_plane, require_same_grid
from radiounet.images.reading import naming
from radiounet.images.rejections import Rejection
from radiounet.images.units import unit_factor
from radiounet.mosaicking.coadd import NO_SHIFTS, Coadd
from radiounet.mosaicking.facets import Facets, read_facets
from radiounet.mosaicking.flaws import Flaws, Read, Suspect, Window
from radiounet.mosaicking.kernels import primary_beam
from radiounet.settings.mosaics import MosaicOptions

logger = logging.getLogger(__name__)

CLIP_ROUNDS = 20
CLIP_TOLERANCE = 1e-6
STRIP_PX = 512


@dataclass(frozen=True)
class FieldImages:
    """One field on disk.

    Attributes
    ----------
    name : str
    int_path, app_path : str
        True-flux and apparent image.
    flux_scale : float
        Factor f_i.
    noise_path, facets_path, offsets_path, bad_path : str or None
        Noise map, and the files of `radiounet.mosaicking.facets.read_facets`.
    """

    name: str
    int_path: str
    app_path: str
    flux_scale: float = 1.0
    noise_path: str | None = None
    facets_path: str | None = None
    offsets_path: str | None = None
    bad_path: str | None = None


@dataclass(frozen=True)
class FieldUsed:
    """How a field went into a mosaic.

    Attributes
    ----------
    images : FieldImages
    rms_jy : float
        Noise, Jy/beam; of a noise map the median where the field was read.
    facets : Facets or None
    """

    images: FieldImages
    rms_jy: float
    facets: Facets | None


@dataclass
class Mosaicked:
    """A finished mosaic.

    Attributes
    ----------
    image : Plane
        Jy/beam, ``[y, x]``, NaN where no field contributes.
    weights : ndarray of float32, ``[y, x]``
        Sum of (B/rms)^2, 1/(Jy/beam)^2; 0 where no field contributes.
    used : list of FieldUsed
    missing : dict
        Fields that could not be used, and why.
    outside : dict
        Fields that have nothing to give here, and why.
    """

    image: Plane
    weights: np.ndarray
    used: list[FieldUsed]
    missing: dict[str, Rejection]
    outside: dict[str, Rejection]

    def rms(self) -> np.ndarray:
        """Noise that the weights imply, Jy/beam, float32 ``[y, x]``, NaN where no field contributes."""
        with np.errstate(divide="ignore"):
            rms = 1 / np.sqrt(self.weights)
        rms[np.isinf(rms)] = np.nan
        return rms

    def noise_ratio(self) -> float:
        """Robust noise of the image, by the median absolute deviation, over its rms map.

        1 for independent noise in the fields; above it where sources, sidelobes and
        confusion are part of the image's noise, as in every deep mosaic.
        """
        # every seventh pixel either way: more than a beam apart
        ratio = (self.image.data[::7, ::7] * np.sqrt(self.weights[::7, ::7])).ravel()
        ratio = ratio[np.isfinite(ratio)]
        return float(1.4826 * np.median(np.abs(ratio - np.median(ratio))))


def clipped_rms(image: np.ndarray, clip_rms: float) -> float:
    """Noise of an image: rms about zero of its data, clipped iteratively.

    At most 20 rounds, until the value changes by less than 1e-6.

    Raises
    ------
    NotConvergedError
        Still changing after 20 rounds, or no data.
    """
    values = image[np.isfinite(image)].astype(np.float64)
    previous = 0.0
    for _ in range(CLIP_ROUNDS):
        if values.size == 0:
            break
        rms = float(np.sqrt(np.mean(values**2)))
        if rms > 0 and abs(rms - previous) / rms < CLIP_TOLERANCE:
            return rms
        previous = rms
        values = values[np.abs(values) < clip_rms * rms]
    raise NotConvergedError(
        f"the noise of the central {' x '.join(map(str, image.shape))} px did not settle in {CLIP_ROUNDS} "
        f"rounds ({values.size} px left)"
    )


def make_mosaic(
    fields: Sequence[FieldImages],
    grid: WCS,
    options: MosaicOptions,
    outside: Callable[[slice], np.ndarray] | None = None,
    threads: int = 1,
    *,
    beam_arcsec: float,
) -> Mosaicked:
    """Combine fields on a grid: ``I = sum(w r) / sum(w)``, ``w = (B / rms)^2``.

    The result does not depend on the order in which fields are given.

    Parameters
    ----------
    fields : sequence of FieldImages
    grid : astropy.wcs.WCS
        With ``array_shape``.
    options : MosaicOptions
    outside : callable, optional
        Rows of the grid to what of them is to be blanked, bool ``[y, x]``.
    threads : int
    beam_arcsec : float
        FWHM of the round beam of every field.

    Raises
    ------
    BadDataError
        One is unusable and ``options.missing_field`` is ``reject``.
    AllBlankError
        No field contributes, or nothing is left after blanking.
    """
    coadd = Coadd(grid, threads)
    spoiled = False
    used: list[FieldUsed] = []
    missing: dict[str, Rejection] = {}
    elsewhere: dict[str, Rejection] = {}
    for field in sorted(fields, key=lambda one: one.name):
        try:
            used.append(_add_field(field, coadd, options, beam_arcsec))
        except BadDataError as error:
            nothing_here = isinstance(error, NoOverlapError | BeamCutError)
            if options.missing_field == "reject" and not nothing_here:
                raise
            logger.warning("field %s is left out: %s", field.name, error)
            file = getattr(error, "file", field.int_path)
            why = Rejection(field.name, "mosaic", file, f"{type(error).__name__}: {error}")
            (elsewhere if nothing_here else missing)[field.name] = why
            # found on the way: a part of the field is in the sums
            spoiled = spoiled or isinstance(error, BrightnessError)
    if spoiled:
        coadd = Coadd(grid, threads)
        for one in used:
            _add_field(one.images, coadd, options, beam_arcsec)
    if not used:
        reasons = "; ".join(f"{name}: {why.reason}" for name, why in (missing | elsewhere).items())
        raise AllBlankError(f"no field contributes to the mosaic ({reasons or 'none was given'})")
    image, weights = coadd.finish()
    _blank_small_islands(image, options.min_island_px)
    for start in range(0, len(image), STRIP_PX):
        rows = slice(start, start + STRIP_PX)
        if outside is not None:
            image[rows][outside(rows)] = np.nan
        weights[rows][np.isnan(image[rows])] = 0
    if not weights.any():
        raise AllBlankError(f"nothing is left of the mosaic of {', '.join(one.images.name for one in used)}")
    beam = Beam(beam_arcsec, beam_arcsec)
    return Mosaicked(Plane(image, grid, beam), weights, used, missing, elsewhere)


def _open_field(field: FieldImages, beam_arcsec: float) -> tuple[StoredImage, StoredImage]:
    """True-flux and apparent image of a field, of one grid and with that beam."""
    true, app = open_plane(field.int_path), open_plane(field.app_path)
    require_same_grid(true, app, f"int and app of field {field.name}")
    for plane in (true, app):
        if not plane.beam.matches(beam_arcsec):
            raise BeamError(
                f"{plane.path}: beam {plane.beam.major_arcsec:.2f} x {plane.beam.minor_arcsec:.2f} arcsec, "
                f"fields must have {beam_arcsec}"
            )
    return true, app


def _add_field(field: FieldImages, coadd: Coadd, options: MosaicOptions, beam_arcsec: float) -> FieldUsed:
    """Add one field to the sums."""
    true, app = _open_field(field, beam_arcsec)
    noise = _Noise(field, app, options)
    facets = None
    if field.facets_path:
        facets = read_facets(field.facets_path, true.wcs, field.offsets_path, field.bad_path)
    above_cut = False
    flaws = Flaws([Suspect(plane, plane.window) for plane in (true, app)])

    def read(window: Window) -> tuple[np.ndarray, np.ndarray]:
        nonlocal above_cut
        image, apparent = true.window(*window), app.window(*window)
        weight = primary_beam(apparent, image, options.beam_cut, options.beam_median)
        if weight.any():
            above_cut = True
            with np.errstate(over="ignore"):  # what is too bright is named below
                np.square(np.divide(weight, noise.of(window), out=weight), out=weight)
            flaws.mark(window, (image, apparent), weight)
        return image, weight

    numbers, shifts = (facets.of_pixels, facets.shifts) if facets else (None, NO_SHIFTS)

    def add(read: Read) -> tuple[int, int, int]:
        # scaled after resampling, so that another scale needs no new one (ddf-pipeline #174)
        return coadd.add(true.wcs, true.data.shape, read, field.flux_scale, numbers, shifts)

    inside, added, unusable = add(read)
    if not inside:
        raise NoOverlapError(f"{field.int_path} has no pixel on this mosaic")
    if not above_cut:
        flaws.require_weightless(add)
        raise BeamCutError(f"{field.int_path}: primary beam below {options.beam_cut} all over this mosaic")
    if unusable:
        flaws.require_unused(add)
        logger.warning("%s: its weight is infinite at %d pixels: left out", field.int_path, unusable)
    noise.require_brightness()
    if not added:
        raise AllBlankError(f"{field.int_path}: blank, without noise or in bad facets all over this mosaic")
    return FieldUsed(field, noise.typical(), facets)


class _Noise:
    """Noise of a field, Jy/beam: one number, or a map.

    Of the apparent image, which alone has the same noise everywhere; ddf-pipeline's
    `mosaic.py` measures the true-flux one, whose noise grows from the centre on.
    """

    def __init__(self, field: FieldImages, app: StoredImage, options: MosaicOptions) -> None:
        self._app = app
        self._box: list[slice] = []
        self._map: StoredPlane | None = None
        self._medians: list[float] = []
        if field.noise_path:
            self._map = open_plane(field.noise_path, brightness=False)
            require_same_grid(app, self._map, f"app and noise map of field {field.name}")
            self._factor = np.float32(unit_factor(self._map.header, field.noise_path, default="Jy/beam"))
            return
        half = options.rms_box_px // 2
        self._box = [slice(max(n // 2 - half, 0), n // 2 + half) for n in app.data.shape]
        self._medians.append(clipped_rms(app.window(*self._box), options.clip_rms))

    def require_brightness(self) -> None:
        """Raise `BrightnessError` if the noise was measured in what cannot be brightness."""
        if self._box:
            with naming(self._app.path):
                self._app.require_brightness(self._app.window(*self._box), *self._box)

    def of(self, window: Window) -> np.ndarray | np.float32:
        """Noise of a window, NaN where a map has none."""
        if self._map is None:
            return np.float32(self._medians[0])
        noise = self._factor * self._map.window(*window)
        noise[~(noise > 0)] = np.nan
        if np.isfinite(noise).any():
            self._medians.append(float(np.nanmedian(noise)))
        return noise

    def typical(self) -> float:
        """The number, or the median over the windows read."""
        return float(np.median(self._medians)) if self._medians else np.nan


def _blank_small_islands(image: np.ndarray, min_px: int) -> None:
    """Blank connected islands of data of at most `min_px` pixels (ddf-pipeline `bad_pix_filter.py`)."""
    data = np.isfinite(image)
    if not min_px or data.all():
        return
    image[data & ~remove_small_objects(data, max_size=min_px)] = np.nan


def outside_circle(n_px: int) -> Callable[[slice], np.ndarray]:
    """What lies beyond the circle in a square, which the survey blanks in DR2; for `make_mosaic`."""
    offset = (np.arange(n_px) + 1 - n_px / 2) ** 2

    def outside(rows: slice) -> np.ndarray:
        return offset[rows, None] + offset[None, :] > (n_px / 2) ** 2

    return outside


def outside_cell(
    grid: WCS, owned: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Callable[[slice], np.ndarray]:
    """What lies beyond a mosaic's cell; for `make_mosaic`.

    Parameters
    ----------
    grid : astropy.wcs.WCS
        With ``array_shape``.
    owned : callable
        ICRS positions, deg, to whether the cell holds them.
    """
    ny, nx = grid.array_shape

    def outside(rows: slice) -> np.ndarray:
        y, x = np.mgrid[rows.start : min(rows.stop, ny), :nx]
        return ~owned(*to_sky(grid, x.ravel(), y.ravel())).reshape(y.shape)

    return outside
