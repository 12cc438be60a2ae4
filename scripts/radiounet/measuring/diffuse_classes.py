"""What kind of diffuse source an island or a cluster shows, and why: a written decision.

The words are those of Botteon et al. (2022, A&A 660, A78): ``RH`` halo, ``RR`` relic, ``U`` uncertain,
``NDE`` no diffuse emission, ``N/A`` not usable. Whether emission follows the X-ray gas is not known here, so
halos and relics are always candidates, ``cRH`` and ``cRR``; a cluster with both is ``cRH+cRR``.

The limits were chosen on clusters of simulated images that are used for nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from radiounet.images.words import enumerated
from radiounet.measuring.cutouts import RADIO_GALAXY
from radiounet.measuring.objects import MeasuredObject

HALO_R500 = 0.2
"""An island whose centroid is nearer to the cluster's centre is a halo, however it is turned."""
OFFSET_HALO_R500 = 0.5
"""Nearer than this it is one unless it is tangential, as a relic is."""
RELIC_R500 = 1.5
"""Islands farther away are not the cluster's unless they reach into R500, and then they are uncertain."""
TANGENTIAL_DEG = 60.0
ELONGATED = 1.5
"""Long over short axis from which an island nearer than `OFFSET_HALO_R500` may be a relic."""
THIN = 2.5
"""Long over short axis of a relic without a cluster."""
PROBABLE_HOST = 0.3
"""Least `p_diffuse` of a cluster whose islands have a class."""
SECOND_SHARE = 0.3
"""Least flux density of a candidate that counts for its cluster, over that of the brightest one."""
LEAST_COVERAGE = 0.8
"""Part of the aperture with data below which it is flagged, and a reason names it."""
GALACTIC, GALACTIC_AROUND = 0.15, 0.25
"""Mean probability of Galactic emission in an island, and in its surroundings: such emission is seldom
alone. An island that is more Galactic than diffuse needs no such surroundings. `benchmarks/catalogue.py`
counts what they flag."""
GALACTIC_ALONE = 0.6
"""Mean probability in an island that is Galactic whatever lies around it, such as a supernova remnant."""
AROUND_ARCMIN = 54.0
"""Farthest surroundings, along both axes from the island's centroid."""
GALACTIC_ARCMIN = 15.0
"""Least extent of an island close to the Galactic plane that may be Galactic, where the network has no
such class."""
RADIO_PROBABLE = 0.5
"""Mean probability of a radio galaxy in an island that has one."""
DYNAMIC_RANGE = 1000.0
"""An island fainter by this than a pixel of the image within `NEAR_BEAMS` of it may be an artefact."""
NEAR_BEAMS = 15.0
AGN_SHARE = 0.5
"""Flux density of sources in the middle of an island, over that of the island."""
OVERWHELMING = 10.0
"""The same where it leaves an island that is no profile uncertain."""
BACKGROUND_RMS = 0.5
"""Background that was taken away, rms."""
FLAGS = ("galactic", "artefact", "agn", "edge", "blend", "background")


WARNINGS = {
    "agn": "a source in its middle",
    "edge": "at the edge of the data",
    "blend": "touches another island",
    "background": "a strong background was subtracted",
}
"""What a reason says of flags that do not decide."""


@dataclass(frozen=True)
class Place:
    """Where an island lies in its cluster.

    Attributes
    ----------
    distance_r500 : float
        Centroid from the cluster's centre, R500.
    tangential_deg : float
        Angle of the long axis from the direction to the centre: 0 radial, 90 tangential; NaN without
        a long axis.
    """

    distance_r500: float
    tangential_deg: float


@dataclass(frozen=True)
class Decision:
    """A class with its reason in words."""

    label: str
    reason: str


def island_flags(
    measured: MeasuredObject, class_means: dict[str, float], low_latitude: bool, touches: bool, shares: bool
) -> dict[str, bool]:
    """Reasons to distrust an island, by the names of `FLAGS`.

    Parameters
    ----------
    class_means : dict
        Mean probability of the other classes; empty for a network without classes, for which
        low Galactic latitude and a large extent stand for Galactic emission.
    touches, shares : bool
        It reaches the edge of the data; it was cut from a region that other islands share.
    """
    cutout, island = measured.cutout, measured.island
    galactic = class_means.get("Galactic")
    level = np.abs(cutout.mosaic.level[cutout.part][island]) / cutout.rms[island]
    flux = measured.flux.flux_jy
    return {
        "galactic": low_latitude and measured.shape.extent_arcmin > GALACTIC_ARCMIN
        if galactic is None
        else galactic > GALACTIC_ALONE
        or _is_galactic(measured, class_means)
        or (galactic > GALACTIC and _is_galactic_around(measured)),
        "artefact": _near_bright_source(measured),
        "agn": bool(measured.central_jy > AGN_SHARE * max(flux, 0)),
        "edge": touches,
        "blend": shares,
        "background": bool(np.nanmean(level) > BACKGROUND_RMS),
    }


