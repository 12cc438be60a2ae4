"""Compact sources from elsewhere than the image itself: a table of components, or a 6" image.

Both are components on the sky. Those that are compact are drawn with the beam of the image, convolved with
their own shape; larger ones may be the diffuse emission itself, and are left and counted.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radiounet.errors import ConfigError, NoOverlapError
from radiounet.images.beams import Beam, read_beam
from radiounet.images.fits_planes import celestial_plane
from radiounet.images.geometry import middle, outline, to_pixels, to_sky
from radiounet.images.headers import legible
from radiounet.images.image import Plane, StoredPlane
from radiounet.images.noise import local_rms
from radiounet.images.products import Products
from radiounet.images.reading import whole_fits
from radiounet.images.rejections import read_rejection
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.measuring.compact import DRAWN_SIGMA, Components, fit_components
from radiounet.measuring.cutouts import (
    ComponentSource,
    MeasuredMosaic,
    NotCoveredError,
    Part,
    beam_covariance,
    centre_of,
    shape_covariance,
)
from radiounet.settings.components import ComponentTable
from radiounet.settings.config import Config
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.urls import local_path, public_text
from radiounet.survey.component_tables import ComponentList, read_components

logger = logging.getLogger(__name__)

TABLE, HIGH_RESOLUTION = "table", "high resolution"
"""Origins of components."""
COMPACT_BEAMS = 0.5
"""Largest compact component, FWHM of its long axis without the beam, in beams of the image: it widens the
beam by 12 % at most. In a beam of 20" it has 10", which is less than 90 kpc at any redshift: no halo or relic
is as small."""
BRIGHT_SNR = 10.0
"""A table that covers a part has those sources that exceed so many rms on the image, or at least half."""
COVERED = 0.95
"""Part of the pixels with data that a 6" image must show."""
STEP_PX = 4
MARGIN_DEG = 0.05
"""How far around an image components are read: their wings reach into it."""


@dataclass(frozen=True)
class CompactFiles:
    """Files that the compact sources of a mosaic come from; None where there are none.

    Attributes
    ----------
    mosaic : str
    options : ComponentTable or None
        How the table is read.
    table, high_resolution : str or None
        Table of components; cut-outs of `radiounet.measuring.high_resolution`.
    """

    mosaic: str
    options: ComponentTable | None = None
    table: str | None = None
    high_resolution: str | None = None

    @classmethod
    def of_run(cls, config: Config, products: Products, mosaic: str) -> "CompactFiles":
        """Those of a mosaic of a run."""
        files = config.compact_files(products, mosaic)
        return cls(mosaic, config.measure.components, files.get("components"), files.get("high_resolution"))

    @classmethod
    def of_image(cls, options: MeasureOptions) -> "CompactFiles":
        """Those of a single image.

        Raises
        ------
        ConfigError
            The table is not a file.
        """
        components = options.components
        if components is not None and (components.is_fetched or components.is_of_mosaic):
            raise ConfigError(f"{components.url}: the components of one image are a file: fetch it first")
        return cls("the image", components, local_path(components.url) if components else None)

    def sources(self, plane: Plane | StoredPlane) -> list[ComponentSource]:
        """What they hold of the sky of an image.

        Raises
        ------
        ConfigError, TableError, NoOverlapError
            The table cannot be used, see `radiounet.survey.component_tables.read_components`; the
            table of this mosaic has no component on it.
        UnreadableError
            The cut-outs are damaged, or not all there.
        """
        sources: list[ComponentSource] = []
        if self.options is not None and self.table is not None:
            sources.append(self._of_table(plane, self.options, self.table))
        if self.high_resolution is not None:
            rejection = read_rejection(self.high_resolution)
            why = f"no 6 arcsec image: {rejection.reason}" if rejection else ""
            sources.append(_Nothing(why) if rejection else HighResolution(self.high_resolution))
        return sources

    def _of_table(self, plane: Plane | StoredPlane, options: ComponentTable, table: str) -> ComponentSource:
        if options.is_of_mosaic and not Path(table).is_file():
            return _Nothing(f"there is no table of components {Path(table).name}")
        if options.is_fetched and (rejection := read_rejection(table)):
            return _Nothing(f"no table of components: {rejection.reason}")
        found = read_components(table, options, _disc(plane))
        if not len(found):
            text = f"{table} has no component on {self.mosaic}: it is of another part of the sky"
            if options.is_of_mosaic:
                error = NoOverlapError(f"{text}; give the table of this mosaic, or none")
                error.file = table
                raise error
            logger.warning("%s", text)
        else:
            logger.info("%s has %d components on %s", table, len(found), self.mosaic)
        return TableOfComponents(found)

    def provenance(self) -> dict[str, object]:
        """Metadata of a table that was measured with these."""
        found: dict[str, object] = {}
        if self.options is not None:
            found["components"] = public_text(self.options.url)
        if self.high_resolution is not None:
            found["high_resolution"] = "around clusters"
        return found


