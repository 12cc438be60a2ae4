"""Compact sources of an image: found, fitted and taken away before diffuse emission is measured.

A compact source is a peak of the shape of the beam that stands out from the diffuse level around it.
The level is a median over `LEVEL_BEAMS`, so a source counts only for what it adds to a halo. A
resolved source becomes several components, as in CLEAN (Hogbom 1974, A&AS 15, 417); all amplitudes
are solved for together, so blends share their flux density as least squares has it.

Not `photutils`: a peak on a ridge, such as that of a relic, must not be a source, and a blend must not be
split into groups that are fitted one after the other.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import KDTree

from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.measuring.running_median import masked_median

LEVEL_BEAMS = 5.0
"""Diameter of the median, beams: a source of 50 rms fills less than a quarter of it."""
SHARP_RATIO, SHARP_SNR = 2.5, 4.0
"""A pixel stands out where it exceeds the level around it this many times, and by this many local rms."""
DETECTION_SNR = 5.0
"""What a peak adds to the level around it, local rms."""
ROUNDS = 6
"""How often the residual is searched at most."""
RING_BEAMS = 1.25
"""Radius at which a beam-shaped peak has fallen to 1 %, beams."""
RIDGE = 0.35
"""A peak whose ring is as bright as this part of it in two opposite directions lies on a ridge."""
PATCH_SIGMA = 4.0
LARGEST_SHIFT_PX = 0.5
OVERLAP_SIGMA = 5.3
"""Beyond, two components share less than 1e-3."""
DRAWN_SIGMA = 5.0
"""How far a component of a shape of its own is drawn: it has fallen to 4e-6 there."""
IMAGE = "image"
"""Origin of components that were fitted on the image itself."""


@dataclass(frozen=True)
class Components:
    """Compact components of an image, whatever their origin.

    Attributes
    ----------
    y, x : ndarray, ``[component]``
        Positions, px; of a shape of their own they may lie outside the image.
    peak, error : ndarray, ``[component]``
        Amplitude and its error, both in the unit of the image.
    covariance : ndarray, ``[2, 2]``
        Of the beam, order y, x; px2.
    shapes : ndarray, ``[component, 2, 2]``, or None
        Covariance of each component with the beam; None where all have that of the beam.
    origin : str
        Where they come from: `IMAGE`, or as `radiounet.measuring.components` names it.
    extended : ndarray, ``[2, component]``
        Positions, y and x, of components that are too large to be compact, and were left.
    note : str
        Why other components than these could not be used, and what they lack.
    """

    y: np.ndarray
    x: np.ndarray
    peak: np.ndarray
    error: np.ndarray
    covariance: np.ndarray
    shapes: np.ndarray | None = None
    origin: str = IMAGE
    extended: np.ndarray = field(default_factory=lambda: np.empty((2, 0)))
    note: str = ""

    @property
    def places(self) -> np.ndarray:
        """Positions, ``[(y, x), component]``."""
        return np.stack([self.y, self.x])

    @property
    def flux(self) -> np.ndarray:
        """Flux densities, ``[component]``: unit of the image times the solid angle of its beam."""
        return self._spread(self.peak)

    @property
    def flux_error(self) -> np.ndarray:
        """Their errors."""
        return self._spread(self.error)

    def _spread(self, amplitudes: np.ndarray) -> np.ndarray:
        if self.shapes is None:
            return amplitudes
        return amplitudes * np.sqrt(np.linalg.det(self.shapes) / np.linalg.det(self.covariance))

    def draw(self, shape: tuple[int, int]) -> np.ndarray:
        """Image of the components, float32 ``[y, x]``, in their unit."""
        if self.shapes is None:
            return _Patches(shape, self.places.T, self.covariance).draw(self.peak)
        plane = np.zeros(shape)
        for component in zip(self.y, self.x, self.peak, self.shapes, strict=True):
            _add_gaussian(plane, *component)
        return plane.astype(np.float32)


def _add_gaussian(plane: np.ndarray, y: float, x: float, peak: float, covariance: np.ndarray) -> None:
    """Add one component to a plane, as far as it lies on it."""
    reach = DRAWN_SIGMA * np.sqrt(np.diag(covariance))
    rows, columns = (
        slice(max(int(np.ceil(at - far)), 0), max(int(at + far) + 1, 0))
        for at, far in zip((y, x), reach, strict=True)
    )
    part = plane[rows, columns]
    dy, dx = np.ogrid[rows.start : rows.start + part.shape[0], columns.start : columns.start + part.shape[1]]
    (yy, yx), (_, xx) = np.linalg.inv(covariance)
    part += peak * np.exp(-0.5 * (yy * (dy - y) ** 2 + 2 * yx * (dy - y) * (dx - x) + xx * (dx - x) ** 2))


def is_sharp(snr: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Where brightness stands out sharply from the level around it.

    Parameters
    ----------
    snr, level : ndarray, ``[y, x]``
        Brightness and its median around each pixel, both over the local rms.

    Returns
    -------
    ndarray of bool, ``[y, x]``
    """
    return snr > np.maximum(SHARP_RATIO * level, level + SHARP_SNR)


