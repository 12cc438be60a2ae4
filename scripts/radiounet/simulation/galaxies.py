"""The confusing sky: compact sources, radio galaxies, remnants and spirals at 144 MHz.

Everything is drawn into planes of Jy/px, ``[y, x]``. Extended sources are clouds
of particles: a plume is a curved path along which brightness and width change,
and its morphology follows from those two functions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.canvas import add_particles, add_points, draw_from

# Euclidean-normalised differential counts S^2.5 dN/dS at 144-150 MHz against flux
# density: anchors read off the curves of Mandal et al. (2021, A&A 648, A5, fig. 12)
# and, above 1 Jy, Intema et al. (2017, A&A 598, A78), good to about 15 per cent.
COUNTS_MJY = np.array([0.1, 0.2, 0.4, 1.0, 2.0, 5.0, 10, 30, 100, 300, 1e3, 3e3, 1e4])
COUNTS_JY15_SR = np.array([16, 24, 32, 40, 48, 100, 190, 560, 1500, 2700, 3800, 4000, 3000])
SR_PER_DEG2 = (np.pi / 180) ** 2


@dataclass
class Layers:
    """Planes of the sky by kind, ``[y, x]`` float32, Jy/px, and the bright sources in them.

    Attributes
    ----------
    bright : list of (float, float, float)
        y, x (px) and flux density (Jy) of sources that calibration errors hang on.
    """

    compact: np.ndarray
    galaxies: np.ndarray
    remnants: np.ndarray
    spirals: np.ndarray
    galactic: np.ndarray
    bright: list[tuple[float, float, float]] = field(default_factory=list)

    def scale(self, factor: float) -> None:
        """Multiply all flux densities but those of Galactic emission."""
        if factor != 1:
            for plane in (self.compact, self.galaxies, self.remnants, self.spirals):
                plane *= np.float32(factor)
            self.bright = [(y, x, factor * flux) for y, x, flux in self.bright]

    @classmethod
    def empty(cls, size: int) -> "Layers":
        """Return planes without sources."""
        compact, galaxies, remnants, spirals, galactic = (
            np.zeros((size, size), np.float32) for _ in range(5)
        )
        return cls(compact, galaxies, remnants, spirals, galactic)


def draw_fluxes(
    options: SimulateOptions, area_deg2: float, rng: np.random.Generator, scale: float = 1.0
) -> np.ndarray:
    """Flux densities of the sources in a solid angle, Jy, after the differential counts times `scale`.

    What `add_field_galaxies` puts there in the mean is part of the counts, and left out here. Where radio
    galaxies are dense, those of more than 0.3 Jy may alone exceed the counts.
    """
    edges = np.geomspace(1e-3 * options.flux_min_mjy, options.flux_max_jy, 400)
    middle = np.sqrt(edges[1:] * edges[:-1])
    euclidean = np.exp(np.interp(np.log(middle), np.log(1e-3 * COUNTS_MJY), np.log(COUNTS_JY15_SR)))
    expected = euclidean * middle**-2.5 * np.diff(edges) * SR_PER_DEG2 * area_deg2
    low, high = np.log(1e-3 * np.array(options.galaxy_flux_mjy))
    extended = np.diff(np.clip((np.log(edges) - low) / max(high - low, 1e-9), 0, 1))
    expected = np.maximum(expected - np.mean(options.galaxies_per_deg2) * area_deg2 * extended, 0)
    cumulative = np.concatenate([[0], np.cumsum(expected)])
    chosen = rng.uniform(0, cumulative[-1], rng.poisson(scale * cumulative[-1]))
    return np.interp(chosen, cumulative, edges)


def add_compact(layers: Layers, options: SimulateOptions, area_deg2: float, rng: np.random.Generator) -> None:
    """Unresolved and slightly resolved sources, scattered at random.

    Median angular sizes of a few arcsec growing with flux density: Windhorst et
    al. (1990), ``2" S^0.3`` with S in mJy at 1.4 GHz. Part of them may lie in groups.
    """
    flux = draw_fluxes(options, area_deg2, rng, draw_from(options.counts_scale, rng, by_logarithm=True))
    size = layers.compact.shape[0]
    y, x = rng.uniform(0, size - 1, (2, flux.size))
    grouped = round(draw_from(options.clustered_fraction, rng) * flux.size)
    if grouped:
        _gather(y[:grouped], x[:grouped], size, rng)
    median_px = 2 * (1e3 * flux * 0.2) ** 0.3 / options.pixel_arcsec
    extent = np.minimum(median_px * rng.lognormal(0, 0.7, flux.size), 6)
    angle = rng.uniform(0, np.pi, flux.size)
    # three collinear components stand for core and lobes; at 20" nothing finer shows
    for part, share in ((-0.5, 0.35), (0, 0.3), (0.5, 0.35)):
        shift = part * extent
        add_points(layers.compact, y + shift * np.sin(angle), x + shift * np.cos(angle), share * flux)
    loud = flux > options.error_flux_jy
    layers.bright += [*zip(y[loud], x[loud], flux[loud], strict=True)]


def _gather(y: np.ndarray, x: np.ndarray, size: int, rng: np.random.Generator) -> None:
    """Move sources, in place, into groups of about eight of 3 to 60 px (Neyman & Scott 1952)."""
    groups = max(y.size // 8, 1)
    member = rng.integers(0, groups, y.size)
    spread = np.exp(rng.uniform(np.log(3), np.log(60), groups))[member]
    for position in (y, x):
        centre = rng.uniform(0, size - 1, groups)[member]
        position[:] = np.clip(centre + spread * rng.standard_normal(y.size), 0, size - 1)


@dataclass(frozen=True)
class Plume:
    """A jet or tail as functions of the way along it, 0 at the core and 1 at the end.

    Attributes
    ----------
    brightness : callable
        Relative flux per length.
    width : callable
        Gaussian sigma over length of the plume.
    bend : float
        Typical total change of direction, rad.
    """

    brightness: Callable[[np.ndarray], np.ndarray]
    width: Callable[[np.ndarray], np.ndarray]
    bend: float


def add_plume(
    plane: np.ndarray,
    start: tuple[float, float],
    direction: float,
    length_px: float,
    flux: float,
    plume: Plume,
    rng: np.random.Generator,
) -> None:
    """Draw one plume from its core; `direction` in rad from +x towards +y."""
    steps = 64
    way = (np.arange(steps) + 0.5) / steps
    turns = plume.bend * np.cumsum(rng.normal(0, 1, steps)) / np.sqrt(steps)
    turns += plume.bend * rng.normal() * way
    path_y = start[0] + length_px / steps * np.cumsum(np.sin(direction + turns))
    path_x = start[1] + length_px / steps * np.cumsum(np.cos(direction + turns))
    width = np.maximum(plume.width(way) * length_px, 0.4)
    weight = plume.brightness(way)
    count = int(np.clip(8 * length_px * width.mean(), 400, 30000))
    step = rng.choice(steps, count, p=weight / weight.sum())
    # uniform along each step, Gaussian across
    along = rng.uniform(-0.5, 0.5, count) * length_px / steps
    across = rng.normal(0, 1, (2, count)) * width[step]
    y = path_y[step] + along * np.sin(direction + turns[step]) + across[0]
    x = path_x[step] + along * np.cos(direction + turns[step]) + across[1]
    add_particles(plane, y, x, flux)


def _edge_brightened(rng: np.random.Generator) -> Plume:
    """Lobe of an FR II source: faint jet, wide bridge, bright end (Fanaroff & Riley 1974)."""
    inner, wide = rng.uniform(0, 0.5), rng.uniform(0.04, 0.16)
    steep = rng.uniform(1, 5)
    return Plume(
        lambda s: np.where(s < inner, 0.03, 0.15 + s**steep),
        lambda s: wide * np.clip(1.3 - 0.7 * s, 0.3, 1.2),
        rng.uniform(0, 0.25),
    )


def _edge_darkened(rng: np.random.Generator, bend: float) -> Plume:
    """Plume of an FR I source: bright near the core, fading and widening outwards."""
    fade, wide = rng.uniform(0.2, 1.2), rng.uniform(0.06, 0.25)
    flare = rng.uniform(0.02, 0.12)
    return Plume(lambda s: np.exp(-s / fade) * (s > flare / 4), lambda s: 0.01 + wide * s**0.8, bend)


def _tail(rng: np.random.Generator) -> Plume:
    """Tail of a head-tail galaxy: narrow, long, fading (Miley et al. 1972)."""
    fade, wide = rng.uniform(0.15, 0.8), rng.uniform(0.03, 0.1)
    return Plume(
        lambda s: 0.03 + np.exp(-s / fade), lambda s: 0.01 + wide * np.sqrt(s), rng.uniform(0.1, 1.2)
    )


def add_radio_galaxy(
    layers: Layers,
    centre: tuple[float, float],
    size_px: float,
    flux: float,
    kind: str,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> None:
    """Draw one extended radio galaxy.

    Parameters
    ----------
    size_px : float
        Largest extent.
    kind : {'FR I', 'FR II', 'wide-angle tail', 'head-tail', 'double-double'}
        Giant radio galaxies are FR II of several arcmin. Wide-angle tails: Owen &
        Rudnick (1976); double-doubles: Schoenmakers et al. (2000).
    """
    plane, angle = layers.galaxies, rng.uniform(0, 2 * np.pi)
    share = rng.uniform(0.35, 0.65)
    core = rng.uniform(0.01, 0.25)
    sides = ((0.0, share), (np.pi, 1 - share))
    rest = flux * (1 - core)
    add_points(plane, *centre, flux * core)
    if kind == "head-tail":
        add_plume(plane, centre, angle, size_px, rest, _tail(rng), rng)
        return _note_bright(layers, centre, 0.5 * flux, options)
    if kind == "wide-angle tail":
        opening = rng.uniform(0.5, 2.4)
        for turn, part in ((opening / 2, share), (-opening / 2, 1 - share)):
            plume = _edge_darkened(rng, rng.uniform(0.1, 0.6))
            add_plume(plane, centre, angle + turn, 0.7 * size_px, rest * part, plume, rng)
    elif kind == "FR I":
        for turn, part in sides:
            plume = _edge_darkened(rng, rng.uniform(0, 0.6))
            add_plume(plane, centre, angle + turn, size_px / 2, rest * part, plume, rng)
    else:
        reaches = [(1.0, 1.0)] if kind == "FR II" else [(1.0, 0.7), (rng.uniform(0.2, 0.5), 0.3)]
        for reach, weight in reaches:
            for turn, part in sides:
                arm = 0.5 * reach * size_px * rng.uniform(0.85, 1.15)
                spot = rng.uniform(0.05, 0.6)
                tip = (
                    centre[0] + 0.93 * arm * np.sin(angle + turn),
                    centre[1] + 0.93 * arm * np.cos(angle + turn),
                )
                one = rest * part * weight
                add_plume(plane, centre, angle + turn, arm, one * (1 - spot), _edge_brightened(rng), rng)
                add_points(plane, *tip, one * spot)
                _note_bright(layers, tip, one * spot, options)
    return _note_bright(layers, centre, flux * (core if kind != "FR I" else 0.7), options)


def _note_bright(layers: Layers, place: tuple[float, float], flux: float, options: SimulateOptions) -> None:
    inside = 0 <= place[0] < layers.galaxies.shape[0] and 0 <= place[1] < layers.galaxies.shape[1]
    if inside and flux > options.error_flux_jy:
        layers.bright.append((float(place[0]), float(place[1]), float(flux)))


FIELD_KINDS = {"FR II": 0.45, "FR I": 0.3, "wide-angle tail": 0.1, "head-tail": 0.08, "double-double": 0.07}
CLUSTER_KINDS = {"FR II": 0.1, "FR I": 0.25, "wide-angle tail": 0.25, "head-tail": 0.4}


def draw_kind(kinds: dict[str, float], rng: np.random.Generator) -> str:
    """Draw one of several kinds by their share."""
    return str(rng.choice(list(kinds), p=list(kinds.values())))


def draw_size(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """Draw an angular size with ``dN/dsize ~ size^-2``: large ones are rare (Oei et al. 2023)."""
    low, high = limits
    return 1 / rng.uniform(1 / high, 1 / low)


def add_field_galaxies(
    layers: Layers, options: SimulateOptions, area_deg2: float, rng: np.random.Generator
) -> None:
    """Extended radio galaxies anywhere; giants are the large ones of them."""
    size = layers.galaxies.shape[0]
    for _ in range(rng.poisson(rng.uniform(*options.galaxies_per_deg2) * area_deg2)):
        extent = draw_size(options.galaxy_size_arcmin, rng)
        flux = 1e-3 * np.exp(rng.uniform(*np.log(options.galaxy_flux_mjy)))
        place = tuple(rng.uniform(0, size, 2))
        kind = draw_kind(FIELD_KINDS, rng)
        add_radio_galaxy(layers, place, extent * options.px_per_arcmin, flux, kind, options, rng)


def add_remnant(
    plane: np.ndarray, centre: tuple[float, float], size_px: float, flux: float, rng: np.random.Generator
) -> None:
    """Remnant lobes or fossil plasma: amorphous, no core, no hot spots (Brienza et al. 2017).

    Two relaxed lobes, one blob, or a few curved filaments.
    """
    angle = rng.uniform(0, 2 * np.pi)
    form = rng.choice(["lobes", "blob", "filaments"], p=[0.45, 0.25, 0.3])
    if form == "filaments":
        count = rng.integers(2, 6)
        for share in rng.dirichlet(np.full(count, 3.0)):
            place = tuple(np.array(centre) + rng.normal(0, size_px / 6, 2))
            plume = Plume(np.ones_like, lambda s: np.full_like(s, 0.05), rng.uniform(0.5, 2.5))
            add_plume(
                plane,
                place,
                rng.uniform(0, 2 * np.pi),
                size_px * rng.uniform(0.4, 0.8),
                flux * share,
                plume,
                rng,
            )
        return
    lobes = ((0.0, 1.0),) if form == "blob" else ((0.25, 0.5), (-0.25, 0.5))
    for offset, share in lobes:
        y = centre[0] + offset * size_px * np.sin(angle)
        x = centre[1] + offset * size_px * np.cos(angle)
        long = size_px * (0.3 if form == "blob" else 0.16)
        _add_ellipse(plane, y, x, long, long * rng.uniform(0.5, 1), rng.uniform(0, np.pi), flux * share, rng)


def _add_ellipse(
    plane: np.ndarray,
    y: float,
    x: float,
    long_px: float,
    short_px: float,
    angle: float,
    flux: float,
    rng: np.random.Generator,
) -> None:
    """An ellipse between filled (exponent 0.5 is uniform) and bright at its rim, with soft edges."""
    count = int(np.clip(10 * long_px * short_px, 400, 40000))
    radius = rng.random(count) ** rng.uniform(0.25, 0.6)
    turn = rng.uniform(0, 2 * np.pi, count)
    soft = rng.normal(0, rng.uniform(0.05, 0.3) * short_px, (2, count))
    along = 1.8 * long_px * radius * np.cos(turn) + soft[0]
    across = 1.8 * short_px * radius * np.sin(turn) + soft[1]
    add_particles(
        plane,
        y + along * np.sin(angle) + across * np.cos(angle),
        x + along * np.cos(angle) - across * np.sin(angle),
        flux,
    )


def add_field_remnants(
    layers: Layers,
    options: SimulateOptions,
    area_deg2: float,
    rms_jy: float,
    beam_area_px: float,
    rng: np.random.Generator,
) -> None:
    """Remnants anywhere; their brightness is drawn, and their flux density follows."""
    size = layers.remnants.shape[0]
    for _ in range(rng.poisson(rng.uniform(*options.remnants_per_deg2) * area_deg2)):
        extent = draw_size(options.remnant_size_arcmin, rng) * options.px_per_arcmin
        add_remnant(
            layers.remnants,
            tuple(rng.uniform(0, size, 2)),
            extent,
            remnant_flux(extent, rms_jy, beam_area_px, options, rng),
            rng,
        )


def remnant_flux(
    extent_px: float, rms_jy: float, beam_area_px: float, options: SimulateOptions, rng: np.random.Generator
) -> float:
    """Flux density that gives a remnant a brightness drawn from its range, Jy."""
    brightness = rms_jy * np.exp(rng.uniform(*np.log(options.remnant_snr)))
    return brightness * max(0.3 * extent_px**2 / beam_area_px, 1)


def add_spirals(
    layers: Layers,
    options: SimulateOptions,
    area_deg2: float,
    rms_jy: float,
    beam_area_px: float,
    rng: np.random.Generator,
) -> None:
    """Nearby spirals: exponential disc and two logarithmic arms, face-on or inclined.

    Disc and arm scales after Mulcahy et al. (2014, A&A 568, A74; M51 at 151 MHz).
    """
    size = layers.spirals.shape[0]
    for _ in range(rng.poisson(rng.uniform(*options.spirals_per_deg2) * area_deg2)):
        diameter = draw_size(options.spiral_size_arcmin, rng) * options.px_per_arcmin
        brightness = rms_jy * np.exp(rng.uniform(*np.log(options.spiral_snr)))
        flux = brightness * max(0.25 * diameter**2 / beam_area_px, 1)
        count = int(np.clip(6 * diameter**2, 500, 40000))
        radius = rng.gamma(2, diameter / 8, count)
        turn = rng.uniform(0, 2 * np.pi, count)
        arms = rng.random(count) < rng.uniform(0.2, 0.6)
        wound = np.log(np.maximum(radius, 1)) / np.tan(rng.uniform(0.2, 0.5))
        turn[arms] = (wound + np.pi * rng.integers(0, 2, count) + rng.normal(0, 0.25, count))[arms]
        angle, inclination = rng.uniform(0, np.pi), rng.uniform(0.25, 1)
        along, across = radius * np.cos(turn), radius * np.sin(turn) * inclination
        y, x = rng.uniform(0, size, 2)
        add_particles(
            layers.spirals,
            y + along * np.sin(angle) + across * np.cos(angle),
            x + along * np.cos(angle) - across * np.sin(angle),
            flux,
        )
