"""Does a cluster host diffuse emission? A calibrated probability from what lies in its aperture."""

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from scipy import ndimage, special

from radiounet.images.gaussian import FWHM_TO_SIGMA, beam_area_px
from radiounet.settings.section import Section

SMALLEST = 1e-4  # probabilities are clipped before the logit
RIDGE = 1.0

FEATURES = (
    "logit_p_max",
    "logit_p_max_inner",
    "log_expected_beams",
    "log_mask_beams",
    "mask_fraction",
    "mask_p_mean",
    "mask_brightness",
    "mask_distance",
    "mask_elongation",
    "log_r500",
    "coverage",
    "galactic",
)


class HostCalibration(Section):
    """Logistic regression on `FEATURES`, as kept in a model's card."""

    features: tuple[str, ...] = Field(
        description="names, as radiounet.network.cluster_probability.measure_aperture gives them"
    )
    mean: tuple[float, ...]
    scale: tuple[Annotated[float, Field(gt=0)], ...] = Field(description="standard deviations, above 0")
    weights: tuple[float, ...] = Field(description="of the standardised features")
    intercept: float
    clusters: int = Field(description="simulated clusters it was fitted on")
    share: float | None = Field(None, gt=0, lt=1, description="of hosts among them; null: unknown")

    @model_validator(mode="after")
    def _is_of_these_features(self) -> "HostCalibration":
        if self.features != FEATURES:
            raise ValueError(f"p_diffuse was calibrated on {list(self.features)}, not on {list(FEATURES)}")
        if not len(self.mean) == len(self.scale) == len(self.weights) == len(FEATURES):
            raise ValueError(f"mean, scale and weights need {len(FEATURES)} values each")
        return self

    def probability(self, features: np.ndarray, share: float | None = None) -> np.ndarray:
        """Probability of hosting detectable diffuse emission.

        Parameters
        ----------
        features : ndarray, ``[cluster, feature]``
        share : float, optional
            Share of hosts to be expected; by default, and for a calibration that does not
            know its own, that of the clusters it was fitted on.

        Returns
        -------
        ndarray, ``[cluster]``
        """
        standard = (np.asarray(features) - self.mean) / self.scale
        found = special.expit(standard @ np.array(self.weights) + self.intercept)
        return found if share is None or self.share is None else shift_share(found, self.share, share)


def shift_share(probability: np.ndarray, fitted: float, expected: float) -> np.ndarray:
    """Probabilities for another share of true cases: Bayes' theorem with another prior.

    The odds are multiplied by those of the new share over those of the old one (Saerens et al.
    2002, Neural Computation 14, 21, eq. 2.4).

    Parameters
    ----------
    probability : ndarray
        0..1.
    fitted, expected : float
        Share of true cases where the probabilities were fitted, and where they are used.
    """
    return special.expit(special.logit(probability) + special.logit(expected) - special.logit(fitted))


def beam_average(probability: np.ndarray, beam_arcsec: float, pixel_arcsec: float) -> np.ndarray:
    """Mean of the probability over a beam, ``[y, x]``; blank pixels count as 0."""
    sigma_px = beam_arcsec / pixel_arcsec * FWHM_TO_SIGMA
    return ndimage.gaussian_filter(np.nan_to_num(probability), sigma_px, mode="constant")


def measure_aperture(
    probability: np.ndarray,
    smooth: np.ndarray,
    snr: np.ndarray,
    in_mask: np.ndarray,
    offset_arcmin: np.ndarray,
    r500_arcmin: float,
    beam_area_px: float,
    coverage: float,
    galactic: bool,
) -> np.ndarray:
    """Describe the pixels inside R500, in the order of `FEATURES`.

    Parameters
    ----------
    probability, smooth : ndarray, ``[pixel]``
        Per pixel, and averaged over a beam.
    snr : ndarray, ``[pixel]``
        Brightness over noise.
    in_mask : ndarray of bool, ``[pixel]``
    offset_arcmin : ndarray, ``[2, pixel]``
        From the cluster, along two perpendicular directions.
    r500_arcmin : float
    beam_area_px : float
    coverage : float
        Part of the aperture that has data.
    galactic : bool
        Whether Galactic emission is to be expected: low latitude on the sky, a
        field drawn with it in simulations.

    Returns
    -------
    ndarray, ``[feature]``
    """
    distance_arcmin = np.hypot(*offset_arcmin)
    inner = distance_arcmin < 0.5 * r500_arcmin
    masked = bool(in_mask.any())
    return np.array(
        [
            _logit(smooth.max(initial=0)),
            _logit(smooth[inner].max(initial=0)),
            np.log10(1 + probability.sum(dtype=float) / beam_area_px),
            np.log10(1 + in_mask.sum() / beam_area_px),
            in_mask.mean() if in_mask.size else 0.0,
            probability[in_mask].mean() if masked else 0.0,
            np.arcsinh(snr[in_mask].mean()) if masked else 0.0,
            distance_arcmin[in_mask].min() / r500_arcmin if masked else 1.0,
            _elongation(offset_arcmin[:, in_mask]),
            np.log10(r500_arcmin),
            coverage,
            float(galactic),
        ]
    )


