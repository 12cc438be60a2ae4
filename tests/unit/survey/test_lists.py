import numpy as np
import pytest
from astropy.io.votable import from_table
from astropy.table import Table

from radiounet.errors import ConfigError, NotFitsError
from radiounet.images.repeats import require_unique
from radiounet.images.squares import Mosaic
from radiounet.images.tables import IncompleteTableError, ServiceError
from radiounet.settings.archive import Archive
from radiounet.settings.config import load_config
from radiounet.settings.releases import DR2
from radiounet.survey.fields import Field
from radiounet.survey.lists import (
    ListError,
    _checksums,
    fetch_lists,
    read_checksums,
    read_grid,
    write_list,
    write_mosaic_list,
)
from radiounet.survey.survey import read_list, read_survey

GRID = [Field("P124+62", 124.6, 61.9), Field("P12Hetdex11", 172.5, 52.1), Field("P005-01", 5.9, -1.25)]
HTML = "<!DOCTYPE html>\n<html><head><title>503</title></head><body>Sorry</body></html>\n"


def pointings() -> Table:
    return Table(
        {
            "mosaic_id": ["P124+62", "P12Hetdex11", "P005-01"],
            "centeralpha": [124.6, 172.5, 5.9],
            "centerdelta": [61.9, 52.1, -1.25],
            "adler32": ["00ab12cd", "11e60398", "fedcba98"],
        }
    )


def write_votable(path):
    from_table(pointings()).to_xml(str(path))


def test_progress_list_of_the_survey(tmp_path):
    path = tmp_path / "grid.txt"
    path.write_text(
        "# Pointing,RA,DEC,integration time, IDs\n"
        "P124+62,124.6,61.9,0.0,None\n"
        "P12Hetdex11,172.5,52.1,9.04, 231177\n"
        "P005-01,5.9,-1.25,8.02, 424613 426429\n"
    )
    assert read_grid(path) == GRID


@pytest.mark.parametrize("header", ["name,ra,dec", "Name,RA_deg,Dec_deg", "field,ra,dec"])
def test_csv(tmp_path, header):
    path = tmp_path / "grid.csv"
    path.write_text(f"{header}\nP124+62,124.6,61.9\nP12Hetdex11,172.5,52.1\nP005-01,5.9,-1.25\n")
    assert read_grid(path) == GRID


def test_columns_are_found_by_name_not_by_place(tmp_path):
    path = tmp_path / "grid.csv"
    path.write_text("dec,hours,name,ra\n61.9,8,P124+62,124.6\n")
    assert read_grid(path) == GRID[:1]


def test_right_ascension_is_brought_into_the_circle(tmp_path):
    path = tmp_path / "grid.csv"
    path.write_text("name,ra,dec\na,-90.5,0\nb,360,1\n")
    assert read_grid(path) == [Field("a", 269.5, 0), Field("b", 0, 1)]


def test_ecsv(tmp_path):
    path = tmp_path / "grid.ecsv"
    table = pointings()
    table["centeralpha"].unit = table["centerdelta"].unit = "deg"
    table.write(path, format="ascii.ecsv")
    assert read_grid(path) == GRID


def test_votable(tmp_path):
    write_votable(tmp_path / "answer")
    assert read_grid(tmp_path / "answer") == GRID


@pytest.mark.parametrize("text", [HTML, HTML.partition("\n")[2]])
def test_html_answer_is_not_a_list(tmp_path, text):
    path = tmp_path / "grid.txt"
    path.write_text(text)
    with pytest.raises(ListError, match=r"grid\.txt"):
        read_grid(path)


@pytest.mark.parametrize("text", ["", "Service unavailable\n", "P124+62 124.6 61.9 8.0 1\n"])
def test_text_without_columns_is_not_a_list(tmp_path, text):
    path = tmp_path / "grid.txt"
    path.write_text(text)
    with pytest.raises(ListError, match=r"grid\.txt"):
        read_grid(path)


def test_position_that_is_no_number_is_not_a_list(tmp_path):
    path = tmp_path / "grid.csv"
    path.write_text("name,ra,dec\nP124+62,08:18:00,+61:54:00\n")
    with pytest.raises(ListError, match=r"grid\.csv"):
        read_grid(path)


