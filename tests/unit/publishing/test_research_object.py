"""The research object of a publication: its entities, the workflow and the configuration that it carries."""

import json
import re
import zipfile
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from programs import ROOT
from radiounet.errors import ConfigError
from radiounet.images.products import Products
from radiounet.images.provenance import code_hash, hash_of_package
from radiounet.measuring.table_settings import card_of, settings_text
from radiounet.publishing import workflow_files as carried
from radiounet.publishing.research_object import research_files
from radiounet.publishing.workflow_files import (
    CONFIGURATION,
    PACKAGE_FILE,
    SNAKEFILE,
    check_configuration,
    workflow_files,
)
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.config import load_config
from radiounet.settings.configuration_file import write_configuration
from radiounet.settings.limits import LimitOptions
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import DR2, OWN_IMAGES
from radiounet.settings.yaml_file import read_yaml

OPTIONS = PublishOptions(creators=["Doe, Jane", "Roe, Rick"], license="CC0-1.0")
META = {"model": "net", "modelsha": "a1", "clusters": "psz2", "clusters_sha256": "b2", "version": "1"}
SETTINGS = {
    "clusters": "own.ecsv",
    "archive": {"dr2": {"mosaic": "https://host.org/{mosaic}/{file}?token=hunter2&part=1"}},
    "publish": {"creators": ["Doe, Jane"]},
}
OTHERS = {"catalogue/clusters.csv": "1", "masks/a.fits.fz": "2", "obscore.fits": "3"}


@pytest.fixture
def configuration(tmp_path):
    write_configuration(load_config(SETTINGS), tmp_path / "configuration.yaml")
    return tmp_path / "configuration.yaml"


def crate_of(files):
    """Entities of the crate by their identifiers."""
    checksums = {name: "0" for name in files} | OTHERS
    made = research_files(DR2, META, checksums, "2020-01-01", OPTIONS)
    graph = json.loads(made["ro-crate-metadata.json"])["@graph"]
    entities = {one["@id"]: one for one in graph}
    assert len(entities) == len(graph)
    return entities


def test_every_reference_is_an_entity(configuration):
    files = workflow_files(configuration)
    entities = crate_of(files)
    references = re.findall(r'"@id": "(#[^"]+)"', json.dumps(entities))
    assert set(references) <= set(entities)
    parts = {one["@id"] for one in entities["./"]["hasPart"]}
    assert parts == {*files, "catalogue/clusters.csv", "masks/", "obscore.fits"}
    results = {one["@id"] for one in entities["#run"]["result"]}
    assert results == parts - set(files)
    assert {one["@id"] for one in entities["#run"]["object"]} >= {CONFIGURATION, "#used-weights"}
    assert [entities[one["@id"]]["name"] for one in entities["./"]["author"]] == OPTIONS.creators
    assert entities["./"]["license"]["@id"].endswith("/CC0-1.0")
    assert entities["catalogue/clusters.csv"]["name"] == "Catalogue of clusters"


def test_the_workflow_is_carried_with_the_profile_that_it_runs_with(configuration):
    """Which retries jobs, goes on after a failure, and limits the downloads."""
    files = workflow_files(configuration)
    assert (
        files["workflow/profiles/default/config.yaml"]
        == (CHECKOUT / "profiles/default/config.yaml").read_bytes()
    )
    assert not [name for name in files if "leonardo" in name]


def test_nobody_is_named_who_was_not_given(configuration):
    made = research_files(DR2, META, dict.fromkeys(workflow_files(configuration), "0"), "", PublishOptions())
    graph = json.loads(made["ro-crate-metadata.json"])["@graph"]
    assert [one for one in graph if one["@type"] == "Person" or "agent" in one] == []
    assert "author" not in next(one for one in graph if one["@id"] == "./")


def test_code_of_the_run_and_date_of_the_publication_are_told(configuration):
    files = dict.fromkeys(workflow_files(configuration), "0")

    def entities(**meta):
        options = PublishOptions(date="2027-01-31")
        made = research_files(DR2, META | meta, files, "2020-01-01", options)
        graph = json.loads(made["ro-crate-metadata.json"])["@graph"]
        return {one["@id"]: one for one in graph}

    other, same = entities(codehash="0123456789ab"), entities(codehash=code_hash())
    for name in ("#run", SNAKEFILE):
        assert (
            f"made with code 0123456789ab; the workflow in this publication is code {code_hash()}"
            in (other[name]["description"])
        )
        assert "The run was made with" not in same[name]["description"]
    assert same["./"]["datePublished"] == "2027-01-31"


@pytest.mark.parametrize("text", ["2027-01-31", "'2027-01-31'"])
def test_the_date_of_a_publication_may_stand_in_quotes_or_not(text):
    found = load_config(yaml.safe_load(f"publish: {{date: {text}}}")).publish.date
    assert found == "2027-01-31"
    made = research_files(DR2, META, {SNAKEFILE: "0"}, "", PublishOptions(date=found))
    assert json.loads(made[".zenodo.json"])["publication_date"] == "2027-01-31"