def _is_galactic_around(measured: MeasuredObject) -> bool:
    """Whether the class map shows Galactic emission around an island; also where nothing is around it."""
    cutout, mosaic = measured.cutout, measured.cutout.mosaic
    reach = round(AROUND_ARCMIN * 60 / cutout.pixel_arcsec)
    centre = np.rint(cutout.origin + [measured.shape.y, measured.shape.x]).astype(int)
    around = tuple(slice(max(place - reach, 0), place + reach + 1) for place in centre)
    label = cutout.labels[measured.island][0]
    known = np.isfinite(mosaic.probability[around]) & np.isfinite(mosaic.plane.data[around])
    counted = known & (mosaic.islands[0][around] != label)
    probability = mosaic.classes["Galactic"][around][counted]
    return not probability.size or bool(probability.mean() > 255 * GALACTIC_AROUND)


def _near_bright_source(measured: MeasuredObject) -> bool:
    """Whether the image within `NEAR_BEAMS` of an island is `DYNAMIC_RANGE` times as bright as its residual.

    On the whole mosaic, as the cut-out of an island does not reach so far.
    """
    cutout, mosaic = measured.cutout, measured.cutout.mosaic
    brightest = float(cutout.filled[measured.island].max(initial=0))
    if not brightest > 0:
        return False
    pixels = np.argwhere(measured.island) + cutout.origin
    reach = NEAR_BEAMS * mosaic.beam_px
    (top, left), (bottom, right) = pixels.min(axis=0), pixels.max(axis=0) + 1
    rows, columns = mosaic.around((slice(top, bottom), slice(left, right)), reach)
    bright = np.argwhere(mosaic.plane.data[rows, columns] > DYNAMIC_RANGE * brightest)
    if not bright.size:
        return False
    # a distance transform of a mosaic would take gigabytes, and bright pixels are few
    distances, _ = KDTree(bright + [rows.start, columns.start]).query(pixels, distance_upper_bound=reach)
    return bool((distances < reach).any())


def classify_island(
    measured: MeasuredObject,
    flags: dict[str, bool],
    class_means: dict[str, float],
    place: Place | None = None,
) -> Decision:
    """Decide whether an island is a candidate halo or relic, or uncertain.

    Parameters
    ----------
    flags : dict
        From `island_flags`.
    class_means : dict
        Mean probability of the other classes.
    place : Place, optional
        Where it lies in its cluster; None for an island away from clusters, for which only its form counts.
    """
    doubts = _doubts(measured, flags, class_means)
    if place is not None and place.distance_r500 > RELIC_R500:
        doubts.insert(0, f"reaches into R500, but its centroid lies at {place.distance_r500:.2f} R500")
    decision = Decision("U", "; ".join(doubts)) if doubts else _by_form(measured, place)
    return Decision(decision.label, "; ".join([decision.reason, *_warnings(measured, flags, class_means)]))


def _warnings(
    measured: MeasuredObject, flags: dict[str, bool], class_means: dict[str, float]
) -> Iterator[str]:
    """What a reason says of flags that do not decide.

    The class map of artefacts is not among them: it does not tell diffuse emission from other islands
    (``docs/method/accuracy.md``).
    """
    if flags["galactic"] and "Galactic" in class_means and not _is_galactic(measured, class_means):
        yield f"on Galactic emission (p {class_means['Galactic']:.2f})"
    if RADIO_PROBABLE < class_means.get(RADIO_GALAXY, 0.0) <= _mean_diffuse(measured):
        yield f"with a radio galaxy (p {class_means[RADIO_GALAXY]:.2f})"
    if flags["artefact"]:
        yield "near a very bright source"
    yield from (text for name, text in WARNINGS.items() if flags[name])


def _by_form(measured: MeasuredObject, place: Place | None) -> Decision:
    shape = measured.shape
    form = f"axis ratio {shape.axis_ratio:.1f}"
    if place is None:
        if measured.is_profile:
            return Decision("cRH", f"by its form alone: an exponential profile fits; {form}")
        if shape.axis_ratio >= THIN:
            return Decision("cRR", f"by its form alone: elongated, {form}")
        return Decision("U", f"by its form alone: neither an exponential profile nor elongated, {form}")
    where = f"centroid at {place.distance_r500:.2f} R500"
    profile = "exponential profile" if measured.is_profile else "no good exponential fit"
    turned = "no long axis"
    if np.isfinite(place.tangential_deg):
        turned = f"long axis {place.tangential_deg:.0f} deg from radial"
    is_round, near = shape.axis_ratio < ELONGATED, place.distance_r500 < OFFSET_HALO_R500
    if place.distance_r500 < HALO_R500 or (near and is_round):
        return Decision("cRH", f"{where}; {form}; {profile}")
    if place.tangential_deg >= TANGENTIAL_DEG:
        return Decision("cRR", f"{where}; {form}; {turned}")
    if near:
        return Decision("cRH", f"{where}; {form}; {turned}: not tangential; {profile}")
    return Decision("U", f"{where}: too far out for a halo; {form}; {turned}: not tangential, as a relic is")


