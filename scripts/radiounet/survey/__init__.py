"""What the survey is: releases, cells, lists, the archive and cluster catalogues.

Uses `radiounet.settings` and the rooms below it.
"""

__all__ = ["archive", "cells", "cluster_tables", "cosmology", "http_client", "lists", "survey", "transfer"]
