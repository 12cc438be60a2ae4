import os
from pathlib import Path

import pytest

from radiounet.images.products import Products
from radiounet.images.rejections import Rejection
from radiounet.measuring.catalogue_files import write_catalogue
from radiounet.measuring.columns import make_table
from radiounet.running.status import duration, settle_status, summary


@pytest.fixture
def products(tmp_path):
    return Products(str(tmp_path / "dr3"))


@pytest.mark.parametrize(
    ("age_s", "rejected", "said"),
    [
        (-5, 0, "Nothing was rejected. Report: {report}"),
        (5, 0, "Nothing was rejected: see {table}"),
        (None, 0, "Nothing was rejected: see {table}"),
        (-5, 2, "2 rejected (in mosaic, segment): see {table}. Report: {report}"),
        (5, 2, "2 rejected (in mosaic, segment): see {table}"),
    ],
)
def test_the_last_line_names_the_report_only_if_it_is_of_these_catalogues(products, age_s, rejected, said):
    """As after a run that merges the catalogues to publish them."""
    rows = [vars(Rejection("a", stage, "f", "r")) for stage in ("segment", "mosaic")][:rejected]
    table, report = (Path(path) for path in (products.catalogue("rejected", "csv"), products.report()))
    write_catalogue(make_table("rejected", rows, {}), table)
    if age_s is not None:
        report.write_text("")
        date = table.stat().st_mtime - age_s
        os.utime(report, (date, date))
    assert summary(products) == (rejected, said.format(table=table, report=report))


@pytest.mark.parametrize(
    "content",
    [
        b'{"state": "running", "release": "\xff"}',
        b'{"state": "running", ',
        b'["state", {"state": "running"}]',
        b'{"state": "running"}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_status_file_stops_no_command(products, caplog, content):
    path = Path(products.status_file())
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    settle_status(products, is_held=False)
    assert f"{path}: how the last run ended cannot be told" in caplog.text
    assert path.read_bytes() == content


def test_a_status_file_that_cannot_be_read_stops_no_command(products, caplog, monkeypatch):
    Path(products.status_file()).parent.mkdir(parents=True)
    Path(products.status_file()).touch()

    def refuse(path, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    settle_status(products, is_held=False)
    assert "Permission denied" in caplog.text


@pytest.mark.parametrize(
    ("hours", "text"),
    [(0.001, "1 min"), (0.5, "30 min"), (1.999, "2 h 00 min"), (47, "47 h 00 min"), (60, "2.5 d")],
)
def test_durations(hours, text):
    assert duration(hours) == text
