"""What people read at the end of a run: report, results site, overview of one image, comparison.

Uses `radiounet.measuring` and the rooms below it, not `radiounet.learning`.
"""

__all__ = [
    "kit",
    "label_server",
    "labelling",
    "overview",
    "panels",
    "pictures",
    "report",
    "site",
    "site_pictures",
    "site_sources",
    "site_tables",
    "verdict",
    "verification",
]
