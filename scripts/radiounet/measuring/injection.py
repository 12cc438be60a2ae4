"""Mock objects are added to an image, and the shipped network looks for them as it looked at the image.

Only the cores are predicted that a mock's region touches; elsewhere the probability map of the image stands.
Where tiles may lie anywhere (`radiounet.network.tiling.Layout.surrounded`), they are laid around the mock.
Their place changes the probability a little (by up to 0.03 for ``lotss-pair``), and so does the precision. So
the image alone is predicted in the same tiles, and a mock is found by pixels that are in neither its mask nor
the stored one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from radiounet.images.gaussian import FWHM_AREA
from radiounet.images.image import read_plane
from radiounet.images.noise import BOX_PX, local_rms, whole_boxes
from radiounet.images.origins import check_maps, mask_peak, origin_error
from radiounet.images.reading import fits_header, fits_plane
from radiounet.measuring.mocks import Box, Canvas, Mock
from radiounet.measuring.object_scores import FOUND_FLUX
from radiounet.network.masks import make_mask
from radiounet.network.model_cards import ModelCard, network_input
from radiounet.network.tiling import Layout, layout, sides

if TYPE_CHECKING:
    from radiounet.network.inference import Predictor

LEAST_HALF_PX = 4 * BOX_PX
"""A cut-out reaches so far from the middle of its mock; within it lie the boxes of the background there."""
AROUND_PX = 64
"""Of the map around the predicted cores that is masked with them, so that islands are whole."""
CORE_PX = 384
"""Side of the cores on a mock, where these may lie anywhere: most mocks need one."""
TILES_AT_ONCE = 64
"""Held in memory; those of many trials, so that calls of the network are filled."""
MOST_ALONE = 256
"""Cores of the image without a mock that are kept for the next mock at their place."""


@dataclass(frozen=True)
class Trial:
    """A mock and its flux density, Jy."""

    mock: Mock
    flux_jy: float


class MockedImage:
    """An image with its maps, to which mocks are added.

    Parameters
    ----------
    image, probability, mask : str
        Products of one mosaic.
    card : ModelCard
        Of the model that they were made with.
    predictor : Predictor
        Its network.

    Attributes
    ----------
    plane : Plane
    rms : ndarray, ``[y, x]``
        Local rms of the image, Jy/beam.
    mask, has_data : ndarray of bool, ``[y, x]``
        Diffuse pixels of the mask; pixels with a probability.
    precision : str
        Of the multiplications with which mocks are looked for.

    Raises
    ------
    OriginError
        The files do not belong together, or to another model.
    """

    def __init__(self, image: str, probability: str, mask: str, card: ModelCard, predictor: Predictor):
        check_maps(image, probability, mask)
        header = fits_header(mask)
        # maps of an older version do not name the card
        made_by = header["MODELSHA"], header.get("CARDSHA", card.sha256)
        if made_by != (card.weights.sha256, card.sha256):
            raise origin_error(mask, f"{mask} was made with another model or card than {card.name}")
        self._card, self._predictor, self.precision = card, predictor, predictor.precision
        self._decision = header["THRESH"], header["MINBEAMS"], mask_peak(header)
        self.plane = read_plane(image)
        self.rms = local_rms(self.plane.data)
        self._probability = fits_plane(probability)
        self.mask = fits_plane(mask) == 1
        self.has_data = np.isfinite(self.plane.data) & np.isfinite(self._probability)
        shape = self.plane.data.shape
        tile_px, core_px = sides(card, tuple(min(one, CORE_PX) for one in shape))
        self._where = layout(shape, tile_px, core_px, header["SEGMODE"], card.surrounded)
        self._starts = self._where.starts()
        self._input = np.full(self._where.padded, card.normalisation.blank, np.float32)
        self._input[self._where.place] = self._normalised(self.plane.data)
        # neighbouring mocks share their cut-out
        self._input_of = lru_cache(maxsize=96)(self._cut_input)
        self._alone: dict[tuple[int, int], np.ndarray] = {}

    def canvas(self, y: float, x: float) -> Canvas:
        """What mocks around a pixel must know of the image."""
        return Canvas.around(self.plane, y, x)

    def _normalised(self, image: np.ndarray) -> np.ndarray:
        beam_px = float(np.sqrt(self.plane.resolution_area_px / FWHM_AREA))
        return network_input(self._card.normalisation, image, beam_px)

    def look(self, trials: Sequence[Trial]) -> list[bool]:
        """Whether the network finds each mock; see `FOUND_FLUX`."""
        found: list[bool] = []
        waiting: list[tuple[Trial, np.ndarray, np.ndarray]] = []
        for number, trial in enumerate(trials, 1):
            starts = self._touched(trial.mock.region)
            waiting.append((trial, starts, self._tiles(trial, starts)))
            if sum(len(one) for _, one, _ in waiting) >= TILES_AT_ONCE or number == len(trials):
                cores = self._predict_with_alone(*map(np.concatenate, list(zip(*waiting, strict=True))[1:]))
                for one, own, _ in waiting:
                    found.append(self._is_found(one, own, cores[: len(own)]))
                    cores = cores[len(own) :]
                waiting = []
        return found

    def _predict_with_alone(self, starts: np.ndarray, tiles: np.ndarray) -> np.ndarray:
        """Cores of tiles with mocks; and those of the image alone, which are kept."""
        if len(self._alone) > MOST_ALONE:
            self._alone.clear()
        new = [one for one in np.unique(starts, axis=0) if tuple(one) not in self._alone]
        alone = np.array(new, int).reshape(-1, 2)
        cores = self._predict(np.concatenate([starts, alone]), np.concatenate([tiles, self._windows(alone)]))
        # copies, so that they do not hold the cores of the whole batch
        self._alone |= {
            tuple(one): core.copy() for one, core in zip(alone, cores[len(starts) :], strict=True)
        }
        return cores[: len(starts)]

    def _touched(self, region: Box) -> np.ndarray:
        """Starts of the cores that a region touches and that have data, ``[core, 2]``."""
        chosen = []
        for start in self._around(region) if self._where.surrounded else self._starts:
            target = self._where.core_of(start)[0]
            both = [_common(one, other) for one, other in zip(target, region, strict=True)]
            if all(one.start < one.stop for one in both) and self.has_data[target].any():
                chosen.append(start)
        return np.array(chosen, int).reshape(-1, 2)

    def _around(self, region: Box) -> np.ndarray:
        """Starts of cores that cover a region, from a multiple of the network's step on, ``[core, 2]``."""
        step, core_px, last = self._card.step_px, self._where.core_px, self._starts.max(axis=0)
        rows, columns = (
            np.unique(np.minimum(np.arange(max(part.start, 0) // step * step, part.stop, core_px), end))
            for part, end in zip(region, last, strict=True)
        )
        return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)

    def _tiles(self, trial: Trial, starts: np.ndarray) -> np.ndarray:
        """Normalised tiles of the image with a mock, ``[tile, y, x]``."""
        side, tiles = self._where.tile_px, self._windows(starts)
        box, change = self._change(trial)
        offset = [part.start for part in self._where.place]
        place = [slice(part.start + low, part.stop + low) for part, low in zip(box, offset, strict=True)]
        for tile, origin in zip(tiles, self._where.origins(starts)[0], strict=True):
            window = [slice(int(low), int(low) + side) for low in origin]
            both = [_common(one, other) for one, other in zip(window, place, strict=True)]
            if all(one.start < one.stop for one in both):
                tile[_within(both, window)] += change[_within(both, place)]
        return tiles

    def _windows(self, starts: np.ndarray) -> np.ndarray:
        """Normalised tiles of the image, ``[tile, y, x]``."""
        side, origins = self._where.tile_px, self._where.origins(starts)[0]
        tiles = np.empty((len(starts), side, side), np.float32)
        for tile, (y, x) in zip(tiles, origins, strict=True):
            tile[...] = self._input[y : y + side, x : x + side]
        return tiles

    def _change(self, trial: Trial) -> tuple[Box, np.ndarray]:
        """By how much a mock changes the normalised image, and where.

        Noise and background are measured anew on a cut-out with the mock and without it, since a
        mock raises both. What the cut-out lacks of the whole image is lacking in both.
        """
        mock = trial.mock
        rows, columns = map(_cut_out, mock.box, self.plane.data.shape)
        box = rows, columns
        image = self.plane.data[box].copy()
        image[_within(mock.box, box)] += np.float32(trial.flux_jy) * mock.light
        return box, self._normalised(image) - self._input_of(
            rows.start, rows.stop, columns.start, columns.stop
        )

    def _cut_input(self, low_y: int, high_y: int, low_x: int, high_x: int) -> np.ndarray:
        return self._normalised(self.plane.data[low_y:high_y, low_x:high_x])

    def _predict(self, starts: np.ndarray, tiles: np.ndarray) -> np.ndarray:
        """Cores of tiles, ``[tile, y, x]``, in the order given."""
        core_px, side = self._where.core_px, self._where.tile_px
        inner = self._where.origins(starts)[1]
        central = (inner == self._where.margin_px).all(axis=1)
        cores = np.empty((len(tiles), core_px, core_px), np.float32)
        for margin, chosen in ((self._where.margin_px, central), (0, ~central)):
            indices = np.flatnonzero(chosen)
            if not indices.size:
                continue
            # tiles one above the other are a plane of their own
            stack = tiles[indices].reshape(-1, side)
            rows = np.stack([side * np.arange(len(indices)), np.zeros(len(indices), int)], axis=1)
            where = Layout(stack.shape, side, side - 2 * margin, 0, (len(indices), 1), surrounded=True)
            for some, maps in self._predictor.cores(stack, rows, where):
                for (row, _), one in zip(some, maps, strict=True):
                    index = indices[row // side]
                    low = inner[index] - margin
                    part = one[low[0] : low[0] + core_px, low[1] : low[1] + core_px]
                    cores[index] = part[..., 0] if part.ndim == 3 else part
        return cores

    def _is_found(self, trial: Trial, starts: np.ndarray, cores: np.ndarray) -> bool:
        """Whether enough of a mock's flux density lies in mask pixels that the image alone has not."""
        targets = [self._where.core_of(start) for start in starts]
        if not targets:
            return False
        window = [
            slice(
                max(min(target[axis].start for target, _ in targets) - AROUND_PX, 0),
                max(target[axis].stop for target, _ in targets) + AROUND_PX,
            )
            for axis in (0, 1)
        ]
        alone = self._mask_of(window, targets, [self._alone[tuple(start)] for start in starts])
        new = self._mask_of(window, targets, cores) & ~alone & ~self.mask[window[0], window[1]]
        both = [_common(one, other) for one, other in zip(window, trial.mock.box, strict=True)]
        light = trial.mock.light[_within(both, trial.mock.box)]
        share = light[new[_within(both, window)]].sum(dtype=float) / trial.mock.total
        return bool(share >= FOUND_FLUX)

    def _mask_of(
        self, window: Sequence[slice], targets: Sequence[tuple[Box, Box]], cores: Iterable[np.ndarray]
    ) -> np.ndarray:
        """Diffuse pixels of a part of the map in which some cores are replaced, bool ``[y, x]``."""
        probability = self._probability[window[0], window[1]].copy()
        blank = np.isnan(probability)
        for (target, source), core in zip(targets, cores, strict=True):
            probability[_within(target, window)] = core[source]
        probability[blank] = np.nan
        threshold, min_beams, peak = self._decision
        return make_mask(probability, threshold, min_beams * self.plane.beam_area_px, peak) == 1


def _cut_out(part: slice, side: int) -> slice:
    """Rows of the cut-out around a part of an image of so many rows; the same of columns."""
    middle = (part.start + part.stop) // 2
    half = max(LEAST_HALF_PX, (part.stop - part.start + 1) // 2)
    return whole_boxes(middle - half, middle + half, side)


def _common(one: slice, other: slice) -> slice:
    low = max(one.start, other.start)
    return slice(low, max(min(one.stop, other.stop), low))


def _within(part: Sequence[slice], whole: Sequence[slice]) -> Box:
    """Part of an image as seen from another part that holds it."""
    rows, columns = (
        slice(one.start - other.start, one.stop - other.start) for one, other in zip(part, whole, strict=True)
    )
    return rows, columns
