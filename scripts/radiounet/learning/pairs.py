"""Training pairs from files."""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from scipy import ndimage

from radiounet.errors import (
    AllBlankError,
    BadDataError,
    ConfigError,
    GridError,
    NotFitsError,
    ShapeMismatchError,
    TruncatedError,
    UnitError,
)
from radiounet.images.bare_planes import BarePlane, open_numbers, require_same_order, require_same_pixels
from radiounet.images.image import StoredPlane, check_grid, read_plane
from radiounet.images.noise import local_rms
from radiounet.images.reading import reading
from radiounet.images.squares import SCALE_TOLERANCE
from radiounet.images.units import factor_to
from radiounet.network.masks import EIGHT_NEIGHBOURS, NO_DATA
from radiounet.network.model_cards import (
    AsinhNormalisation,
    LogNormalisation,
    Normalisation,
    network_input,
    without_level,
)
from radiounet.settings.train import LOTSS_GRID, ImageGrid, pair_files

Numbers = StoredPlane | BarePlane
SIMULATED = ("PRIMARY", "TRUTH", "RMS")
"""Extensions of a simulated pair that a training reads."""
TARGETS = 2000
MOSTLY_KNOWN = 0.5
"""Part of an image with labels from which on crops may lie anywhere in it."""
NOWHERE = np.empty((0, 2), np.int32)
UNKNOWN = -1
"""Truth of a pixel without data: the losses leave it out."""