def _elongation(offset: np.ndarray) -> float:
    """Logarithm of the axis ratio of a set of points, from their second moments; 0 for fewer than ten."""
    if offset.shape[1] < 10:
        return 0.0
    small, large = np.linalg.eigvalsh(np.cov(offset))
    return float(0.5 * np.log10(large / max(small, 1e-3 * large)))


def _logit(probability: float) -> float:
    return float(special.logit(np.clip(probability, SMALLEST, 1 - SMALLEST)))


def field_features(
    probability: np.ndarray,
    mask: np.ndarray,
    image: np.ndarray,
    rms: np.ndarray,
    clusters: np.ndarray,
    pixel_arcsec: float,
    beam_arcsec: float,
) -> np.ndarray:
    """Features of the clusters of a simulated field.

    Parameters
    ----------
    probability, image, rms : ndarray, ``[y, x]``
        Image and noise in Jy/beam; NaN where blank. Pixels without a probability do not count either.
    mask : ndarray, ``[y, x]``
        1 where diffuse.
    clusters : structured array or Table
        Columns ``y_px, x_px, r500_arcmin, galactic``.

    Returns
    -------
    ndarray, ``[cluster, feature]``
    """
    smooth = beam_average(probability, beam_arcsec, pixel_arcsec)
    area_px = beam_area_px(beam_arcsec, pixel_arcsec)
    y, x = np.indices(image.shape, dtype=np.float32)
    rows = []
    for one in clusters:
        offset = np.stack([y - one["y_px"], x - one["x_px"]]) * pixel_arcsec / 60
        aperture = (np.hypot(*offset) <= one["r500_arcmin"]) & np.isfinite(image) & np.isfinite(probability)
        full = np.pi * (one["r500_arcmin"] * 60 / pixel_arcsec) ** 2
        rows.append(
            measure_aperture(
                probability[aperture],
                smooth[aperture],
                image[aperture] / rms[aperture],
                mask[aperture] == 1,
                offset[:, aperture],
                float(one["r500_arcmin"]),
                area_px,
                min(aperture.sum() / full, 1.0),
                bool(one["galactic"]),
            )
        )
    return np.array(rows).reshape(-1, len(FEATURES))


def fit_host_calibration(features: np.ndarray, hosts: np.ndarray, ridge: float = RIDGE) -> HostCalibration:
    """Fit a ridge-penalised logistic regression (Hosmer & Lemeshow 2000).

    The mean of its probabilities is the share of hosts it was fitted on; how well
    each is calibrated, held-out clusters must show.

    Parameters
    ----------
    features : ndarray, ``[cluster, feature]``
    hosts : ndarray of bool, ``[cluster]``
    ridge : float
        Penalty on the sum of the squares of the weights of the standardised features.

    Raises
    ------
    ValueError
        Hosts only, or none.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    hosts = np.asarray(hosts, bool)
    if not hosts.any() or hosts.all():
        raise ValueError(f"{hosts.sum()} of {hosts.size} clusters are hosts: both kinds are needed")
    scaler = StandardScaler().fit(features)
    fit = LogisticRegression(C=1 / ridge, solver="newton-cholesky", tol=1e-8)
    fit.fit(scaler.transform(features), hosts)
    return HostCalibration(
        features=FEATURES,
        mean=tuple(scaler.mean_.tolist()),
        scale=tuple(scaler.scale_.tolist()),
        weights=tuple(fit.coef_[0].tolist()),
        intercept=float(fit.intercept_[0]),
        clusters=len(hosts),
        share=float(hosts.mean()),
    )
