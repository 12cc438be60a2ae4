"""Diffuse emission of clusters and the cosmic web: the target.

Shapes are surface brightness patches in units of their own peak, made on a
window of the grid; `add_object` brings each to its peak at the resolution of
the survey. Overview of the classes: van Weeren et al. (2019, SSRv 215, 16).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from radiounet.images.gaussian import FWHM_AREA, gaussian
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.canvas import Part, blurred, lognormal, power_law_field, rotated, square_around

HALO_REACH = 8.0  # e-folding lengths drawn
NEGLIGIBLE = 0.05  # of the noise: fainter pixels belong to no object


@dataclass
class SimulatedObject:
    """One diffuse source as kept in the list of a pair; it may lie outside the image, or in part.

    Attributes
    ----------
    peak_snr : float
        Peak at the survey's resolution over the noise there.
    flux_jy, las_arcmin : float
        Flux density; largest extent above a tenth of the peak.
    """

    kind: str
    y_px: float
    x_px: float
    peak_snr: float
    flux_jy: float
    las_arcmin: float


class Target:
    """The diffuse sky of one pair while it is drawn.

    Attributes
    ----------
    sky : ndarray, ``[y, x]``, Jy/px
        At the resolution of nature.
    truth : ndarray, ``[y, x]``, Jy/beam
        At the resolution of the survey.
    numbers : ndarray of int16, ``[y, x]``
        Object that dominates a pixel, from 1; 0 where none reaches `NEGLIGIBLE`.
    relative : ndarray, ``[y, x]``
        Brightness over the peak of the object for which this is largest.
    objects : list of SimulatedObject
    """

    def __init__(self, rms: np.ndarray, beam_px: float, options: SimulateOptions):
        self.sky = np.zeros(rms.shape, np.float32)
        self.truth = np.zeros(rms.shape, np.float32)
        self.numbers = np.zeros(rms.shape, np.int16)
        self.relative = np.zeros(rms.shape, np.float32)
        self.objects: list[SimulatedObject] = []
        self._strongest = np.zeros(rms.shape, np.float32)
        self.beam_area_px = FWHM_AREA * beam_px**2
        self._rms, self._beam_px, self._options = rms, beam_px, options

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self._rms.shape

    def square_around(self, y: float, x: float, radius: float) -> tuple[Part, np.ndarray, np.ndarray]:
        """Return a square about a place as `canvas.square_around` does, with room for the beam's wings."""
        return square_around(self.shape, y, x, radius + 2.5 * self._beam_px)

    def add_object(self, kind: str, part: Part, shape: np.ndarray, peak_snr: float) -> None:
        """Add a brightness distribution, given its peak in units of the noise.

        Parameters
        ----------
        part : (slice, slice)
            Where the patch lies.
        shape : ndarray, ``[y, x]``
            Relative brightness.
        """
        if shape.size == 0 or shape.max() <= 0:
            return
        smooth = blurred(shape, self._beam_px)
        top = np.unravel_index(smooth.argmax(), smooth.shape)
        rms = self._rms[part]
        scale = peak_snr * rms[top] / smooth[top]
        smooth = scale * smooth
        self.sky[part] += scale * shape / self.beam_area_px
        self.truth[part] += smooth
        np.maximum(self.relative[part], smooth / smooth[top], out=self.relative[part])
        wins = (smooth > self._strongest[part]) & (smooth > NEGLIGIBLE * rms)
        self.numbers[part][wins] = len(self.objects) + 1
        self._strongest[part][wins] = smooth[wins]
        extent = _largest_extent(*np.nonzero(smooth > 0.1 * smooth[top]))
        self.objects.append(
            SimulatedObject(
                kind,
                float(part[0].start + top[0]),
                float(part[1].start + top[1]),
                float(peak_snr),
                float(smooth.sum() / self.beam_area_px),
                extent / self._options.px_per_arcmin,
            )
        )


def _largest_extent(y: np.ndarray, x: np.ndarray) -> float:
    """Largest width of a set of pixels over all directions in steps of 10 deg, px."""
    angles = np.radians(np.arange(0, 180, 10))
    return float(max(np.ptp(y * np.sin(angle) + x * np.cos(angle)) for angle in angles)) + 1