def fit_components(image: np.ndarray, rms: np.ndarray, covariance: np.ndarray) -> Components:
    """Find and fit the compact sources of an image.

    Parameters
    ----------
    image, rms : ndarray, ``[y, x]``
        Brightness above the background and its local rms, one unit; the image NaN where blank.
    covariance : ndarray, ``[2, 2]``
        Of the beam, order y, x; px2.

    Returns
    -------
    Components
        The brightest first.
    """
    known = np.isfinite(image)
    filled = np.where(known, image, 0).astype(np.float32)
    width_px = np.sqrt(np.sqrt(np.linalg.det(covariance))) / FWHM_TO_SIGMA
    places, peaks = np.empty((0, 2)), np.empty(0)
    model, first = np.zeros_like(filled), None
    for _ in range(ROUNDS):
        level = rms * masked_median((filled - model) / rms, known, LEVEL_BEAMS * width_px)
        excess = np.where(known, filled - model - level, 0)
        first = excess if first is None else first
        found = _peaks(excess, rms, first, width_px)
        if not len(found):
            break
        places = np.concatenate([places, found])
        places, peaks = _solve(filled - level, known, places, covariance)
        kept = peaks > 0.5 * DETECTION_SNR * _at(rms, places)
        places, peaks = places[kept], peaks[kept]
        model = _Patches(filled.shape, places, covariance).draw(peaks)
    error = _errors(places, covariance) * _at(rms, places)
    order = np.argsort(-peaks)
    y, x = places[order].T
    return Components(y, x, peaks[order], error[order], covariance)


def _peaks(excess: np.ndarray, rms: np.ndarray, first: np.ndarray, width_px: float) -> np.ndarray:
    """Places ``[peak, (y, x)]`` of beam-shaped peaks, to a fraction of a pixel.

    Ridges are looked for in what there was at `first`: one that has lost a knot has ends.
    """
    highest = ndimage.maximum_filter(excess, size=3)
    rows = np.argwhere((excess == highest) & (excess > DETECTION_SNR * rms))
    rows = rows[((rows > 0) & (rows < np.array(excess.shape) - 1)).all(axis=1)]
    if not len(rows):
        return np.empty((0, 2))
    angles = np.arange(16) * np.pi / 8
    ring = RING_BEAMS * width_px * np.stack([np.sin(angles), np.cos(angles)])
    around = ndimage.map_coordinates(first, rows.T[:, :, None] + ring[:, None], order=1, mode="constant")
    opposite = np.minimum(around[:, :8], around[:, 8:]).max(axis=1)
    rows = rows[opposite < RIDGE * excess[tuple(rows.T)]]
    return rows + np.stack([_vertex(excess, rows, axis) for axis in (0, 1)], axis=1)


def _vertex(excess: np.ndarray, rows: np.ndarray, axis: int) -> np.ndarray:
    """Where the parabola through a peak and its neighbours has its vertex, px from the peak."""
    step = np.eye(2, dtype=int)[axis]
    low, mid, high = (excess[tuple((rows + s * step).T)] for s in (-1, 0, 1))
    bend = np.minimum(low + high - 2 * mid, -1e-12)
    return np.clip((low - high) / (2 * bend), -LARGEST_SHIFT_PX, LARGEST_SHIFT_PX)


