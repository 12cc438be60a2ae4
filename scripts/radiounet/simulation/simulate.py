"""A simulated radio sky at 144 MHz, and the image that LoTSS makes of it.

Each pair is an image (Jy/beam) and its truth: the noise-free diffuse emission of
clusters and the cosmic web alone ("no AGN"), at the resolution of the image. The
mask that the truth implies is where it exceeds ``train.truth_snr`` times the
noise. Physics: `radiounet.simulation.instrument`, `galaxies`, `galactic`, `diffuse`.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy import ndimage

from radiounet.images.provenance import provenance
from radiounet.images.writing import atomic
from radiounet.network.architectures.registry import OTHER_CLASSES
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.canvas import draw_from, happens
from radiounet.simulation.clusters import SimulatedCluster, add_clusters
from radiounet.simulation.diffuse import SimulatedObject, Target
from radiounet.simulation.galactic import add_galactic
from radiounet.simulation.galaxies import (
    Layers,
    add_compact,
    add_field_galaxies,
    add_field_remnants,
    add_spirals,
)
from radiounet.simulation.instrument import Instrument, Observation
from radiounet.survey.cosmology import flat_cosmology

# what a pixel is confused by; the CAUSE plane holds the index
CAUSES = (
    "noise",
    "compact source",
    "radio galaxy",
    "remnant",
    "spiral galaxy",
    "Galactic emission",
    "artefact",
)
CAUSE_SNR = 0.5

# what a pixel is; it may be several at once, or none: then it is background
CLASSES = ("diffuse", *OTHER_CLASSES)
DIFFUSE_SNR = 0.25
DIFFUSE_FRACTION = 0.02
RADIO_GALAXY_SNR = 1.0
GALACTIC_SNR = 0.5
GALACTIC_SCALE_ARCMIN = 2.0
ARTEFACT_SNR = 1.0


@dataclass
class SimulatedPair:
    """One simulated pair, planes ``[y, x]``.

    Attributes
    ----------
    image, truth, rms : ndarray of float32
        Jy/beam; the image is NaN where blank.
    numbers : ndarray of int16
        Diffuse object that dominates a pixel, an index into `objects` from 1, or 0.
    cause : ndarray of uint8
        Confusing structure that dominates a pixel, an index into `CAUSES`.
    classes : ndarray of uint8
        Bit n is set where a pixel belongs to the n-th of `CLASSES`, see `find_causes`.
    beam_arcsec : float
        FWHM of the restoring beam.
    """

    image: np.ndarray
    truth: np.ndarray
    rms: np.ndarray
    numbers: np.ndarray
    cause: np.ndarray
    classes: np.ndarray
    beam_arcsec: float
    objects: list[SimulatedObject]
    clusters: list[SimulatedCluster]


def simulate_pair(options: SimulateOptions, seed: int) -> SimulatedPair:
    """Draw a sky, observe it, and cut the image out of the grid.

    An image of another beam and pixel scale (``options.zoom``) is given as a model gets it,
    with the survey's: all angles in it are smaller by that factor.

    Parameters
    ----------
    seed : int
        Number of the pair; with ``options.seed`` it determines everything.
    """
    rng = np.random.default_rng([options.seed, seed])
    zoom = 1.0
    if happens(options.zoom_fraction, rng):
        zoom = draw_from(options.zoom, rng, by_logarithm=True)
        scales = {name: zoom * getattr(options, name) for name in ("pixel_arcsec", "beam_arcsec")}
        options = options.model_copy(update=scales)
    coarse = rng.random() < options.coarse_fraction
    beam_arcsec = zoom * float(rng.uniform(*options.coarse_beam_arcsec)) if coarse else options.beam_arcsec
    observation = Observation.draw(options, rng)
    partner = Observation.draw(options, rng) if happens(options.blend_fraction, rng) else None
    instrument = Instrument(options, observation, beam_arcsec, partner)
    rms = draw_rms(options, instrument.size, rng)
    layers, target, clusters = draw_sky(options, instrument, rms, rng)
    # the latitude of a real field is a poor guide; a generator of its own leaves the sky as it is
    wrong = np.random.default_rng([options.seed, seed, 1]).random() < options.galactic_flag_error
    for cluster in clusters:
        cluster.galactic = bool(layers.galactic.any() != wrong)
    layers.scale(draw_from(options.flux_scale, rng, by_logarithm=True))
    if coarse:
        # such images are made after subtraction of the compact sources, which leaves some per cent
        layers.compact *= rng.uniform(*options.missed_fraction)
        layers.bright = [(y, x, 0.1 * flux) for y, x, flux in layers.bright]
    image, artefacts = observe(layers, target, instrument, rms, options, rng)
    image += draw_background(options, rms, rng)
    cause, classes = find_causes(layers, target, artefacts, instrument, rms)
    part = slice((instrument.size - options.n_px) // 2, (instrument.size + options.n_px) // 2)
    square = part, part
    objects, clusters = _moved(target, clusters, part, zoom)
    pair = SimulatedPair(
        image[square],
        target.truth[square],
        rms[square],
        target.numbers[square],
        cause[square],
        classes[square],
        beam_arcsec / zoom,
        objects,
        clusters,
    )
    pair.image[draw_blank(pair.image.shape, options, rng)] = np.nan
    return pair


def draw_sky(
    options: SimulateOptions, instrument: Instrument, rms: np.ndarray, rng: np.random.Generator
) -> tuple[Layers, Target, list[SimulatedCluster]]:
    """Draw everything that shines, on the whole grid."""
    cosmology = flat_cosmology(70, 0.3)
    layers = Layers.empty(instrument.size)
    target = Target(rms, instrument.beam_px, options)
    area_deg2 = (instrument.size * options.pixel_arcsec / 3600) ** 2
    level = float(np.median(rms))
    add_compact(layers, options, area_deg2, rng)
    add_field_galaxies(layers, options, area_deg2, rng)
    add_field_remnants(layers, options, area_deg2, level, instrument.beam_area_px, rng)
    add_spirals(layers, options, area_deg2, level, instrument.beam_area_px, rng)
    clusters = add_clusters(layers, target, options, area_deg2, level, cosmology, rng)
    if rng.random() < options.galactic_fraction:
        add_galactic(layers.galactic, instrument, level, options, rng)
    return layers, target, clusters


def observe(
    layers: Layers,
    target: Target,
    instrument: Instrument,
    rms: np.ndarray,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Image of a sky, and the calibration errors in it, both Jy/beam on the whole grid."""
    sky = layers.compact + layers.galaxies + layers.remnants + layers.spirals + layers.galactic + target.sky
    artefacts = np.zeros_like(sky)
    if layers.bright:
        y, x, flux = np.array(layers.bright).T
        phase = np.radians(np.exp(rng.uniform(*np.log(options.phase_error_deg))))
        gain = np.exp(rng.uniform(*np.log(options.gain_error)))
        level = 1e6 * float(np.median(rms))
        calm = min(1.0, level / options.error_rms_ujy) if options.error_rms_ujy else 1.0
        scatter = draw_from(options.direction_scatter, rng)
        worse = (
            calm * np.exp(scatter * rng.standard_normal(flux.size)) if scatter else np.full(flux.size, calm)
        )
        artefacts = instrument.calibration_errors(y, x, flux, worse * phase, worse * gain, rng)
    noise = rms * instrument.noise(rng) + artefacts
    clean_snr = rng.uniform(*options.clean_snr)
    missed = rng.uniform(*options.missed_fraction)
    return instrument.image(sky, noise, rms, clean_snr, missed), artefacts


