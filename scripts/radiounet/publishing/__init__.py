"""What people read at the end of a run: report, overview of one image, comparison with reference masks.

Uses `radiounet.measuring` and the rooms below it, not `radiounet.learning`.
"""

__all__ = ["kit", "overview", "panels", "pictures", "report", "verdict", "verification"]
