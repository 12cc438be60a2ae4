"""Scores on sets that a method was not made with: numbers from arrays, no files and no networks.

A truth (`ObjectTruth`, `RegionTruth`, `SceneTruth`) judges the islands of a mask: which objects they
find, and which of them are false. `Scan` does so for every threshold and peak.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from radiounet.images.gaussian import beam_area_px
from radiounet.measuring.object_scores import FOUND_FLUX, FOUND_OVERLAP, false_labels
from radiounet.measuring.scores import divide
from radiounet.network.masks import EIGHT_NEIGHBOURS, make_mask
from radiounet.settings.releases import DR2

MIN_AREA_PX = beam_area_px(DR2.beam_arcsec, DR2.pixel_arcsec)
"""Islands of a mask are a beam of the survey or more, as in the workflow."""

THRESHOLDS = np.array(
    [0.005, 0.01, 0.02, *np.round(np.arange(0.04, 1, 0.04), 2), 0.98, 0.99, 0.995, 0.999], np.float32
)
"""What `Scan` tries: those of `radiounet.learning.evaluation`, and lower ones for networks never sure."""

MOST_AMBIGUOUS = 0.5
REGION_SHARE = 0.1


@dataclass(frozen=True)
class Islands:
    """Islands of a mask.

    Attributes
    ----------
    labels : ndarray of int, ``[y, x]``
        1, 2, ...; 0 outside the mask.
    highest : ndarray of float32, ``[1 + island]``
        Largest probability; -1 for what is outside.
    """

    labels: np.ndarray
    highest: np.ndarray

    def kept(self, peak: float | None) -> np.ndarray:
        """Which reach a probability, ``[1 + island]``; all that are islands for None."""
        return self.highest >= np.float32(peak or 0)


def islands_above(probability: np.ndarray, threshold: float, min_area_px: float = MIN_AREA_PX) -> Islands:
    """Islands of `radiounet.network.masks.make_mask` for the lowest peak there is."""
    mask = make_mask(probability, threshold, min_area_px) == 1
    labels, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
    highest = np.full(count + 1, -1, np.float32)
    np.maximum.at(highest, labels[mask], probability[mask])
    return Islands(labels, highest)


@dataclass(frozen=True)
class Judgement:
    """What each island has to do with each object of a truth.

    Attributes
    ----------
    inside : ndarray, ``[object, 1 + island]``
        Flux or pixels of the object in the island.
    whole : ndarray, ``[object]``
        Flux or pixels of the object.
    wrong : ndarray of bool, ``[1 + island]``
        False islands.
    areas : ndarray, ``[1 + island]``
        Pixels that count.
    touching : ndarray of bool, ``[object, 1 + island]``
    common : ndarray, ``[object, 1 + island]``
        Pixels of the object's truth mask in the island.
    true : ndarray, ``[object]``
        Pixels of the object's truth mask.
    """

    inside: np.ndarray
    whole: np.ndarray
    wrong: np.ndarray
    areas: np.ndarray
    touching: np.ndarray
    common: np.ndarray
    true: np.ndarray

    def found(self, kept: np.ndarray) -> np.ndarray:
        """Which objects a mask of the kept islands finds, ``[object]``.

        Those with 30 % in the mask, or whose truth mask has an intersection over union
        above 0.1 with the islands that touch the object.
        """
        share = divide(self.inside[:, kept].sum(axis=1), self.whole)
        common = self.common[:, kept].sum(axis=1)
        union = self.touching[:, kept] @ self.areas[kept] + self.true - common
        return (share >= FOUND_FLUX) | (divide(common, union) > FOUND_OVERLAP)

    def false(self, kept: np.ndarray) -> int:
        """Return how many of the kept islands are false."""
        return int(self.wrong[kept].sum())


@dataclass(frozen=True)
class ObjectTruth:
    """True diffuse emission of an image; planes ``[y, x]``.

    Attributes
    ----------
    known : ndarray of bool
        Pixels that count: with data, and not ambiguous.
    truth : ndarray
        Diffuse emission, Jy/beam.
    mask : ndarray of bool
        Truth mask, under ambiguous pixels too.
    owner : ndarray of int
        Number of each pixel's object, 0 for none.
    ambiguous : ndarray of bool
    numbers : ndarray of int, ``[object]``
        The objects to be found. The flux of one is that on its pixels that count.
    """

    known: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    owner: np.ndarray
    ambiguous: np.ndarray
    numbers: np.ndarray

    def judge(self, islands: Islands) -> Judgement:
        """Compare islands with the objects.

        An island is false that holds no pixel of the truth mask, and less than half of
        whose pixels are ambiguous.
        """
        labels, count = islands.labels, len(islands.highest)
        rows = _rows(self.owner, self.numbers)
        mine = self.known & (rows >= 0)
        true = mine & self.mask
        shape = len(self.numbers), count
        inside = _pairs(rows, labels, mine, shape, self.truth)
        common = _pairs(rows, labels, true, shape)
        unclear = divide(_sizes(labels, self.ambiguous, count), _sizes(labels, labels > 0, count))
        wrong = (_sizes(labels, self.mask, count) == 0) & ~(unclear >= MOST_AMBIGUOUS)
        wrong[0] = False
        return Judgement(
            inside=inside,
            whole=inside.sum(axis=1),
            wrong=wrong,
            areas=_sizes(labels, self.known, count),
            touching=_pairs(rows, labels, mine, shape) > 0,
            common=common,
            true=common.sum(axis=1),
        )


@dataclass(frozen=True)
class RegionTruth:
    """Regions that experts drew; planes ``[y, x]``.

    Attributes
    ----------
    known : ndarray of bool
        Pixels with data.
    regions : ndarray of int
        Number of each pixel's region, 0 for none.
    """

    known: np.ndarray
    regions: np.ndarray

    def judge(self, islands: Islands) -> Judgement:
        """Compare islands with the regions.

        Only islands of which a tenth lies in regions cover any; the others are false.
        """
        labels, count = islands.labels, len(islands.highest)
        mine = self.known & (self.regions > 0)
        numbers = np.unique(self.regions[mine])
        covers = _pairs(_rows(self.regions, numbers), labels, mine, (len(numbers), count))
        areas = _sizes(labels, self.known, count)
        relevant = divide(covers.sum(axis=0), areas) >= REGION_SHARE
        wrong = ~relevant
        wrong[0] = False
        none, whole = np.zeros(covers.shape), covers.sum(axis=1)
        # with no pixel in common, only the share that is covered counts
        return Judgement(covers * relevant, whole, wrong, areas, none, none, whole)


@dataclass(frozen=True)
class SceneTruth:
    """Objects as `radiounet.measuring.object_scores.score_objects` judges them; planes ``[y, x]``.

    Attributes
    ----------
    known, shown : ndarray of bool
        Pixels whose truth is known, and pixels with data.
    truth : ndarray
        Diffuse emission, Jy/beam.
    mask : ndarray of bool
        Truth mask.
    owner : ndarray of int
        Number of each pixel's object, 0 for none.
    numbers, whole : ndarray, ``[object]``
        The objects to be found, and the sum of each over all of its pixels, outside the image too.
    """

    known: np.ndarray
    shown: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    owner: np.ndarray
    numbers: np.ndarray
    whole: np.ndarray

    @cached_property
    def _mine(self) -> np.ndarray:
        """Place among the numbers of the object of each pixel with data, -1 for none of them."""
        return np.where(self.shown, _rows(self.owner, self.numbers), -1).ravel()

    @cached_property
    def _true(self) -> np.ndarray:
        mine = self._mine[self.mask.ravel()]
        return np.bincount(mine[mine >= 0], minlength=len(self.numbers))

    def judge(self, islands: Islands) -> Judgement:
        """Compare islands with the objects."""
        held = np.flatnonzero(islands.labels)  # of most masks a small part of the image
        known, truth, mask = (one.ravel()[held] for one in (self.known, self.truth, self.mask))
        labels, rows = islands.labels.ravel()[held], self._mine[held]
        shape = len(self.numbers), len(islands.highest)
        return Judgement(
            inside=_pairs(rows, labels, rows >= 0, shape, truth),
            whole=self.whole,
            wrong=false_labels(labels, mask, known),
            areas=_sizes(labels, known, shape[1]),
            touching=_pairs(rows, labels, rows >= 0, shape) > 0,
            common=_pairs(rows, labels, mask & (rows >= 0), shape),
            true=self._true,
        )


def _rows(owner: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Place of each pixel's object among the numbers, -1 for none of them."""
    places = np.full(max(int(owner.max(initial=0)), *numbers, 0) + 1, -1)
    places[numbers] = np.arange(len(numbers))
    return places[owner]


