"""Probabilities of a catalogue brought to what labels of people say (Platt 1999)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from astropy.table import Column as TableColumn
from astropy.table import Table
from scipy import special

from radiounet.errors import ConfigError
from radiounet.images.tables import MISSING
from radiounet.images.words import parse_boolean
from radiounet.measuring.columns import COLUMNS, Column
from radiounet.measuring.label_scores import SEED
from radiounet.network.cluster_probability import SMALLEST
from radiounet.survey.cluster_columns import TEXT, column_numbers, column_texts

FEWEST = 20
"""Hosts and empty clusters that a recalibration needs; see ``benchmarks/recalibration.py``."""
FOLDS = 5
RECALIBRATED = "p_diffuse_recalibrated"
DESCRIPTION = "Probability of hosting detectable diffuse emission, brought to labels (see the metadata)"


@dataclass(frozen=True)
class Recalibration:
    """``p = expit(slope logit(p_diffuse) + offset)``."""

    slope: float
    offset: float

    def probability(self, p_diffuse: np.ndarray) -> np.ndarray:
        """Recalibrated probabilities, ``[cluster]``; NaN stays NaN."""
        return special.expit(self.slope * _logit(p_diffuse) + self.offset)


def _logit(p_diffuse: np.ndarray) -> np.ndarray:
    return special.logit(np.clip(p_diffuse, SMALLEST, 1 - SMALLEST))


def fit_recalibration(p_diffuse: np.ndarray, hosts: np.ndarray) -> Recalibration:
    """Fit slope and offset by the largest likelihood of Platt's (1999) targets.

    The targets are ``(N + 1) / (N + 2)`` of N hosts and ``1 / (N + 2)`` of N empty clusters instead of
    1 and 0, so that the fit is finite where a threshold separates the two.

    Parameters
    ----------
    p_diffuse : ndarray, ``[cluster]``
        0..1, without NaN.
    hosts : ndarray of bool, ``[cluster]``
        Both kinds.
    """
    from sklearn.linear_model import LogisticRegression

    target = np.where(hosts, (hosts.sum() + 1) / (hosts.sum() + 2), 1 / ((~hosts).sum() + 2))
    # scikit-learn takes targets of 0 and 1 only: every cluster counts as both, in parts
    features = np.tile(_logit(p_diffuse), 2)[:, None]
    truth = np.repeat([1, 0], hosts.size)
    fit = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    fit.fit(features, truth, sample_weight=np.concatenate([target, 1 - target]))
    return Recalibration(float(fit.coef_[0, 0]), float(fit.intercept_[0]))


def require_both_kinds(hosts: np.ndarray) -> None:
    """Refuse to recalibrate with few labels.

    Raises
    ------
    ConfigError
        Fewer than `FEWEST` hosts or empty clusters.
    """
    if min(hosts.sum(), (~hosts).sum()) < FEWEST:
        raise ConfigError(
            f"{hosts.sum()} hosts and {(~hosts).sum()} empty clusters have a label and p_diffuse: "
            f"a recalibration needs {FEWEST} of each"
        )


def held_out_probabilities(p_diffuse: np.ndarray, hosts: np.ndarray) -> np.ndarray:
    """Probability of each cluster by the fit to the other four fifths, ``[cluster]``; folds are seeded."""
    from sklearn.model_selection import StratifiedKFold

    found = np.full(p_diffuse.shape, np.nan)
    for others, held_out in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(p_diffuse, hosts):
        found[held_out] = fit_recalibration(p_diffuse[others], hosts[others]).probability(p_diffuse[held_out])
    return found


def recalibrated_catalogue(table: Table, fit: Recalibration, meta: Mapping[str, object]) -> Table:
    """Copy of a catalogue of clusters with the column ``p_diffuse_recalibrated``, which replaces one it has.

    Columns that this library knows have their type, description and UCD again, which text
    tables and FITS lose.

    Parameters
    ----------
    table : Table
        As `radiounet.measuring.labels.read_catalogue` gives it.
    fit : Recalibration
    meta : mapping
        Provenance.

    Raises
    ------
    ConfigError
        A cell of a text table is not of its column's type.
    """
    copy = Table(meta=dict(meta))
    for name in table.colnames:
        if name == RECALIBRATED:  # of an earlier fit
            continue
        known = COLUMNS["clusters"].get(name)
        copy[name] = _values(table[name], known.kind if known else str)
        if known:
            _describe(copy[name], known)
    column = replace(COLUMNS["clusters"]["p_diffuse"], description=DESCRIPTION)
    p_diffuse = _values(table["p_diffuse"], column.kind)
    copy.add_column(fit.probability(p_diffuse), name=RECALIBRATED, index=copy.index_column("p_diffuse") + 1)
    _describe(copy[RECALIBRATED], column)
    return copy


def _values(column: TableColumn, kind: type) -> np.ndarray:
    """Values of a column, those of text tables with their own type again, masked where there is none."""
    if column.dtype.kind not in TEXT:
        return column
    texts = column_texts(column)
    if kind is str:
        return np.array(texts)
    values: np.ndarray
    if kind is bool:
        values, wrong = _flags(texts)
    else:
        values, wrong = column_numbers(column, u.dimensionless_unscaled, None)
    if kind is int:
        known = ~np.isnan(values)
        odd = known & ~(np.isfinite(values) & (values == np.rint(values)))
        wrong |= {row: texts[row] for row in np.flatnonzero(odd).tolist()}
        values = np.ma.array(np.where(known & ~odd, values, 0).astype(int), mask=~known)
    if wrong:
        kinds = {bool: "true or false", int: "a whole number", float: "a number"}
        row, text = next(iter(wrong.items()))
        raise ConfigError(f"the catalogue has {text!r} in row {row + 1} of {column.name}, not {kinds[kind]}")
    return values if np.ma.is_masked(values) else np.ma.getdata(values)


def _flags(texts: Sequence[str]) -> tuple[np.ma.MaskedArray, dict[int, str]]:
    """Flags, masked where missing, and the texts that are none, by row."""
    known = [text.lower() not in MISSING for text in texts]
    values, wrong = np.ma.array(np.zeros(len(texts), bool), mask=~np.array(known, bool)), {}
    for row in np.flatnonzero(known).tolist():
        try:
            values[row] = parse_boolean(texts[row])
        except ValueError:
            wrong[row] = texts[row][:40]
    return values, wrong


def _describe(values: TableColumn, column: Column) -> None:
    values.unit = values.unit or column.unit
    values.description = column.description
    values.info.meta = {"ucd": column.ucd}
