"""Ways to decide whether a cluster hosts diffuse emission, compared by cross-validation.

On simulated clusters of all own skies that serve nothing else. Models are those that are shipped, with the
masks of their cards. With ``--settle``, `p_diffuse` of the models' cards is calibrated on all of them.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

# the processes of the pool import this file, and need no Keras
from common import print_table
from radiounet.images.processes import end_with_parent
from radiounet.images.writing import atomic
from radiounet.running.parsers import new_parser
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.named_skies import read_sky
from radiounet.settings.simulate import HELD_OUT, OWN, SKIES
from radiounet.settings.train import TrainOptions
from radiounet.simulation.simulate import write_pair

if TYPE_CHECKING:
    from radiounet.learning.methods import Calibration, Method
    from radiounet.learning.scenes import Scene

FIRST_SEED = HELD_OUT + 90_000
FOLDS = 8
TRUTH_SNR = TrainOptions().truth_snr
SHARE = MeasureOptions().host_share
PENALTY = 100.0
"""The strongest penalty (of 1, 30, 100, 300 and 1000) whose Brier score is within 0.001 of the lowest."""
SHIPPED = f"logistic regression, penalty {PENALTY:g}"
FAINT = 0.15
"""Largest probability of a pixel where little is known of a cluster without a mask."""
MORE = (
    "mean p within 0.3 R500",
    "mean p from 0.3 to 0.6",
    "mean p from 0.6 to 1",
    "distance of the largest p",
    "S/N at the largest p",
    "S/N, weighted by p",
    "largest S/N",
    "rms",
    "redshift",
)


@dataclass(frozen=True)
class Clusters:
    """Clusters of one image: what is known of each, and whether it is a host; arrays ``[cluster, ...]``."""

    features: np.ndarray
    more: np.ndarray
    p_max: np.ndarray
    masked: np.ndarray
    hosts: np.ndarray

    @property
    def little_known(self) -> np.ndarray:
        """Clusters without a masked pixel or a probability above `FAINT`, bool ``[cluster]``."""
        return ~self.masked & (self.p_max < FAINT)

    @staticmethod
    def joined(parts: "list[Clusters]") -> "Clusters":
        """All clusters of some images."""
        names = Clusters.__dataclass_fields__
        return Clusters(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def describe(models: list[str], folder: Path, item: tuple[str, int]) -> None:
    """Simulate an image, and write what models say of its clusters where that is not there yet."""
    from radiounet.learning.methods import model_method
    from radiounet.learning.scenes import read_scene
    from radiounet.network.model_cards import model_folder

    sky, seed = item
    missing = [name for name in models if not _path(folder, name, *item).exists()]
    if not missing:
        return
    with TemporaryDirectory() as temporary:
        pair = f"{temporary}/pair.fits"
        write_pair(pair, read_sky(sky), seed)
        scene = read_scene(pair, TRUTH_SNR)
    for name in missing:
        if name not in _methods:
            _methods[name] = model_method(model_folder(name))
        clusters = _described(scene, *_methods[name])
        with atomic(_path(folder, name, *item)) as target, open(target, "wb") as stream:
            np.savez(stream, **vars(clusters))


_methods: dict = {}


def _path(folder: Path, model: str, sky: str, seed: int) -> Path:
    """File of an image's clusters; other weights have other files."""
    return folder / f"{Path(model).name}-{_weights(model)}-{sky}-{seed}.npz"


@cache
def _weights(model: str) -> str:
    from radiounet.network.model_cards import model_folder, read_card

    return read_card(model_folder(model), check_weights=False).weights.sha256[:12]


