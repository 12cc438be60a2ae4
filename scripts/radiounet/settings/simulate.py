"""Options of the simulated sky.

The ranges that make a simulated sky easy or hard stand here; the functions that draw from them
(`radiounet.simulation`) name the papers.
"""

import math

from pydantic import Field, model_validator

from radiounet.images.constants import LIGHT_M_S
from radiounet.settings.releases import DR2
from radiounet.settings.section import FractionRange, NumberRange, PositiveRange, Range, Section

OBSERVABLE = {"declination_deg": (-90.0, 90.0), "hours": (0.0, 24.0), "robust": (-5.0, 5.0)}
"""Within which ranges must lie."""
LONGEST_CUT_M = 60_000.0
"""Half of the longest baseline between Dutch stations of LOFAR."""


class SimulateOptions(Section):
    """The simulated sky for training; see `radiounet.simulation`."""

    seed: int = Field(20261, ge=0, description="seed of the whole set")
    n_px: int = Field(960, ge=64, description="side of an image, px")
    pixel_arcsec: float = Field(DR2.pixel_arcsec, gt=0, description="pixel scale, arcsec")
    beam_arcsec: float = Field(DR2.beam_arcsec, gt=0, description="FWHM of the restoring beam, arcsec")

    declination_deg: Range = Field((5.0, 75.0), description="declination of the field, deg")
    hours: PositiveRange = Field((6.0, 8.5), description="length of the track, h")
    frequency_mhz: PositiveRange = Field((120.0, 168.0), description="band, MHz")
    inner_cut_m: PositiveRange = Field((60.0, 120.0), description="shortest projected baseline used, m")
    robust: Range = Field(
        (-1.5, -0.6),
        description="Briggs weighting; with more, emission too faint to deconvolve appears too bright",
    )
    ideal_fraction: float = Field(
        0.25,
        ge=0,
        le=1,
        description="images of an ideal instrument: dirty beam = restoring beam but for short baselines",
    )
    taper: PositiveRange = Field(
        (0.55, 0.55), description="taper of the visibilities, over that which gives the restoring beam"
    )
    shoulder: PositiveRange = Field(
        (1.0, 1.0),
        description="broad part of the dirty beam: factor on the brightness of undeconvolved broad emission",
    )
    shoulder_arcsec: PositiveRange = Field((60.0, 60.0), description="its FWHM, arcsec")
    blend_fraction: float = Field(
        0.0, ge=0, le=1, description="images to which two pointings of different coverage contribute alike"
    )
    beam_noise: FractionRange = Field(
        (0.0, 0.0), description="share of the noise power that is correlated like the restoring beam"
    )
    stripe_noise: FractionRange = Field((0.0, 0.0), description="share of the noise power in stripes")
    zoom: PositiveRange = Field(
        (1.0, 1.0), description="factor on beam and pixel scale alike, drawn by its logarithm"
    )
    zoom_fraction: float = Field(0.0, ge=0, le=1, description="images with another beam and pixel scale")
    pedestal_snr: Range = Field((0.0, 0.0), description="constant added to an image, rms")
    gradient_snr: NumberRange = Field(
        (0.0, 0.0),
        description="linear background, from side to side of a plane a quarter wider than the image, rms",
    )
    cutout_fraction: float = Field(
        0.0, ge=0, le=1, description="images of which only a rectangle is known, as in a small cut-out"
    )
    cutout_px: PositiveRange = Field((64.0, 500.0), description="its sides, drawn by their logarithm, px")
    rms_ujy: PositiveRange = Field(
        (80.0, 350.0), description="noise level of a field, before its variation and edges, uJy/beam"
    )
    rms_variation: PositiveRange = Field((0.88, 1.14), description="slow variation of the noise over a field")
    edge_noise: PositiveRange = Field((1.5, 3.5), description="noise at a noisy side, over that at the other")
    clean_snr: PositiveRange = Field((3.0, 5.0), description="depth of the deconvolution, local rms")
    missed_fraction: FractionRange = Field(
        (0.02, 0.25), description="flux left undeconvolved inside the clean mask"
    )
    error_flux_jy: float = Field(
        0.03,
        gt=0,
        description="sources above this leave calibration errors, but for compact ones in clusters, Jy",
    )
    phase_error_deg: PositiveRange = Field((0.05, 0.5), description="residual phase error of a station, deg")
    gain_error: PositiveRange = Field(
        (0.0003, 0.004), description="residual amplitude error of a station, fraction"
    )
    direction_scatter: NumberRange = Field(
        (0.0, 0.0), description="scatter of both from source to source, natural logarithm"
    )
    error_rms_ujy: float = Field(
        0.0, ge=0, description="images with less noise have errors smaller in proportion, uJy/beam"
    )
    edge_fraction: float = Field(0.25, ge=0, le=1, description="images with a noisy side")
    blank_fraction: float = Field(0.2, ge=0, le=1, description="images with a blank side or blank patches")
    blank_edge: Range = Field(
        (0.1, 0.4), description="where a blank side begins, sides of the image from its centre"
    )
    blank_holes: float = Field(0.7, ge=0, description="holes in an image with blank pixels, mean number")
    blank_hole_radius: PositiveRange = Field((0.005, 0.05), description="their radius, sides of the image")

    coarse_fraction: float = Field(
        0.1, ge=0, le=1, description="images of lower resolution, compact sources subtracted"
    )
    coarse_beam_arcsec: PositiveRange = Field((25.0, 70.0), description="their beam FWHM, arcsec")

    flux_min_mjy: float = Field(0.1, gt=0, description="faintest compact source, mJy")
    flux_max_jy: float = Field(8.0, gt=0, description="brightest compact source, Jy")
    counts_scale: PositiveRange = Field(
        (1.0, 1.0), description="factor on the number of compact sources, drawn by its logarithm"
    )
    flux_scale: PositiveRange = Field(
        (1.0, 1.0),
        description="factor on flux densities of radio galaxies and other sources, drawn by its logarithm",
    )
    clustered_fraction: FractionRange = Field(
        (0.0, 0.0), description="compact sources that lie in groups instead of anywhere"
    )
    galaxies_per_deg2: NumberRange = Field((6.0, 22.0), description="extended radio galaxies, 1/deg2")
    galaxy_size_arcmin: PositiveRange = Field((0.3, 8.0), description="their largest size, arcmin")
    galaxy_flux_mjy: PositiveRange = Field((0.8, 600.0), description="their flux density, mJy")
    remnants_per_deg2: NumberRange = Field(
        (0.0, 1.0), description="remnant radio galaxies and fossil plasma, 1/deg2"
    )
    remnant_snr: PositiveRange = Field((0.5, 12.0), description="their brightness, rms per beam")
    remnant_size_arcmin: PositiveRange = Field((1.0, 8.0), description="their size, arcmin")
    spirals_per_deg2: NumberRange = Field((0.0, 1.5), description="resolved spiral galaxies, 1/deg2")
    spiral_size_arcmin: PositiveRange = Field((0.6, 6.0), description="their optical diameter, arcmin")
    spiral_snr: PositiveRange = Field((2.0, 40.0), description="their brightness, rms per beam")
    galactic_fraction: float = Field(0.2, ge=0, le=1, description="images with Galactic emission")
    galactic_flag_error: float = Field(
        0.25, ge=0, le=1, description="images whose clusters carry the wrong Galactic flag"
    )
    galactic_snr: PositiveRange = Field((0.2, 1.5), description="its fluctuations as observed, rms")
    galactic_slope: Range = Field((2.3, 3.3), description="its power falls as k to minus this")
    galactic_skew: NumberRange = Field(
        (0.0, 0.0),
        description="its brightness is the exponential of this many times a field; 0 for the field itself",
    )
    remnant_shell_fraction: float = Field(
        0.3, ge=0, le=1, description="images with Galactic emission that hold a supernova remnant"
    )
    shell_radius_arcmin: PositiveRange = Field(
        (3.0, 30.0), description="radius of supernova remnants, arcmin"
    )
    shell_snr: PositiveRange = Field((1.0, 10.0), description="their brightness, rms per beam")

    clusters_per_deg2: NumberRange = Field((2.0, 8.0), description="clusters, 1/deg2")
    diffuse_fraction: FractionRange = Field((0.3, 0.9), description="clusters with diffuse emission")
    empty_fraction: float = Field(
        0.12,
        ge=0,
        le=1,
        description="images without any diffuse emission; of the others, some have no host by chance",
    )
    cluster_galaxies: NumberRange = Field(
        (0.0, 6.0), description="extended radio galaxies in a cluster: none to a number from this range"
    )
    cluster_galaxy_kpc: PositiveRange = Field((60.0, 700.0), description="their largest size, kpc")
    central_fraction: float = Field(
        0.7, ge=0, le=1, description="clusters with a compact source at their centre"
    )
    central_ln_mjy: float = Field(1.5, description="its flux density: mean of ln S/mJy")
    central_ln_scatter: float = Field(1.3, ge=0, description="and the standard deviation")
    cluster_sources: float = Field(3.0, ge=0, description="further compact sources in a cluster, mean number")
    cluster_source_ln_mjy: float = Field(0.3, description="their flux density: mean of ln S/mJy")
    cluster_source_ln_scatter: float = Field(1.2, ge=0, description="and the standard deviation")
    central_galaxy_fraction: float = Field(
        0.0, ge=0, le=1, description="clusters whose central galaxy is an extended radio galaxy"
    )
    fossil_fraction: float = Field(0.08, ge=0, le=1, description="clusters with fossil plasma")
    fossil_kpc: PositiveRange = Field((60.0, 300.0), description="its size, kpc")
    filament_fraction: float = Field(
        0.3, ge=0, le=1, description="images with a filament outside clusters, of those with diffuse emission"
    )
    redshift: PositiveRange = Field((0.03, 0.8), description="redshift of clusters, drawn by its logarithm")
    mass_1e14: PositiveRange = Field((1.0, 15.0), description="M500, 1e14 solar masses")
    second_fraction: float = Field(
        0.35, ge=0, le=1, description="clusters with diffuse emission that draw a second kind"
    )
    peak_snr: PositiveRange = Field((0.2, 15.0), description="peak of a diffuse object, rms")
    largest_arcmin: float = Field(
        20.0, gt=0, description="no object larger than about this, however near: a field must hold it"
    )
    smallest_arcmin: float = Field(
        1.5, gt=0, description="no object smaller than about this, however far, whatever the beam"
    )
    halo_radius_kpc: PositiveRange = Field((60.0, 350.0), description="e-folding radius of halos, kpc")
    mini_halo_radius_kpc: PositiveRange = Field(
        (25.0, 90.0), description="e-folding radius of mini-halos, kpc"
    )
    mega_halo_radius_kpc: PositiveRange = Field((700.0, 1600.0), description="radius of megahalos, kpc")
    mega_halo_snr: PositiveRange = Field((0.3, 3.0), description="megahalos are no brighter, rms")
    relic_length_kpc: PositiveRange = Field((300.0, 2500.0), description="length of relics, kpc")
    relic_width_kpc: PositiveRange = Field((40.0, 300.0), description="width of relics, kpc")
    relic_distance_r500: PositiveRange = Field((0.4, 1.3), description="distance of relics, R500")
    relic_turn_deg: NumberRange = Field(
        (0.0, 0.0), description="relics are turned away from the tangential direction by as much, deg"
    )
    relic_galaxy_fraction: float = Field(
        0.0, ge=0, le=1, description="relics with a radio galaxy beside or on them"
    )
    phoenix_size_kpc: PositiveRange = Field((80.0, 500.0), description="size of radio phoenices, kpc")
    bridge_length_kpc: PositiveRange = Field(
        (1000.0, 5000.0), description="length of bridges and filaments, kpc"
    )
    bridge_width_kpc: PositiveRange = Field((150.0, 900.0), description="their FWHM, kpc")
    bridge_snr: float = Field(6.0, gt=0, description="bridges and filaments are no brighter, rms")

    @model_validator(mode="after")
    def _fluxes_are_in_order(self) -> "SimulateOptions":
        if 1e-3 * self.flux_min_mjy >= self.flux_max_jy:
            raise ValueError(
                f"flux_min_mjy is {self.flux_min_mjy:g} mJy, which must be below flux_max_jy, "
                f"{self.flux_max_jy:g} Jy: no compact source would be drawn"
            )
        return self

    @model_validator(mode="after")
    def _sizes_are_in_order(self) -> "SimulateOptions":
        for name, (low, high) in OBSERVABLE.items():
            given = getattr(self, name)
            if given[0] < low or given[1] > high:
                raise ValueError(f"{name} is {list(given)}, outside {low:g} to {high:g}")
        if self.smallest_arcmin > self.largest_arcmin:
            raise ValueError(
                f"smallest_arcmin is {self.smallest_arcmin:g}, more than largest_arcmin, "
                f"{self.largest_arcmin:g}"
            )
        return self

    @model_validator(mode="after")
    def _baselines_are_left(self) -> "SimulateOptions":
        beam_arcsec = max(self.beam_arcsec, self.coarse_beam_arcsec[1] if self.coarse_fraction else 0.0)
        beam_arcsec *= self.zoom[1] if self.zoom_fraction else 1.0
        resolving_m = LIGHT_M_S / 1e6 / self.frequency_mhz[1] / math.radians(beam_arcsec / 3600)
        longest_m = min(resolving_m, LONGEST_CUT_M)
        if self.inner_cut_m[1] > longest_m:
            raise ValueError(
                f"inner_cut_m reaches {self.inner_cut_m[1]:g} m, more than {longest_m:.0f} m: hardly any "
                f"baseline would be left of a beam of {beam_arcsec:g} arcsec (beam_arcsec, "
                f"coarse_beam_arcsec, zoom) at {self.frequency_mhz[1]:g} MHz (frequency_mhz)"
            )
        return self

    @property
    def px_per_arcmin(self) -> float:
        """Pixels per arcmin."""
        return 60 / self.pixel_arcsec


OWN = "own"
"""The sky of the default options."""
SKIES = ("wide", "shifted_a", "shifted_b")
HELD_OUT = 900_000
"""First seed of the images of these skies that no network is trained on; trainings take lower or much higher
ones. Weights and designs are compared on the first of them."""
MEASURED = HELD_OUT + 10_000
"""First seed of those by which nothing was chosen: scores of models are measured on these."""
AFTER_HELD_OUT = HELD_OUT + 100_000
"""First seed above all of these."""


def keep_off_held_out(first: int, count: int) -> None:
    """Refuse samples to train on, numbered from `first` on, of which some are held out.

    Raises
    ------
    ValueError
    """
    if first < AFTER_HELD_OUT and first + count > HELD_OUT:
        raise ValueError(
            f"seeds {first} to {first + count - 1} reach those that no network is trained on, "
            f"{HELD_OUT} to {AFTER_HELD_OUT - 1}: begin elsewhere, or simulate fewer samples"
        )
