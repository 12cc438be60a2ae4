"""The checkout that the package runs from, for what is not part of the package."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
