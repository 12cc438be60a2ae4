"""The shipped models' cards: size, training, and what was measured on held-out simulated fields."""

from common import print_table
from radiounet.cards import MODELS, read_card

METRICS = ("dice", "precision", "recall", "objects", "objects_found", "false_islands_per_deg2", "area_deg2")


def main() -> None:
    """Print one row per model."""
    rows = []
    for path in sorted(MODELS.glob("*/card.yaml")):
        card = read_card(path.parent)
        training = card.training
        rows.append(
            [card.name, training["parameters"], training["options"]["fields"], training["options"]["steps"]]
            + [training["wall_time_s"], card.threshold]
            + [card.metrics[name] for name in METRICS]
        )
    heads = ["model", "parameters", "fields", "steps", "training, s", "threshold", *METRICS]
    print_table(heads, rows)


if __name__ == "__main__":
    main()
