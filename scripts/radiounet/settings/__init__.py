"""The configuration: one module per section, options beside what they steer.

Also how options become command-line options, and how YAML and URLs that others wrote are read.
Uses `radiounet.images`.
"""

__all__ = [
    "archive",
    "catalogues",
    "checkout",
    "command_line",
    "components",
    "config",
    "config_faults",
    "configuration_file",
    "limits",
    "measure",
    "mosaics",
    "named_skies",
    "publish",
    "releases",
    "section",
    "segmentation",
    "simulate",
    "train",
    "urls",
    "yaml_file",
]
