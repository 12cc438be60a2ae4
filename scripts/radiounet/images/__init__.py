"""Planes in and out of files, and the files themselves.

A plane with its WCS, unit, beam and noise; resampling; names of products, atomic writing,
provenance, rejections; text from outside; worker processes. The lowest room: it imports from no other.
"""

__all__ = [
    "background",
    "bare_planes",
    "beams",
    "blanks",
    "compiled",
    "constants",
    "dates",
    "fits_check",
    "fits_planes",
    "frequencies",
    "gaussian",
    "geometry",
    "headers",
    "image",
    "model_files",
    "noise",
    "origins",
    "processes",
    "products",
    "progress_bar",
    "provenance",
    "reading",
    "regional_products",
    "rejections",
    "resampling",
    "squares",
    "tables",
    "unit_words",
    "units",
    "words",
    "writing",
]
