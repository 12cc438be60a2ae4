"""From masks to catalogues: islands, clusters, scores, and the merging of all mosaics.

Uses `radiounet.network` and the rooms below it, not `radiounet.simulation`.
"""

__all__ = [
    "catalogue",
    "clusters",
    "columns",
    "completeness",
    "duplicates",
    "injection",
    "islands",
    "limits",
    "mocks",
    "object_scores",
    "scores",
    "separation",
]
