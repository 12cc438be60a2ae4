"""The simulated sky at 144 MHz, the image that LoTSS makes of it, and the survey of the demo.

Uses `radiounet.network` and the rooms below it, not `radiounet.measuring`.
"""

__all__ = ["canvas", "clusters", "diffuse", "galactic", "galaxies", "instrument", "simulate", "small_survey"]
