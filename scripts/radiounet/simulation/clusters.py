"""Simulated clusters: where they are, what galaxies and what diffuse emission they hold."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.cosmology import FlatLambdaCDM

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.canvas import add_points, draw_from, happens
from radiounet.simulation.diffuse import Target, add_bridge, add_halo, add_megahalo, add_phoenix, add_relic
from radiounet.simulation.galaxies import (
    CLUSTER_KINDS,
    Layers,
    add_radio_galaxy,
    add_remnant,
    draw_kind,
    remnant_flux,
)
from radiounet.survey.cosmology import arcmin_per_kpc, r500

# shares of what a cluster with diffuse emission holds first; most of 137 PSZ2 hosts
# in LoTSS DR2 are halos, one in four has relics (Botteon et al. 2022, A&A 660, A78)
KINDS = {
    "halo": 0.5,
    "mini-halo": 0.08,
    "megahalo": 0.06,
    "relic": 0.2,
    "double relic": 0.06,
    "bridge": 0.06,
    "phoenix": 0.04,
}


@dataclass
class SimulatedCluster:
    """One cluster as kept in the list of a pair.

    Attributes
    ----------
    diffuse : bool
        Whether diffuse emission was put there.
    galactic : bool
        Whether the field is flagged for Galactic emission, which is wrong now and then.
    """

    y_px: float
    x_px: float
    redshift: float
    r500_arcmin: float
    diffuse: bool
    galactic: bool


def add_clusters(
    layers: Layers,
    target: Target,
    options: SimulateOptions,
    area_deg2: float,
    rms_jy: float,
    cosmology: FlatLambdaCDM,
    rng: np.random.Generator,
) -> list[SimulatedCluster]:
    """Draw clusters with their galaxies and, in part of them, diffuse emission.

    A bridge ends at a second cluster; some filaments stand alone. Redshifts are drawn
    by their logarithm, masses too: what hosts diffuse emission is nearby and massive
    more often than a volume would have it (Botteon et al. 2022, A&A 660, A78).
    """
    count = rng.poisson(rng.uniform(*options.clusters_per_deg2) * area_deg2)
    share = 0.0 if rng.random() < options.empty_fraction else rng.uniform(*options.diffuse_fraction)
    clusters = []
    for _ in range(count):
        redshift = np.exp(rng.uniform(*np.log(options.redshift)))
        scale = arcmin_per_kpc(redshift, cosmology) * options.px_per_arcmin
        places = [tuple(rng.uniform(0, target.shape[0], 2))]
        diffuse = bool(rng.random() < share)
        for number, (y, x) in enumerate(places):
            mass = np.exp(rng.uniform(*np.log(options.mass_1e14)))
            radius_px = r500(mass * 1e14 * u.solMass, redshift, cosmology).to_value(u.kpc) * scale
            add_galaxies(layers, target, y, x, radius_px, scale, rms_jy, options, rng)
            if diffuse and number == 0:
                places += add_emission(layers, target, y, x, radius_px, scale, options, rng)
            radius = radius_px / options.px_per_arcmin
            clusters.append(SimulatedCluster(y, x, redshift, radius, diffuse, False))
    if share and rng.random() < options.filament_fraction:
        scale = arcmin_per_kpc(rng.uniform(0.05, 0.4), cosmology) * options.px_per_arcmin
        y, x = rng.uniform(0, target.shape[0], 2)
        draw_bridge(target, y, x, scale, "filament", options, rng)
    return clusters


def add_galaxies(
    layers: Layers,
    target: Target,
    y: float,
    x: float,
    radius_px: float,
    scale: float,
    rms_jy: float,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> None:
    """Galaxies of a cluster: a central one, others, tailed and wide-angle ones, fossil plasma.

    Positions follow a projected profile that falls as ``1 / r`` out to R500. Brightest
    cluster galaxies are radio sources more often than others (Best et al. 2007, MNRAS
    379, 894); how many, and their flux densities at 144 MHz, are our choice.
    """

    def place() -> tuple[float, float]:
        distance, angle = radius_px * rng.random(), rng.uniform(0, 2 * np.pi)
        return y + distance * np.sin(angle), x + distance * np.cos(angle)

    if happens(options.central_galaxy_fraction, rng):
        extent = float(np.clip(np.exp(rng.uniform(*np.log((30, 300)))) * scale, 4, 60))
        flux = 1e-3 * np.exp(rng.uniform(*np.log(options.galaxy_flux_mjy)))
        add_radio_galaxy(layers, (y, x), extent, flux, draw_kind(CLUSTER_KINDS, rng), options, rng)
    if rng.random() < options.central_fraction:
        flux = 1e-3 * rng.lognormal(options.central_ln_mjy, options.central_ln_scatter)
        add_points(layers.compact, y, x, flux)
    for _ in range(rng.poisson(options.cluster_sources)):
        add_points(
            layers.compact,
            *place(),
            1e-3 * rng.lognormal(options.cluster_source_ln_mjy, options.cluster_source_ln_scatter),
        )
    for _ in range(int(rng.uniform(*options.cluster_galaxies) * rng.random() + 0.5)):
        extent = np.exp(rng.uniform(*np.log(options.cluster_galaxy_kpc))) * scale
        extent = np.clip(extent, 4, options.galaxy_size_arcmin[1] * options.px_per_arcmin)
        flux = 1e-3 * np.exp(rng.uniform(*np.log(options.galaxy_flux_mjy)))
        add_radio_galaxy(layers, place(), extent, flux, draw_kind(CLUSTER_KINDS, rng), options, rng)
    if rng.random() < options.fossil_fraction:
        extent = np.clip(rng.uniform(*options.fossil_kpc) * scale, 6, 6 * options.px_per_arcmin)
        flux = remnant_flux(extent, rms_jy, target.beam_area_px, options, rng)
        add_remnant(layers.remnants, place(), extent, flux, rng)


def add_emission(
    layers: Layers,
    target: Target,
    y: float,
    x: float,
    radius_px: float,
    scale: float,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> list[tuple[float, float]]:
    """Add one or two kinds of diffuse emission of one cluster; `scale` in px per kpc.

    Returns
    -------
    list of (float, float)
        Where bridges end: places of further clusters, y and x.
    """
    kinds = [draw_kind(KINDS, rng)]
    if rng.random() < options.second_fraction:
        kinds.append(draw_kind(KINDS, rng))
    ends = []
    for kind in dict.fromkeys(kinds):
        if kind == "bridge":
            ends.append(draw_bridge(target, y, x, scale, kind, options, rng))
        else:
            _add_kind(layers, target, kind, y, x, radius_px, scale, options, rng)
    return ends


def _draw_peak(options: SimulateOptions, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(options.peak_snr))))


def _draw_px(
    limits: tuple[float, float],
    scale: float,
    options: SimulateOptions,
    rng: np.random.Generator,
    part: float = 1.0,
) -> float:
    """Draw a proper size log-uniformly, in px; `part` is its share of the object's largest extent."""
    size = np.exp(rng.uniform(*np.log(limits))) * scale
    unit = part * options.px_per_arcmin
    return float(np.clip(size, options.smallest_arcmin * unit, options.largest_arcmin * unit))