PUBLISHED_NORMALISATION = LogNormalisation(kind="log10", low=1e-10, high=1e-5, floor=1e-12)
PUBLISHED_LEVEL = 1e-8  # Jy/pixel
JY_PER_BEAM, JY_PER_PIXEL = u.Jy / u.beam, u.Jy / u.pix
BRIGHTEST_MODEL = 1.0
"""Jy/pixel; diffuse emission is fainter by far, masks are 1 or 255."""


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
    known : ndarray of int32, ``[pixel, 2]``
        y and x of `TARGETS` pixels with a label, to centre the other crops on, of an image most of which
        has none; otherwise none.
    """

    image: np.ndarray
    rms: np.ndarray
    truth: np.ndarray
    level: np.ndarray | np.float32
    targets: np.ndarray
    normalisation: LogNormalisation | None = None
    scalable: bool = False
    survey_beam: bool = False
    known: np.ndarray = field(default_factory=NOWHERE.copy)

    def classes(self) -> np.ndarray:
        """1 diffuse, 0 not, `UNKNOWN` where image or label is blank; ``[y, x]`` int8."""
        return pixel_classes(self.image, self.truth, self.level)

    def normalised(self, image: np.ndarray, rms: np.ndarray, wanted: Normalisation) -> np.ndarray:
        """Input of a network that wants images in Jy/beam so; a pair in Jy/pixel has its own log10 range."""
        return self._in_own_range(wanted)(image, rms)

    def _in_own_range(self, wanted: Normalisation) -> Normalisation:
        own = self.normalisation
        return own if own is not None and own.kind == wanted.kind else wanted

    def network_input(self, wanted: Normalisation, beam_px: float) -> np.ndarray:
        """What inference would show the network of the whole image; `beam_px` is the FWHM of its beam."""
        return network_input(self._in_own_range(wanted), self.image, beam_px)

    def to_train_on(self, wanted: Normalisation, beam_px: float) -> "Pair":
        """The pair without the background that inference takes away, which only real images have."""
        is_real = not self.scalable and self.normalisation is None
        if not is_real or not isinstance(wanted, AsinhNormalisation):
            return self
        return replace(self, image=without_level(self.image, self.rms, beam_px))


def pixel_classes(image: np.ndarray, truth: np.ndarray, level: np.ndarray | np.float32) -> np.ndarray:
    """1 where the truth lies above the level, 0 not, `UNKNOWN` where image or truth is blank; int8."""
    classes = (truth > level).astype(np.int8)
    classes[np.isnan(image) | np.isnan(truth)] = UNKNOWN
    return classes


def read_pair(path: str, truth_snr: float, grid: ImageGrid = LOTSS_GRID) -> Pair:
    """Read one training pair.

    Parameters
    ----------
    path : str
        A file of `radiounet.simulation.simulate`: image, ``TRUTH`` and ``RMS`` in Jy/beam. Or
        two files, ``IMAGE.fits:TRUTH.fits``: an image in Jy/pixel with its noise-free
        model, as Stuardi et al. (2024) published; or an image in Jy/beam with a label
        image, 0 no, 1 diffuse, 255 no data. BUNIT tells them apart, in any spelling of
        `radiounet.images.units`. Image and truth have one shape and, where both headers tell
        it, one place on the sky. See `radiounet.settings.train.pair_files`.
    truth_snr : float
        Simulated pairs: diffuse is what exceeds this many times the true noise.
    grid : ImageGrid
        What simulated and labelled images have; some simulated ones have a coarser beam.

    Raises
    ------
    NotFitsError, TruncatedError, ShapeMismatchError, UnitError, GridError, BadDataError
        The message names the file, what is wrong and what is expected.
    """
    files = pair_files(path)
    if len(files) == 1:
        return _simulated(files[0], truth_snr, grid)
    image, truth = _opened_pair(files)
    image_path, unit = files[0], _unit(image.header)
    if not unit:
        raise UnitError(
            f"{image_path} has no BUNIT in its header: write BUNIT = 'Jy/beam' into it where its truth is a "
            "mask, 'Jy/pixel' where it is a noise-free model"
        )
    if (factor := factor_to(JY_PER_PIXEL, unit, image_path)) is not None:
        return _published(image, truth, factor)
    if factor_to(JY_PER_BEAM, unit, image_path) is None:
        raise UnitError(f"{image_path} has BUNIT {unit!r}; a training image is in Jy/beam or Jy/pixel")
    return _labelled(image_path, truth, grid)


def _opened_pair(files: Sequence[str]) -> tuple[Numbers, Numbers]:
    """Image and truth of two files, which have the same pixels."""
    if len(files) != 2:
        raise ConfigError(f"a pair to train on is IMAGE.fits:TRUTH.fits, not {len(files)} files: {files}")
    image, truth = (open_numbers(file) for file in files)
    require_same_pixels(image, truth, files[0])
    require_same_order(*files)
    return image, truth


def _simulated(path: str, truth_snr: float, grid: ImageGrid) -> Pair:
    with _opened(path) as hdus:
        header = hdus[0].header
        unit, scale = _unit(header), header.get("PIXARCS", grid.pixel_arcsec)
        if factor_to(JY_PER_BEAM, unit, path) != 1:
            raise UnitError(f"{path} has BUNIT {unit!r}; a simulated image must be in Jy/beam")
        if "BMAJ" not in header:
            raise BadDataError(f"{path} has no BMAJ in its header, the FWHM of its beam in degrees")
        if abs(scale - grid.pixel_arcsec) > SCALE_TOLERANCE * grid.pixel_arcsec:
            raise GridError(f"{path}: pixels of {scale} arcsec, the training needs {grid.pixel_arcsec}")
        fine = abs(3600 * header["BMAJ"] - grid.beam_arcsec) < 0.1
        image, truth, rms = (np.array(hdu.data, np.float32) for hdu in hdus)
    for name, plane in (("TRUTH", truth), ("RMS", rms)):
        refuse_infinite(plane, f"{path}[{name}]")
    level = np.float32(truth_snr) * rms
    targets = _targets(image, truth, level)
    return Pair(image, _noise(image, path), truth, level, targets, scalable=True, survey_beam=fine)


def _published(image: Numbers, model: Numbers, factor: float) -> Pair:
    brightness, truth = image.window(), model.window()
    brightness *= np.float32(factor)
    unit = _unit(model.header)
    # a model without unit is in that of its image
    of_truth = factor_to(JY_PER_PIXEL, unit, model.path) if unit else factor
    if of_truth is None:
        raise UnitError(f"{model.path} has BUNIT {unit!r}; the model of an image in Jy/pixel is in Jy/pixel")
    refuse_infinite(truth, model.path)
    truth *= np.float32(of_truth)
    if (truth >= BRIGHTEST_MODEL).any():
        raise BadDataError(
            f"{model.path} reaches {np.nanmax(truth):g} Jy/pixel: the truth of an image in Jy/pixel is a "
            "noise-free model, a mask belongs to an image in Jy/beam"
        )
    level = np.float32(PUBLISHED_LEVEL)
    targets = _targets(brightness, truth, level)
    return Pair(brightness, _noise(brightness, image.path), truth, level, targets, PUBLISHED_NORMALISATION)


def _labelled(image_path: str, labels: Numbers, grid: ImageGrid) -> Pair:
    plane = read_plane(image_path)
    check_grid(plane, *grid, image_path)
    label = labels.window()
    refuse_infinite(label, labels.path)
    label[label == NO_DATA] = np.nan
    strange = np.setdiff1d(label[~np.isnan(label)], (0, 1))
    if strange.size:
        raise BadDataError(f"{labels.path} holds {strange[0]}; a label is 0, 1 or {NO_DATA} (no data)")
    level = np.float32(0.5)
    known = np.isfinite(label) & np.isfinite(plane.data)
    if not known.any():
        raise BadDataError(
            f"{labels.path} labels no pixel of {image_path} that has data: leave this pair out"
        )
    places = NOWHERE
    if known.mean() < MOSTLY_KNOWN:
        pixels = np.argwhere(known).astype(np.int32)
        places = pixels[np.random.default_rng(0).integers(len(pixels), size=TARGETS)]
    targets = _targets(plane.data, label, level)
    return Pair(plane.data, _noise(plane.data, image_path), label, level, targets, known=places)


def refuse_infinite(plane: np.ndarray, shown: str | Path) -> None:
    """Raise `BadDataError` where a truth is infinite somewhere; where it is not known it is NaN."""
    infinite = plane[np.isinf(plane)]
    if infinite.size:
        raise BadDataError(
            f"{shown} holds {infinite[0]} in {infinite.size} pixels: write NaN where the truth is not known"
        )


def _noise(image: np.ndarray, path: str | Path) -> np.ndarray:
    try:
        return local_rms(image)
    except AllBlankError as error:
        raise AllBlankError(f"{path}: {error}") from None


def _targets(image: np.ndarray, truth: np.ndarray, level: np.ndarray | np.float32) -> np.ndarray:
    labels, _ = ndimage.label(pixel_classes(image, truth, level) == 1, EIGHT_NEIGHBOURS)
    pixels = np.argwhere(labels).astype(np.int32)
    if not len(pixels):
        return pixels
    # a patch weighs as the root of its area: one large halo must not leave the small ones unseen
    weights = np.bincount(labels.ravel())[labels[labels > 0]] ** -0.5
    chosen = np.random.default_rng(0).choice(len(pixels), TARGETS, p=weights / weights.sum())
    return pixels[chosen]


@contextmanager
def _opened(path: str) -> Iterator[list]:
    """Give image, truth and noise of a simulated pair, planes of one shape, none of them read yet."""
    with warnings.catch_warnings(), reading(path, NotFitsError, TruncatedError):
        warnings.simplefilter("ignore", AstropyWarning)
        with fits.open(path, memmap=False) as hdus:
            present = [hdu.name for hdu in hdus]
            if missing := [name for name in SIMULATED if name not in present]:
                raise BadDataError(
                    f"{path} has no extension {missing[0]}, only {present}; a single file must come from "
                    "radiounet simulate, other pairs are given as IMAGE.fits:TRUTH.fits"
                )
            planes = [hdus[name] for name in SIMULATED]
            for hdu in planes:
                if len(hdu.shape) != 2:
                    raise ShapeMismatchError(
                        f"{path}[{hdu.name}] has shape {hdu.shape}; one plane [y, x] is needed"
                    )
                if hdu.shape != planes[0].shape:
                    raise ShapeMismatchError(
                        f"{path} has {planes[0].shape} pixels [y, x], its {hdu.name} {hdu.shape}"
                    )
            yield planes


def _unit(header: fits.Header) -> str:
    return str(header.get("BUNIT", "")).strip()


def check_pairs(paths: Sequence[str], crop_px: int) -> str:
    """Look at every pair before a long training, and return a hash of the set.

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
        A file that cannot be opened, an extension missing, a truth on other pixels than its
        image, an image smaller than a crop.
    """
    digest = hashlib.sha256()
    for path in paths:
        files = pair_files(path)
        with nullcontext(_opened_pair(files)) if len(files) > 1 else _opened(path) as planes:
            side = min(planes[0].data.shape)
            if side < crop_px:
                raise ShapeMismatchError(
                    f"{path} is {side} px wide, less than a crop of {crop_px} px: give a smaller --crop-px"
                )
            for plane in planes:
                values = np.array(plane.data, ">f4")  # of one type and byte order, whatever those of the file
                values[np.isnan(values)] = np.nan  # NaN has many forms
                digest.update(values.tobytes())
    return digest.hexdigest()
