import gzip
import io

import pandas
import pytest
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import Table

from radiounet.errors import BadDataError, TransientError
from radiounet.images.tables import (
    IncompleteTableError,
    ServiceError,
    TableError,
    quote_number_signs,
    read_table,
)
from radiounet.images.words import writable
from radiounet.images.writing import write_ecsv

ROWS = [("#A", "1.5"), ("# B c", "2.5"), ("Große 1", "3.5")]
HEAD = '<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
TABLE = (
    '<TABLE><FIELD name="name" datatype="char" arraysize="*"/><DATA><TABLEDATA><TR><TD>A</TD></TR>'
    "</TABLEDATA></DATA></TABLE>"
)


def table():
    return Table(rows=[(name, float(number)) for name, number in ROWS], names=["name", "ra"])


def rows_of(found):
    return [(str(name), f"{float(number):.1f}") for name, number in found.iterrows()]


@pytest.mark.parametrize(
    "kind",
    [
        *("ascii.ecsv", "ascii.csv", "ascii.basic", "ascii.tab", "ascii.commented_header"),
        *("ascii.fixed_width", "ascii.fixed_width_two_line", "ascii.ipac", "ascii.mrt", "ascii.rst"),
        *("ascii.latex", "votable"),
    ],
)
def test_rows_whose_name_begins_with_a_number_sign_survive_every_format(tmp_path, kind):
    table().write(tmp_path / "a", format=kind)
    assert rows_of(read_table(tmp_path / "a")) == ROWS


def test_a_number_sign_in_any_cell_is_no_comment_for_any_reader_of_our_csv(tmp_path):
    """Pandas takes all after it for a comment, wherever it stands in a row."""
    texts = [
        ("A #2", "see #1", "x"),
        ("#B", 'a "#" sign', ""),
        ("C", "with, a comma", "#"),
        ("D", "", ""),
    ]
    table = Table(rows=texts, names=["name", "note", "end"])
    stream = io.StringIO()
    table.write(stream, format="ascii.csv")
    path = tmp_path / "a.csv"
    path.write_text("# made by us\n" + quote_number_signs(stream.getvalue(), ","))
    by_pandas = pandas.read_csv(path, comment="#", keep_default_na=False)  # empty texts are texts here
    by_astropy = Table.read(path, format="ascii.csv", comment="#", fill_values=[])
    for found in (by_pandas.itertuples(index=False), by_astropy.iterrows()):
        assert [tuple(map(str, row)) for row in found] == texts


def test_fits(tmp_path):
    ascii_only = table()[:2]
    ascii_only.write(tmp_path / "a.fits")
    found = read_table(tmp_path / "a.fits")
    found.convert_bytestring_to_unicode()
    assert rows_of(found) == ROWS[:2]


@pytest.mark.parametrize("delimiter", ["ascii.ecsv", "comma"])
def test_our_own_ecsv_is_read_by_astropy_with_every_row(tmp_path, delimiter):
    write_ecsv(tmp_path / "a.ecsv", table())
    assert rows_of(Table.read(tmp_path / "a.ecsv")) == ROWS
    if delimiter == "comma":
        table().write(tmp_path / "b.ecsv", delimiter=",")
        assert rows_of(read_table(tmp_path / "b.ecsv")) == ROWS


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("\ufeffname;ra\nA;1\n", [("A", "1")]),
        ("name,ra\r\nA,1\r\nB,2\r\n", [("A", "1"), ("B", "2")]),
        ("name,ra\rA,1\r", [("A", "1")]),
        (" name , ra \n A , 1 \n\n", [("A", "1")]),
        ('name,ra\n"A, the ""big"" one",1\n', [('A, the "big" one', "1")]),
        ('name,ra\n"A\nB",1\n', [("A\nB", "1")]),
        ("name\tra\nA b\t1\n", [("A b", "1")]),
        ("# made by us\n# name,ra\n#A,1\n", [("#A", "1")]),
        ("# made by us\nname,ra\n# a comment\n#A,1\n", [("#A", "1")]),
        ("name   ra\nA      1\n# a long comment\n#B     2\n", [("A", "1"), ("#B", "2")]),
        ("name,ra\nA\n", [("A", "")]),
        ("name,ra\n", []),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_text(tmp_path, content, expected, encoding):
    if encoding == "utf-16":  # which writes its own mark of the byte order
        content = content.lstrip("\ufeff")
    (tmp_path / "a.txt").write_bytes(content.encode(encoding))
    found = read_table(tmp_path / "a.txt")
    assert found.colnames == ["name", "ra"]
    assert [tuple(row) for row in found] == expected


