"""The run: job graph, plan, progress, freshness, locks, scratch, what every stage script shares, the command.

The highest room: it may use all others.
"""

__all__ = [
    "access",
    "arguments",
    "batch",
    "catalogue_verbs",
    "cli",
    "freshness",
    "image_verbs",
    "inputs",
    "job_graph",
    "list_sources",
    "locks",
    "log",
    "model_verbs",
    "outputs",
    "plan",
    "progress",
    "publish_verbs",
    "rerun",
    "rules",
    "scratch",
    "segmentation",
    "shelf",
    "site_verbs",
    "snakemake_adapter",
    "stage",
    "stages",
    "status",
    "survey_regions",
    "training_files",
    "training_inputs",
]
