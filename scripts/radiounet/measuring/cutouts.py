"""Parts of a mosaic as they are measured: without background, compact sources and radio galaxies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy import ndimage
from skimage.morphology import disk

from radiounet.images.background import subtract_background
from radiounet.images.beams import Beam, beam_jacobian
from radiounet.images.gaussian import FWHM_AREA
from radiounet.images.geometry import jacobian, middle, pixel_area_arcsec2
from radiounet.images.image import Plane, read_plane
from radiounet.images.noise import local_rms
from radiounet.images.reading import fits_plane
from radiounet.measuring.compact import LEVEL_BEAMS, SHARP_SNR, Components, fit_components, is_sharp
from radiounet.measuring.running_median import NOTHING, masked_median
from radiounet.measuring.separation import separate
from radiounet.network.class_maps import read_classes
from radiounet.survey.survey import join_notes

Part = tuple[slice, slice]

MARGIN_BEAMS = 10.0
"""What a cut-out shows around an island, for the level of its surroundings and for fits."""
WINGS_BEAMS = 0.5
RADIO_GALAXY = "radio galaxy"
PROBABLE = 127
"""Of 255."""


class NotCoveredError(Exception):
    """Why components from elsewhere cannot be used for a part of an image."""


class ComponentSource(Protocol):
    """Compact sources from elsewhere than the image; see `radiounet.measuring.components`."""

    def components(self, mosaic: "MeasuredMosaic", part: Part, found: Components) -> Components:
        """Those of a part of a mosaic, on which `found` were found; or raises `NotCoveredError`."""


class ComponentFiles(Protocol):
    """Files that a mosaic's compact sources come from."""

    def sources(self, plane: Plane) -> Sequence[ComponentSource]:
        """What they hold of the sky of an image; the first that covers a part is used."""


