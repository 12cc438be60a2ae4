"""What people read at the end of a run: the report, and the comparison with reference masks.

Uses `radiounet.measuring` and the rooms below it, not `radiounet.learning`.
"""

__all__ = ["report", "verification"]
