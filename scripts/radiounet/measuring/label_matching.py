"""Labels of clusters and the rows of a catalogue that they belong to."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from radiounet.errors import ConfigError
from radiounet.images.words import outside_text
from radiounet.measuring.labels import Entry, Label, plain_name

WAYS = ("name", "other name", "position")
"""How a label and a cluster of the catalogue can be matched, the first that does counts."""
MAX_SEPARATION = 2 * u.arcmin


@dataclass(frozen=True)
class Match:
    """A label and the entry of the catalogue that it belongs to.

    Attributes
    ----------
    how : str
        One of `WAYS`.
    """

    label: Label
    entry: Entry
    how: str

    @property
    def separation_arcmin(self) -> float:
        """Distance of the two positions, NaN where either is not known."""
        if not (_is_placed(self.label) and _is_placed(self.entry)):
            return float("nan")
        label, entry = (SkyCoord(one.ra_deg, one.dec_deg, unit="deg") for one in (self.label, self.entry))
        return float(label.separation(entry).arcmin)


def _is_placed(one: Label | Entry) -> bool:
    return bool(np.isfinite(one.ra_deg) and np.isfinite(one.dec_deg))


def match_labels(labels: Sequence[Label], entries: Sequence[Entry]) -> list[Match]:
    """Find the entry of each label: by name, then by any other name, then by position.

    Blanks and case of names do not matter. By position the closest pairs within
    `MAX_SEPARATION` are matched first, among what no name has matched; a label that lies nearest to an
    entry which a name has matched is left without one.

    Returns
    -------
    list of Match
        In the order of the labels; each label and each entry at most once.

    Raises
    ------
    ConfigError
        A name belongs to several entries; several labels belong to one entry.
    """
    matched: dict[int, tuple[int, str]] = {}
    names_of: list[list[tuple[str, ...]]] = [
        [(one.name,) for one in entries],
        [one.other_names for one in entries],
    ]
    for how, names in zip(WAYS, names_of, strict=False):
        taken = {row for row, _ in matched.values()}
        rows = defaultdict(list)
        for row, of_it in enumerate(names):
            for name in set(map(plain_name, of_it)) - {""}:
                rows[name].append(row)
        for number, label in enumerate(labels):
            known = rows.get(plain_name(label.name), [])
            found = [row for row in known if row not in taken] or known
            if number in matched or not found:
                continue
            matched[number] = _one_of(label, found, entries, how), how
    _require_one_label(labels, entries, matched)
    matched |= _by_position(labels, entries, matched)
    return [Match(labels[number], entries[row], how) for number, (row, how) in sorted(matched.items())]


def _one_of(label: Label, rows: Sequence[int], entries: Sequence[Entry], how: str) -> int:
    """Entry of a label among those of its name: of several, the nearest to the label."""
    if len(rows) == 1:
        return rows[0]
    apart = [np.nan_to_num(Match(label, entries[row], how).separation_arcmin, nan=np.inf) for row in rows]
    nearest = min(apart)
    if nearest > MAX_SEPARATION.value:
        listed = ", ".join(
            f"{entries[row].name} at RA {entries[row].ra_deg:.4f}, Dec {entries[row].dec_deg:+.4f}"
            for row in rows
        )
        raise ConfigError(
            f"{label.name} is the {how} of {len(rows)} clusters of the catalogue ({listed}): give the label "
            f"the position of one, in columns that hold RA and Dec{_distance_text(nearest)}"
        )
    return rows[int(np.argmin(apart))]


def _distance_text(arcmin: float) -> str:
    if not np.isfinite(arcmin):
        return ""
    far = outside_text(arcmin, 0, MAX_SEPARATION.value, 3)
    return f"; its position lies {far} arcmin from the nearest one, more than {MAX_SEPARATION:g}"


def _require_one_label(
    labels: Sequence[Label], entries: Sequence[Entry], matched: Mapping[int, tuple[int, str]]
) -> None:
    named = defaultdict(list)
    for number, (row, _) in matched.items():
        named[row].append(labels[number].name)
    for row, names in named.items():
        if len(names) > 1:
            raise ConfigError(
                f"{' and '.join(names)} are labels of one cluster, {entries[row].name}: keep one"
            )


def _by_position(
    labels: Sequence[Label], entries: Sequence[Entry], matched: Mapping[int, tuple[int, str]]
) -> dict[int, tuple[int, str]]:
    by_name = {row for row, _ in matched.values()}
    numbers = [number for number, one in enumerate(labels) if number not in matched and _is_placed(one)]
    rows = [row for row, one in enumerate(entries) if _is_placed(one)]
    if not numbers or not rows:
        return {}
    places, others = (
        SkyCoord([one.ra_deg for one in part], [one.dec_deg for one in part], unit="deg")
        for part in ([labels[one] for one in numbers], [entries[one] for one in rows])
    )
    first, second, separation, _ = others.search_around_sky(places, MAX_SEPARATION)
    found: dict[int, tuple[int, str]] = {}
    settled, taken = set(), set()
    for pair in np.argsort(separation, kind="stable"):
        number, row = numbers[first[pair]], rows[second[pair]]
        if number in settled or row in taken:
            continue
        settled.add(number)
        if row not in by_name:
            found[number] = row, "position"
            taken.add(row)
    return found
