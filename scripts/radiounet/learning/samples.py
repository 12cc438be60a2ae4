"""Simulated images as the training of the network of several classes sees them.

Needs no Keras: samples are made in processes of their own.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from radiounet.images.background import normalise
from radiounet.images.processes import end_with_parent
from radiounet.images.provenance import code_hash
from radiounet.images.writing import atomic
from radiounet.network.masks import EIGHT_NEIGHBOURS
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.simulate import CLASSES, simulate_pair

DIFFUSE = 1 << CLASSES.index("diffuse")
KNOWN = 1 << 7
"""Bit of a pixel that has data; the losses leave the others out."""
TARGETS = 64


@dataclass(frozen=True)
class Sample:
    """One simulated image and its truth.

    Attributes
    ----------
    plane : ndarray of float16, ``[y, x]``
        `radiounet.images.background.normalise` of the image.
    bits : ndarray of uint8, ``[y, x]``
        Bits of `radiounet.simulation.simulate.CLASSES`, and `KNOWN`.
    places : ndarray of int16, ``[TARGETS, 2]``
        y and x to centre crops on: of diffuse pixels, drawn so that an object weighs as the
        root of its area; anywhere in the known part where nothing is diffuse.
    """

    plane: np.ndarray
    bits: np.ndarray
    places: np.ndarray


def make_sample(options: SimulateOptions, seed: int) -> Sample:
    """Simulate one pair and bring it to the form of a sample; a function of its arguments alone."""
    pair = simulate_pair(options, seed)
    known = np.isfinite(pair.image)
    plane = normalise(pair.image, pair.beam_arcsec / options.pixel_arcsec)
    bits = np.where(known, pair.classes | KNOWN, 0).astype(np.uint8)
    rng = np.random.default_rng([options.seed, seed, 5])
    return Sample(plane.astype(np.float16), bits, _places(bits, rng))


def _places(bits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    labels, count = ndimage.label(bits & DIFFUSE, EIGHT_NEIGHBOURS)
    pixels, weights = np.argwhere(labels if count else bits), None
    if count:
        weights = np.bincount(labels.ravel())[labels[labels > 0]] ** -0.5
        weights /= weights.sum()
    return pixels[rng.choice(len(pixels), TARGETS, p=weights)].astype(np.int16)


def cached_sample(folder: str | Path, options: SimulateOptions, seed: int) -> Sample:
    """Read a sample that was made before, or make and keep it.

    Parameters
    ----------
    folder : path
        Samples of other options or another code may be there too.
    """
    made_by = hashlib.sha256(f"{options.model_dump_json()} {code_hash()}".encode()).hexdigest()[:12]
    path = Path(folder) / f"{seed:06d}-{made_by}.npz"
    if not path.exists():
        sample = make_sample(options, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **vars(sample))
        return sample
    with np.load(path) as store:
        return Sample(store["plane"], store["bits"], store["places"])


def be_nice() -> None:
    """Let a process that makes samples give way to others, and end with its parent."""
    end_with_parent()
    os.nice(10)