def find_causes(
    layers: Layers, target: Target, artefacts: np.ndarray, instrument: Instrument, rms: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What confuses a pixel most, and what all it is.

    A pixel is diffuse where the truth exceeds `DIFFUSE_SNR` of the noise and
    `DIFFUSE_FRACTION` of the peak of one of its objects (four e-folding lengths of a
    halo); radio galaxy where compact sources, galaxies, remnants and spirals together
    exceed `RADIO_GALAXY_SNR`; Galactic where the root mean square of that emission over
    `GALACTIC_SCALE_ARCMIN` exceeds `GALACTIC_SNR`; artefact where the envelope of rings
    and spokes exceeds `ARTEFACT_SNR`.

    Returns
    -------
    cause : ndarray of uint8
        Index into `CAUSES` of the strongest confusing structure above half the noise.
    classes : ndarray of uint8
        Bit n is set for the n-th of `CLASSES`.
    """
    skies = (layers.compact, layers.galaxies, layers.remnants, layers.spirals)
    radio = [instrument.restore(sky) if sky.any() else sky for sky in skies]
    galactic = instrument.dirty(layers.galactic) if layers.galactic.any() else layers.galactic
    envelope = ndimage.maximum_filter(np.abs(artefacts), 5)
    # rings and spokes count above twice the noise
    cause = _strongest([CAUSE_SNR * rms, *radio, np.abs(galactic), 0.25 * envelope])
    diffuse = (target.truth > DIFFUSE_SNR * rms) & (target.relative > DIFFUSE_FRACTION)
    foreground = _local_amplitude(galactic, GALACTIC_SCALE_ARCMIN * 60 / instrument.pixel_arcsec)
    classes = (
        diffuse,
        sum(radio) > RADIO_GALAXY_SNR * rms,
        foreground > GALACTIC_SNR * rms,
        envelope > ARTEFACT_SNR * rms,
    )
    bits = sum(one.astype(np.uint8) << number for number, one in enumerate(classes))
    return cause, bits


def _strongest(planes: list[np.ndarray]) -> np.ndarray:
    """Index of the largest of several planes, as ``numpy.argmax`` but several times as fast."""
    index, largest = np.zeros(planes[0].shape, np.uint8), planes[0].copy()
    for number, plane in enumerate(planes[1:], 1):
        larger = plane > largest
        index[larger] = number
        np.copyto(largest, plane, where=larger)
    return index


def _local_amplitude(plane: np.ndarray, scale_px: float) -> np.ndarray:
    """Root mean square over a box."""
    return np.sqrt(np.maximum(ndimage.uniform_filter(plane**2, round(scale_px)), 0)) if plane.any() else plane


def draw_background(options: SimulateOptions, rms: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pedestal and linear gradient, Jy/beam, as missing or added short spacings leave them."""
    level = float(np.median(rms))
    pedestal = draw_from(options.pedestal_snr, rng)
    slope = draw_from(options.gradient_snr, rng)
    angle = rng.uniform(0, 2 * np.pi) if slope else 0.0
    along = np.linspace(-0.5, 0.5, rms.shape[0], dtype=np.float32)
    plane = along[:, None] * np.sin(angle) + along[None, :] * np.cos(angle)
    return (level * (pedestal + slope * plane)).astype(np.float32)


def draw_rms(options: SimulateOptions, size: int, rng: np.random.Generator) -> np.ndarray:
    """Noise level of a mosaic: slow variation, sometimes rising towards an edge, Jy/beam.

    As the rms map of LoTSS DR2 does: 83 uJy/beam in the median, more between pointings,
    at the border of the survey and low declination (Shimwell et al. 2022, A&A 659, A1).
    """
    level = 1e-6 * np.exp(rng.uniform(*np.log(options.rms_ujy)))
    coarse = rng.uniform(*options.rms_variation, (6, 6))
    if rng.random() < options.edge_fraction:
        coarse *= np.linspace(1, rng.uniform(*options.edge_noise), 6)[:: rng.choice([-1, 1])]
        coarse = np.rot90(coarse, int(rng.integers(4)))
    smooth = ndimage.zoom(coarse, size / 6, order=1, grid_mode=True, mode="nearest")
    return (level * smooth[:size, :size]).astype(np.float32)


def draw_blank(shape: tuple[int, int], options: SimulateOptions, rng: np.random.Generator) -> np.ndarray:
    """Blank pixels: beyond an edge of the survey, and sometimes holes; most images have none.

    Mosaics of LoTSS are blank beyond the primary beams, and where facets failed.
    """
    blank = np.zeros(shape, bool)
    if happens(options.cutout_fraction, rng):
        sides = [round(draw_from(options.cutout_px, rng, by_logarithm=True)) for _ in shape]
        starts = [int(rng.integers(0, max(n - side, 0) + 1)) for n, side in zip(shape, sides, strict=True)]
        part = tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))
        blank[:] = True
        blank[part] = False
        return blank
    if rng.random() >= options.blank_fraction:
        return blank
    y, x = np.indices(shape, dtype=np.float32) / shape[0] - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    # the edge of a pointing is an arc of 2.5 deg or so, nearly straight here
    along, across = y * np.sin(angle) + x * np.cos(angle), x * np.sin(angle) - y * np.cos(angle)
    blank |= along + rng.uniform(0, 0.5) * across**2 > rng.uniform(*options.blank_edge)
    for _ in range(rng.poisson(options.blank_holes)):
        centre_y, centre_x = rng.uniform(-0.5, 0.5, 2)
        blank |= np.hypot(y - centre_y, x - centre_x) < rng.uniform(*options.blank_hole_radius)
    return blank