def _at(plane: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of a plane at places ``[place, (y, x)]``."""
    return ndimage.map_coordinates(plane, places.T, order=1, mode="nearest")


class _Patches:
    """Square patches around components, and the beam in them; arrays ``[component, y, x]``.

    The planes are padded, so that a patch may reach over the border.
    """

    def __init__(self, shape: tuple[int, int], places: np.ndarray, covariance: np.ndarray):
        reach = int(np.ceil(PATCH_SIGMA * np.sqrt(np.diag(covariance).max())))
        steps = np.arange(-reach, reach + 1)
        whole = np.rint(places).astype(int).reshape(-1, 2)
        self._reach, self._shape, self._inverse = reach, shape, np.linalg.inv(covariance)
        self._rows = (whole[:, 0, None] + steps + reach)[:, :, None]
        self._columns = (whole[:, 1, None] + steps + reach)[:, None, :]
        apart = (whole - places).reshape(-1, 2)
        self._dy = (apart[:, 0, None] + steps)[:, :, None]
        self._dx = (apart[:, 1, None] + steps)[:, None, :]
        (yy, yx), (_, xx) = self._inverse
        self.beam = np.exp(-0.5 * (yy * self._dy**2 + 2 * yx * self._dy * self._dx + xx * self._dx**2))

    def slopes(self) -> np.ndarray:
        """Derivatives of the beams by the places of their components, ``[2, component, y, x]``."""
        (yy, yx), (_, xx) = self._inverse
        by_y, by_x = yy * self._dy + yx * self._dx, yx * self._dy + xx * self._dx
        return self.beam * np.stack(np.broadcast_arrays(by_y, by_x))

    def cut(self, plane: np.ndarray) -> np.ndarray:
        """Patches of a plane; 0 beyond its border."""
        return np.pad(plane, self._reach)[self._rows, self._columns]

    def draw(self, peaks: np.ndarray) -> np.ndarray:
        """Sum of all components, float32 ``[y, x]``."""
        padded = np.zeros([side + 2 * self._reach for side in self._shape])
        np.add.at(padded, (self._rows, self._columns), self.beam * peaks[:, None, None])
        inner = slice(self._reach, -self._reach)
        return padded[inner, inner].astype(np.float32)


def _solve(
    image: np.ndarray, known: np.ndarray, places: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Places, moved to where the image asks for, and amplitudes there.

    One step of Gauss and Newton moves every component along its own gradient.
    """
    patches = _Patches(image.shape, places, covariance)
    peaks = _amplitudes(patches, image, known, places, covariance)
    residual = patches.cut(np.where(known, image - patches.draw(peaks), 0))
    slopes = patches.slopes() * patches.cut(known)
    square = np.einsum("ikyx,jkyx->kij", slopes, slopes) + 1e-9 * np.eye(2)
    right = np.einsum("ikyx,kyx->ki", slopes, residual)
    step = np.linalg.solve(square, right[..., None])[..., 0] / np.maximum(peaks, 1e-30)[:, None]
    places = places + np.clip(step, -LARGEST_SHIFT_PX, LARGEST_SHIFT_PX)
    places = np.clip(places, 0, np.array(image.shape) - 1)
    patches = _Patches(image.shape, places, covariance)
    return places, _amplitudes(patches, image, known, places, covariance)


def _amplitudes(
    patches: _Patches, image: np.ndarray, known: np.ndarray, places: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    """Least squares; the normal equations of Gaussians of one shape are Gaussians of their distances."""
    beam = patches.beam * patches.cut(known)
    scale = np.sqrt(np.maximum(np.einsum("kyx,kyx->k", beam, beam), 1e-9))
    right = np.einsum("kyx,kyx->k", beam, patches.cut(image)) / scale
    return spsolve(_overlap(places, covariance), right) / scale


def _overlap(places: np.ndarray, covariance: np.ndarray) -> sparse.csc_array:
    """Product of each two components of amplitude 1, over that of one with itself."""
    white = places @ np.linalg.cholesky(np.linalg.inv(covariance))
    pairs = KDTree(white).query_pairs(OVERLAP_SIGMA, output_type="ndarray")
    apart = white[pairs[:, 0]] - white[pairs[:, 1]]
    product = np.exp(-0.25 * np.sum(apart**2, axis=1))
    every, (one, other) = np.arange(len(places)), pairs.T
    rows, columns = np.concatenate([one, other, every]), np.concatenate([other, one, every])
    # the small term keeps two components at one place from taking opposite signs
    values = np.concatenate([product, product, np.full(len(places), 1 + 1e-3)])
    return sparse.coo_array((values, (rows, columns)), shape=(len(places), len(places))).tocsc()


def _errors(places: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Errors of the amplitudes over the rms: 1 alone, more in a blend (Condon 1997, PASP 109, 166)."""
    matrix = _overlap(places, covariance).tocsr()
    errors = np.ones(len(places))
    for number in range(len(places)):
        near = matrix.indices[matrix.indptr[number] : matrix.indptr[number + 1]]
        if len(near) > 1:
            block = np.linalg.inv(matrix[near][:, near].toarray())
            errors[number] = np.sqrt(block[near == number, near == number][0])
    return errors
