"""From image to mask: architectures, model cards, imported weights, tiles, inference, masks.

The only room beside `radiounet.learning` that imports Keras. Uses the rooms below it.
"""

__all__ = [
    "architectures",
    "class_maps",
    "cluster_probability",
    "devices",
    "engine",
    "inference",
    "masks",
    "model_cards",
    "saved_model",
    "segmenting",
    "tiling",
]