def _moved(
    target: Target, clusters: list[SimulatedCluster], part: slice, zoom: float
) -> tuple[list[SimulatedObject], list[SimulatedCluster]]:
    """Lists with positions counted from the corner of the cut-out, and angles as if `zoom` were 1.

    Clusters outside the cut-out are dropped.
    """
    for one in target.objects:
        one.y_px -= part.start
        one.x_px -= part.start
        one.las_arcmin /= zoom
    for cluster in clusters:
        cluster.y_px -= part.start
        cluster.x_px -= part.start
        cluster.r500_arcmin /= zoom
    side = part.stop - part.start
    inside = [c for c in clusters if 0 <= c.y_px < side and 0 <= c.x_px < side]
    return target.objects, inside


def write_pair(path: str | Path, options: SimulateOptions, seed: int) -> None:
    """Write one pair: image, ``TRUTH, RMS, OBJECTS, CAUSE, CLASSES``, tables of clusters and objects."""
    pair = simulate_pair(options, seed)
    header = fits.Header(provenance())
    header["BUNIT"] = "JY/BEAM"
    header["BMAJ"] = header["BMIN"] = pair.beam_arcsec / 3600
    header["BPA"] = 0.0
    header["PIXARCS"] = (options.pixel_arcsec, "pixel scale, arcsec")
    header["SEED"] = (seed, "seed of this pair")
    header["BASESEED"] = (options.seed, "seed of the set")
    objects = [{"object": number, **asdict(one)} for number, one in enumerate(pair.objects, 1)]
    planes = [
        fits.PrimaryHDU(pair.image, header),
        fits.ImageHDU(pair.truth, name="TRUTH"),
        fits.ImageHDU(pair.rms, name="RMS"),
        fits.ImageHDU(pair.numbers, name="OBJECTS"),
        fits.ImageHDU(pair.cause, name="CAUSE"),
        fits.ImageHDU(pair.classes, name="CLASSES"),
        _table(SimulatedCluster, [asdict(one) for one in pair.clusters], "CLUSTERS"),
        _table(SimulatedObject, objects, "OBJECT_LIST", {"object": int}),
    ]
    with atomic(path) as temporary:
        fits.HDUList(planes).writeto(temporary, overwrite=True)


def _table(
    kind: type[SimulatedCluster] | type[SimulatedObject],
    rows: list[dict],
    name: str,
    more: dict[str, type] | None = None,
) -> fits.BinTableHDU:
    columns = (more or {}) | {one.name: one.type for one in fields(kind)}
    table = Table(
        {
            key: np.array([row[key] for row in rows], "U16" if one is str else one)
            for key, one in columns.items()
        }
    )
    return fits.BinTableHDU(table, name=name)
