"""Cluster tables as text."""

from radiounet.settings.measure import MeasureOptions
from radiounet.survey.cluster_tables import read_clusters

HEAD = "name,ra,dec,z,M500"


def read_text(tmp_path, *rows, head=HEAD, **options):
    """Clusters of a CSV table; `options` are of `MeasureOptions`."""
    (tmp_path / "a.csv").write_text("\n".join([head, *rows]) + "\n")
    return read_clusters(tmp_path / "a.csv", MeasureOptions(**options))
