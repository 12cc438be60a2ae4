"""How many labels a recalibration of ``p_diffuse`` needs.

Hosts and empty clusters have normal logits that are calibrated, then distorted by a slope and
an offset. From N hosts and N empty clusters a recalibration is fitted; on a large sample of the same kind
its Brier score is compared with that of the distorted probabilities. The table shows the median change of
the Brier score, and in how many of the draws it gets better.
"""

import numpy as np
from scipy import special

from common import print_table
from radiounet.learning.recalibration import fit_recalibration

DISTANCE, SCATTER = 3.0, 2.0  # logits of hosts and empty clusters, whose calibrated logit has slope 0.75
DISTORTIONS = {"none": (1.0, 0.0), "too sure": (1.5, 0.0), "too high": (1.0, 1.0), "both": (1.5, 1.0)}
LABELS = (5, 10, 20, 40, 100)
DRAWS = 300
POPULATION = 20_000


def draw(generator: np.random.Generator, of_each: int) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated logits and truth of as many hosts as empty clusters, ``[cluster]``."""
    hosts = np.repeat([True, False], of_each)
    place = generator.normal(np.where(hosts, 0.5, -0.5) * DISTANCE, SCATTER)
    return place * DISTANCE / SCATTER**2, hosts


def brier(probability: np.ndarray, hosts: np.ndarray) -> float:
    """Mean squared error of probabilities."""
    return float(np.mean((probability - hosts) ** 2))


def main() -> None:
    """Draw, fit and print the table."""
    generator = np.random.default_rng(1)
    population, truth = draw(generator, POPULATION // 2)
    rows = []
    for name, (slope, offset) in DISTORTIONS.items():
        distorted = special.expit(slope * population + offset)
        before = brier(distorted, truth)
        cells = []
        for count in LABELS:
            changes = []
            for _ in range(DRAWS):
                logits, hosts = draw(generator, count)
                fit = fit_recalibration(special.expit(slope * logits + offset), hosts)
                changes.append(brier(fit.probability(distorted), truth) / before - 1)
            better = 100 * np.mean(np.array(changes) < 0)
            cells.append(f"{100 * np.median(changes):+.1f} % ({better:.0f} %)")
        rows.append([name, f"{before:.3f}", *cells])
    print_table(["distortion", "Brier before", *(f"N = {count}" for count in LABELS)], rows)


if __name__ == "__main__":
    main()