@pytest.mark.parametrize("text", ["2027-02-31", "2027-99-99", "'20270131'", "'2027-W05-7'", "31.1.2027", "7"])
def test_what_is_no_day_is_refused(text, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(f"publish: {{date: {text}}}")
    with pytest.raises((ConfigError, ValueError), match=r"publish.date|own.yaml is not YAML: (month|day) "):
        load_config(read_yaml(path))


def test_missing_limits_are_said():
    def texts(*names):
        checksums = {SNAKEFILE: "0"} | dict.fromkeys(names, "0")
        made = research_files(DR2, META, checksums, "", OPTIONS)
        return {name: content.decode() for name, content in made.items()}

    said = "Upper limits were not measured"
    assert all(said in text for text in texts().values())
    assert not any(said in text for text in texts("completeness.fits").values())


NETWORK_DOI = "10.1093/mnras/stae2014"


@pytest.mark.parametrize(
    ("release", "options"),
    [
        (DR2, PublishOptions(license="BSD-3-Clause")),
        (DR2.model_copy(update={"doi": NETWORK_DOI, "paper": "Own"}), OPTIONS),
        (DR2.model_copy(update={"doi": NETWORK_DOI.upper(), "paper": "Own"}), OPTIONS),
        (DR2, PublishOptions(creators=["Doe, Jane", "Doe, Jane"])),
    ],
)
def test_every_identifier_is_one_entity(configuration, release, options):
    files = dict.fromkeys(workflow_files(configuration), "0") | OTHERS
    made = research_files(release, META, files, "", options)
    graph = json.loads(made["ro-crate-metadata.json"])["@graph"]
    assert len({one["@id"].casefold() for one in graph}) == len(graph)
    entities = {one["@id"]: one for one in graph}
    licence = entities[entities["./"]["license"]["@id"]]
    assert (licence["name"], licence["identifier"]) == (options.license, licence["@id"])
    papers = {DR2.doi, NETWORK_DOI} if release is DR2 else {NETWORK_DOI}
    cited = entities["./"]["citation"]
    cited = [one["@id"] for one in (cited if isinstance(cited, list) else [cited])]
    assert sorted(cited) == sorted(f"https://doi.org/{doi}" for doi in papers)
    assert {one["@id"] for one in graph if one["@type"] == "ScholarlyArticle"} == set(cited)
    zenodo = json.loads(made[".zenodo.json"])
    assert len(zenodo["references"]) == len(zenodo["related_identifiers"]) == len(papers)
    assert made["CITATION.md"].decode().count("doi:") == len(papers)


def test_names_are_no_markup_where_texts_have_some():
    """The description of a Zenodo entry is HTML; everything else of it is plain."""
    meta = META | {"clusters": "x & <b>.ecsv", "model": "*net*"}
    release = DR2.model_copy(update={"paper": "Doe et al., A&A *1*", "doi": "10.1/<a>_b_"})
    made = research_files(release, meta, {SNAKEFILE: "0"}, "", OPTIONS)
    zenodo = json.loads(made[".zenodo.json"])
    assert "Clusters: x &amp; &lt;b&gt;.ecsv, " in zenodo["description"]
    assert "A&A *1*" in zenodo["references"][1]
    root = next(one for one in json.loads(made["ro-crate-metadata.json"])["@graph"] if one["@id"] == "./")
    assert "Clusters: x & <b>.ecsv, " in root["description"]
    citation = made["CITATION.md"].decode()
    shown = "".join(
        child.content
        for token in MarkdownIt("commonmark").parse(citation)
        for child in token.children or ()
        if child.type in ("text", "text_special")
    )
    for name in ("x & <b>.ecsv", "*net*", "Doe et al., A&A *1*, doi:10.1/<a>_b_"):
        assert name in shown


def test_creators_and_licence_stand_in_the_zenodo_entry():
    made = research_files(DR2, META, {SNAKEFILE: "0"}, "", OPTIONS)
    zenodo = json.loads(made[".zenodo.json"])
    assert zenodo["creators"] == [{"name": "Doe, Jane"}, {"name": "Roe, Rick"}]
    assert zenodo["license"] == "cc0-1.0"


def test_the_workflow_is_that_of_the_checkout(configuration, tmp_path):
    """The Snakefile finds its rules, and the package is that whose hash the products bear."""
    files = workflow_files(configuration)
    main = crate_of(files)["./"]["mainEntity"]["@id"]
    assert files[main] == (ROOT / "Snakefile").read_bytes()
    included = re.findall(r'include: "(.+)"', files[main].decode())
    assert len(included) > 5
    assert all(files[f"workflow/{name}"] == (ROOT / name).read_bytes() for name in included)
    for name in re.findall(r"stage (\w+) ", b"".join(files[f"workflow/{one}"] for one in included).decode()):
        assert f"workflow/scripts/{name}.py" in files
    (tmp_path / "package.zip").write_bytes(files[PACKAGE_FILE])
    with zipfile.ZipFile(tmp_path / "package.zip") as store:
        store.extractall(tmp_path)
    assert hash_of_package(tmp_path / "radiounet") == code_hash()
    assert workflow_files(configuration) == files


def test_the_configuration_is_that_of_the_run_without_credentials(configuration):
    text = workflow_files(configuration)[CONFIGURATION].decode()
    assert "hunter2" not in text
    found = load_config(yaml.safe_load(text))
    assert found.clusters == ["own.ecsv"]
    assert found.archive.dr2.mosaic == "https://host.org/{mosaic}/{file}?token=***&part=1"
    assert found.publish == PublishOptions()  # said by the research object itself


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is missing"),
        ("release: dr2", "was changed since the catalogues were made"),
        ("segmentation: {threshold: [", "is no configuration of this version: "),
        ("segmentation: {treshold: 0.3}", "is no configuration of this version: .*treshold"),
        ("release: dr3", "is of a run over dr3, not dr2"),
    ],
)
def test_a_configuration_that_is_not_that_of_the_run_is_refused_by_name(tmp_path, text, said):
    products = Products(str(tmp_path / "dr2"))
    path = Path(products.configuration())
    path.parent.mkdir(parents=True)
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=f"(?s)^{re.escape(str(path))} {said}"):
        check_configuration(products, DR2, {})
    write_configuration(load_config({"release": "dr2"}), path)
    check_configuration(products, DR2, {})
    with path.open("a") as stream:
        stream.write("# threshold: 0.9\n")
    with pytest.raises(ConfigError, match="was changed since the catalogues were made"):
        check_configuration(products, DR2, {})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"segmentation": {"threshold": 0.9}}, "(thresh) 0.16, but the configuration of the run says 0.9"),
        (
            {"segmentation": {"mode": "reference"}},
            "(segmode) exact, but the configuration of the run says ref",
        ),
        (
            {"segmentation": {"min_island_beams": 3.0}},
            "(minbeams) 1.0, but the configuration of the run says 3.0",
        ),
        ({"segmentation": {"threshold": 0.16}}, None),
        ({"segmentation": {"model": "not-at-hand"}}, None),
        ({}, "segmentation.threshold (thresh) 0.9, but the configuration of the run says 0.16"),
        ({"measure": {"calibration_error": 0.2}}, "measure.calibration_error 0.1, but"),
        (
            {"measure": {"host_share": 0.5}},
            "measure.host_share 0.33, but the configuration of the run says 0.5",
        ),
        ({"limits": {"seed": 2}}, "limits.seed 1, but the configuration of the run says 2"),
    ],
)
def test_a_configuration_of_other_settings_is_refused(tmp_path, settings, said):
    products = Products(str(tmp_path / "dr2"))
    Path(products.configuration()).parent.mkdir(parents=True)
    config = load_config(settings)
    write_configuration(config, products.configuration())
    made = {"segmode": "exact", "thresh": "0.16", "minbeams": "1.0"}
    made |= {"measure": settings_text(MeasureOptions()), "limits": settings_text(LimitOptions())}
    if not settings:  # the threshold is that of the card
        made |= {"modelsha": card_of(config).weights.sha256, "thresh": "0.9"}
    with pytest.raises(ConfigError, match=re.escape(said)) if said else nullcontext():
        check_configuration(products, DR2, made)
    with pytest.raises(ConfigError, match=r"\(minbeams\) 1.0, 2.0, but the configuration of the run says"):
        check_configuration(products, DR2, {"minbeams": "1.0, 2.0"})


def test_the_configuration_of_own_images_is_that_of_own_images(tmp_path):
    products = Products(str(tmp_path / "images"))
    Path(products.configuration()).parent.mkdir(parents=True)
    own = {"source": "images", "images": [{"name": "a", "path": str(tmp_path / "a.fits")}]}
    write_configuration(load_config({"mosaics": own}), products.configuration())
    check_configuration(products, OWN_IMAGES, {})
    with pytest.raises(ConfigError, match="is of a run over images, not dr2: publish it as images"):
        check_configuration(products, DR2, {})


def test_an_installed_package_names_itself(configuration, tmp_path, monkeypatch):
    monkeypatch.setattr(carried, "CHECKOUT", tmp_path)
    files = workflow_files(configuration)
    assert set(files) == {SNAKEFILE, PACKAGE_FILE, CONFIGURATION}
    assert code_hash() in files[SNAKEFILE].decode()