def test_missing_column_is_named_with_those_there(tmp_path):
    path = tmp_path / "grid.csv"
    path.write_text("name,ra,flux\na,1,2\n")
    with pytest.raises(ListError, match=r"no column dec or .*it has \['name', 'ra', 'flux'\]"):
        read_grid(path)


def test_list_error_is_bad_data():
    assert issubclass(ListError, NotFitsError)


def test_list_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "new" / "list.csv"
    write_list(path, ("name", "value"), [("P124+62", 1.25), ('a "b", c', -0.1)])
    assert read_list(path) == [{"name": "P124+62", "value": "1.25"}, {"name": 'a "b", c', "value": "-0.1"}]
    assert [entry.name for entry in path.parent.iterdir()] == ["list.csv"]


def test_mosaic_list_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "mosaics.csv"
    mosaics = [Mosaic("P2", 1 / 3, -0.1, 4000), Mosaic("P1", float(np.float64(359.9)), 1e-7, 3998)]
    write_mosaic_list(path, mosaics)
    assert list(read_survey(DR2, path).mosaics.values()) == mosaics[::-1]


HEAD = "name,ra_deg,dec_deg"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{HEAD}\nP1,10.0,20.0\n", r"has no column n_px, but name, ra_deg, dec_deg"),
        ("mosaic,field\nP1,P2\n", r"has no column name, ra_deg, dec_deg, n_px, but mosaic, field"),
        ("", "has no column .* but nothing"),
        (f"{HEAD},n_px\nP1,10.0,20.0,4000\nP2,10.0\n", "row 2 has too few columns"),
        (f"{HEAD},n_px\nP1,10.0,20.0,large\n", "positions and sizes must be numbers: .*'large'"),
        (f"{HEAD},n_px\nP1,10 00 00,20.0,4000\n", "positions and sizes must be numbers"),
        (b"name,\xff\xfe\n", "is no list of the survey"),
    ],
)
def test_another_file_is_no_list_of_mosaics(tmp_path, content, said):
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=rf"a\.csv.*{said}"):
        read_survey(DR2, path)


def test_a_list_of_fields_must_say_which_are_of_the_release(tmp_path):
    for name in ("mosaics", "fields"):
        write_mosaic_list(tmp_path / name, [Mosaic("P1", 1.0, 2.0, 4000)])
    with pytest.raises(ConfigError, match="fields has no column member"):
        read_survey(DR2, tmp_path / "mosaics", tmp_path / "fields")


def test_members_are_told_in_any_spelling_and_nothing_else_is_taken_for_no(tmp_path):
    write_mosaic_list(tmp_path / "mosaics", [Mosaic("P1", 1.0, 2.0, 4000)])
    fields = tmp_path / "fields"
    fields.write_text(f"{HEAD},member\nP1,1,2,1\nP2,1,2,TRUE\nP3,1,2,0\nP4,1,2,false\n")
    survey = read_survey(DR2, tmp_path / "mosaics", fields)
    assert list(survey.fields) == ["P1", "P2"]
    fields.write_text(f"{HEAD},member\nP1,1,2,1\nP2,1,2,yes?\n")
    with pytest.raises(
        ConfigError, match=r"member must be true or false, T or F, 1 or 0: 'yes\?' is neither"
    ):
        read_survey(DR2, tmp_path / "mosaics", fields)


@pytest.mark.parametrize("second", ["P1,9,2", "P1,1,2", " P1 ,9,2"])
def test_a_name_stands_once_in_a_list(tmp_path, second):
    mosaics, fields = tmp_path / "mosaics", tmp_path / "fields"
    mosaics.write_text(f"{HEAD},n_px\nP1,1,2,4000\nP2,5,2,4000\n{second},4000\n")
    with pytest.raises(ConfigError, match="mosaics has more than one row for mosaic P1: keep only one row"):
        read_survey(DR2, mosaics)
    mosaics.write_text(f"{HEAD},n_px\n P1,1,2,4000\n")
    fields.write_text(f"{HEAD},member\nP1 ,1,2,1\n")
    survey = read_survey(DR2, mosaics, fields)
    assert (list(survey.mosaics), list(survey.fields)) == (["P1"], ["P1"])
    fields.write_text(f"{HEAD},member\nP1,1,2,1\n{second},0\n")
    with pytest.raises(ConfigError, match="fields has more than one row for field P1: keep only one row"):
        read_survey(DR2, mosaics, fields)