def _pairs(
    rows: np.ndarray,
    labels: np.ndarray,
    chosen: np.ndarray,
    shape: tuple[int, int],
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Pixels, or the sum of weights, of each pair of object and island."""
    pairs = rows[chosen] * shape[1] + labels[chosen]
    some = None if weights is None else weights[chosen].astype(float)
    return np.bincount(pairs, some, minlength=shape[0] * shape[1]).reshape(shape)


def _sizes(labels: np.ndarray, chosen: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(labels[chosen], minlength=count)


class Scan:
    """What masks of every threshold and peak of `THRESHOLDS` find, summed over images.

    Parameters
    ----------
    min_area_px : float, optional
        Smallest island of the masks.
    """

    def __init__(self, min_area_px: float = MIN_AREA_PX) -> None:
        self._min_area_px = min_area_px
        self._found, self._false, self._masked, self._right = np.zeros((4, *2 * [len(THRESHOLDS)]), int)
        self._pixels, self._true, self._area_deg2 = 0, 0, 0.0

    def add(
        self, probability: np.ndarray, truth: ObjectTruth | RegionTruth | SceneTruth, pixel_arcsec: float
    ) -> None:
        """Count what is found in an image."""
        self._pixels += int(truth.known.sum())
        self._area_deg2 += area_deg2(truth.known, pixel_arcsec)
        for row, threshold in enumerate(THRESHOLDS):
            islands = islands_above(probability, threshold, self._min_area_px)
            judgement = truth.judge(islands)
            for column in range(row, len(THRESHOLDS)):
                kept = islands.kept(THRESHOLDS[column])
                self._found[row, column] += judgement.found(kept).sum()
                self._false[row, column] += judgement.false(kept)
                self._masked[row, column] += judgement.areas[kept].sum()
                self._right[row, column] += judgement.common[:, kept].sum()
        self._true += int(judgement.true.sum())

    def best(self, max_false_per_deg2: float = 1.0, dice_share: float = 0.0) -> dict[str, float]:
        """Return the mask that finds most with few false islands.

        Of equals the one with fewest, then of the highest threshold. It is chosen on what it
        is measured on: the summary of a curve, not what to expect of another image. A mask
        of half the sky finds everything and has no false island: mind what is masked.

        Parameters
        ----------
        max_false_per_deg2 : float
        dice_share : float
            Least Dice coefficient with the objects, over the highest of the masks with few false islands.

        Returns
        -------
        dict
            threshold, peak (NaN where nothing is found so), found, false_per_deg2, masked (share).
        """
        allowed = np.triu(self._false <= max_false_per_deg2 * self._area_deg2) & (self._found > 0)
        if not allowed.any():
            return {"threshold": np.nan, "peak": np.nan, "found": 0, "false_per_deg2": 0.0, "masked": 0.0}
        dice = 2 * self._right / np.maximum(self._masked + self._true, 1)
        allowed &= dice >= dice_share * dice[allowed].max()
        places = [tuple(place) for place in np.argwhere(allowed)]
        place = max(places, key=lambda one: (self._found[one], -self._false[one], one[0], -one[1]))
        return {
            "threshold": float(THRESHOLDS[place[0]]),
            "peak": float(THRESHOLDS[place[1]]),
            "found": int(self._found[place]),
            "false_per_deg2": float(self._false[place] / self._area_deg2),
            "masked": float(self._masked[place] / self._pixels),
        }


def area_deg2(known: np.ndarray, pixel_arcsec: float) -> float:
    """Solid angle of the pixels that count, deg2."""
    return float(known.sum() * (pixel_arcsec / 3600) ** 2)


def aperture(
    probability: np.ndarray, known: np.ndarray, y: float, x: float, radius_px: float
) -> tuple[float, float]:
    """Largest and mean probability of the pixels that count in a circle; NaN where there are none."""
    dy, dx = np.ogrid[: known.shape[0], : known.shape[1]]
    values = probability[known & (np.hypot(dy - y, dx - x) <= radius_px)]
    return (float(values.max()), float(values.mean(dtype=float))) if values.size else (np.nan, np.nan)