def _disc(plane: Plane | StoredPlane) -> tuple[float, float, float]:
    """Centre and radius, deg, of the sky that an image shows, and `MARGIN_DEG` around."""
    ra, dec = (float(one) for one in to_sky(plane.wcs, *middle(plane.data.shape)))
    border = unit_vectors(*to_sky(plane.wcs, *outline(plane.data.shape, steps=8)))
    far = separation_deg(unit_vectors(ra, dec), border)
    return ra, dec, 180.0 if np.isnan(far).any() else float(far.max()) + MARGIN_DEG


@dataclass(frozen=True)
class _Nothing:
    """A source that could not be had."""

    why: str

    def components(self, mosaic: MeasuredMosaic, part: Part, found: Components) -> Components:
        """Raises `NotCoveredError`."""
        raise NotCoveredError(self.why)


@dataclass(frozen=True)
class TableOfComponents:
    """Components of a table."""

    listed: ComponentList

    def components(self, mosaic: MeasuredMosaic, part: Part, found: Components) -> Components:
        """Compact components of a part; raises `NotCoveredError` where the table seems not to cover it.

        A table does not say which sky it covers: it does where it has a component, and has one, of any
        size, at half or more of the sources that exceed `BRIGHT_SNR` on the image. What it lacks is in
        the note.
        """
        placed = _Placed.of(mosaic, part, self.listed)
        if not placed.inside.any():
            raise NotCoveredError("the table of components has none here")
        rms = mosaic.rms[part]
        places = np.rint(found.places).astype(int)
        bright = np.flatnonzero(found.peak > BRIGHT_SNR * rms[places[0], places[1]])
        reach = np.maximum(placed.major_px, mosaic.beam_px)
        apart = np.hypot(found.y[bright, None] - placed.y, found.x[bright, None] - placed.x)
        lacks = int((apart > reach).all(axis=1).sum())
        text = f"the table of components lacks {lacks} of {len(bright)} sources above {BRIGHT_SNR:g} rms"
        if 2 * lacks > len(bright):
            raise NotCoveredError(text)
        return placed.components(TABLE, text if lacks else "")


@dataclass(frozen=True)
class _Placed:
    """Components on a part of a mosaic, arrays ``[component]``; positions from its corner, px."""

    mosaic: MeasuredMosaic
    part: Part
    listed: ComponentList
    y: np.ndarray
    x: np.ndarray

    @classmethod
    def of(cls, mosaic: MeasuredMosaic, part: Part, listed: ComponentList) -> "_Placed":
        """Those whose beam reaches into a part."""
        plane = mosaic.plane
        x, y = to_pixels(plane.wcs, listed.ra_deg, listed.dec_deg)
        y, x = y - part[0].start, x - part[1].start
        margin = 2 * DRAWN_SIGMA * mosaic.beam_px
        near = (y > -margin) & (y < part[0].stop - part[0].start + margin)
        near &= (x > -margin) & (x < part[1].stop - part[1].start + margin)
        return cls(mosaic, part, listed[near], y[near], x[near])

    @property
    def inside(self) -> np.ndarray:
        """Which of them lie on the part."""
        sides = [one.stop - one.start for one in self.part]
        return (self.y >= 0) & (self.x >= 0) & (self.y <= sides[0] - 1) & (self.x <= sides[1] - 1)

    @property
    def major_px(self) -> np.ndarray:
        """Their long axes without the beam, px."""
        return self.listed.major_arcsec / self.mosaic.plane.pixel_arcsec

    def components(self, origin: str, note: str = "") -> Components:
        """Those that are compact as components of the part, the brightest first."""
        plane, listed = self.mosaic.plane, self.listed
        beam = plane.made_with
        limit = COMPACT_BEAMS * beam.mean_arcsec
        compact = np.flatnonzero(listed.major_arcsec <= limit)
        compact = compact[np.argsort(-listed.flux_jy[compact], kind="stable")]
        centre = centre_of(self.part)
        covariance = beam_covariance(plane, *centre)
        axes = np.stack([listed.major_arcsec, listed.minor_arcsec, listed.angle_deg], axis=-1)[compact]
        own = [shape_covariance(plane, centre[0], centre[1], Beam(*one)) for one in axes.tolist()]
        shapes = covariance + np.array(own).reshape(-1, 2, 2)
        # of 1 Jy, per beam of the unit
        share = plane.beam.area_arcsec2 / beam.area_arcsec2
        share = share * np.sqrt(np.linalg.det(covariance) / np.linalg.det(shapes))
        large = self.inside & (listed.major_arcsec > limit)
        return Components(
            self.y[compact],
            self.x[compact],
            listed.flux_jy[compact] * share,
            listed.error_jy[compact] * share,
            covariance,
            shapes,
            origin,
            np.stack([self.y[large], self.x[large]]),
            note,
        )


