"""What people read at the end of a run: report, overview of one image, comparison with reference masks.

Uses `radiounet.measuring` and the rooms below it, not `radiounet.learning`.
"""

__all__ = [
    "cds_readme",
    "coverage",
    "hips",
    "hips_summary",
    "kit",
    "obscore",
    "overview",
    "panels",
    "pictures",
    "publication",
    "published_maps",
    "published_tables",
    "records",
    "report",
    "research_object",
    "verdict",
    "verification",
]
