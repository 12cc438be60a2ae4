"""Scores of a model on several skies for its folder: card, metrics, and the page of the evaluation.

For models that ``make model`` did not make. The mask and the decision for clusters are those of the card.
"""

import tempfile

from radiounet import __version__
from radiounet.images.provenance import code_hash
from radiounet.images.writing import write_json
from radiounet.learning.score_sets import SIMULATED, simulated_set
from radiounet.measuring.scores import card_metrics
from radiounet.network.model_cards import model_folder, read_card, write_card
from radiounet.running.parsers import new_parser
from radiounet.settings.simulate import MEASURED
from radiounet.settings.train import LOTSS_GRID, TrainOptions


def scores_of(name: str, images: int, workers: int) -> dict[str, dict]:
    """Scores of a model on new images of every sky."""
    # the processes that simulate import this file, and need no Keras
    from radiounet.learning.evaluation import evaluate
    from radiounet.learning.learning_curve import require_unseen
    from radiounet.learning.methods import model_method

    folder = model_folder(name)
    method, settled = model_method(folder)
    scores = {}
    for sky in SIMULATED:
        with tempfile.TemporaryDirectory() as where:
            paths = simulated_set(sky, MEASURED, images, where, workers, LOTSS_GRID)
            require_unseen(name, read_card(folder).training, paths)
            scores[sky] = evaluate(method, paths, TrainOptions().truth_snr, settled)
    return scores


def main() -> None:
    """Measure a model and write its scores into its folder."""
    from radiounet.learning.evaluation_report import write_evaluation

    parser = new_parser(description=__doc__)
    parser.add_argument("model", help="name or folder")
    parser.add_argument("--images", type=int, default=24, help="of each sky")
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate")
    args = parser.parse_args()
    folder = model_folder(args.model)
    scores = scores_of(args.model, args.images, args.workers)
    methods = [one | {"method": f"{sky} sky"} for sky, one in scores.items()]
    made = {"version": __version__, "codehash": code_hash()}
    measured = {"images": args.images, "first_seed": MEASURED}
    write_json(
        folder / "metrics.json", {"scored_on": SIMULATED, "measured": measured, **made, "methods": methods}
    )
    write_evaluation(methods, folder)
    metrics = {
        "on": f"{args.images} held-out images of each sky, from seed {MEASURED}",
        **{sky: card_metrics(one) for sky, one in scores.items()},
    }
    write_card(folder, read_card(folder).model_copy(update={"metrics": metrics}))


if __name__ == "__main__":
    main()
