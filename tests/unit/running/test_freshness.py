"""What is on disk is told from what the configuration says."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import radiounet
from programs import start
from radiounet.errors import SupersededError
from radiounet.images import writing
from radiounet.images.products import Products, Publication
from radiounet.images.provenance import code_hash
from radiounet.images.writing import write_json
from radiounet.publishing.records import all_records
from radiounet.running import freshness
from radiounet.running.freshness import Fingerprints, Freshness
from radiounet.running.rules import Rules
from radiounet.running.run_notes import RUN_CODE, EditMark, note_run, require_own_run, settings_of_run
from radiounet.settings.config import load_config
from radiounet.settings.yaml_file import read_yaml
from skies import write_field
from stages import fetch_field, own_image, write_image


@pytest.fixture
def read(monkeypatch):
    """Names of the files whose bytes were read."""
    names = []

    def noted(path):
        names.append(path.name)
        return real(path)

    real = freshness.sha256_of
    monkeypatch.setattr(freshness, "sha256_of", noted)
    return names


def test_a_file_that_looks_as_before_is_not_read_again(tmp_path, read):
    (tmp_path / "a").write_text("one")
    record = Fingerprints(tmp_path / "record.json")
    first = record.of(tmp_path / "a")
    record.keep()
    assert Fingerprints(tmp_path / "record.json").of(tmp_path / "a") == first
    assert read == ["a"]


def test_an_older_file_in_its_place_is_another_one(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old")
    os.utime(old, (1e9, 1e9))
    new.write_text("new")
    record = Fingerprints(tmp_path / "record.json")
    before = record.of(new)
    os.replace(old, new)
    assert Fingerprints(tmp_path / "record.json").of(new) != before


def test_a_touched_file_is_the_same_one(tmp_path, read):
    path = tmp_path / "a"
    path.write_text("one")
    record = Fingerprints(tmp_path / "record.json")
    before = record.of(path)
    os.utime(path, (1e9, 1e9))
    assert record.of(path) == before
    assert len(read) == 2


def test_nothing_is_written_before_it_is_told_to(tmp_path):
    """By a dry run, or by a job."""
    (tmp_path / "a").write_text("one")
    Fingerprints(tmp_path / "record.json").of(tmp_path / "a")
    assert not (tmp_path / "record.json").exists()


@pytest.mark.parametrize("text", ['{"a": [', "[]", "null", ""])
def test_a_record_that_was_cut_short_costs_another_reading(tmp_path, text):
    (tmp_path / "a").write_text("one")
    record = Fingerprints(tmp_path / "record.json")
    before = record.of(tmp_path / "a")
    (tmp_path / "record.json").write_text(text)
    assert Fingerprints(tmp_path / "record.json").of(tmp_path / "a") == before
    assert Fingerprints(tmp_path / "record.json").of(tmp_path / "b") == "absent"


@pytest.mark.parametrize("image", ["image.fits", "not there.fits"])
def test_a_stage_with_other_code_than_its_run_began_with_says_so_until_it_is_done_again(tmp_path, image):
    write_image(tmp_path / "image.fits", n_px=40)
    out = tmp_path / "list.csv"
    command = ("list_images", "--settings", own_image("a", tmp_path / image), "--out", out)
    found = []
    for code in ("of the run", "of the run", code_hash("list_images")):
        told = json.dumps({"marks": str(tmp_path / "marks"), "stages": {"list_images": code}})
        assert start(*command, env=os.environ | {RUN_CODE: told}).returncode == 0
        found.append([json.loads(path.read_text()) for path in (tmp_path / "marks").glob("*")])
    noted = [{"products": [str(out)]}]
    assert found == [noted, noted, []]


def test_code_that_is_edited_between_start_and_end_of_a_job_is_noticed(tmp_path, monkeypatch):
    told = {"marks": str(tmp_path), "stages": {"tile": code_hash("tile")}}
    monkeypatch.setenv(RUN_CODE, json.dumps(told))
    mark = EditMark("tile", "a")
    monkeypatch.setattr(freshness.code_hash, "__wrapped__", lambda stage: "edited")
    mark.settle(["tiles/a.h5"])
    assert json.loads((tmp_path / "tile.a.json").read_text()) == {"products": ["tiles/a.h5"]}


@pytest.mark.parametrize("present", [1, 2, None])
def test_a_job_whose_run_was_stopped_writes_nothing_once_another_has_begun(tmp_path, present):
    write_image(tmp_path / "image.fits", n_px=40)
    told = {"run": 1, "settings": str(tmp_path / "run.json")}
    if present:
        note_run(told | {"run": present}, {})
    out = tmp_path / "list.csv"
    command = ("list_images", "--settings", own_image("a", tmp_path / "image.fits"), "--out", out)
    job = start(*command, env=os.environ | {RUN_CODE: json.dumps(told)})
    assert job.returncode == 0  # Snakemake would remove the products of a job that fails
    assert ("another one has begun" in job.stderr) == (present == 2)
    assert out.exists() == (present != 2)


def test_another_run_that_begins_while_a_job_works_is_noticed_before_its_products_are_renamed(
    tmp_path, monkeypatch
):
    told = {"run": 1, "settings": str(tmp_path / "run.json")}
    note_run(told, {})
    monkeypatch.setenv(RUN_CODE, json.dumps(told))
    monkeypatch.setattr(writing, "_checks", [])
    writing.check_before_renaming(require_own_run)
    write_json(tmp_path / "a.json", {"made by": 1})

    def work():
        with writing.atomic(tmp_path / "b") as path:
            path.write_text("of a stopped run")
            (tmp_path / "run.json").write_text(json.dumps({"run": 2}))

    with pytest.raises(SupersededError, match="nothing is written"):
        work()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "run.json"]
    with pytest.raises(SupersededError):  # nor does a job that begins later take the settings of another run
        settings_of_run({})


def test_a_job_of_a_run_without_hooks_has_its_own_settings(tmp_path, monkeypatch):
    """A run that was killed left its own on record."""
    notes = str(tmp_path / "run.json")
    note_run({"settings": notes, "run": "killed"}, {"segmentation": {"threshold": 0.3}})
    monkeypatch.setenv(RUN_CODE, json.dumps({"settings": notes}))
    monkeypatch.setattr(writing, "_checks", [])  # of stages that ran in this process
    given = {"segmentation": {"threshold": 0.5}}
    assert settings_of_run(given) is given


def test_a_module_that_is_gone_is_an_edit(tmp_path, monkeypatch):
    told = {"marks": str(tmp_path), "stages": {"tile": code_hash("tile")}}
    monkeypatch.setenv(RUN_CODE, json.dumps(told))
    mark = EditMark("tile", "a")

    def gone(stage):
        raise FileNotFoundError(stage)

    monkeypatch.setattr(freshness.code_hash, "__wrapped__", gone)
    mark.settle(["tiles/a.h5"])
    assert (tmp_path / "tile.a.json").is_file()


EXAMPLES = sorted((Path(radiounet.__file__).parents[2] / "config/examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_jobs_have_the_settings_that_their_run_began_with(tmp_path, monkeypatch, path):
    monkeypatch.setenv(RUN_CODE, "{}")
    monkeypatch.setattr(writing, "_checks", [])  # of stages that ran in this process
    config = load_config(read_yaml(path))
    edited = {"segmentation": {"threshold": 0.9}}
    assert settings_of_run(edited) is edited
    run = Freshness(SimpleNamespace(is_main=True), config, Products(str(tmp_path)))
    run.code("tile")
    assert settings_of_run(edited) is edited  # as in a dry run, which writes nothing
    run.keep_settings()
    assert load_config(settings_of_run(edited)) == config
    (kept,) = (tmp_path / "sources").glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    run.forget_settings()
    assert settings_of_run(edited) is edited
    assert json.loads(kept.read_text())["configuration"] == {}
    other = Freshness(SimpleNamespace(is_main=True), config, Products(str(tmp_path)))
    other.keep_settings()
    other.forget_settings()
    monkeypatch.setenv(RUN_CODE, json.dumps(run._told))
    with pytest.raises(SupersededError):  # also when the other run has ended
        require_own_run()


def test_files_that_a_publication_lost_or_that_were_changed_are_made_again(tmp_path, caplog):
    publication = Publication(str(tmp_path / "publication"))
    for name in ("a", "b"):
        write_json(publication.record("mosaic", name), {"files": {publication.mask(name): "0"}})
        path = Path(publication.at(publication.mask(name)))
        path.parent.mkdir(exist_ok=True)
        path.touch()

    def made_again(whole=False):
        again = []
        snakemake = SimpleNamespace(is_main=True, make_again=again.extend)
        run = Freshness(snakemake, load_config({}), Products(str(tmp_path)))
        run.check_publication(publication, records, whole)
        run.tell_replaced()
        return again

    changed, last = Path(publication.at(publication.mask("a"))), publication.record("summary", "all")
    records = all_records(publication)
    assert made_again() == []
    record = publication.record("mosaic", "a")
    os.utime(changed, (2e9, 2e9))
    assert made_again() == [record, last]
    told = "1 product gone or changed since publication, made again where this run needs it"
    assert caplog.messages == [f"{told}: {changed}"]
    assert made_again(whole=True) == [last]
    os.utime(record, (2e9, 2e9))
    assert made_again() == []
    Path(publication.at(publication.mask("b"))).unlink()
    assert made_again() == [publication.record("mosaic", "b"), last]
    Path(record).write_text("{")
    Path(record).with_name(".a.json.otherhost-12.abcdefgh.json").write_text("{")
    assert made_again() == [record, last, publication.record("mosaic", "b"), last]
    assert all_records(publication) == records
    Path(record).unlink()  # as Snakemake does when its job begins
    assert made_again() == [record, last, publication.record("mosaic", "b"), last]


KINDS = {
    "mosaic": ("a", "masks/a.fits.fz"),
    "tiles": ("005", "hips/mask/Norder3/Dir0/Npix5.fits"),
    "catalogues": ("all", "cds/ReadMe"),
    "survey": ("all", "obscore.vot"),
    "summary": ("all", "CITATION.md"),
    "site": ("all", "index.html"),
}
"""Jobs of a publication: the name of one, and one of its files."""


@pytest.mark.parametrize("lost", [*KINDS])
def test_the_publication_misses_a_file_of_any_job(tmp_path, lost, monkeypatch):
    monkeypatch.setattr("radiounet.publishing.hips_parts.parts_of", lambda survey, names: {5: names})
    products = Products(str(tmp_path))
    publication = Publication(products.publication())
    for job, (name, file) in KINDS.items():
        write_json(publication.record(job, name), {"files": {file: "0"}})
        Path(publication.at(file)).parent.mkdir(parents=True, exist_ok=True)
        Path(publication.at(file)).touch()

    def made_again():
        again = set()
        rules = Rules.__new__(Rules)
        rules.config, rules.products = load_config({}), products
        rules.graph = SimpleNamespace(selected=["a"], survey=None)
        rules.run = SimpleNamespace(is_main=True, make_again=again.update)
        rules.freshness = Freshness(rules.run, rules.config, products)
        before = rules.before_publishing(None)
        assert {one for names in before.values() for one in names} >= {
            publication.record(job, name)
            for job, (name, _) in KINDS.items()
            if job not in ("summary", "site")
        }
        return again

    assert made_again() == set()
    Path(publication.at(KINDS[lost][1])).unlink()
    last = publication.record("summary", "all")
    assert made_again() == {last} | ({publication.record(lost, KINDS[lost][0])} if lost != "site" else set())


def checked(products, ended, look):
    """What a run has made again of products whose jobs ended at some dates, by path."""
    again = []
    run = SimpleNamespace(is_main=True, make_again=again.extend, ended=ended.get)
    look(Freshness(run, load_config({}), products))
    return again


@pytest.mark.parametrize("kinds", [(), ("int",), ("app",), ("int", "app")])
def test_downloads_stay_while_all_have_the_bytes_that_were_fetched(tmp_path, kinds):
    """Copied anew, with another date, they do; overwritten, they do not."""
    products = Products(str(tmp_path / "results"))
    write_field(tmp_path / "archive", "P1")
    fetch_field(products, "P1", tmp_path / "archive")
    images = {kind: products.field_image("P1", kind) for kind in ("int", "app")}
    paths = [*images.values(), products.field_source("P1")]
    ended = {path: os.stat(path).st_mtime for path in paths}
    for path in images.values():
        os.utime(path, (2e9, 2e9))
    for kind in kinds:
        Path(images[kind]).write_bytes(b"other")
        os.utime(images[kind], (2e9, 2e9))
    again = checked(products, ended, lambda run: run.check_field("P1"))
    assert again == (list(images.values()) if kinds else [])


@pytest.mark.parametrize(("shift_s", "is_replaced"), [(-1e6, True), (-1, True), (0, False), (1, True)])
def test_a_product_of_an_older_or_a_newer_date_was_replaced(tmp_path, shift_s, is_replaced):
    products = Products(str(tmp_path))
    path = Path(products.verification("P1"))
    write_json(path, {})
    ended = {str(path): path.stat().st_mtime}
    os.utime(path, (ended[str(path)] + shift_s,) * 2)
    again = checked(products, ended, lambda run: run.check_verdict(["P1"]))
    assert again == [str(path)] * is_replaced


@pytest.mark.parametrize(("date", "is_replaced"), [(1.7e9, False), (1.7e9 - 1, True), (1.7e9 + 1, True)])
def test_a_product_from_an_archive_has_the_whole_seconds_of_its_date(tmp_path, date, is_replaced):
    products = Products(str(tmp_path))
    path = Path(products.verification("P1"))
    write_json(path, {})
    os.utime(path, (date, date))
    again = checked(products, {str(path): 1.7e9 + 0.7}, lambda run: run.check_verdict(["P1"]))
    assert again == [str(path)] * is_replaced


MANY = "made again where this run needs them: {0}, {1}, {2}"
REPLACED = {
    0: "",
    1: "1 product with another date than on record, made again where this run needs it: {0}",
    2: "2 products with another date than on record, made again where this run needs them: {0}, {1}",
    5: "5 products with another date than on record, " + MANY + " and 2 more",
    8: "8 products with another date than on record, " + MANY + " and 5 more",
}
"""What is said of so many replaced products of eight."""


@pytest.mark.parametrize("changed", REPLACED)
@pytest.mark.parametrize("touches", [False, True])
def test_what_was_replaced_is_told_in_one_line_with_a_cure_for_lost_dates(tmp_path, caplog, changed, touches):
    products = Products(str(tmp_path))
    names = [f"P{number}" for number in range(8)]
    paths = [products.verification(name) for name in names]
    ended = {}
    for path in paths:
        write_json(path, {})
        ended[path] = os.stat(path).st_mtime
    for path in paths[:changed]:
        os.utime(path, (2e9, 2e9))
    run = SimpleNamespace(is_main=True, make_again=list, ended=ended.get, touches=touches)
    looks = Freshness(run, load_config({}), products)
    for end in (4, 8):  # rules share some
        looks.check_verdict(names[:end])
    looks.tell_replaced()
    advice = freshness.LOST_DATES if changed > 4 and not touches else ""
    assert caplog.messages == [REPLACED[changed].format(*paths) + advice] * (changed > 0)
    assert "--touch" in freshness.LOST_DATES


def test_a_publication_that_lost_many_files_is_told_in_one_line(tmp_path, caplog):
    publication = Publication(str(tmp_path / "publication"))
    names = [f"P{number}" for number in range(5)]
    for name in names:
        write_json(publication.record("mosaic", name), {"files": {publication.mask(name): "0"}})
    run = Freshness(SimpleNamespace(is_main=True, make_again=list), load_config({}), Products(str(tmp_path)))
    run.check_publication(publication, [publication.record("mosaic", name) for name in names], False)
    run.tell_replaced()
    gone = ", ".join(publication.at(publication.mask(name)) for name in names[:3])
    (told,) = caplog.messages
    assert told.startswith("5 products gone or changed since publication, made again")
    assert told.endswith(f": {gone} and 2 more")


def test_a_stage_outside_a_run_leaves_no_mark(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(RUN_CODE, raising=False)
    EditMark("tile", "a").settle(["tiles/a.h5"])
    assert list(tmp_path.iterdir()) == []
