"""Model cards: what a network is, what it expects, and how its input is made.

The normalisation belongs to the model, so it lives here beside the card and
needs no Keras: the tiling stage imports this module, not the network.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import yaml
from pydantic import AfterValidator, Field

from radiounet.errors import ModelError
from radiounet.images.background import background_arcmin, normalise, subtract_background
from radiounet.images.model_files import MODEL_CARD
from radiounet.images.noise import BOX_PX, local_rms
from radiounet.images.provenance import sha256_of
from radiounet.images.writing import atomic
from radiounet.network.architectures.registry import ARCHITECTURES, Precision, known_architecture
from radiounet.network.cluster_probability import HostCalibration
from radiounet.settings.checkout import MODELS_VARIABLE, models_folder
from radiounet.settings.releases import DR2
from radiounet.settings.section import LogScale, Section, Width
from radiounet.settings.yaml_file import read_yaml

BEAM_PX = DR2.beam_arcsec / DR2.pixel_arcsec
"""FWHM of the survey's beam."""


class LogNormalisation(LogScale):
    """``clip((log10(max(I, floor)) - log10 low) / (log10 high - log10 low), 0, 1)``.

    The form of the published network (Stuardi et al. 2024, `load_data.py`).
    """

    kind: Literal["log10"]

    def __call__(
        self, image: np.ndarray, rms: np.ndarray | None = None, beam_px: float = BEAM_PX
    ) -> np.ndarray:
        """Return the network's input plane, ``[y, x]`` float32, blank pixels at the floor; no rms is used."""
        safe = np.where(np.isfinite(image), image, np.float32(self.floor))
        logs = np.log10(np.maximum(safe, np.float32(self.floor), dtype=np.float32))
        low, high = np.log10(self.low), np.log10(self.high)
        return np.clip((logs - np.float32(low)) / np.float32(high - low), 0, 1)

    @property
    def blank(self) -> float:
        """Input where there is no data."""
        return float(self(np.full((1, 1), np.nan, np.float32))[0, 0])


class AsinhNormalisation(Section):
    """``asinh(I / rms)`` with the local rms: linear for noise, logarithmic for sources.

    The sign of the noise is kept, so the network can average it down.
    """

    kind: Literal["asinh_snr"]
    blank: ClassVar[float] = 0.0

    def __call__(self, image: np.ndarray, rms: np.ndarray, beam_px: float = BEAM_PX) -> np.ndarray:
        """Return the network's input plane, ``[y, x]`` float32, blank pixels 0."""
        with np.errstate(invalid="ignore", divide="ignore"):
            plane = np.divide(image, rms, dtype=np.float32)
        np.arcsinh(plane, out=plane)
        plane[~np.isfinite(plane)] = 0
        return plane


class FlatNormalisation(Section):
    """``asinh((I - background) / noise)`` with `radiounet.images.background`'s measures of both."""

    kind: Literal["asinh_flat"]
    blank: ClassVar[float] = 0.0

    def __call__(
        self, image: np.ndarray, rms: np.ndarray | None = None, beam_px: float = BEAM_PX
    ) -> np.ndarray:
        """Return the network's input plane, ``[y, x]`` float32, blank pixels 0; `rms` is not used."""
        return normalise(image, beam_px)


Normalisation = Annotated[
    LogNormalisation | AsinhNormalisation | FlatNormalisation, Field(discriminator="kind")
]


LEVEL_ERROR = 0.15
"""Error of a measured background over the noise, see `tests/unit/images/test_background.py`."""


def network_input(normalisation: Normalisation, image: np.ndarray, beam_px: float) -> np.ndarray:
    """What a network sees of a whole image.

    The published network sees the image with its background. Networks on ``asinh(I / rms)`` were
    trained on images without one: a measured level is subtracted from their input with the weight of a
    Wiener filter, level^2 / (level^2 + variance), so that noise in the measurement is not.

    Parameters
    ----------
    normalisation : Normalisation
        Of the model's card.
    image : ndarray, ``[y, x]``
        Brightness, Jy/beam; NaN where blank.
    beam_px : float
        FWHM of the beam that the image was made with, px.

    Returns
    -------
    ndarray of float32, ``[y, x]``

    Raises
    ------
    AllBlankError
        Background or noise cannot be measured.
    """
    if isinstance(normalisation, FlatNormalisation):
        return normalisation(image, beam_px=beam_px)
    rms = local_rms(image)  # of an image without noise it refuses the input of any network
    seen = without_level(image, rms, beam_px) if isinstance(normalisation, AsinhNormalisation) else image
    return normalisation(seen, rms, beam_px)


def without_level(image: np.ndarray, rms: np.ndarray, beam_px: float) -> np.ndarray:
    """Image without its background, as a network on ``asinh(I / rms)`` sees it, see `network_input`."""
    flat = subtract_background(image, rms, beam_px)
    for start in range(0, len(image), BOX_PX):  # so that little memory is used
        rows = slice(start, start + BOX_PX)
        level = image[rows] - flat[rows]
        square = level * level
        flat[rows] = image[rows] - level * square / (square + (LEVEL_ERROR * rms[rows]) ** 2)
    return flat


class Weights(Section):
    """The weights file beside the card."""

    file: str = Field(description="name in the model's folder")
    sha256: str = Field(description="SHA-256 of that file", pattern="^[0-9a-f]{64}$")


