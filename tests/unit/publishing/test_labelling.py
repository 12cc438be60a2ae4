"""Several people who label into one table at the same time."""

import errno
import fcntl
import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from astropy.table import Table

from labelled import catalogue_table
from radiounet.errors import BadDataError, ConfigError
from radiounet.images.writing import write_ecsv
from radiounet.measuring.labels import read_labels
from radiounet.publishing.catalogue_objects import CatalogueObject
from radiounet.publishing.label_server import Labelling, LabelServer
from radiounet.publishing.labelling import LabelTable
from radiounet.publishing.side_by_side import start_server

NAMES = [f"SIM-{number:02d}" for number in range(12)]


MISSING = dict.fromkeys(("image", "probability", "mask", "cutouts"), "none.fits")
PLACE = {"mosaic": "a", "ra_deg": 150.0, "dec_deg": 30.0}


def cluster(name):
    return CatalogueObject("cluster", catalogue_table([{"name": name, "p_diffuse": 0.5} | PLACE])[0], MISSING)


def island(name):
    return CatalogueObject("island", Table([{"name": name, "p_max": 0.5} | PLACE])[0], MISSING)


def label_all(path, who):
    table = LabelTable(path, who)
    for name in NAMES:
        table.add(cluster(f"{name} {who}"), "halo")


def test_no_label_of_several_programs_is_lost(tmp_path):
    people = ["Anna", "Bert", "Cleo"]
    start_server()
    with ProcessPoolExecutor(3, get_context("forkserver")) as pool:
        list(pool.map(partial(label_all, tmp_path / "mine/labels.ecsv"), people))
    found = {one.name for one in read_labels(tmp_path / "mine/labels.ecsv")}
    assert found == {f"{name} {who}" for name in NAMES for who in people}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_lock_is_one_that_nfs_grants_to_everybody(tmp_path, monkeypatch, caplog, umask):
    """Which needs a descriptor that can be written to, and so a file that all may write to."""
    granted = []

    def flock(handle, operation):
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        granted.append(operation)

    monkeypatch.setattr("fcntl.flock", flock)
    before = os.umask(umask)
    try:
        LabelTable(tmp_path / "labels.ecsv", "Anna").add(cluster("SIM-00"), "halo")
    finally:
        os.umask(before)
    assert granted == [fcntl.LOCK_EX]
    assert "cannot be locked" not in caplog.text
    assert (tmp_path / ".labels.ecsv.lock").stat().st_mode & 0o777 == 0o666


@pytest.fixture
def desks(tmp_path):
    """Anna's and Bert's programs, both with the same candidates and a table in a folder to be made."""
    return [
        Labelling([cluster(name) for name in NAMES[:3]], LabelTable(tmp_path / "mine/labels.ecsv", who))
        for who in ("Anna", "Bert")
    ]


def shown(desk):
    state = desk.state()
    return state["candidate"]["row"]["name"], state["done"], state["note"]


def test_the_faster_of_two_gives_the_label_and_the_other_is_told(desks, tmp_path):
    anna, bert = desks
    assert shown(anna) == shown(bert) == (NAMES[0], 0, "")
    anna.act("label", NAMES[0], "halo")
    bert.act("label", NAMES[0], "artefact")
    assert shown(bert) == (NAMES[1], 1, f"Anna has already labelled {NAMES[0]}: halo")
    assert shown(bert)[2] == ""  # said once
    (kept,) = LabelTable(tmp_path / "mine/labels.ecsv", "Cleo").rows
    assert (kept["label"], kept["who"]) == ("halo", "Anna")


def test_one_does_not_see_what_the_other_labelled_and_takes_back_only_the_own(desks, tmp_path):
    anna, bert = desks
    anna.act("label", NAMES[0], "halo")
    assert shown(bert)[0] == NAMES[1]
    bert.act("undo", "", "")
    assert len(LabelTable(tmp_path / "mine/labels.ecsv", "Cleo").rows) == 1
    anna.act("undo", "", "")
    assert shown(bert)[:2] == (NAMES[0], 0)


def test_a_table_of_both_kinds_takes_back_only_what_is_being_labelled(tmp_path):
    path = tmp_path / "labels.ecsv"
    clusters = Labelling([cluster("SIM-00"), cluster("SIM-01")], LabelTable(path, "Anna"))
    clusters.act("label", "SIM-00", "halo")
    islands = Labelling([island("SIM-00"), island("RUN J1")], LabelTable(path, "Anna"))
    assert shown(islands)[:2] == ("SIM-00", 0)  # called like a labelled cluster
    islands.act("undo", "", "")
    islands.act("label", "SIM-00", "artefact")
    of_another_run = Labelling([cluster("SIM-07")], LabelTable(path, "Anna"))
    of_another_run.act("undo", "", "")
    rows = [(row["kind"], row["name"], row["label"]) for row in LabelTable(path, "Bert").rows]
    assert rows == [("cluster", "SIM-00", "halo"), ("island", "SIM-00", "artefact")]
    clusters.act("undo", "", "")
    assert [row["kind"] for row in LabelTable(path, "Bert").rows] == ["island"]