def test_latin_letters_and_gzip(tmp_path):
    (tmp_path / "a.csv").write_bytes(gzip.compress("name,ra\nGroße,1\n".encode("latin-1")))
    assert read_table(tmp_path / "a.csv")["name"].tolist() == ["Große"]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n \n", b"<html><body>busy</body></html>", b"SIMPLE  =                    T", b"\0\1\2\3"),
        *(b"\x1f\x8bnot gzip", b"name,ra\nA,1,2\n", b'name,ra\n"A,1\n', b"name ra\nA\n", b"name,name\nA,B\n"),
        *(b"# %ECSV 1.0\n# ---\n# datatype: [\nname\nA\n", b"<?xml version='1.0'?><VOTABLE><RESOURCE>"),
        *(b"<VOTABLE></VOTABLE>", b"<VOTABLE><RESOURCE/></VOTABLE>"),
    ],
)
def test_what_is_not_a_table_is_named(tmp_path, content):
    (tmp_path / "a table").write_bytes(content)
    with pytest.raises(TableError, match="a table"):
        read_table(tmp_path / "a table")


def test_no_file_a_folder_and_a_failing_file_system(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none")
    with pytest.raises(TableError, match="is not a file"):
        read_table(tmp_path)

    def fail(_):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr("pathlib.Path.read_bytes", fail)
    with pytest.raises(TransientError, match="Stale"):
        read_table(tmp_path / "a")


def answer(before="", inside="", after="", table=TABLE):
    resource = f'<RESOURCE type="results">{before}{table}{inside}</RESOURCE>'
    return f"{HEAD}{after}{resource}</VOTABLE>"


STATUS = '<INFO name="QUERY_STATUS" value="{}">{}</INFO>'


@pytest.mark.parametrize("where", ["before", "inside", "after"])
@pytest.mark.parametrize("value", ["OVERFLOW", "overflow", " OVERFLOW "])
def test_a_truncated_answer_is_an_error(tmp_path, where, value):
    (tmp_path / "a.vot").write_text(answer(**{where: STATUS.format(value, "at 1 row")}))
    with pytest.raises(IncompleteTableError, match="at 1 row"):
        read_table(tmp_path / "a.vot")
    assert issubclass(IncompleteTableError, BadDataError)


@pytest.mark.parametrize(
    "info",
    [
        STATUS.format("ERROR", "come back at\n noon"),
        '<INFO name="Error" value="come back at noon"/>',
        '<INFO ID="Errors" name="Errors" value="come back at noon"/>',
    ],
)
@pytest.mark.parametrize("table", [TABLE, ""])
def test_an_error_is_the_words_of_the_service_and_transient(tmp_path, info, table):
    (tmp_path / "a.vot").write_text(answer(before=info, table=table))
    with pytest.raises(ServiceError, match="come back at noon"):
        read_table(tmp_path / "a.vot")
    assert issubclass(ServiceError, TransientError)


def test_an_answer_that_is_whole(tmp_path):
    (tmp_path / "a.vot").write_text(answer(before=STATUS.format("OK", ""), inside=STATUS.format("OK", "")))
    assert read_table(tmp_path / "a.vot")["name"].tolist() == ["A"]


def test_a_unit_that_astropy_does_not_know_is_kept_as_it_is(tmp_path):
    from_table(table()).to_xml(str(tmp_path / "a.vot"))
    text = (tmp_path / "a.vot").read_text().replace('datatype="double"', 'datatype="double" unit="furlongs"')
    (tmp_path / "a.vot").write_text(text)
    assert str(read_table(tmp_path / "a.vot")["ra"].unit) == "furlongs"


def test_a_warning_of_the_reader_is_logged(tmp_path, caplog):
    hdus = [fits.table_to_hdu(table()[["ra"]]) for _ in range(2)]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "two.fits")
    assert len(read_table(tmp_path / "two.fits")) == 3
    assert "first available table" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\r\nc", "a b  c"),
        ("a\x00\x07b", "a  b"),
        ("a\u2028\udce9", "a  "),
        ("Große µ <&>", "Große µ <&>"),
    ],
)
def test_one_line(text, expected):
    assert writable(text) == expected


def test_a_packed_table_that_unpacks_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("radiounet.images.tables.MAX_BYTES", 1000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"name\n" + b"A\n" * 1000))
    with pytest.raises(TableError, match="unpacks to more than"):
        read_table(tmp_path / "a.csv.gz")


def test_an_endless_device_is_not_read():
    with pytest.raises(TableError, match="is not a file"):
        read_table("/dev/zero")


def test_entities_that_multiply(tmp_path):
    """Each of nine entities is ten of the one before; none may be unfolded."""
    entities = '<!ENTITY e0 "lol">' + "".join(
        f'<!ENTITY e{one} "{f"&e{one - 1};" * 10}">' for one in range(1, 10)
    )
    text = answer(before='<INFO name="x" value="y">&e9;</INFO>').replace(
        "<VOTABLE", f"<!DOCTYPE x [{entities}]><VOTABLE"
    )
    (tmp_path / "a.vot").write_text(text)
    with pytest.raises(TableError):
        read_table(tmp_path / "a.vot")
