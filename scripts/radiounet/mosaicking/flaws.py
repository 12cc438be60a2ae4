"""What of images cannot be brightness, where a mosaic uses it."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
from scipy import ndimage

from radiounet.errors import BrightnessError
from radiounet.images.blanks import BRIGHTEST_JY, SOLID_PX, sample
from radiounet.images.image import StoredPlane
from radiounet.images.reading import naming

Window = tuple[slice, slice]
Read = Callable[[Window], tuple[np.ndarray, np.ndarray]]


class Suspect:
    """An image, and what of it counts.

    Parameters
    ----------
    plane : StoredPlane
    values : callable
        Rows and columns to its values, float32 ``[y, x]``, NaN where they do not count.
    """

    def __init__(self, plane: StoredPlane, values: Callable[[slice, slice], np.ndarray]) -> None:
        self.plane = plane
        self._values = values

    @cached_property
    def _sample(self) -> np.ndarray:
        return sample(self._values, self.plane.data.shape)

    def flaws(self, window: Window, part: np.ndarray) -> list[tuple[np.ndarray, str]]:
        """Where a window of the image cannot be brightness, bool ``[y, x]``, and why.

        Parameters
        ----------
        window : (slice, slice)
        part : ndarray, ``[y, x]``
            Its values.
        """
        lowest, highest = (extreme.reduce(part, axis=None) for extreme in (np.fmin, np.fmax))
        repeated = lowest < 0 and np.count_nonzero(part == lowest) > 1
        if not repeated and not max(highest, -lowest) > BRIGHTEST_JY:
            return []
        # an area may reach beyond the window
        rows, columns = (slice(max(one.start - SOLID_PX, 0), one.stop + SOLID_PX) for one in window)
        y, x = window[0].start - rows.start, window[1].start - columns.start
        inner = np.s_[y : y + part.shape[0], x : x + part.shape[1]]
        found = self.plane.flaws(self._values(rows, columns), lambda: self._sample)
        return [(where[inner], why) for where, why in found]


class Flaws:
    """Flaws of images on one grid, found while a mosaic is made of them.

    Parameters
    ----------
    suspects : sequence of Suspect
        In the order in which they are named.
    """

    def __init__(self, suspects: Sequence[Suspect]) -> None:
        self._suspects = suspects
        self._marks: dict[tuple[int, str], dict[tuple[int, ...], np.ndarray]] = {}

    def mark(self, window: Window, parts: Sequence[np.ndarray], weight: np.ndarray) -> None:
        """Make weights infinite where what counts cannot be brightness: `Coadd.add` counts what meets it.

        Parameters
        ----------
        window : (slice, slice)
        parts : sequence of ndarray, ``[y, x]``
            Values of the images there.
        weight : ndarray, ``[y, x]``
            Changed.
        """
        found = [
            (number, *flaw)
            for number, (suspect, part) in enumerate(zip(self._suspects, parts, strict=True))
            for flaw in suspect.flaws(window, part)
        ]
        # a pixel beside one with weight has a share in what is interpolated between them
        counts = ndimage.binary_dilation(weight > 0, np.ones((3, 3))) if found else None
        for number, where, why in found:
            if (marked := where & counts).any():
                weight[marked] = np.inf
                self._marks.setdefault((number, why), {})[_corners(window)] = marked

    def require_unused(self, add: Callable[[Read], tuple[int, int, int]]) -> None:
        """Refuse the first image of which the mosaic uses a flaw.

        Parameters
        ----------
        add : callable
            As `Coadd.add` of these images, given a `read`; its sums are of no use any more.

        Raises
        ------
        BrightnessError
        """
        for (number, why), marks in sorted(self._marks.items()):
            _, _, used = add(partial(_only_marks, marks))
            if used:
                path = self._suspects[number].plane.path
                with naming(path):
                    raise BrightnessError(f"{path}: {why}")


def _corners(window: Window) -> tuple[int, ...]:
    return tuple(edge for one in window for edge in (one.start, one.stop))


def _only_marks(marks: dict[tuple[int, ...], np.ndarray], window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and weights of a window, see `Coadd.add`: infinite where marked, of 0 elsewhere."""
    shape = [one.stop - one.start for one in window]
    marked = marks.get(_corners(window), np.zeros(shape, bool))
    return np.zeros(shape, np.float32), np.where(marked, np.float32(np.inf), np.float32(0))