def _described(scene: "Scene", method: "Method", settled: "Calibration") -> Clusters:
    from radiounet.images.gaussian import beam_area_px
    from radiounet.measuring.object_scores import cluster_label
    from radiounet.network.cluster_probability import beam_average, field_features
    from radiounet.network.masks import make_mask

    score = method.score(scene.image, scene.rms, scene.grid.pixel_arcsec, scene.beam_arcsec)
    score = np.where(scene.known, score, np.nan).astype(np.float32)
    area_px = beam_area_px(scene.grid.beam_arcsec, scene.grid.pixel_arcsec)
    mask = make_mask(score, settled.threshold, area_px, settled.peak)
    pixel_arcmin = scene.grid.pixel_arcsec / 60
    places = [(one["y_px"], one["x_px"], one["r500_arcmin"] / pixel_arcmin) for one in scene.clusters]
    labels = np.array([cluster_label(scene.strength, scene.known, *p, TRUTH_SNR) for p in places])
    clusters = scene.clusters[np.isin(labels, ("host", "empty"))]
    smooth = beam_average(score, scene.beam_arcsec, scene.grid.pixel_arcsec)
    planes = (score, mask, scene.image, scene.rms)
    features = field_features(*planes, clusters, scene.grid.pixel_arcsec, scene.beam_arcsec)
    snr, more, p_max, masked = scene.image / scene.rms, [], [], []
    for one in clusters:
        y, x = np.indices(mask.shape)
        distance_px = np.hypot(y - one["y_px"], x - one["x_px"])
        inside = (distance_px * pixel_arcmin <= one["r500_arcmin"]) & np.isfinite(score)
        r500 = distance_px[inside] * pixel_arcmin / one["r500_arcmin"]
        p, bright = score[inside], snr[inside]
        rings = [p[(r500 >= low) & (r500 <= high)] for low, high in ((0, 0.3), (0.3, 0.6), (0.6, 1))]
        top = int(smooth[inside].argmax())
        weighted = (p * bright).sum() / max(p.sum(), 1e-9)
        brightness = np.arcsinh([bright[top], weighted, bright.max()])
        rms = np.log10(np.median(scene.rms[inside]))
        means = [float(ring.mean()) if ring.size else 0.0 for ring in rings]
        more.append([*means, r500[top], *brightness, rms, one["redshift"]])
        p_max.append(p.max())
        masked.append(bool((mask[inside] == 1).any()))
    hosts = labels[np.isin(labels, ("host", "empty"))] == "host"
    rows = np.array(more, float).reshape(-1, len(MORE))
    return Clusters(features, rows, np.array(p_max, float), np.array(masked, bool), hosts)


def ways() -> dict[str, tuple[Callable, Callable[[Clusters], np.ndarray]]]:
    """Classifiers by name, each with what it is given."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def logistic(ridge: float = 1.0) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=1 / ridge, max_iter=1000))

    def trees() -> Any:
        settings = {"max_iter": 120, "learning_rate": 0.05, "max_leaf_nodes": 8, "min_samples_leaf": 30}
        return HistGradientBoostingClassifier(**settings, l2_regularization=5, random_state=1)

    def forest() -> Any:
        return RandomForestClassifier(200, min_samples_leaf=8, max_features=0.4, random_state=1)

    def all_features(one: Clusters) -> np.ndarray:
        return np.hstack([one.features, one.more])

    return {
        "largest probability alone": (logistic, lambda one: one.features[:, :1]),
        "logistic regression": (logistic, lambda one: one.features),
        SHIPPED: (partial(logistic, PENALTY), lambda one: one.features),
        "logistic regression with more features": (logistic, all_features),
        "gradient boosting": (trees, lambda one: one.features),
        "gradient boosting with more features": (trees, all_features),
        "random forest with more features": (forest, all_features),
    }


def predicted(build: Callable, features: np.ndarray, hosts: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Probability of each cluster by a classifier that saw neither it nor others of its group."""
    from sklearn.model_selection import GroupKFold

    result = np.zeros(len(hosts))
    folds = GroupKFold(min(FOLDS, len(np.unique(groups))))
    for train, test in folds.split(features, hosts, groups):
        result[test] = build().fit(features[train], hosts[train]).predict_proba(features[test])[:, 1]
    return result


