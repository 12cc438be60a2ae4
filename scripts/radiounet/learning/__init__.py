"""Training of networks, and evaluation of what they find.

Uses `radiounet.simulation`, `radiounet.measuring` and the rooms below them, not `radiounet.publishing`.
"""

__all__ = [
    "baselines",
    "evaluation",
    "evaluation_report",
    "learning_curve",
    "legs",
    "outside",
    "pairs",
    "runs",
    "samples",
    "scenes",
    "torch_training",
    "training",
]
