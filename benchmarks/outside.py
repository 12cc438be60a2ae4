"""Models on labelled sets that none was made with (needs ../shared/data).

For reporting, never for training, a threshold or a choice between models.
"""

import argparse
import logging

import numpy as np

from common import SHARED, print_table
from outside_scores import (
    GALACTIC,
    Score,
    measure_blank_sky,
    measure_consistency,
    measure_nvss,
    measure_outside,
)
from radiounet.running.parsers import new_parser

CONSISTENT = "field_11_02"
SIDES = (128, 256)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = new_parser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["lotss-pair"], help="names or folders of models")
    return parser.parse_args()


def open_score(folder: str) -> tuple[Score, float, float | None]:
    """Score of a model as the workflow predicts, and the threshold and peak of its card."""
    from radiounet.network.inference import open_model
    from radiounet.network.model_cards import model_folder, network_input

    predictor, card = open_model(model_folder(folder), batch=1)

    def score(image: np.ndarray, beam_px: float) -> np.ndarray:
        plane = network_input(card.normalisation, image, beam_px)
        return predictor.plane(plane, card.tile_px, card.core_px)

    return score, card.threshold, card.peak


def measure(score: Score, threshold: float, peak: float | None) -> dict[str, str]:
    """Every score of a method as the table has it, by the name of its row."""
    settings = (score, threshold, peak)
    sky = measure_outside(*settings, SHARED / "outside_sky")
    rows = {"threshold, peak": f"{threshold:g}, {peak or threshold:g}"}
    rows |= _of_fields(sky["all"], f"all fields ({sky['all']['area_deg2']:.1f} deg2)")
    rows |= _of_kinds(sky["all"])
    rows |= _of_fields(sky["others"], "without the Galactic field")
    rows["Galactic field: objects found; false islands/deg2"] = _found(
        sky["galactic"]["objects"]["all"], sky["galactic"]
    )
    rows["Galactic field: largest p"] = f"{sky['galactic']['largest']:.3f}"
    for way, scores in measure_nvss(*settings, SHARED / "nvss_relics").items():
        name = f"NVSS {way} ({scores['area_deg2']:.1f} deg2)"
        rows[f"{name}: regions found; other islands/deg2"] = _found(scores["regions"], scores)
        rows[f"{name}: regions at <= 1 other island/deg2 (a)"] = _best(scores, scores["regions"][1])
    rows |= _of_consistency(settings)
    return rows


def _of_fields(scores: dict, name: str) -> dict[str, str]:
    clusters = scores["clusters"]
    known = f"{clusters['hosts']} + {clusters['empty']} empty"
    return {
        f"{name}: Dice (best of all thresholds)": f"{scores['dice']:.3f} ({scores['best_dice']:.3f})",
        f"{name}: average precision": f"{scores['average_precision']:.3f}",
        f"{name}: pixel ROC-AUC": f"{scores['roc_auc']:.3f}",
        f"{name}: objects found; false islands/deg2": _found(scores["objects"]["all"], scores),
        f"{name}: objects at <= 1 false island/deg2 (a)": _best(scores, scores["objects"]["all"][1]),
        f"{name}: ROC-AUC of {known} clusters by largest p; mean p": (
            f"{clusters['auc_largest']:.3f}; {clusters['auc_mean']:.3f}"
        ),
    }


def _of_kinds(scores: dict) -> dict[str, str]:
    names = {
        "halo": "halos",
        "relic": "relics",
        "filament": "filaments and bridges",
        "bright": "peak S/N above 4",
    }
    return {f"all fields: {text} found": _share(scores["objects"][kind]) for kind, text in names.items()}


def _of_consistency(settings: tuple[Score, float, float | None]) -> dict[str, str]:
    rows = {}
    for name, (overlap, largest) in measure_consistency(
        *settings, SHARED / "outside_sky" / CONSISTENT
    ).items():
        rows[f"{name}: mask IoU; largest difference of p"] = f"{overlap:.3f}; {largest:.3f}"
    for side in SIDES:
        skies = measure_blank_sky(*settings, side)
        cells = [f"{100 * mean:.1f} ({100 * most:.1f})" for mean, most in skies.values()]
        rows[f"blank {side} px, % masked, mean (most): {', '.join(skies)}"] = "; ".join(cells)
    return rows


def _share(found: tuple[int, int]) -> str:
    return f"{found[0]} of {found[1]}"


def _found(found: tuple[int, int], scores: dict) -> str:
    return f"{_share(found)}; {scores['false_per_deg2']:.2f}"


def _best(scores: dict, count: int) -> str:
    best = scores["at_one_false"]
    place = f"p {best['threshold']:.3g}, peak {best['peak']:.3g}, {100 * best['masked']:.1f} % masked"
    return f"{_share((best['found'], count))}; {best['false_per_deg2']:.2f} ({place})"


def main() -> None:
    """Measure every model and print the table."""
    models = arguments().models
    logging.getLogger("radiounet").setLevel(logging.ERROR)
    columns = [measure(*open_score(model)) for model in models]
    print_table(["", *models], [[name, *(one[name] for one in columns)] for name in columns[0]])
    print(
        "\n(a) Threshold and peak are chosen on the very images that are measured: the summary of a curve,\n"
        f"not what to expect of another image. The Galactic field is {GALACTIC}; crop and shift are of\n"
        f"{CONSISTENT}. Only detectable objects and clusters count: S/N of 3 and a beam above half the noise."
    )


if __name__ == "__main__":
    main()
