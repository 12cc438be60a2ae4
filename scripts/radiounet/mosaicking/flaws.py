"""What of images cannot be brightness, where a mosaic uses it."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
from scipy import ndimage

from radiounet.errors import BrightnessError
from radiounet.images.blanks import SOLID_PX, sample
from radiounet.images.image import StoredPlane
from radiounet.images.reading import naming

Window = tuple[slice, slice]
Read = Callable[[Window], tuple[np.ndarray, np.ndarray]]
_Marks = dict[tuple[int, str], dict[tuple[int, ...], np.ndarray]]
"""Where each image has each flaw, bool ``[y, x]`` by the corners of windows."""


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
        self.values = values
        self._brightest = plane.brightest()

    @cached_property
    def _sample(self) -> np.ndarray:
        return sample(self.values, self.plane.data.shape)

    def flaws(self, window: Window, part: np.ndarray) -> list[tuple[np.ndarray, str]]:
        """Where a window of the image cannot be brightness, bool ``[y, x]``, and why.

        Parameters
        ----------
        window : (slice, slice)
        part : ndarray, ``[y, x]``
            Its values.
        """
        lowest, highest = (extreme.reduce(part, axis=None) for extreme in (np.fmin, np.fmax))
        # the lowest number finds an area of which the window has one row or column; where a pixel is lower,
        # neighbours in every other row find any other area: noise hardly has equal ones
        repeated = lowest < 0 and (
            np.count_nonzero(part == lowest) > 1 or (part[::2, 1:] == part[::2, :-1]).any()
        )
        if not repeated and not max(highest, -lowest) > self._brightest:
            return []
        # an area may reach beyond the window
        rows, columns = (slice(max(one.start - SOLID_PX, 0), one.stop + SOLID_PX) for one in window)
        y, x = window[0].start - rows.start, window[1].start - columns.start
        inner = np.s_[y : y + part.shape[0], x : x + part.shape[1]]
        found = self.plane.flaws(self.values(rows, columns), rows, columns, lambda: self._sample)
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
        self._marks: _Marks = {}

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
        if not (found := self._found(window, parts)):
            return
        # a pixel beside one with weight has a share in what is interpolated between them
        counts = ndimage.binary_dilation(weight > 0, np.ones((3, 3)))
        for flaw, where in found:
            if (marked := where & counts).any():
                weight[marked] = np.inf
                self._marks.setdefault(flaw, {})[_corners(window)] = marked

    def require_unused(self, add: Callable[[Read], tuple[int, int, int]]) -> None:
        """Refuse the first image of which the mosaic uses a flaw.

        Parameters
        ----------
        add : callable
            As `Coadd.add` of these images, given a `read`; if this raises, its sums must not be used.

        Raises
        ------
        BrightnessError
        """
        self._refuse_first(self._marks, add)

    def require_weightless(self, add: Callable[[Read], tuple[int, int, int]]) -> None:
        """Refuse the first image with a flaw on the mosaic, where no pixel there has weight.

        The weight follows from the images. It is 0 because of the flaws if these are most of the pixels;
        else the others show that it would be 0 anyway.

        Parameters
        ----------
        add : callable
            As for `require_unused`.

        Raises
        ------
        BrightnessError
        """
        marks: _Marks = {}

        def known(window: Window) -> tuple[list[np.ndarray], np.ndarray]:
            parts = [suspect.values(*window) for suspect in self._suspects]
            return parts, np.logical_and.reduce([np.isfinite(part) for part in parts])

        def flawed(window: Window) -> tuple[np.ndarray, np.ndarray]:
            parts, counts = known(window)
            either = np.zeros_like(counts)
            for flaw, where in self._found(window, parts):
                if (marked := where & counts).any():
                    marks.setdefault(flaw, {})[_corners(window)] = marked
                    either |= marked
            return _infinite(either)

        _, _, wrong = add(flawed)
        if wrong and 2 * wrong > add(lambda window: _infinite(known(window)[1]))[2]:
            self._refuse_first(marks, add)

    def _found(self, window: Window, parts: Sequence[np.ndarray]) -> list[tuple[tuple[int, str], np.ndarray]]:
        """Flaws of a window: the number of the image and why, and where, bool ``[y, x]``."""
        return [
            ((number, why), where)
            for number, (suspect, part) in enumerate(zip(self._suspects, parts, strict=True))
            for where, why in suspect.flaws(window, part)
        ]

    def _refuse_first(self, marked: _Marks, add: Callable[[Read], tuple[int, int, int]]) -> None:
        for (number, why), marks in sorted(marked.items()):
            _, _, used = add(partial(_only_marks, marks))
            if used:
                path = self._suspects[number].plane.path
                with naming(path):
                    raise BrightnessError(f"{path}: {why}")


def _corners(window: Window) -> tuple[int, ...]:
    return tuple(edge for one in window for edge in (one.start, one.stop))


def _only_marks(marks: dict[tuple[int, ...], np.ndarray], window: Window) -> tuple[np.ndarray, np.ndarray]:
    shape = [one.stop - one.start for one in window]
    return _infinite(marks.get(_corners(window), np.zeros(shape, bool)))


def _infinite(where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and weights, see `Coadd.add`: infinite where told, of 0 elsewhere, so that nothing is added."""
    return np.zeros(where.shape, np.float32), np.where(where, np.float32(np.inf), np.float32(0))