@dataclass(frozen=True)
class _Shown:
    """One cut-out of a 6" image."""

    plane: Plane

    def share(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> float:
        """Part of some positions at which there is data."""
        x, y = to_pixels(self.plane.wcs, ra_deg, dec_deg)
        ny, nx = self.plane.data.shape
        on = (x > -0.5) & (y > -0.5) & (x < nx - 0.5) & (y < ny - 0.5)
        rows, columns = np.rint(y[on]).astype(int), np.rint(x[on]).astype(int)
        return float(np.isfinite(self.plane.data[rows, columns]).sum() / max(len(on), 1))

    def fitted(self) -> ComponentList:
        """Compact sources of the image, as on the 20" image; they are points."""
        plane = self.plane
        whole = slice(0, plane.data.shape[0]), slice(0, plane.data.shape[1])
        covariance = beam_covariance(plane, *centre_of(whole))
        found = fit_components(plane.data, local_rms(plane.data), covariance)
        ra, dec = to_sky(plane.wcs, found.x, found.y)
        zero = np.zeros_like(found.peak)
        return ComponentList(ra, dec, found.peak, found.error, zero, zero, zero)


class HighResolution:
    """Compact sources of a 6" image around clusters.

    Parameters
    ----------
    path : path
        From `radiounet.measuring.high_resolution.fetch_high_resolution`.

    Raises
    ------
    UnreadableError
        The file is damaged, or not whole.
    """

    def __init__(self, path: str | Path):
        self._shown: list[_Shown] = []
        self._reasons: list[str] = []
        self._fitted: dict[int, ComponentList] = {}
        with whole_fits(path) as hdus:
            for hdu in hdus[1:]:
                if hdu.data is None:
                    self._reasons.append(f"{hdu.header['CLUSTER']}: {hdu.header['REASON']}")
                    continue
                header = legible(hdu.header)
                wcs, data = celestial_plane(hdu.data, header, path)
                native = data.astype(np.float32)
                self._shown.append(_Shown(Plane(native, wcs, read_beam(header, None, path))))

    def components(self, mosaic: MeasuredMosaic, part: Part, found: Components) -> Components:
        """Compact sources of a part; raises `NotCoveredError` unless one cut-out shows `COVERED` of it."""
        rows, columns = np.nonzero(np.isfinite(mosaic.plane.data[part][::STEP_PX, ::STEP_PX]))
        places = to_sky(mosaic.plane.wcs, part[1].start + STEP_PX * columns, part[0].start + STEP_PX * rows)
        shares = [one.share(*places) for one in self._shown]
        best = int(np.argmax(shares)) if shares else -1
        if not shares or shares[best] < COVERED:
            shown = 100 * shares[best] if shares else 0.0
            text = f"the 6 arcsec image shows {shown:.0f} % of what is measured here"
            raise NotCoveredError("; ".join([text, *self._reasons]))
        if best not in self._fitted:
            self._fitted[best] = self._shown[best].fitted()
        return _Placed.of(mosaic, part, self._fitted[best]).components(HIGH_RESOLUTION)
