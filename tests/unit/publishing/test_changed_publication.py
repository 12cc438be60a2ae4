"""Publications of what is missing or was changed, and those that lost something themselves."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from astropy.io import fits
from pyarrow import parquet
from tests.waiting import is_alive, wait_until

from programs import ROOT
from published import OPTIONS, bytes_of, copy_of, publish_to, state_of
from radiounet.errors import ConfigError, OriginError
from radiounet.images.products import Products, Publication, segment_files
from radiounet.images.reading import ecsv_table
from radiounet.images.regional_products import write_index
from radiounet.images.squares import Mosaic
from radiounet.images.words import write_if_changed
from radiounet.images.writing import atomic, write_ecsv, write_json
from radiounet.publishing import site, site_sources
from radiounet.publishing.catalogue_check import read_votable
from radiounet.publishing.publication import publish, run_mosaics, survey_of_run
from radiounet.publishing.records import all_records, file_changed_since_record, read_record
from radiounet.running.cli import main
from radiounet.running.locks import hold, let_go
from radiounet.settings.releases import DR2
from radiounet.survey.survey import Survey
from stages import DEC, N_PX, RA


def test_a_publication_that_lost_files_is_made_whole(run, published, tmp_path):
    folder = tmp_path / "publication"
    shutil.copytree(published.root, folder)
    tile = next((folder / "hips/mask").glob("Norder7/*/*.png"))
    tile.unlink()
    (folder / "moc/mask.json").write_text("{}")
    assert bytes_of(publish_to(folder, run)) == bytes_of(published)


@pytest.mark.slow
def test_a_publication_killed_half_way_is_made_whole(run, published, tmp_path):
    """Killed by the system at its first tiles, with the process that works for it."""
    program = f"""
