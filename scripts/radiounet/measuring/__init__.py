"""From masks to catalogues: islands, clusters, scores, and the merging of all mosaics.

Uses `radiounet.network` and the rooms below it, not `radiounet.simulation`.
"""

__all__ = [
    "catalogue",
    "clusters",
    "columns",
    "duplicates",
    "islands",
    "label_matching",
    "label_scores",
    "labels",
    "object_scores",
    "scores",
    "separation",
]
