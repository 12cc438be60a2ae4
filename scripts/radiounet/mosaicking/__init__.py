"""From fields to mosaics: coadd kernels, facets, mosaics, and their comparison with published ones.

Uses `radiounet.survey` and the rooms below it.
"""

__all__ = ["coadd", "comparison", "facets", "flaws", "joined_headers", "kernels", "mosaic", "mosaic_products"]
