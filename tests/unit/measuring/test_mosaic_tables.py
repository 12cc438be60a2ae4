"""The tables of a mosaic are read as astropy reads them, and a table that is not whole is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from radiounet.errors import UnreadableError
from radiounet.images.writing import write_ecsv
from radiounet.measuring.catalogue import merge_run
from radiounet.measuring.columns import EMPTY, TABLES, make_table
from radiounet.measuring.mosaic_tables import MosaicTable, read_mosaic_table

META = {
    "version": "0.3.dev1+g1",
    "thresh": 1e-07,
    "minbeams": 1,
    "clusters": "/lists/é: '#1' \"{}\" - [x], &a *b.csv",
    "footprints": [" ".join(map(str, range(100, 300))), "7", ""],
    "limits": json.dumps({"trials": 48, "flux": None}),
    "none": None,
    "yes": True,
}


def a_row(kind, **values):
    """Return a row in which no two numbers are alike."""
    numbers = np.random.default_rng(1).standard_cauchy(len(TABLES[kind]))
    rows = {
        name: float(number) if column.kind is float else EMPTY[column.kind]
        for (name, column), number in zip(TABLES[kind].items(), numbers, strict=True)
    }
    return rows | values


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "a.ecsv"
    write_ecsv(path, make_table("islands", [a_row("islands", name=name) for name in "abc"], META))
    return path


@pytest.mark.parametrize("kind", ["islands", "clusters", "limits"])
@pytest.mark.parametrize("meta", [{}, {"version": "1"}, META])
@pytest.mark.parametrize("count", [0, 2])
def test_rows_and_metadata_are_those_that_astropy_reads(tmp_path, kind, meta, count):
    name = "#1 \"é\" 'x', y\u00a0z"
    numbers = {"ra_deg": np.nan, "dec_deg": -np.inf}
    rows = [a_row(kind, name=name, **numbers), a_row(kind, dec_deg=5e-324)][:count]
    write_ecsv(tmp_path / "a.ecsv", make_table(kind, rows, meta))
    found = read_mosaic_table(kind, tmp_path / "a.ecsv")
    table = Table.read(tmp_path / "a.ecsv", format="ascii.ecsv").filled("")
    assert found.meta == table.meta == meta
    assert list(found.rows[0] if count else TABLES[kind]) == table.colnames
    expected = [dict(zip(table.colnames, row, strict=True)) for row in table]
    assert len(expected) == count
    for one, other in zip(found.rows, expected, strict=True):
        np.testing.assert_equal(one, other)


def test_a_table_cut_anywhere_is_refused(written):
    content = written.read_bytes()
    names = content.index(b"\nname ra_deg ") + 1
    whole = {at + 1 for at in range(names, len(content)) if content[at] == ord("\n")}
    assert len(whole) == 4  # names and three rows; lines that are missing as a whole leave no trace
    for length in [*range(0, len(content) - 300, 61), *range(len(content) - 300, len(content))]:
        if length in whole:
            continue
        written.write_bytes(content[:length])
        with pytest.raises(UnreadableError, match=r"a\.ecsv"):
            read_mosaic_table("islands", written)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ra_deg dec_deg", "dec_deg ra_deg", r"other columns than this version writes \(their order\)"),
        (" peak_snr ", " snr ", r"\(peak_snr, snr\): make it anew"),
        (" peak_snr ", " ", r"\(peak_snr\): make it anew"),
        (" True", " 1", "damaged: KeyError"),
        ("\nb ", "\nb 5 ", "a row has 60 values for 59 columns"),
        ("\nb ", "\nb", "a row has 58 values for 59 columns"),
        ("# meta: !!omap", "# meta: !!omap\n# - {version: [", "damaged"),
    ],
)
def test_other_tables_are_refused(written, old, new, message):
    count = len(TABLES["islands"])
    message = message.replace("59", str(count)).replace("60", str(count + 1)).replace("58", str(count - 1))
    text = written.read_text().replace("False", "True")
    assert old in text
    written.write_text(text.replace(old, new))
    with pytest.raises(UnreadableError, match=message) as caught:
        read_mosaic_table("islands", written)
    assert caught.value.file == str(written)


@pytest.mark.parametrize("content", ["", "name,ra\na,1\n", "<html>\n</html>\n", "\n\n", "\u00e9\x00\n"])
def test_what_is_no_table_is_refused(written, content):
    written.write_text(content)
    with pytest.raises(UnreadableError, match=r"a\.ecsv"):
        read_mosaic_table("islands", written)
    with pytest.raises(UnreadableError, match="there is no file"):
        read_mosaic_table("islands", Path(f"{written}.absent"))


def test_catalogues_tell_the_threads_that_their_maps_and_limits_were_made_with():
    def tables(**meta):
        return [MosaicTable([], {"threads": one, **meta}) for one in (2, 8)]

    limits = tables(limits="{}", limits_precis="float32", limits_threads=2)
    merged, _ = merge_run({"islands": tables(), "clusters": tables(), "limits": limits})
    assert merged["islands"].meta["threads"] == merged["clusters"].meta["threads"] == "2, 8"
    assert merged["clusters"].meta["limits_threads"] == "2"
    assert "limits_threads" not in merged["islands"].meta
