"""Diffuse radio emission in the LOFAR Two-metre Sky Survey with Radio U-Net.

Reading order of the modules: ``config``, ``products``, ``sky``, ``archive``,
``image``, ``mosaic``, ``cards``, ``tiling``, ``network``, ``inference``,
``masks``, ``clusters``, ``catalogue``, ``simulate``, ``training``,
``evaluation``, ``publish``; ``errors``, ``log`` and ``stage`` serve them all.
"""

__version__ = "0.1.0"
