"""Training of networks, and evaluation of what they find.

Uses `radiounet.simulation`, `radiounet.measuring` and the rooms below them, not `radiounet.publishing`.
"""

__all__ = [
    "baselines",
    "catalogue_evaluation",
    "catalogue_figure",
    "catalogue_report",
    "crops",
    "deepening",
    "evaluation",
    "evaluation_figure",
    "evaluation_report",
    "hard_negatives",
    "label_planes",
    "learning_curve",
    "legs",
    "losses",
    "methods",
    "new_model",
    "open_scores",
    "option_checks",
    "outside",
    "pairs",
    "recalibration",
    "runs",
    "samples",
    "scenes",
    "score_sets",
    "scored_images",
    "torch_training",
    "training",
]
