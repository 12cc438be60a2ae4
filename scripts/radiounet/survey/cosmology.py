"""Sizes of clusters on the sky."""

from functools import cache

import astropy.units as u
import numpy as np
from astropy.cosmology import FlatLambdaCDM


@cache
def flat_cosmology(h0: float, omega_m: float) -> FlatLambdaCDM:
    """Flat cosmology without radiation; making one takes much longer than a distance.

    Parameters
    ----------
    h0 : float
        Hubble constant, km/s/Mpc.
    omega_m : float
        Matter density today.
    """
    return FlatLambdaCDM(h0, omega_m)


def r500(mass: u.Quantity, redshift: np.ndarray, cosmology: FlatLambdaCDM) -> u.Quantity:
    """Radius of mean density 500 times critical: ``(3 M500 / (4 pi 500 rho_c(z)))^(1/3)``.

    Parameters
    ----------
    mass : Quantity
        M500.
    redshift : array_like
    cosmology : FlatLambdaCDM

    Returns
    -------
    Quantity, Mpc
    """
    density = 500 * cosmology.critical_density(redshift)
    return ((3 * mass / (4 * np.pi * density)) ** (1 / 3)).to(u.Mpc)


def arcmin_per_kpc(redshift: float, cosmology: FlatLambdaCDM) -> float:
    """Angle of one proper kiloparsec, arcmin."""
    return float(1 / cosmology.kpc_proper_per_arcmin(redshift).to_value(u.kpc / u.arcmin))
