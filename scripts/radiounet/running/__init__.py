"""The run: job graph, plan, progress, freshness, locks, scratch, and what every stage script shares.

The highest room: it may use all others.
"""

__all__ = [
    "freshness",
    "inputs",
    "job_graph",
    "locks",
    "log",
    "outputs",
    "plan",
    "progress",
    "rerun",
    "rules",
    "scratch",
    "segmentation",
    "snakemake_adapter",
    "stage",
    "stages",
]