def _add_kind(
    layers: Layers,
    target: Target,
    kind: str,
    y: float,
    x: float,
    radius_px: float,
    scale: float,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> None:
    peak = _draw_peak(options, rng)
    jitter = rng.normal(0, 0.08 * radius_px, 2)
    centre = (y + jitter[0], x + jitter[1])
    if kind == "halo":
        # a bright halo is seen out to four e-folding lengths
        radius = min(_draw_px(options.halo_radius_kpc, scale, options, rng, 1 / 8), 0.5 * radius_px)
        add_halo(target, *centre, radius, kind, peak, rng)
    elif kind == "mini-halo":
        add_halo(
            target,
            *centre,
            _draw_px(options.mini_halo_radius_kpc, scale, options, rng, 1 / 8),
            kind,
            peak,
            rng,
        )
    elif kind == "megahalo":
        faint = min(peak, rng.uniform(*options.mega_halo_snr))
        radius = _draw_px(options.mega_halo_radius_kpc, scale, options, rng, 0.5)
        add_megahalo(target, *centre, radius, faint, rng)
    elif kind == "phoenix":
        size = _draw_px(options.phoenix_size_kpc, scale, options, rng)
        jitter = rng.normal(0, 0.3 * radius_px, 2)
        add_phoenix(target, y + jitter[0], x + jitter[1], size, peak, rng)
    else:
        direction = rng.uniform(0, 2 * np.pi)
        for turn in (0, np.pi) if kind == "double relic" else (0,):
            length = _draw_px(options.relic_length_kpc, scale, options, rng)
            width = _draw_px(options.relic_width_kpc, scale, options, rng, 1 / 8)
            distance = rng.uniform(*options.relic_distance_r500) * radius_px
            towards = direction + turn + rng.normal(0, 0.2)
            width = float(np.clip(width, 1, max(length / 3, 1)))
            around = _turned_about(y, x, distance, towards, draw_from(options.relic_turn_deg, rng), rng)
            add_relic(target, *around, length, width, peak * rng.uniform(0.6, 1), rng)
            if happens(options.relic_galaxy_fraction, rng):
                place = (y + distance * np.sin(towards), x + distance * np.cos(towards))
                place = tuple(np.array(place) + rng.normal(0, 0.35 * length, 2))
                extent = float(np.clip(length * rng.uniform(0.1, 0.7), 4, 80))
                flux = 1e-3 * np.exp(rng.uniform(*np.log(options.galaxy_flux_mjy)))
                add_radio_galaxy(layers, place, extent, flux, draw_kind(CLUSTER_KINDS, rng), options, rng)


def _turned_about(
    y: float, x: float, distance: float, towards: float, turn_deg: float, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Centre y and x, distance and direction that leave a relic where it is, turned about its middle."""
    if turn_deg == 0:
        return y, x, distance, towards
    middle = (y + distance * np.sin(towards), x + distance * np.cos(towards))
    turned = towards + np.radians(turn_deg) * rng.choice([-1, 1])
    return middle[0] - distance * np.sin(turned), middle[1] - distance * np.cos(turned), distance, turned


def draw_bridge(
    target: Target,
    y: float,
    x: float,
    scale: float,
    kind: str,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Add a bridge or filament that begins at a position, and return where it ends; y and x."""
    length = _draw_px(options.bridge_length_kpc, scale, options, rng)
    width = min(_draw_px(options.bridge_width_kpc, scale, options, rng), 0.4 * length)
    angle = rng.uniform(0, 2 * np.pi)
    middle = (y + 0.5 * length * np.sin(angle), x + 0.5 * length * np.cos(angle))
    peak = min(_draw_peak(options, rng), options.bridge_snr)
    add_bridge(target, *middle, length, width, angle, kind, peak, rng)
    return 2 * middle[0] - y, 2 * middle[1] - x
