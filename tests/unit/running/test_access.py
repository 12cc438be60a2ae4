"""Results of another person that may not be read are named, with what to do about them."""

import errno
import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from radiounet.errors import ConfigError
from radiounet.images.products import Products, Publication
from radiounet.images.writing import atomic
from radiounet.running import stages
from radiounet.running.access import permitted, refuse_protected, require_open
from radiounet.running.freshness import Freshness
from radiounet.running.rules import Rules
from radiounet.running.scratch import link_scratch
from radiounet.running.stages import Stage
from radiounet.settings.config import load_config


@pytest.fixture
def products(tmp_path):
    return Products(str(tmp_path / "dr2"))


@pytest.fixture
def close(monkeypatch):
    """Close paths, and all below them: these tests are run by root, whom no mode stops."""
    closed = set()

    def stopped_at(real):
        def checked(path=".", *args, **options):
            if not isinstance(path, int) and closed & {Path(path), *Path(path).parents}:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *args, **options)

        return checked

    for name in ("os.stat", "os.scandir", "io.open"):
        module, function = name.split(".")
        monkeypatch.setattr(name, stopped_at(getattr(__import__(module), function)))
    return lambda path: closed.add(Path(path))


@pytest.fixture
def snakemake():
    """Snakemake without any record."""
    told = {"is_main": True, "config_files": [], "folder": "", "records": Path(".snakemake")}
    return SimpleNamespace(make_again=print, ended=print, **told)


def refused(do, path):
    """Whether a path is refused in one line."""
    words = r"^[^\n]* may not be read or written by you: ask its owner"
    with pytest.raises(ConfigError, match=words) as it, permitted():  # as around the job graph
        do()
    return str(it.value).startswith(f"{path} ")


@pytest.mark.parametrize("closed", ["", "sources", "sources/edited", "sources/inputs.json"])
def test_a_run_that_begins(products, snakemake, close, closed, monkeypatch):
    """Dry or not: nothing of it has been made."""
    path = Path(products.root, closed)
    close(path)
    config = load_config({"results": str(Path(products.root).parent)})
    monkeypatch.setattr("radiounet.running.rules.SnakemakeRun", lambda workflow, levels: snakemake)
    monkeypatch.setattr("radiounet.running.rules.load_config", lambda raw: config)
    assert refused(lambda: Rules(None, {}), path)


@pytest.mark.parametrize("closed", ["masks", "sources/mosaics"])
def test_while_the_job_graph_is_built(products, snakemake, close, closed):
    freshness = Freshness(snakemake, load_config({}), products)
    close(Path(products.root, closed))
    with pytest.raises(ConfigError, match=f"^{Path(products.root, closed)}.* may not be read"), permitted():
        freshness.check_mosaic("a")


@pytest.fixture
def allow(monkeypatch):
    """What the user may do with paths: as above, no mode stops root."""
    allowed = {}
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: not mode & ~allowed.get(Path(path), mode) and real(path, mode)
    )
    return lambda mode, *paths: allowed.update(dict.fromkeys(map(Path, paths), mode))


@pytest.mark.parametrize(
    ("kind", "look"),
    [
        *((kind, "check_mosaic") for kind in ("image", "mask", "islands", "clusters", "probability")),
        *((kind, "check_survey") for kind in ("report", "configuration")),
        ("verification", "check_verdict"),
        ("field_source", "check_field"),
    ],
)
def test_a_product_of_another_person_that_may_not_be_read(products, snakemake, allow, kind, look):
    """Though its folder can: the run would end with words on the folder of Snakemake."""
    path = Path(getattr(products, kind)(*["a"] * (look != "check_survey")))
    path.parent.mkdir(parents=True)
    path.touch()
    allow(os.F_OK, path)
    freshness = Freshness(snakemake, load_config({}), products)
    given = {"check_survey": [], "check_verdict": [["a"]]}.get(look, ["a"])
    owner = pwd.getpwuid(path.stat().st_uid).pw_name
    with pytest.raises(ConfigError, match=f"^{path} may not .* ask its owner, {owner}, for"), permitted():
        getattr(freshness, look)(*given)


PLACES = ["dr2/masks/a.fits", "dr2/masks/b.fits", "dr2/report.html"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("own", "by you, the owner: `chmod -R u+w {0}/dr2`"),
        (
            "other",
            "by you: ask the owner, 12345, for `chmod -R g+rwX {0}/dr2`, or set `results` to a folder of",
        ),
        ("read-only", "by you: the file system is read-only; set `results` to a folder on another one"),
    ],
)
def test_products_that_may_not_be_overwritten(allow, tmp_path, monkeypatch, kind, words):
    paths = [tmp_path / place for place in PLACES]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    refuse_protected([*map(str, paths), "not there"])
    allow(os.R_OK, *paths)
    owner = os.stat(paths[0]).st_uid
    if kind == "other":
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
        words = words.replace("12345", str(owner))
    if kind == "read-only":
        monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(ConfigError) as it:
        refuse_protected(map(str, paths))
    start = f"{paths[0]} and 2 more in {tmp_path}/dr2, to be made again, may not be overwritten "
    assert str(it.value).startswith(start + words.format(tmp_path))


