"""What the survey is: releases, cells, lists, the archive and cluster catalogues.

Uses `radiounet.settings` and the rooms below it.
"""

__all__ = [
    "archive",
    "catalogues",
    "cells",
    "cluster_columns",
    "cluster_lists",
    "cluster_tables",
    "component_tables",
    "cosmology",
    "fields",
    "http_client",
    "lists",
    "survey",
    "transfer",
]