@dataclass(frozen=True)
class MeasuredMosaic:
    """A mosaic above its background, with its mask cut into islands; planes ``[y, x]``.

    Attributes
    ----------
    plane : Plane
        Jy/beam, above the background.
    level : ndarray of float32
        What was taken away, Jy/beam.
    rms : ndarray of float32
        Jy/beam.
    probability : ndarray of float32
        0..1, NaN where there is no data.
    mask : ndarray of uint8
        0 no, 1 diffuse, 255 no data.
    classes : mapping of str to ndarray of uint8
        Other classes that the network tells, 255 for a probability of 1.
    sources : sequence of ComponentSource
        Compact sources from elsewhere than the image.
    """

    plane: Plane
    level: np.ndarray
    rms: np.ndarray
    probability: np.ndarray
    mask: np.ndarray
    classes: Mapping[str, np.ndarray] = field(default_factory=dict)
    sources: Sequence[ComponentSource] = ()

    @classmethod
    def of(
        cls,
        plane: Plane,
        probability: np.ndarray,
        mask: np.ndarray,
        classes: Mapping[str, np.ndarray] | None = None,
        compact: ComponentFiles | None = None,
    ) -> "MeasuredMosaic":
        """Take the background of an image away, and measure its noise."""
        rms = local_rms(plane.data)
        beam_px = float(np.sqrt(plane.resolution_area_px / FWHM_AREA))
        flat = subtract_background(plane.data, rms, beam_px, mask == 1)
        level, sources = plane.data - flat, compact.sources(plane) if compact else ()
        return cls(replace(plane, data=flat), level, rms, probability, mask, classes or {}, sources)

    @classmethod
    def read(
        cls, image: str, probability: str, mask: str, compact: ComponentFiles | None = None
    ) -> "MeasuredMosaic":
        """Read a mosaic's products; see `of`."""
        planes = fits_plane(probability), fits_plane(mask)
        return cls.of(read_plane(image), *planes, read_classes(probability), compact)

    @cached_property
    def beam_px(self) -> float:
        """FWHM of the beam that the image was made with, px."""
        return float(np.sqrt(self.plane.resolution_area_px / FWHM_AREA))

    @cached_property
    def islands(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels ``[y, x]`` of the islands, from 1, and the region that each was cut from."""
        return separate(self.mask, self.plane.data / self.rms, self.probability, self.beam_px)

    @cached_property
    def boxes(self) -> list[Part]:
        """The rows and columns of each island, ``[island - 1]``."""
        return ndimage.find_objects(self.islands[0])

    def around(self, part: Part, margin_px: float) -> Part:
        """A part and its surroundings, as far as there are any."""
        margin = int(np.ceil(margin_px))
        rows, columns = (
            slice(max(one.start - margin, 0), min(one.stop + margin, side))
            for one, side in zip(part, self.plane.data.shape, strict=True)
        )
        return rows, columns


@dataclass(frozen=True)
class Cutout:
    """A part of a mosaic whose compact sources were taken away; planes ``[y, x]``.

    Attributes
    ----------
    mosaic : MeasuredMosaic
    part : (slice, slice)
    components : Components
        Compact sources, positions counted from the corner of the part.
    compact : ndarray of float32
        Their image, Jy/beam.
    residual : ndarray of float32
        What is left, Jy/beam above the background; NaN where there is no data.
    blanked : ndarray of bool
        Resolved radio galaxies: not measured as diffuse.
    filled : ndarray of float32
        The residual, with the level of the surroundings where `blanked`; 0 where there is no data.
    labels : ndarray of int32
        Islands of the mosaic.
    """

    mosaic: MeasuredMosaic
    part: Part
    components: Components
    compact: np.ndarray
    residual: np.ndarray
    blanked: np.ndarray
    filled: np.ndarray
    labels: np.ndarray

    @property
    def rms(self) -> np.ndarray:
        """Local noise, Jy/beam."""
        return self.mosaic.rms[self.part]

    @property
    def known(self) -> np.ndarray:
        """Where there is data."""
        return np.isfinite(self.residual)

    @property
    def origin(self) -> np.ndarray:
        """Row and column of the corner in the mosaic."""
        return np.array([one.start for one in self.part])

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the beam in the middle, order y, x; px2."""
        return self.components.covariance

    @cached_property
    def pixel_arcsec(self) -> float:
        """Root of a pixel's solid angle in the middle, arcsec; far from that of the mosaic it is another."""
        y, x = centre_of(self.part)
        return float(np.sqrt(pixel_area_arcsec2(self.mosaic.plane.wcs, x, y)))

    @property
    def beam_area_px(self) -> float:
        """Solid angle that Jy/beam refers to, in pixels of the middle."""
        return self.mosaic.plane.beam.area_arcsec2 / self.pixel_arcsec**2

    def others(self, island: np.ndarray) -> np.ndarray:
        """Pixels of other islands than the given one, ``[y, x]`` bool."""
        return (self.labels > 0) & ~island


def beam_covariance(plane: Plane, y: float, x: float) -> np.ndarray:
    """Covariance, at a pixel, of the beam that an image was made with, order y, x; px2."""
    beam = plane.made_with
    return _in_pixels(beam, beam_jacobian(plane.wcs, beam, x, y))


def shape_covariance(plane: Plane, y: float, x: float, shape: Beam) -> np.ndarray:
    """Covariance, at a pixel, of a Gaussian as tables list it, its angle from local north; an axis may be 0.

    Order and unit as of `beam_covariance`.
    """
    return _in_pixels(shape, jacobian(plane.wcs, x, y))


def _in_pixels(shape: Beam, sky_of_pixels: np.ndarray) -> np.ndarray:
    to_pixels = np.linalg.inv(sky_of_pixels)
    return (to_pixels @ shape.covariance_arcsec2 @ to_pixels.T)[::-1, ::-1]


def cut_out(mosaic: MeasuredMosaic, part: Part) -> Cutout:
    """Cut a part out of a mosaic, and take its compact sources and radio galaxies away.

    Compact sources: those of the first of the mosaic's sources that covers the part, else those that are
    found on the image itself (`radiounet.measuring.compact`). What then still stands out sharply from the
    median of its surroundings is a resolved radio galaxy, an artefact of a bright source, or what the
    network calls a radio galaxy rather than diffuse; it is blanked, and gets the median of what is not. The
    median of an island is that of its own pixels, so that a narrow relic is not compared with the sky beside
    it.
    """
    image, rms = mosaic.plane.data[part], mosaic.rms[part]
    components = _components(mosaic, part)
    compact = components.draw(image.shape)
    residual = image - compact
    labels = mosaic.islands[0][part]
    known = np.isfinite(residual)
    snr = np.where(known, residual / rms, 0).astype(np.float32)
    blanked = np.zeros(labels.shape, bool)
    if RADIO_GALAXY in mosaic.classes:
        galaxy = mosaic.classes[RADIO_GALAXY][part]
        # the wings of compact sources are radio galaxies for the network as well, and gone by now
        blanked = known & (galaxy > PROBABLE) & (galaxy > 255 * mosaic.probability[part]) & (snr > SHARP_SNR)
    diameter_px = LEVEL_BEAMS * mosaic.beam_px
    level = _level(snr, known & ~blanked, labels, diameter_px)
    sharp = known & is_sharp(snr, level)
    blanked |= known & ndimage.binary_dilation(sharp, disk(round(WINGS_BEAMS * mosaic.beam_px)))
    level = _level(snr, known & ~blanked, labels, diameter_px)
    filled = np.where(blanked, level * rms, np.where(known, residual, 0)).astype(np.float32)
    return Cutout(mosaic, part, components, compact, residual, blanked, filled, labels)


def _level(snr: np.ndarray, used: np.ndarray, labels: np.ndarray, diameter_px: float) -> np.ndarray:
    """Median of the used pixels around each, in or outside of islands as it is.

    Where there are none, that of the nearest pixel of the same island; of an island without any, of the sky.
    """
    in_mask = labels > 0
    levels = [masked_median(snr, used & side, diameter_px) for side in (in_mask, ~in_mask)]
    level = np.where(in_mask, *levels)
    missing = level <= NOTHING
    for label in np.unique(labels[missing]):
        own = labels == label
        given = (own & ~missing) if (own & ~missing).any() else ~in_mask & ~missing
        if given.any():
            nearest = ndimage.distance_transform_edt(~given, return_distances=False, return_indices=True)
            level = np.where(own & missing, level[tuple(nearest)], level)
        else:
            level[own & missing] = 0
    return level


def _components(mosaic: MeasuredMosaic, part: Part) -> Components:
    """Compact sources of a part, positions counted from its corner."""
    image = mosaic.plane.data[part]
    found = fit_components(image, mosaic.rms[part], beam_covariance(mosaic.plane, *centre_of(part)))
    notes = []
    for source in mosaic.sources:
        try:
            chosen = source.components(mosaic, part, found)
        except NotCoveredError as why:
            notes.append(str(why))
        else:
            return replace(chosen, note=join_notes(*notes, chosen.note))
    return replace(found, note=join_notes(*notes))


def centre_of(part: Part) -> np.ndarray:
    """Row and column of the middle of a part."""
    corner = np.array([one.start for one in part])
    return np.array(middle((part[0].stop - part[0].start, part[1].stop - part[1].start)))[::-1] + corner