CLOSED = [
    *("masks", "probability", "islands", "cutouts", "catalogue"),
    *(
        "mosaics",
        "mosaics/one",
        "sources/mosaics",
        "fields",
        "fields/one",
        "sources/fields",
        "publication",
        "publication/.made/mosaic",
        *("verification", "comparison", "comparison/one", "high_resolution", "catalogue/region"),
        *("regions", "regions/3_1", "regions/3_1/catalogue", "regions/3_1/catalogue/region"),
    ),
]


@pytest.mark.parametrize("closed", CLOSED)
def test_before_the_job_graph_is_built(products, snakemake, close, closed):
    """A rule would add a traceback."""
    path = Path(products.root, closed)
    path.mkdir(parents=True)
    freshness = Freshness(snakemake, load_config({}), products)
    close(path)
    assert refused(freshness.check_notes, path)


ELSEWHERE = [".snakemake/radiounet", "lists", "smooth", "made/one", "made"]
"""The last are of a stage that was added, whose products lie outside the folder of results."""


@pytest.fixture
def added(monkeypatch):
    for kind, path in (("smoothed", "smooth/{}.fits"), ("weighted", "made/{}/a.fits")):
        monkeypatch.setattr(Products, kind, lambda self, name, path=path: path.format(name), raising=False)
    monkeypatch.setattr(
        stages, "STAGES", [*stages.STAGES, Stage("smooth", "mosaic", "smoothed", "Mpx", beside=("weighted",))]
    )


@pytest.mark.parametrize("closed", ELSEWHERE)
def test_folders_outside_the_products(snakemake, close, closed, added, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config({"results": "out", "archive": {"list_folder": "lists"}})
    freshness = Freshness(snakemake, config, Products("out/dr2"))
    Path(closed).mkdir(parents=True)
    freshness.check_notes()
    close(closed)
    assert refused(freshness.check_notes, closed)


def test_folders_above_are_nobodys_business(snakemake, close, tmp_path, monkeypatch):
    """They may be entered by those who cannot list them."""
    freshness = Freshness(snakemake, load_config({}), Products(str(tmp_path / "dr2")))
    asked = []
    monkeypatch.setattr("radiounet.running.freshness.require_open", asked.extend)
    freshness.check_notes()
    assert asked
    assert not {str(tmp_path), str(tmp_path.parent), "/", "."} & set(asked)


def test_a_mark_of_an_edit(products, snakemake, close):
    mark = Path(products.edit_marks(), "segment.a.json")
    mark.parent.mkdir(parents=True)
    mark.touch()
    freshness = Freshness(snakemake, load_config({}), products)
    close(mark)
    assert refused(freshness.check_notes, mark)


def test_a_publication(products, snakemake, close):
    record = Publication(products.publication()).record("mosaic", "a")
    close(record)
    freshness = Freshness(snakemake, load_config({}), products)
    assert refused(
        lambda: freshness.check_publication(Publication(products.publication()), [record], True), record
    )


def test_scratch(products, close, tmp_path):
    """Which a run links when it begins."""
    link_scratch(products, str(tmp_path / "scratch"))
    close(tmp_path / "scratch/dr2")
    with pytest.raises(ConfigError, match="scratch/dr2.* may not be read"), permitted():
        link_scratch(products, str(tmp_path / "scratch"))


def test_what_is_not_there_is_not_refused(products):
    folders = [products.root, f"{products.root}/sources"]
    require_open(folders)
    Path(products.root).touch()
    require_open(folders)
    os.remove(products.root)
    Path(folders[1]).mkdir(parents=True)
    require_open(folders)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EROFS, "Read-only file system", "a/b"), "a/b cannot be used: Read-only file system"),
        (OSError(errno.ENOSPC, "No space left on device"), "place cannot be used: No space left on device"),
        (OSError(errno.EROFS, "Read-only", "target", None, "link"), "link cannot be used: Read-only"),
        (PermissionError(errno.EPERM, "Not permitted"), "place may not be read or written by you: ask "),
    ],
)
def test_an_error_of_the_file_system_is_told_with_its_place(error, words):
    with pytest.raises(ConfigError, match=f"^{words}"), permitted("place"):
        raise error


def test_a_full_disk_is_told_with_the_file_that_was_to_be_written(tmp_path):
    with pytest.raises(OSError, match="No space left on device: '.*/a.json'"), atomic(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(OSError, match="80 requested and 40 written: '.*/a.json'"),
        atomic(tmp_path / "a.json"),
    ):
        raise OSError("80 requested and 40 written")
    assert list(tmp_path.iterdir()) == []
