"""What people read after a run: report, results site, overview of one image, comparison with reference masks.

Here are also the publication with its HiPS, MOCs and research object, its checks, kits and labels by eye.

Uses `radiounet.measuring` and the rooms below it, not `radiounet.learning`.
"""

__all__ = [
    "between_pixels",
    "catalogue_check",
    "catalogue_objects",
    "cds_readme",
    "compressed_maps",
    "coverage",
    "hips",
    "hips_parts",
    "hips_summary",
    "kit",
    "known_labels",
    "label_pairs",
    "label_server",
    "labelling",
    "obscore",
    "overview",
    "panels",
    "pictures",
    "publication",
    "published_maps",
    "published_survey",
    "published_tables",
    "published_tiles",
    "records",
    "report",
    "research_object",
    "side_by_side",
    "site",
    "site_pictures",
    "site_sources",
    "site_tables",
    "verdict",
    "verification",
    "workflow_files",
]