def add_halo(
    target: Target, y: float, x: float, radius_px: float, kind: str, peak_snr: float, rng: np.random.Generator
) -> None:
    """Halo ``exp(-r / r_e)`` (Murgia et al. 2009), elliptical, clumpy, sometimes irregular.

    Mini-halos differ by size only. Clumps are lognormal; an irregular halo follows
    the X-ray sloshing or merging gas rather than circles.
    """
    part, dy, dx = target.square_around(y, x, HALO_REACH * radius_px)
    along, across = rotated(dy, dx, rng.uniform(0, np.pi))
    radius = np.hypot(along, across / rng.uniform(0.5, 1))
    taper = special.expit((HALO_REACH - 1.5 - np.hypot(dy, dx) / radius_px) / 0.25)
    irregular = rng.random() < 0.4
    if irregular:
        radius = radius * np.exp(0.35 * power_law_field(radius.shape, 3.7, rng, 4 * radius_px))
    strength = rng.uniform(0.4, 0.9) if irregular else rng.uniform(0.1, 0.5)
    profile = taper * np.exp(-((radius / radius_px) ** rng.uniform(0.9, 1.2)))
    target.add_object(kind, part, profile * lognormal(radius.shape, 2 * radius_px, strength, rng), peak_snr)


def add_megahalo(
    target: Target, y: float, x: float, radius_px: float, peak_snr: float, rng: np.random.Generator
) -> None:
    """Megahalo: flat, faint, filling the cluster to about R500 (Cuciti et al. 2022, Nature 609, 911)."""
    part, dy, dx = target.square_around(y, x, 1.6 * radius_px)
    along, across = rotated(dy, dx, rng.uniform(0, np.pi))
    radius = np.hypot(along, across / rng.uniform(0.6, 1)) / radius_px
    profile = np.exp(-radius) / (1 + np.exp((radius - 1) / 0.1))
    shape = profile * lognormal(radius.shape, radius_px / 2, rng.uniform(0.2, 0.6), rng)
    target.add_object("megahalo", part, shape, peak_snr)


def add_relic(
    target: Target,
    y: float,
    x: float,
    distance_px: float,
    direction: float,
    length_px: float,
    width_px: float,
    peak_snr: float,
    rng: np.random.Generator,
) -> None:
    """Relic: an arc tangential to the cluster, sharp outside, fading inwards, with filaments.

    Form of shock-accelerated, ageing electrons (Hoeft & Brueggen 2007); the outer
    edge is the shock.
    """
    reach = distance_px + width_px * 3
    part, dy, dx = target.square_around(y, x, np.hypot(reach, length_px / 2))
    # the shock front is flatter or rounder than a circle about the cluster
    along, across = rotated(dy, dx, direction + np.pi / 2)
    radial = -across
    sag = along**2 / (2 * distance_px * rng.uniform(0.7, 3))
    wavy = 0.25 * width_px * np.sin(along / length_px * rng.uniform(3, 12) + rng.uniform(0, 6))
    depth = distance_px - sag + wavy - radial
    profile = np.where(
        depth < 0, np.exp(-0.5 * (depth / (0.15 * width_px + 0.5)) ** 2), np.exp(-depth / width_px)
    )
    profile *= np.exp(-((np.abs(along) / (0.5 * length_px)) ** rng.uniform(3, 8)))
    strands = lognormal(profile.shape, width_px, rng.uniform(0.3, 0.9), rng)
    target.add_object("relic", part, profile * strands, peak_snr)


def add_phoenix(
    target: Target, y: float, x: float, size_px: float, peak_snr: float, rng: np.random.Generator
) -> None:
    """Radio phoenix: small, irregular, filamentary, revived plasma (Mandal et al. 2020, A&A 634, A4)."""
    part, dy, dx = target.square_around(y, x, 1.2 * size_px)
    along, across = rotated(dy, dx, rng.uniform(0, np.pi))
    radius = np.hypot(along, across / rng.uniform(0.3, 0.8)) / (0.5 * size_px)
    field = power_law_field(radius.shape, 3.5, rng, size_px)
    strands = np.exp(-np.abs(field) / rng.uniform(0.15, 0.5)) + 0.3
    target.add_object("phoenix", part, np.exp(-(radius**3)) * strands, peak_snr)


def add_bridge(
    target: Target,
    y: float,
    x: float,
    length_px: float,
    width_px: float,
    angle: float,
    kind: str,
    peak_snr: float,
    rng: np.random.Generator,
) -> None:
    """Bridge between clusters, or filament: long, gently bent, patchy (Govoni et al. 2019, Science 364, 981).

    The position is its middle; the cross section is a Gaussian of FWHM `width_px`.
    """
    part, dy, dx = target.square_around(y, x, 0.75 * length_px + width_px)
    along, across = rotated(dy, dx, angle)
    bend = rng.normal(0, 0.2) * along**2 / length_px
    wander = 0.2 * width_px * np.sin(along / length_px * rng.uniform(3, 9) + rng.uniform(0, 6))
    shape = gaussian(across - bend - wander, width_px)
    shape *= np.exp(-((np.abs(along) / (0.5 * length_px)) ** rng.uniform(4, 10)))
    shape = shape * lognormal(shape.shape, width_px, rng.uniform(0.2, 0.8), rng)
    target.add_object(kind, part, shape, peak_snr)