def _doubts(measured: MeasuredObject, flags: dict[str, bool], class_means: dict[str, float]) -> list[str]:
    """Why an island is uncertain whatever its form."""
    doubts = []
    if not measured.flux.flux_jy > 0:
        doubts.append("nothing left without compact sources")
    elif not measured.total_jy[0] > 0:
        doubts.append("no flux density left with the surroundings of the island")
    if _is_galactic(measured, class_means):
        doubts.append(f"Galactic emission more than diffuse (p {class_means['Galactic']:.2f})")
    elif flags["galactic"] and "Galactic" not in class_means:
        doubts.append("wide, and close to the Galactic plane")
    if class_means.get(RADIO_GALAXY, 0.0) > max(_mean_diffuse(measured), RADIO_PROBABLE):
        doubts.append(f"a radio galaxy more than diffuse (p {class_means[RADIO_GALAXY]:.2f})")
    flux = measured.flux.flux_jy
    if flux > 0 and measured.central_jy > OVERWHELMING * flux and not measured.is_profile:
        doubts.append("much brighter sources in its middle, and no exponential profile")
    return doubts


def _is_galactic(measured: MeasuredObject, class_means: dict[str, float]) -> bool:
    """Whether the class map shows Galactic emission in an island, and more of it than diffuse emission."""
    return class_means.get("Galactic", 0.0) > max(_mean_diffuse(measured), GALACTIC)


def _mean_diffuse(measured: MeasuredObject) -> float:
    """Mean probability of diffuse emission in an island."""
    cutout = measured.cutout
    return float(cutout.mosaic.probability[cutout.part][measured.island].mean())


def counted_candidates(decisions: Sequence[Decision], fluxes: Sequence[float]) -> list[bool]:
    """Which islands of a cluster count: those with a class, and `SECOND_SHARE` of the brightest's flux."""
    least = SECOND_SHARE * max(
        (flux for one, flux in zip(decisions, fluxes, strict=True) if one.label != "U"), default=0.0
    )
    return [one.label != "U" and flux >= least for one, flux in zip(decisions, fluxes, strict=True)]


def classify_cluster(
    decisions: Sequence[Decision],
    fluxes: Sequence[float],
    p_diffuse: float,
    coverage: float,
    others: Sequence[str] = (),
    names: Sequence[str] = (),
) -> Decision:
    """Class of a cluster from those of its islands.

    Parameters
    ----------
    decisions : sequence of Decision
        One per island.
    fluxes : sequence of float
        Their flux densities, any unit, see `counted_candidates`.
    p_diffuse, coverage : float
        Probability of hosting diffuse emission; part of the aperture with data. NaN where unknown.
    others : sequence of str
        Names of clusters that own islands, or parts of them, inside R500 of this one.
    names : sequence of str
        Of the islands; the reason names them where there are several.
    """
    if not coverage > 0:
        return Decision("N/A", "no data inside R500")
    if not decisions and others:
        return Decision("U", f"the emission inside R500 belongs to {enumerated(others)}")
    if not decisions:
        where = f"within R500, or centred within {RELIC_R500:g} R500"
        part = f"; only {100 * coverage:.0f} % of R500 was measured" if coverage < LEAST_COVERAGE else ""
        return Decision("NDE", f"no island of its own {where}; p_diffuse {p_diffuse:.2f}{part}")
    counted = counted_candidates(decisions, fluxes)
    labels = sorted({one.label for one, counts in zip(decisions, counted, strict=True) if counts})
    faint = f"; below {SECOND_SHARE:g} of the brightest candidate, not counted"
    named = [
        f"{one.label}: {one.reason}{'' if counts or one.label == 'U' else faint}"
        for one, counts in zip(decisions, counted, strict=True)
    ]
    if len(named) > 1 and names:
        named = [f"{name} {text}" for name, text in zip(names, named, strict=True)]
    if not p_diffuse >= PROBABLE_HOST:
        why = f"p_diffuse {p_diffuse:.2f} below {PROBABLE_HOST:g}"
        return Decision("U", "; ".join([why, *named]))
    return Decision("+".join(labels) or "U", "; ".join(named))
