"""Training pairs from files, and the endless stream of augmented crops from them.

The stream is a pure function of seed and step: nothing of it needs saving, and
a training that goes on from step *s* sees the batches it would have seen.
"""

import hashlib
import os
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from scipy import ndimage

from radiounet.errors import (
    AllBlankError,
    BadDataError,
    ConfigError,
    NotFitsError,
    ShapeMismatchError,
    TruncatedError,
    UnitError,
)
from radiounet.images.image import check_grid, read_plane
from radiounet.images.noise import local_rms
from radiounet.network.masks import EIGHT_NEIGHBOURS, NO_DATA
from radiounet.network.model_cards import AsinhNormalisation, LogNormalisation, Normalisation
from radiounet.settings.train import TRAINED_FOR, TrainOptions, pair_files

TARGETS = 2000
UNKNOWN = -1
"""Truth of a pixel without data: the losses leave it out."""

PUBLISHED_NORMALISATION = LogNormalisation(kind="log10", low=1e-10, high=1e-5, floor=1e-12)
PUBLISHED_LEVEL = 1e-8  # Jy/pixel
NORMALISATIONS = {
    "asinh_sigma": AsinhNormalisation(kind="asinh_sigma"),
    "log10": LogNormalisation(kind="log10"),
}

CROPS_PER_VISIT = 32  # of a field's 9 places of 320 px in 8 turns each, those of one pass
WORKERS = max(1, min(4, (os.cpu_count() or 1) // 4))  # a GPU takes more than one thread makes
LOOK_AHEAD = 2 * WORKERS + 2  # batches
NOISE_PLANES = 4


@dataclass(frozen=True)
class Pair:
    """One field to train on, planes ``[y, x]`` float32.

    Attributes
    ----------
    image : ndarray
        Jy/beam (published pairs: Jy/pixel), NaN where blank.
    rms : ndarray
        Local noise as inference measures it, in the unit of `image`.
    truth : ndarray
        Noise-free diffuse emission in the unit of `image`; for labelled images
        the label, 0 or 1, NaN where there is none.
    level : ndarray or float
        A pixel is diffuse where `truth` lies above.
    targets : ndarray of int32, ``[pixel, 2]``
        y and x of `TARGETS` diffuse pixels drawn with replacement, to centre crops on;
        none where nothing is diffuse.
    normalisation : Normalisation or None
        What the pair prescribes for a log10 input, being in Jy/pixel.
    scalable : bool
        Whether `truth` is a brightness that can be scaled within `image`.
    survey_beam : bool
        Whether the noise has the correlation of the survey's beam, so that such noise can be added.
    """

    image: np.ndarray
    rms: np.ndarray
    truth: np.ndarray
    level: np.ndarray | np.float32
    targets: np.ndarray
    normalisation: LogNormalisation | None = None
    scalable: bool = False
    survey_beam: bool = False

    def classes(self) -> np.ndarray:
        """1 diffuse, 0 not, `UNKNOWN` where image or label is blank; ``[y, x]`` int8."""
        return _classes(self.image, self.truth, self.level)

    def normalised(self, image: np.ndarray, rms: np.ndarray, wanted: Normalisation) -> np.ndarray:
        """Input of a network that wants images in Jy/beam so; a pair in Jy/pixel has its own log10 range."""
        own = self.normalisation
        normalise = own if own is not None and own.kind == wanted.kind else wanted
        return normalise(image, rms)


def _classes(image: np.ndarray, truth: np.ndarray, level: np.ndarray | np.float32) -> np.ndarray:
    classes = (truth > level).astype(np.int8)
    classes[np.isnan(image) | np.isnan(truth)] = UNKNOWN
    return classes


def read_pair(path: str, truth_sigma: float) -> Pair:
    """Read one training pair.

    Parameters
    ----------
    path : str
        A file of `radiounet.simulation.simulate`: image, ``TRUTH`` and ``RMS`` in Jy/beam. Or
        two files, ``IMAGE.fits:TRUTH.fits``: an image in Jy/pixel (or without
        BUNIT) with its noise-free model, as Stuardi et al. (2024) published; or an
        image in Jy/beam with a label image, 0 no, 1 diffuse, 255 no data. See
        `radiounet.settings.train.pair_files`.
    truth_sigma : float
        Simulated pairs: diffuse is what exceeds this many times the true noise.

    Raises
    ------
    NotFitsError, TruncatedError, ShapeMismatchError, UnitError, GridError, BadDataError
        The message names the file, what is wrong and what is expected.
    """
    return read_files(pair_files(path), truth_sigma)


def read_files(files: Sequence[str], truth_sigma: float) -> Pair:
    """Read one training pair from its file or two files, see `read_pair`."""
    if len(files) == 1:
        return _simulated(files[0], truth_sigma)
    if len(files) > 2:
        raise ConfigError(f"a pair to train on is IMAGE.fits:TRUTH.fits, not {len(files)} files: {files}")
    image_path, truth_path = files
    unit = _unit(image_path)
    if unit == "jy/beam":
        return _labelled(image_path, truth_path)
    if unit in ("jy/pixel", "jy/pix", ""):
        return _published(image_path, truth_path)
    raise UnitError(f"{image_path} has BUNIT {unit!r}; a training image is in Jy/beam or Jy/pixel")


def _simulated(path: str, truth_sigma: float) -> Pair:
    if _unit(path) != "jy/beam":
        raise UnitError(f"{path} has BUNIT {_unit(path)!r}; a simulated image must be in Jy/beam")
    image, truth, rms = _planes(path, "PRIMARY", "TRUTH", "RMS")
    _require_shape(image, truth, path, "TRUTH")
    _require_shape(image, rms, path, "RMS")
    level = np.float32(truth_sigma) * rms
    with _opened(path, "PRIMARY") as (hdu,):
        fine = abs(3600 * hdu.header["BMAJ"] - TRAINED_FOR.beam_arcsec) < 0.1
    targets = _targets(image, truth, level)
    return Pair(image, _noise(image, path), truth, level, targets, scalable=True, survey_beam=fine)


def _published(image_path: str, truth_path: str) -> Pair:
    (image,), (truth,) = _planes(image_path, "PRIMARY"), _planes(truth_path, "PRIMARY")
    _require_shape(image, truth, image_path, truth_path)
    level = np.float32(PUBLISHED_LEVEL)
    targets = _targets(image, truth, level)
    return Pair(image, _noise(image, image_path), truth, level, targets, PUBLISHED_NORMALISATION)


def _labelled(image_path: str, label_path: str) -> Pair:
    plane = read_plane(image_path)
    check_grid(plane, TRAINED_FOR.pixel_arcsec, TRAINED_FOR.beam_arcsec, image_path)
    (label,) = _planes(label_path, "PRIMARY")
    _require_shape(plane.data, label, image_path, label_path)
    label[label == NO_DATA] = np.nan
    strange = np.setdiff1d(label[np.isfinite(label)], (0, 1))
    if strange.size:
        raise BadDataError(f"{label_path} holds {strange[0]:g}; a label is 0, 1 or {NO_DATA} (no data)")
    level = np.float32(0.5)
    targets = _targets(plane.data, label, level)
    return Pair(plane.data, _noise(plane.data, image_path), label, level, targets)


def _noise(image: np.ndarray, path: str) -> np.ndarray:
    try:
        return local_rms(image)
    except AllBlankError as error:
        raise AllBlankError(f"{path}: {error}") from None


def _targets(image: np.ndarray, truth: np.ndarray, level: np.ndarray | np.float32) -> np.ndarray:
    labels, _ = ndimage.label(_classes(image, truth, level) == 1, EIGHT_NEIGHBOURS)
    pixels = np.argwhere(labels).astype(np.int32)
    if not len(pixels):
        return pixels
    # a patch weighs as the root of its area: one large halo must not leave the small ones unseen
    weights = np.bincount(labels.ravel())[labels[labels > 0]] ** -0.5
    chosen = np.random.default_rng(0).choice(len(pixels), TARGETS, p=weights / weights.sum())
    return pixels[chosen]


@contextmanager
def _opened(path: str, *names: str) -> Iterator[list]:
    """Give the named image extensions of a FITS file, none of them read yet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(path, memmap=False) as hdus:
                present = [hdu.name for hdu in hdus]
                for name in names:
                    if name not in present:
                        raise BadDataError(
                            f"{path} has no extension {name}, only {present}; a single file must come from "
                            "scripts/simulate.py, other pairs are given as IMAGE.fits:TRUTH.fits"
                        )
                yield [hdus[name] for name in names]
    except FileNotFoundError:
        raise NotFitsError(f"there is no file {path}") from None
    except (TypeError, ValueError, KeyError, fits.VerifyError) as error:
        raise TruncatedError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise NotFitsError(f"{path} is not a readable FITS file: {error}") from error


def _planes(path: str, *names: str) -> list[np.ndarray]:
    with _opened(path, *names) as hdus:
        for hdu in hdus:
            _side(hdu, path)
        return [hdu.data.reshape(hdu.shape[-2:]).astype(np.float32) for hdu in hdus]


def _side(hdu, path: str) -> int:
    """Shorter side of the plane in an extension, px."""
    if len(hdu.shape) < 2 or np.prod(hdu.shape[:-2]) != 1:
        raise ShapeMismatchError(f"{path}[{hdu.name}] has shape {hdu.shape}; one plane [y, x] is needed")
    return min(hdu.shape[-2:])


def _unit(path: str) -> str:
    with _opened(path, "PRIMARY") as (hdu,):
        return str(hdu.header.get("BUNIT", "")).lower().replace(" ", "")


def _require_shape(image: np.ndarray, other: np.ndarray, path: str, name: str) -> None:
    if image.shape != other.shape:
        raise ShapeMismatchError(f"{path} has {image.shape} pixels [y, x], its {name} {other.shape}")


def check_pairs(paths: Sequence[str], crop_px: int) -> str:
    """Look at every pair's headers before a long training, and return a hash of the set.

    Parameters
    ----------
    paths : sequence of str
        As for `read_pair`.
    crop_px : int
        Side of a crop.

    Returns
    -------
    str
        SHA-256 over image and truth of each pair in order: a set moved elsewhere, or
        the same simulated anew, keeps it, one of other pixels or labels does not.

    Raises
    ------
    BadDataError
        A file that cannot be opened, an extension missing, an image smaller than a crop.
    """
    digest = hashlib.sha256()
    for path in paths:
        files = pair_files(path)
        names = ("PRIMARY",) if len(files) > 1 else ("PRIMARY", "TRUTH", "RMS")
        for file in files:
            with _opened(file, *names) as hdus:
                side = min(_side(hdu, file) for hdu in hdus)
                parts = [(place["datLoc"], place["datSpan"]) for place in (hdu.fileinfo() for hdu in hdus)]
            if side < crop_px:
                raise ShapeMismatchError(
                    f"{file} is {side} px wide, less than a crop of {crop_px} px: give a smaller --crop-px"
                )
            with open(file, "rb") as stream:
                for start, length in parts:
                    stream.seek(start)
                    digest.update(stream.read(length))
    return digest.hexdigest()


class Crops:
    """Batches of augmented crops of many pairs, a few pairs in memory at a time.

    The pairs stand in line in a new random order per pass; a window of
    ``options.buffer`` pairs slides along the line at a steady rate, and a step
    draws its crops from the window. There are as many passes as give each pair
    about `CROPS_PER_VISIT` crops per pass, at least one, so a new pair comes in
    every ``steps / (passes * pairs)`` steps. The last window joins the first pass,
    which makes every pair stay for the same number of steps in total.

    Parameters
    ----------
    paths : sequence of str
        As for `read_pair`.
    options : TrainOptions
    hard : mapping of str to ndarray of int, ``[island, 2]``
        y and x of places without diffuse emission that a first model took for such, per path.
    normalisation : Normalisation, optional
        See `draw_crop`.
    """

    def __init__(
        self,
        paths: Sequence[str],
        options: TrainOptions,
        hard: Mapping[str, np.ndarray] | None = None,
        normalisation: Normalisation | None = None,
    ):
        self._paths, self._options, self._hard = list(paths), options, hard or {}
        self._normalisation = normalisation
        crops = options.steps * options.batch
        self.passes = max(1, round(crops / (len(self._paths) * CROPS_PER_VISIT)))
        self._line = np.concatenate(
            [
                np.random.default_rng([options.seed, 0, epoch]).permutation(len(self._paths))
                for epoch in range(self.passes)
            ]
        )
        self._noise = _noise_pool(options)
        self._held: dict[str, Pair] = {}
        self._lock = threading.Lock()

    def window(self, step: int) -> list[str]:
        """Paths of the pairs that step `step`, counted from 0, may draw from."""
        if len(self._paths) <= self._options.buffer:
            return self._paths
        start = min(step, self._options.steps - 1) * len(self._line) // self._options.steps
        places = np.arange(start, start + self._options.buffer) % len(self._line)
        return [self._paths[index] for index in self._line[places]]

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the crops of one step.

        Returns
        -------
        planes : ndarray of float32, ``[crop, y, x, 1]``
            Normalised.
        classes : ndarray of float32, ``[crop, y, x]``
            1 diffuse, 0 not, `UNKNOWN` where there is no data.
        """
        rng = np.random.default_rng([self._options.seed, 1, step])
        window = self.window(step)
        crops = []
        for _ in range(self._options.batch):
            path = window[rng.integers(len(window))]
            pair = self._pair(path, window)
            places = self._hard.get(path, ())
            crops.append(draw_crop(pair, self._options, rng, places, self._noise, self._normalisation))
        return _stack(crops)

    def _pair(self, path: str, window: list[str]) -> Pair:
        with self._lock:
            if path not in self._held:
                self._held = {one: self._held[one] for one in window if one in self._held}
                self._held[path] = read_pair(path, self._options.truth_sigma)
            return self._held[path]

    def stream(self, first: int, last: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the batches of steps `first` to `last` - 1, made ahead in other threads."""
        waiting: deque = deque()
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="crops")
        try:
            for step in range(first, last):
                waiting.append(pool.submit(self.batch, step))
                if len(waiting) > LOOK_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def fixed_crops(
    paths: Sequence[str], options: TrainOptions, count: int, normalisation: Normalisation | None = None
) -> list[tuple]:
    """Return about `count` crops shared evenly among pairs, as batches, always the same.

    Only turned and flipped: for the validation loss.
    """
    plain = options.model_copy(
        update={"diffuse_scale": (1.0, 1.0), "added_noise_sigma": (0.0, 0.0), "noise_scale": (1.0, 1.0)}
    )
    rng = np.random.default_rng([options.seed, 3])
    crops = []
    for path in paths:
        pair = read_pair(path, options.truth_sigma)
        number = -(-count // len(paths))
        crops += [draw_crop(pair, plain, rng, normalisation=normalisation) for _ in range(number)]
    return [_stack(crops[first : first + options.batch]) for first in range(0, len(crops), options.batch)]


def _stack(crops: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    planes, classes = zip(*crops, strict=True)
    return np.stack(planes)[..., None], np.stack(classes).astype(np.float32)


def draw_crop(
    pair: Pair,
    options: TrainOptions,
    rng: np.random.Generator,
    hard: np.ndarray | Sequence = (),
    noise: np.ndarray | None = None,
    normalisation: Normalisation | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut one crop, turn or flip it, scale its diffuse emission, add noise, normalise it.

    The noise it is normalised by is off by a random factor, as measured noise is.

    Parameters
    ----------
    pair : Pair
        At least ``options.crop_px`` wide.
    hard : ndarray of int, ``[island, 2]``
        See `Crops`.
    noise : ndarray of float32, ``[plane, y, x]``
        Noise of unit standard deviation to take pieces from; None adds none.
    normalisation : Normalisation, optional
        In place of the one that the options name: that of a model to go on from.

    Returns
    -------
    plane : ndarray of float32, ``[y, x]``
    classes : ndarray of int8, ``[y, x]``
        As `Pair.classes`.
    """
    size = options.crop_px
    y, x = _corner(pair, options, hard, rng)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def cut(plane: np.ndarray) -> np.ndarray:
        return _turned(plane[y : y + size, x : x + size], turns, flip)

    image, rms, truth = cut(pair.image), cut(pair.rms), cut(pair.truth)
    level = cut(pair.level) if np.ndim(pair.level) else pair.level
    if pair.scalable:
        factor = np.float32(np.exp(rng.uniform(*np.log(options.diffuse_scale))))
        image = image + (factor - 1) * truth
        truth = truth * factor
    if pair.survey_beam and noise is not None:
        amplitude = np.float32(rng.uniform(*options.added_noise_sigma))
        image = image + amplitude * rms * _piece(noise, size, rng)
        growth = np.sqrt(1 + amplitude**2)
        rms, level = rms * growth, level * growth
    rms = rms * np.float32(np.exp(rng.uniform(*np.log(options.noise_scale))))
    wanted = normalisation or NORMALISATIONS[options.normalisation]
    return pair.normalised(image, rms, wanted), _classes(image, truth, level)


def _corner(pair: Pair, options: TrainOptions, hard, rng: np.random.Generator) -> np.ndarray:
    size = options.crop_px
    highest = np.array(pair.image.shape) - size
    chance = rng.random() - options.target_fraction
    if chance < 0:
        centres = pair.targets
    elif chance < options.hard_fraction:
        centres = hard
    else:
        centres = ()
    if not len(centres):
        return rng.integers(0, highest + 1)
    centre = centres[rng.integers(len(centres))]
    return np.clip(centre - size // 2 + rng.integers(-size // 3, size // 3 + 1, 2), 0, highest)


def _turned(plane: np.ndarray, turns: int, flip: bool) -> np.ndarray:
    plane = np.rot90(plane, turns)
    return plane[:, ::-1] if flip else plane


def _noise_pool(options: TrainOptions) -> np.ndarray:
    """Noise with the correlation of the beam and unit standard deviation, ``[plane, y, x]``."""
    side = options.crop_px * 3 // 2
    rng = np.random.default_rng([options.seed, 2])
    noise = rng.standard_normal((NOISE_PLANES, side, side), dtype=np.float32)
    # noise is correlated like the beam where white noise was convolved with the beam itself
    sigma = TRAINED_FOR.beam_arcsec / TRAINED_FOR.pixel_arcsec / np.sqrt(8 * np.log(2))
    noise = ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="wrap")
    return noise / noise.std(axis=(1, 2), keepdims=True)


def _piece(noise: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    plane = noise[rng.integers(len(noise))]
    y, x = rng.integers(0, plane.shape[0] - size + 1, 2)
    return _turned(plane[y : y + size, x : x + size], int(rng.integers(4)), bool(rng.integers(2)))