from published import publish_to
from radiounet.images.products import Publication
from radiounet.images.products import Products
publish_to({str(tmp_path / "out")!r}, Products({run.root!r}), processes=2)
"""
    paths = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    process = subprocess.Popen([sys.executable, "-c", program], env=paths, start_new_session=True)
    tiles = tmp_path / "out/hips/mask/Norder7"
    wait_until(lambda: process.poll() is not None or [*tiles.glob("*/*.fits")])
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    wait_until(lambda: not is_alive(process.pid))
    assert not (tmp_path / "out/SHA256SUMS").exists()
    assert bytes_of(publish_to(tmp_path / "out", run)) == bytes_of(published)


def test_a_verb_stopped_by_ctrl_c_says_so(run, tmp_path):
    out = tmp_path / "out"
    command = ["-c", "from radiounet.running.cli import main; main()", "publish", run.root]
    process = subprocess.Popen(
        [sys.executable, *command, "--out", str(out), "--threads", "2"],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: process.poll() is not None or [*(out / "masks").glob("*.fz")])
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.endswith("radiounet publish was interrupted\n")
    assert not [*tmp_path.rglob(".radiounet.lock")]


@pytest.mark.parametrize("kind", ["image", "probability", "mask", "islands", "clusters", "cutouts"])
def test_a_missing_product_is_refused_by_name(run, tmp_path, kind):
    products = copy_of(run, tmp_path)
    path = getattr(products, kind)("b")
    Path(path).unlink()
    with pytest.raises(ConfigError, match=re.escape(path)):
        publish_to(tmp_path / "out", products, ["a", "b", "c"])


@pytest.mark.parametrize("kind", ["image", "probability", "mask", "cutouts"])
def test_a_changed_product_is_refused_by_name(run, tmp_path, kind):
    products = copy_of(run, tmp_path)
    path = getattr(products, kind)("a")
    with fits.open(path, mode="update") as hdus:
        plane = hdus[0 if kind != "cutouts" else "RESIDUAL"].data
        plane[20, 20] = 7 if kind != "mask" else 1 - plane[20, 20]
    with pytest.raises((ConfigError, OriginError), match=re.escape(path)):
        publish_to(tmp_path / "out", products)


@pytest.mark.parametrize(
    ("column", "change"),
    [("class", None), ("ra_deg", 1e-5), ("redshift", 0.0001), ("p_diffuse", -0.001), ("flux_mjy", 0.1)],
)
def test_a_csv_that_was_changed_in_its_last_digit_is_refused_by_name(run, tmp_path, column, change):
    products = copy_of(run, tmp_path)
    path = Path(products.catalogue("clusters", "csv"))
    rows = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    cells = next(csv.DictReader(rows))
    digits = len(cells[column].partition(".")[2])
    new = "NDE" if change is None else f"{float(cells[column]) + change:.{digits}f}"
    assert new != cells[column]
    path.write_text(path.read_text().replace(f",{cells[column]},", f",{new},", 1))
    with pytest.raises(ConfigError, match=re.escape(f"{path} was changed: its column {column}")):
        publish_to(tmp_path / "out", products)


def test_a_csv_with_more_digits_is_not_changed(run, published, tmp_path):
    """Such as that of an older version, which had other formats."""
    products = copy_of(run, tmp_path)
    path, exact = (
        Path(products.catalogue("clusters", "csv")),
        read_votable(products.catalogue("clusters", "vot")),
    )
    rows = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    cell, value = next(csv.DictReader(rows))["p_diffuse"], float(exact["p_diffuse"][0])
    assert cell != repr(value)
    path.write_text(path.read_text().replace(f",{cell},", f",{value!r},", 1))
    folder = shutil.copytree(published.root, tmp_path / "out")
    publish_to(folder, products)


@pytest.mark.parametrize("key", ["modelsha", "clusters_sha256", "codehash"])
def test_changed_metadata_of_a_catalogue_are_refused_by_name(run, tmp_path, key):
    """A publication says by them what was used."""
    products = copy_of(run, tmp_path)
    path = Path(products.catalogue("clusters", "vot"))
    value = str(read_votable(path).meta[key])
    path.write_text(path.read_text().replace(value, value[::-1]))
    other = products.catalogue("clusters", "fits")  # the first that is compared
    with pytest.raises(ConfigError, match=re.escape(f"{other} was changed: its HISTORY differs")):
        publish_to(tmp_path / "out", products)


@pytest.mark.parametrize("key", ["modelsha", "thresh"])
def test_changed_comments_of_a_csv_are_refused_by_name(run, tmp_path, key):
    products = copy_of(run, tmp_path)
    path = Path(products.catalogue("clusters", "csv"))
    text = path.read_text()
    path.write_text(re.sub(f"^# {key}: .*", f"# {key}: 7", text, flags=re.MULTILINE))
    assert path.read_text() != text
    with pytest.raises(ConfigError, match=re.escape(f"{path} was changed: its ") + f".*# {key}: 7"):
        publish_to(tmp_path / "out", products)


def test_changed_metadata_of_a_parquet_file_are_refused_by_name(run, tmp_path):
    products = copy_of(run, tmp_path)
    path = products.catalogue("clusters", "parquet")
    content = parquet.read_table(path)
    value = content.schema.metadata[b"modelsha"]
    changed = {key: one.replace(value, value[::-1]) for key, one in content.schema.metadata.items()}
    parquet.write_table(content.replace_schema_metadata(changed), path)
    with pytest.raises(ConfigError, match=re.escape(f"{path} was changed: its modelsha differs")):
        publish_to(tmp_path / "out", products)


@pytest.mark.parametrize(
    ("kind", "column", "said"),
    [
        ("islands", "flux_mjy", "has flux_mjy"),
        ("clusters", "p_diffuse", "has p_diffuse"),
        ("islands", None, "that has no such row"),
    ],
)
def test_a_catalogue_of_other_tables_is_refused_by_the_name_of_the_mosaic(run, tmp_path, kind, column, said):
    """As after a run that was stopped before its merge: the table of one mosaic was made anew."""
    products = copy_of(run, tmp_path)
    path = getattr(products, kind)("a")
    table = ecsv_table(path)
    if column:
        table[column][0] *= 0.9
    else:
        table.remove_row(0)
    write_ecsv(path, table)
    wanted = re.escape(f"{products.catalogue(kind, 'vot')} was not merged from the table of mosaic a: ")
    with pytest.raises(ConfigError, match=f"(?s){wanted}.*{said}"):
        publish_to(tmp_path / "out", products)


@pytest.mark.parametrize("mosaics", ["a", "ab"])
def test_masks_of_another_kind_than_the_catalogue_says_are_refused(run, tmp_path, mosaics):
    products = copy_of(run, tmp_path)
    for mosaic in mosaics:
        for kind in ("islands", "clusters"):
            table = ecsv_table(getattr(products, kind)(mosaic))
            table.meta["segmode"] = "reference"
            write_ecsv(getattr(products, kind)(mosaic), table)
    with pytest.raises(ConfigError, match="segmode"):
        publish_to(tmp_path / "out", products)


def test_an_older_record_takes_no_file_of_another_job(run, published, tmp_path):
    folder = tmp_path / "publication"
    shutil.copytree(published.root, folder)
    record = Path(Publication(str(folder)).record("summary", "all"))
    content = read_record(record)
    write_json(record, content | {"files": content["files"] | {Publication.mask("a"): "0"}})
    assert bytes_of(publish_to(folder, run)) == bytes_of(published)


def test_a_lost_table_of_a_mosaic_is_named(run, tmp_path):
    products = copy_of(run, tmp_path)
    Path(products.islands("b")).unlink()
    with pytest.raises(ConfigError, match=re.escape(products.islands("b"))):
        run_mosaics(products)


def changed_file(folder):
    publication = Publication(str(folder))
    record = publication.record("site", "all")
    return file_changed_since_record(publication, record, read_record(record)["files"])


def damage(path, how):
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3] + b"xyz")


@pytest.mark.parametrize("how", ["gone", "changed"])
@pytest.mark.parametrize(
    "name",
    [
        *("index.html", "SHA256SUMS", "site/site.css", "site/data/run.js", "site/data/clusters.js"),
        *("site/data/mosaics/a.js", "site/pictures/a/*.jpg", "site/cutouts/a/*.fits", "site/cutouts/a/*.reg"),
    ],
)
def test_what_the_site_lost_or_was_changed_in_it_is_made_again(run, published, tmp_path, name, how):
    folder = tmp_path / "publication"
    shutil.copytree(published.root, folder)
    path = next(folder.glob(name))
    os.utime(folder / ".made/site/all.json")  # a copy has other dates
    record = Publication(str(folder)).record("site", "all")
    assert changed_file(folder) is None
    damage(path, how)
    os.utime(record, (1, 1))
    assert changed_file(folder) is not None
    assert bytes_of(publish_to(folder, run)) == bytes_of(published)
    assert changed_file(folder) is None


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9])
def test_a_site_that_was_stopped_after_any_file_is_made_whole(run, published, tmp_path, count, monkeypatch):
    left, folder = count, tmp_path / "out"
    shutil.copytree(published.root, folder, ignore=shutil.ignore_patterns("site", "index.html", "SHA256SUMS"))

    def stop(path, content):
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        write_if_changed(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(site, "write_if_changed", stop)
        patch.setattr(site_sources, "write_if_changed", stop)
        with pytest.raises(KeyboardInterrupt):
            publish_to(folder, run)
    assert bytes_of(publish_to(folder, run)) == bytes_of(published)


def test_nothing_is_left_of_another_publication(run, published, tmp_path):
    """Of one whose sky lies elsewhere: no tile, no part of an Allsky, no folder."""
    folder = tmp_path / "publication"
    shutil.copytree(published.root, folder)
    other = Publication(str(folder))
    job = next(Path(one) for one in all_records(other) if "/tiles/" in one and read_record(one)["files"])
    files = read_record(job)["files"]
    # the same tiles as if of another part of the sky
    elsewhere = job.with_name("017.json")
    names = {name: re.sub(r"(Norder3/.*Npix)\d+", r"\g<1>17", name) for name in files if "Norder3" in name}
    for name, new in names.items():
        shutil.copy(folder / name, folder / new)
    lonely = "hips/mask/Norder9/Dir0/Npix1.fits"
    (folder / lonely).parent.mkdir(parents=True)
    (folder / lonely).touch()
    checksums = {new: files[name] for name, new in names.items()} | {lonely: "0"}
    write_json(elsewhere, read_record(job) | {"files": checksums})
    Path(other.record("summary", "all")).unlink()
    assert bytes_of(publish_to(folder, run)) == bytes_of(published)
    assert not (folder / "hips/mask/Norder9").exists()


def test_a_file_goes_that_only_an_earlier_publication_had(run, published, tmp_path):
    """Snakemake removes the record of a job before it does the job again."""
    folder = tmp_path / "publication"
    shutil.copytree(published.root, folder)
    record = Path(Publication(str(folder)).record("site", "all"))
    old = ("masks/old.fits.fz", "completeness.fits")
    for name in old:
        (folder / name).write_text("old")
    earlier = read_record(record)
    write_json(record, earlier | {"others": sorted([*earlier["others"], *old])})
    publish_to(folder, run)
    assert bytes_of(Publication(str(folder))) == bytes_of(published)


def test_the_folder_may_be_written_in_several_ways(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["publish", run.root, "--threads", "1", "--out"]
    main([*command, "out"])
    before = state_of("out")
    for written in ("out/", "out/../out", "./out"):
        main([*command, written])
        assert state_of("out") == before, written


def test_other_borders_change_what_depends_on_them(run, tmp_path):
    """As with a list of all mosaics: one between the two takes sky from both."""
    names = run_mosaics(run)
    alone, listed = Publication(str(tmp_path / "alone")), Publication(str(tmp_path / "listed"))
    borders = survey_of_run(run, DR2, names)
    between = Mosaic("m", RA + 0.07, DEC, N_PX)
    wider = Survey(DR2, [*borders.mosaics.values(), between])
    publish(run, alone, borders, names, 1, OPTIONS)
    publish(run, listed, wider, names, 1, OPTIONS)
    assert bytes_of(alone) != bytes_of(listed)
    publish(run, alone, wider, names, 1, OPTIONS)
    assert bytes_of(alone) == bytes_of(listed)


def test_another_band_changes_what_depends_on_it(run, published, tmp_path):
    folder = shutil.copytree(published.root, tmp_path / "again")
    survey = {"survey": "MGCLS", "facility": "MeerKAT", "instrument": "L band"}
    release = DR2.model_copy(update={"bandwidth_mhz": 10.0, **survey})
    fresh = publish_to(tmp_path / "fresh", run, release=release)
    images = read_votable(fresh.at(fresh.obscore("vot")))
    assert {*images["facility_name"]} == {"MeerKAT"}
    assert {*images["instrument_name"]} == {"L band"}
    keywords = json.loads(Path(fresh.at(".zenodo.json")).read_text())["keywords"]
    assert keywords[-2:] == ["MeerKAT", "MGCLS"]
    assert not {"LOFAR", "LoTSS"} & {*keywords}
    assert bytes_of(publish_to(folder, run, release=release)) == bytes_of(fresh)


@pytest.mark.parametrize("left", [[], [".radiounet.lock"], [".made", "masks"]])
def test_a_verb_that_was_killed_in_its_first_moments_goes_on(run, tmp_path, left):
    out = tmp_path / "out"
    out.mkdir()
    for name in left:
        (out / name).touch() if "lock" in name else (out / name).mkdir()
    main(["publish", run.root, "--out", str(out), "--threads", "1"])
    assert (out / "SHA256SUMS").is_file()


def test_files_of_nobody_are_named_and_have_no_checksum(run, published, tmp_path, caplog):
    folder = tmp_path / "publication"
    shutil.copytree(published.root, folder)
    strays = folder / "masks/stray.txt", folder / "notes.txt"
    for stray in strays:
        stray.write_text("mine")
    publish_to(folder, run)
    assert "2 files do not belong to this publication and have no checksum: " in caplog.text
    assert all(str(stray) in caplog.text for stray in strays)
    assert "stray" not in (folder / "SHA256SUMS").read_text()
    for stray in strays:
        assert stray.read_text() == "mine"
        stray.unlink()
    assert bytes_of(Publication(str(folder))) == bytes_of(published)  # the site does not offer them


def test_the_release_is_that_of_the_configuration(run, published, tmp_path):
    shutil.copytree(run.root, tmp_path / "renamed")
    main(["publish", str(tmp_path / "renamed"), "--out", str(tmp_path / "out"), "--threads", "1"])
    images = [
        Publication(root).at(Publication.obscore("fits")) for root in (published.root, str(tmp_path / "out"))
    ]
    assert Path(images[0]).read_bytes() == Path(images[1]).read_bytes()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "there is no folder"),
        ("renamed", "name the release of the folder with --release"),
        ("one_image", "is of radiounet segment, not of a survey"),
    ],
)
def test_a_folder_that_is_no_release_is_refused_with_a_remedy(run, tmp_path, capsys, name, said):
    folder = tmp_path / name
    if name == "renamed":
        shutil.copytree(run.root, folder)
        Path(Products(str(folder)).configuration()).unlink()
    elif name == "one_image":
        folder.mkdir()
        shutil.copyfile(run.mask("a"), segment_files(str(folder))["mask"])
    assert said in refused(folder, tmp_path / "out", capsys)


def test_a_list_of_mosaics_that_is_not_there_is_a_mistake(run, tmp_path, capsys):
    said = refused(run.root, tmp_path / "out", capsys, "--list", "nowhere.csv")
    assert "there is no list nowhere.csv: make it with snakemake --cores 1 -- lists" in said


@contextmanager
def used_by_another(folder, monkeypatch):
    """Have a folder as if another program had it."""
    hold(folder)
    with monkeypatch.context() as patch:
        patch.setattr("radiounet.running.locks._held", {})
        yield
    let_go(folder)


def refused(results, out, capsys, *more):
    with pytest.raises(SystemExit) as stopped:
        main(["publish", str(results), "--out", str(out), "--threads", "1", *more])
    assert stopped.value.code == 78
    return capsys.readouterr().err


@pytest.mark.parametrize("place", ["out", "results"])
def test_nothing_is_published_where_another_program_works(run, tmp_path, capsys, monkeypatch, place):
    held = tmp_path / "out" if place == "out" else run.root
    with used_by_another(held, monkeypatch):
        assert f"another program works in {held}" in refused(run.root, tmp_path / "out", capsys)


def test_regions_are_not_published_while_one_of_them_runs(run, tmp_path, capsys, monkeypatch):
    survey = Products(str(tmp_path / "dr2"))
    shutil.copytree(f"{run.root}/catalogue", f"{survey.root}/catalogue")
    for region in ("0_1", "0_2"):
        shutil.copytree(run.root, f"{survey.root}/regions/{region}")
    write_index(survey, {"a": "0_1", "b": "0_2", "c": "0_2"})
    held = f"{survey.root}/regions/0_2"
    with used_by_another(held, monkeypatch):
        assert f"another program works in {held}" in refused(survey.root, tmp_path / "out", capsys)
    main(["publish", survey.root, "--out", str(tmp_path / "out"), "--threads", "1"])
    assert (tmp_path / "out/SHA256SUMS").is_file()
    assert not [*tmp_path.rglob(".radiounet.lock")]


def test_a_survey_in_one_piece_is_published_beside_a_region_that_runs(run, tmp_path, monkeypatch):
    products = copy_of(run, tmp_path)
    with used_by_another(f"{products.root}/regions/0_2", monkeypatch):
        main(["publish", products.root, "--out", str(tmp_path / "out"), "--threads", "1"])
    assert (tmp_path / "out/SHA256SUMS").is_file()


def test_tables_of_a_wider_selection_are_told_with_a_remedy(run, tmp_path):
    products = copy_of(run, tmp_path)
    shutil.copyfile(products.islands("a"), products.islands("wider"))
    said = "has tables of 4 mosaics, its catalogue is of 3; some may be of .* publish with the workflow"
    with pytest.raises(ConfigError, match=said):
        run_mosaics(products)


def test_masks_of_other_mosaics_do_not_enter_the_site(run, published, tmp_path):
    """A neighbour that lends the outskirts of clusters, and one that another network made before."""
    products = copy_of(run, tmp_path)
    for name in ("0_neighbour", "z_rejected"):
        shutil.copyfile(products.mask({"0": "a", "z": "c"}[name[0]]), products.mask(name))
    fits.setval(products.mask("0_neighbour"), "MODEL", value="other")
    out = publish_to(tmp_path / "publication", products, names=run_mosaics(run))
    assert bytes_of(out) == bytes_of(published)


def test_a_table_that_a_killed_job_was_writing_is_no_table(run, tmp_path):
    products = copy_of(run, tmp_path)
    with atomic(products.islands("a")) as temporary:
        shutil.copyfile(products.islands("a"), temporary)
        assert run_mosaics(products) == run_mosaics(run)
