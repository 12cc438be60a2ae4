"""Diffuse radio emission in the LOFAR Two-metre Sky Survey with Radio U-Net.

Reading order of the modules: ``config`` (``section``, ``recipe``), ``products``,
``sky`` (``cosmology``), ``archive``, ``image``, ``mosaic``, ``cards``, ``tiling``,
``network``, ``inference``, ``masks``, ``cluster_tables`` (``tables``), ``clusters``
(``hosts``), ``catalogue``, ``simulate`` (``canvas``, ``instrument``, ``galaxies``, ``galactic``,
``diffuse``, ``clustering``), ``training`` (``pairs``), ``evaluation`` (``scores``,
``baselines``, ``evaluation_report``), ``publish``; ``errors``, ``log`` and ``stage`` serve them all.
"""

__version__ = "0.2.0"