def test_names_that_stand_twice_are_told_a_few_at_a_time():
    with pytest.raises(ConfigError, match="^a has more than one row for x 1, 2: keep only one row per x$"):
        require_unique("a", "x", [2, 1, 3, 2, 1, 2], ConfigError)
    with pytest.raises(ConfigError, match="for x P0, P1, P2, P3, P4 and 4 more: keep"):
        require_unique("a", "x", [f"P{n % 9}" for n in range(18)], ConfigError)
    require_unique("a", "x", range(9), ConfigError)


def test_a_mosaic_that_the_list_lacks_is_a_mistake_of_the_user(tmp_path):
    write_mosaic_list(tmp_path / "mosaics", [Mosaic("P1", 1.0, 2.0, 4000)])
    survey = read_survey(DR2, tmp_path / "mosaics")
    with pytest.raises(ConfigError, match=r"P9 is not in the list of mosaics \(1, such as P1\)"):
        survey.owned("P9", np.array([1.0]), np.array([2.0]))
    with pytest.raises(ConfigError, match="P9 is not in the list"):
        survey.around("P9")


def test_checksums_by_name_and_file(tmp_path):
    own, survey, missing = tmp_path / "own.csv", tmp_path / "survey.csv", tmp_path / "none.csv"
    columns = ("name", "file", "checksum")
    write_list(own, columns, [("P1", "a.fits", "sha256:00"), ("P10", "a.fits", "sha256:99")])
    write_list(survey, columns, [("P1", "b.fits", "adler32:11e60398"), ("P2", "a.fits", "adler32:1")])
    paths = [own, survey, missing]
    assert read_checksums(paths, "P1") == {"a.fits": "sha256:00", "b.fits": "adler32:11e60398"}
    assert read_checksums(paths, "P2") == {"a.fits": "adler32:1"}
    assert read_checksums(paths, "P3") == {}
    assert read_checksums([missing], "P1") == {}
    write_list(survey, columns, [("P1", "b.fits", "adler32:1"), ("P1 ", "b.fits", "adler32:2")])
    assert read_checksums(paths, "P10") == {"a.fits": "sha256:99"}
    with pytest.raises(ConfigError, match="survey.csv has more than one row for file b.fits of P1: keep"):
        read_checksums(paths, "P1")


def local_archive(tmp_path) -> Archive:
    write_votable(tmp_path / "answer")
    (tmp_path / "grid.txt").write_text(
        "# Pointing,RA,DEC,integration time, IDs\n"
        "P124+62,124.6,61.9,8.0, 1\nP12Hetdex11,172.5,52.1,8.0, 2\nP005-01,5.9,-1.25,8.0, 3 4\n"
        "P999,0.5,0.5,0.0,None\n"
    )
    lists = {
        "dr2_mosaics": str(tmp_path / "answer"),
        "dr3_footprint": str(tmp_path / "footprint"),
        "fields": f"file://{tmp_path}/grid.txt",
    }
    return Archive.model_validate({"lists": lists, "list_folder": str(tmp_path / "lists")})


def fetch(archive: Archive, release: str) -> None:
    raw = {"release": release, "archive": archive.model_dump()}
    fetch_lists(archive, load_config(raw).published_release)


def test_lists_of_dr2_are_written(tmp_path):
    fetch(local_archive(tmp_path), "dr2")
    folder = tmp_path / "lists"
    fields = {row["name"]: row["member"] for row in read_list(folder / "dr2_fields.csv")}
    assert fields == {"P005-01": "1", "P124+62": "1", "P12Hetdex11": "1", "P999": "0"}
    assert [row["name"] for row in read_list(folder / "dr2_mosaics.csv")] == sorted(
        ["P005-01", "P124+62", "P12Hetdex11"]
    )
    checksums = read_checksums([folder / "dr2_checksums.csv"], "P124+62")
    assert checksums == {"mosaic-blanked.fits": "adler32:00ab12cd"}