class ModelCard(Section):
    """A network with everything needed to use it and to cite it."""

    name: str
    architecture: Annotated[str, AfterValidator(known_architecture)]
    widths: tuple[Width, ...] = Field(min_length=2, description="filters per level, from fine to coarse")
    tile_px: int = Field(gt=0, description="side of one network input, px")
    core_px: int = Field(gt=0, description="side of the central part that is kept, px")
    normalisation: Normalisation
    unit: Literal["Jy/beam"]
    beam_arcsec: float = Field(gt=0, description="FWHM of the restoring beam, arcsec")
    pixel_arcsec: float = Field(gt=0, description="pixel scale, arcsec")
    threshold: float = Field(gt=0, lt=1, description="probability at which the mask begins")
    precision: Precision = Field(
        "float32", description="of its multiplications where the configuration names none, see `open_model`"
    )
    peak: float | None = Field(
        None, gt=0, lt=1, description="probability that an island must reach somewhere; null: the threshold"
    )
    host_calibration: HostCalibration | None = Field(
        None, description="from map to the probability that a cluster hosts diffuse emission"
    )
    training: dict[str, Any] = Field(description="data, seeds, command, date, wall time")
    metrics: dict[str, Any] = Field(description="measured on held-out fields")
    weights: Weights
    licence: str
    citation: str

    @property
    def sha256(self) -> str:
        """SHA-256 of what results depend on: not of its name, licence, citation, training and metrics."""
        described = {"name", "licence", "citation", "training", "metrics"}
        # without defaults, so that a new option with one changes no hash
        text = self.model_dump_json(exclude=described, exclude_defaults=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def classes(self) -> tuple[str, ...]:
        """What the network tells apart from diffuse emission, in the order of its further outputs."""
        return ARCHITECTURES[self.architecture].other_classes

    def thresholds(self, chosen: float | None) -> tuple[float, float]:
        """Probability where a mask begins and that its islands must reach: the card's, or one for both."""
        return (chosen, chosen) if chosen is not None else (self.threshold, self.peak or self.threshold)

    @property
    def background_arcmin(self) -> float | None:
        """Scale of the background that is taken away from its input; None for the published network."""
        return None if self.normalisation.kind == "log10" else background_arcmin(self.pixel_arcsec)

    @property
    def surrounded(self) -> bool:
        """Whether its tiles lie on a plane surrounded by blanks, see `radiounet.network.tiling`."""
        return ARCHITECTURES[self.architecture].surrounded

    @property
    def step_px(self) -> int:
        """What the side of a tile must be a multiple of."""
        return ARCHITECTURES[self.architecture].tile_step(len(self.widths))

    @property
    def margin_px(self) -> int:
        """Pixels of context around a core, on each side."""
        return (self.tile_px - self.core_px) // 2


MODELS = models_folder()


def model_folder(name: str) -> Path:
    """Folder of a model: a name in `MODELS`, or a path."""
    return MODELS / name if (MODELS / name).is_dir() else Path(name)


def read_card(folder: str | Path, check_weights: bool = True) -> ModelCard:
    """Read ``card.yaml`` of a model folder and check the weights' hash.

    Parameters
    ----------
    folder : path
        The model's folder, such as ``resources/models/lotss-unet``.
    check_weights : bool
        Also verify the SHA-256 of the weights file.

    Raises
    ------
    ModelError
        Card missing or malformed, or weights that are not those it names.
    """
    path = Path(folder) / MODEL_CARD
    try:
        card = ModelCard.model_validate(read_yaml(path))
    except (FileNotFoundError, NotADirectoryError):
        known = ", ".join(sorted(card.parent.name for card in MODELS.glob(f"*/{MODEL_CARD}"))) or "none"
        raise ModelError(
            f"no model card at {path}; models by name in {MODELS}: {known}; give one of these, or the folder "
            f"of a model; or fetch one (radiounet fetch-model); or set {MODELS_VARIABLE} to another folder"
        ) from None
    except ValueError as error:  # of YAML or of pydantic
        raise ModelError(f"{path} is not a valid model card: {error}") from error
    if (card.tile_px - card.core_px) % 2 or card.core_px > card.tile_px:
        raise ModelError(f"{path}: a core of {card.core_px} px does not centre in {card.tile_px} px")
    if check_weights:
        weights = Path(folder) / card.weights.file
        if not weights.is_file():
            raise ModelError(f"{path} names {card.weights.file}, which is not there")
        found = sha256_of(weights)
        if found != card.weights.sha256:
            raise ModelError(
                f"{weights} has SHA-256 {found}, its card says {card.weights.sha256}; "
                "restore the file, or the card that belongs to it"
            )
    return card


def write_named_weights(path: str | Path, weights: dict[str, np.ndarray]) -> None:
    """Write weights, ``layer/weight``, in half precision, under names that a zip file can hold.

    Raises
    ------
    ModelError
        A weight that half precision cannot hold.
    """
    largest = np.finfo(np.float16).max
    for name, one in weights.items():
        if not (np.abs(one) <= largest).all():
            raise ModelError(
                f"{name} holds weights that are NaN or beyond {largest:g}, the limit of half precision"
            )
    kept = {name.replace("/", "|"): one.astype(np.float16) for name, one in weights.items()}
    with atomic(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **kept)  # type: ignore[arg-type]  # its stub takes every name for allow_pickle


def read_named_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Read weights from `write_named_weights`, as ``layer/weight``.

    Raises
    ------
    ModelError
        There is no such file.
    """
    if not Path(path).is_file():
        raise ModelError(f"there are no weights {path}")
    with np.load(path) as store:
        return {name.replace("|", "/"): store[name].astype(np.float32) for name in store}


def write_card(folder: str | Path, card: ModelCard) -> None:
    """Write ``card.yaml`` of a model folder."""
    with atomic(Path(folder) / MODEL_CARD) as temporary:
        temporary.write_text(card_text(card), encoding="utf-8")


def card_text(card: ModelCard) -> str:
    """Text of ``card.yaml`` of a model folder."""
    return yaml.safe_dump(json.loads(card.model_dump_json()), sort_keys=False)
