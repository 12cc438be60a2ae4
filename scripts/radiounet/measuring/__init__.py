"""From masks to catalogues: islands, clusters, scores, and the merging of all mosaics.

Uses `radiounet.network` and the rooms below it, not `radiounet.simulation`.
"""

__all__ = [
    "catalogue",
    "catalogue_files",
    "cluster_sources",
    "clusters",
    "columns",
    "compact",
    "completeness",
    "components",
    "cutout_files",
    "cutouts",
    "diffuse_classes",
    "duplicates",
    "fluxes",
    "high_resolution",
    "injection",
    "island_cutouts",
    "islands",
    "label_matching",
    "label_scores",
    "labels",
    "limits",
    "mocks",
    "mosaic_tables",
    "object_scores",
    "objects",
    "profiles",
    "region_tables",
    "rows",
    "running_median",
    "scores",
    "separation",
    "shapes",
]