def test_checksums_have_the_zeros_that_the_archive_leaves_out():
    table = Table({"adler32": ["ab12cd", "12345678"]})
    found = _checksums(table, [Field("a", 10.0, 0.0), Field("b", 20.0, 0.0)])
    assert [checksum for _, _, checksum in found] == ["adler32:00ab12cd", "adler32:12345678"]


@pytest.mark.parametrize("file", ["answer", "grid.txt"])
def test_html_in_place_of_a_list_stops_before_anything_is_written(tmp_path, file):
    archive = local_archive(tmp_path)
    (tmp_path / file).write_text(HTML)
    with pytest.raises(ListError):
        fetch(archive, "dr2")
    assert not list((tmp_path / "lists").glob("*.csv"))


def test_html_in_place_of_the_footprint_is_refused(tmp_path):
    archive = local_archive(tmp_path)
    (tmp_path / "footprint").write_text(HTML)
    with pytest.raises(NotFitsError, match="an HTML page"):
        fetch(archive, "dr3")
    assert not list((tmp_path / "lists").glob("*.csv"))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("../../x,1,2", "a name must look like"),
        ("a b,1,2", "a name must look like"),
        ("-rf,1,2", "a name must look like"),
        (",1,2", "a name must look like"),
        ("P1,1,2", "in the list already"),
        ("P9,inf,2", "right ascension inf deg is outside"),
        ("P9,nan,2", "right ascension nan deg is outside"),
        ("P9,1000,2", "right ascension 1000.0 deg is outside"),
        ("P9,1,95", "declination 95.0 deg is outside"),
        ("P9,1,nan", "declination nan deg is outside"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_and_named(tmp_path, caplog, row, why):
    (tmp_path / "grid.csv").write_text(f"name,ra,dec\nP1,10,20\n{row}\nP2,11,21\n")
    assert read_grid(tmp_path / "grid.csv") == [Field("P1", 10, 20), Field("P2", 11, 21)]
    assert why in caplog.text
    assert "row 2" in caplog.text


def test_a_list_whose_rows_are_all_bad(tmp_path):
    (tmp_path / "grid.csv").write_text("name,ra,dec\nP1,10,95\n")
    with pytest.raises(ListError, match=r"no rows that can be used \(1 in all\)"):
        read_grid(tmp_path / "grid.csv")


def test_checksums_stay_with_their_mosaics_where_a_row_is_left_out(tmp_path):
    archive = local_archive(tmp_path)
    table = pointings()
    table["centerdelta"][0] = 95.0
    from_table(table).to_xml(str(tmp_path / "answer"))
    fetch(archive, "dr2")
    folder = tmp_path / "lists"
    assert [row["name"] for row in read_list(folder / "dr2_mosaics.csv")] == ["P005-01", "P12Hetdex11"]
    checksums = {row["name"]: row["checksum"] for row in read_list(folder / "dr2_checksums.csv")}
    assert checksums == {"P12Hetdex11": "adler32:11e60398", "P005-01": "adler32:fedcba98"}


@pytest.mark.parametrize(("status", "error"), [("OVERFLOW", IncompleteTableError), ("ERROR", ServiceError)])
def test_what_the_service_says_of_its_list_stops_before_anything_is_written(tmp_path, status, error):
    archive = local_archive(tmp_path)
    text = (tmp_path / "answer").read_text()
    info = f'<INFO name="QUERY_STATUS" value="{status}">at noon</INFO></RESOURCE>'
    (tmp_path / "answer").write_text(text.replace("</RESOURCE>", info))
    with pytest.raises(error, match="at noon"):
        fetch(archive, "dr2")
    assert not list((tmp_path / "lists").glob("*.csv"))


def test_a_list_without_rows_says_so(tmp_path):
    archive = local_archive(tmp_path)
    from_table(pointings()[:0]).to_xml(str(tmp_path / "answer"))
    with pytest.raises(ListError, match="no rows"):
        fetch(archive, "dr2")