def scores(probability: np.ndarray, clusters: Clusters, share: float) -> list[str]:
    """ROC-AUC, accuracy and Brier score; and, with the survey's share of hosts, what is said of the others.

    The probabilities are for a share of their own.
    """
    from radiounet.measuring.scores import score_decisions
    from radiounet.network.cluster_probability import shift_share

    plain = score_decisions(probability, clusters.hosts)
    shifted = shift_share(probability, share, SHARE)
    little = clusters.little_known
    return [
        *(f"{plain[name]:.3f}" for name in ("roc_auc", "accuracy", "brier")),
        f"{(shifted[~clusters.hosts] < 0.4).mean():.2f}",
        f"{shifted[little].max(initial=0):.2f}, {(shifted[little] > 0.3).mean():.3f}",
    ]


def main() -> None:
    """Describe the clusters, compare, and settle."""
    parser = new_parser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["lotss-pair", "lotss-unet", "lotss-classes"])
    parser.add_argument("--images", type=int, default=160, help="of each sky (default: %(default)s)")
    parser.add_argument("--state", type=Path, required=True, help="folder: a program that is stopped goes on")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--settle", action="store_true", help="write the calibration into the models' cards")
    args = parser.parse_args()
    args.state.mkdir(parents=True, exist_ok=True)
    items = [(sky, FIRST_SEED + n) for n in range(args.images) for sky in (OWN, *SKIES)]
    with ProcessPoolExecutor(args.workers, get_context("spawn"), end_with_parent) as pool:
        list(pool.map(partial(describe, args.models, args.state), items, chunksize=4))
    heads = (
        "decision",
        "ROC-AUC",
        "accuracy",
        "Brier",
        "empty below 0.4",
        "little known: largest, above 0.3",
    )
    for model in args.models:
        parts = [Clusters(**np.load(_path(args.state, model, *item))) for item in items]
        clusters = Clusters.joined(parts)
        counts = [len(part.hosts) for part in parts]
        images = np.repeat(np.arange(len(items)), counts)
        skies = np.repeat([sky for sky, _ in items], counts)
        share = float(clusters.hosts.mean())
        little = clusters.hosts[clusters.little_known]
        print(f"\n{model}: {len(clusters.hosts)} clusters, {share:.3f} of them hosts;")
        print(f"little is known of {len(little)}, {little.mean():.3f} of them hosts\n")
        rows = []
        for name, (build, features) in ways().items():
            given = features(clusters), clusters.hosts
            probability, left_out = predicted(build, *given, images), predicted(build, *given, skies)
            rows.append([name, *scores(probability, clusters, share)])
            rows.append(["... on a sky that was left out", *scores(left_out, clusters, share)])
            if name == SHIPPED:
                shipped = probability
        print_table(heads, rows)
        rows = []
        for sky in (OWN, *SKIES):
            here = skies == sky
            part = Clusters(*(one[here] for one in vars(clusters).values()))
            rows.append([sky, *scores(shipped[here], part, share)])
        print()
        print_table((f"{SHIPPED}, on", *heads[1:]), rows)
        if args.settle:
            settle(model, clusters, args.images)


def settle(model: str, clusters: Clusters, images: int) -> None:
    """Write a calibration on all clusters into a model's card, and what it was made from."""
    from radiounet.images.provenance import code_hash
    from radiounet.network.cluster_probability import fit_host_calibration
    from radiounet.network.model_cards import model_folder, read_card, write_card

    folder = model_folder(model)
    card = read_card(folder)
    found = fit_host_calibration(clusters.features, clusters.hosts, PENALTY)
    made = {
        "command": f"benchmarks/cluster_decision.py {card.name} --images {images} --state FOLDER --settle",
        "skies": [OWN, *SKIES],
        "set": "; ".join(
            f"base seed {seed}" for seed in sorted({read_sky(sky).seed for sky in (OWN, *SKIES)})
        ),
        "seeds": [FIRST_SEED, FIRST_SEED + images - 1],
        "code": code_hash(),
    }
    training = card.training | {"host_calibration": made}
    write_card(folder, card.model_copy(update={"host_calibration": found, "training": training}))


if __name__ == "__main__":
    main()