def test_a_table_that_was_away_for_a_while_keeps_its_labels(desks, tmp_path):
    anna, _ = desks
    path, away = tmp_path / "mine/labels.ecsv", tmp_path / "away.ecsv"
    anna.act("label", NAMES[0], "halo")
    path.rename(away)
    assert shown(anna)[:2] == (NAMES[0], 0)
    away.rename(path)
    anna.act("label", NAMES[1], "halo")
    assert len(LabelTable(path, "Cleo").rows) == 2


def test_a_table_that_somebody_broke_is_never_written_over(desks, tmp_path):
    anna, _ = desks
    path = tmp_path / "mine/labels.ecsv"
    anna.act("label", NAMES[0], "halo")
    path.write_text("name,class\nmine,RH\n")
    for _ in range(2):
        with pytest.raises(
            ConfigError, match="labels.ecsv is no table of radiounet label, which writes ECSV"
        ):
            anna.act("label", NAMES[1], "halo")
    assert path.read_text() == "name,class\nmine,RH\n"
    path.write_text("# %ECSV 1.0\nname,class\nmine,RH\n")
    with pytest.raises(BadDataError):
        anna.act("label", NAMES[1], "halo")


@pytest.fixture
def server(desks):
    server = LabelServer(desks[0])
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def act(server, **changed):
    """Request that labels the first candidate."""
    body = json.dumps({"action": "label", "name": NAMES[0], "label": "halo"}).encode()
    origin = server.url.removesuffix(f"/{server.token}/")
    headers = {"Content-Type": "application/json", "Origin": origin}
    return Request(server.url + "act", body, headers | changed)


def test_the_page_is_told_what_is_wrong_with_the_table(server, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/labels.ecsv").write_text("name,class\nmine,RH\n")
    for asked in (server.url + "state", act(server)):
        with pytest.raises(HTTPError) as refused:
            urlopen(asked, timeout=20)
        assert refused.value.code == 500
        assert "labels.ecsv" in refused.value.read().decode()


@pytest.mark.parametrize("length", ["many", "-1", "0", "1e3", "10001", "9" * 5000, "0" * 5000 + "1"])
def test_a_request_of_no_length_is_refused(server, length):
    with pytest.raises(HTTPError, match="403") as refused:
        urlopen(act(server, **{"Content-Length": length}), timeout=20)
    refused.value.close()


def test_who_labels_again_changes_the_own_label(desks, tmp_path):
    anna, _ = desks
    anna.act("label", NAMES[0], "halo")
    anna.act("label", NAMES[0], "relic")
    (kept,) = LabelTable(tmp_path / "mine/labels.ecsv", "Cleo").rows
    assert (kept["label"], kept["class"]) == ("relic", "RR")


def emptied(path, row, *names):
    """Leave cells of a table of labels empty."""
    table = Table(Table.read(path), masked=True)
    for name in names:
        table[name].mask[row] = True
    write_ecsv(path, table)


def test_empty_numbers_and_texts_cost_no_label(desks, tmp_path):
    anna, bert = desks
    path = tmp_path / "mine/labels.ecsv"
    for name in NAMES[:2]:
        anna.act("label", name, "halo")
    emptied(path, 0, "ra_deg", "p", "mosaic")
    bert.act("label", NAMES[2], "relic")
    rows = LabelTable(path, "Cleo").rows
    assert [(row["name"], row["label"]) for row in rows] == list(
        zip(NAMES[:3], ("halo", "halo", "relic"), strict=True)
    )
    assert np.isnan([rows[0]["ra_deg"], rows[0]["p"]]).all()
    assert (rows[0]["dec_deg"], rows[0]["mosaic"]) == (30.0, "")
    assert (rows[1]["ra_deg"], rows[1]["p"]) == (150.0, 0.5)


def test_a_table_without_numbers_is_refused(desks, tmp_path):
    anna, _ = desks
    path = tmp_path / "mine/labels.ecsv"
    anna.act("label", NAMES[0], "halo")
    table = Table.read(path)
    table["p"] = ["high"]
    write_ecsv(path, table)
    with pytest.raises(ConfigError, match=r"labels.ecsv: .* must be numbers: .*high"):
        LabelTable(path, "Cleo")
