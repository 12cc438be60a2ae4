"""Tables of one catalogue were made with the same settings: those of the run that merges them."""

import json
import re
from pathlib import Path

import pytest

from radiounet.errors import ConfigError
from radiounet.images.products import Products
from radiounet.images.writing import write_ecsv
from radiounet.measuring.catalogue import write_catalogues
from radiounet.measuring.columns import make_table
from radiounet.measuring.mosaic_tables import MosaicTable, RunTables, read_run_tables
from radiounet.measuring.region_tables import join_regions, write_region_tables
from radiounet.measuring.table_settings import OPTIONS, card_of, require_one_of_each, settings_text
from radiounet.settings.config import load_config
from radiounet.settings.limits import LimitOptions
from radiounet.settings.measure import MeasureOptions
from walk import MADE, make_walk

CARD = card_of(load_config({}))
TABLE = {"url": "/a/components.fits"}


@pytest.fixture(scope="module", autouse=True)
def walk(tmp_path_factory):
    make_walk(tmp_path_factory.mktemp("walk"))


def meta_of(kind, **settings):
    """What the stages write, with other options of `measure` and `limits`, or other entries."""
    meta = {key: one for key, one in MADE["clusters"].meta.items() if "footprints" not in key}
    measure = {key: one for key, one in settings.items() if key in MeasureOptions.model_fields}
    meta["measure"] = settings_text(MeasureOptions.model_validate(measure), *OPTIONS[kind])
    if kind == "limits":
        options = {key: one for key, one in settings.items() if key in LimitOptions.model_fields}
        meta["limits"] = settings_text(LimitOptions.model_validate(options))
    others = settings.keys() - MeasureOptions.model_fields.keys() - LimitOptions.model_fields.keys()
    return meta | {key: settings[key] for key in others}


def run_of(kind="clusters", first=None, **second):
    """Tables of two mosaics; those of one kind were made with other settings on the first and second."""
    kinds = {"islands", "clusters", kind}
    tables = {one: [MosaicTable([], meta_of(one)) for _ in "ab"] for one in sorted(kinds)}
    tables[kind] = [MosaicTable([], meta_of(kind, **one)) for one in (first or {}, second)]
    return RunTables(["a", "b"], tables, [])


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("islands", {"modelsha": "a1"}, "segmentation.model (modelsha): a1 for the islands of b"),
        ("islands", {"cardsha": "a1"}, "segmentation.model (cardsha): "),
        (
            "islands",
            {"segmode": "reference"},
            "segmentation.mode (segmode): exact for the clusters of a, ref",
        ),
        ("islands", {"thresh": 0.3}, "segmentation.threshold (thresh): "),
        ("limits", {"maskpeak": 0.3}, "segmentation.threshold (maskpeak): "),
        (
            "clusters",
            {"minbeams": 2.0},
            "segmentation.min_island_beams (minbeams): 1.0 for the clusters of a, 2.0",
        ),
        ("islands", {"calibration_error": 0.2}, "measure.calibration_error: "),
        (
            "clusters",
            {"calibration_error": 0.2},
            "measure.calibration_error: 0.1 for the clusters of a, 0.2 for",
        ),
        ("islands", {"galactic_latitude_deg": 5.0}, "measure.galactic_latitude_deg: "),
        (
            "clusters",
            {"host_share": 0.5},
            "measure.host_share: 0.33 for the clusters of a, 0.5 for the clusters",
        ),
        ("clusters", {"spectral_index_error": 0.1}, "measure.spectral_index_error: "),
        ("limits", {"h0": 67.4}, "measure.h0: "),
        ("clusters", {"unit": ["M500=solMass"]}, 'measure.unit: [] for the clusters of a, ["M500=solMass"]'),
        ("clusters", {"components": TABLE}, "measure.components: null for the clusters of a"),
        (
            "limits",
            {"trials": 96},
            "limits.trials: 48 for the limits of a, 96 for the limits of b; make them",
        ),
        ("limits", {"radius_kpc": [50, 400]}, "limits.radius_kpc: [100.0, 400.0] for the limits of a, [50.0"),
        ("limits", {"seed": 2}, "limits.seed: "),
    ],
)
def test_tables_of_different_settings_are_not_merged(tmp_path, kind, settings, said):
    products = Products(str(tmp_path))
    with pytest.raises(ConfigError, match="the tables of this run differ in ") as caught:
        write_catalogues(products, run_of(kind, **settings))
    expected = said.removeprefix("segmentation.model (modelsha): ")
    assert expected in str(caught.value)
    rule = {"islands": "find_islands", "clusters": "measure_clusters", "limits": "measure_limits"}[kind]
    assert ("segment" if "segmentation." in said else rule) in str(caught.value).partition("--forcerun")[2]
    assert not Path(products.root, "catalogue").exists()


@pytest.mark.parametrize("kind", ["islands", "clusters"])
def test_islands_and_clusters_have_the_same_settings(kind):
    """As when a run was killed between them."""
    changed = {"calibration_error": 0.2}
    with pytest.raises(
        ConfigError, match="differ in measure.calibration_error: .*find_islands measure_clusters"
    ):
        require_one_of_each(run_of(kind, changed, **changed))


@pytest.mark.parametrize("key", ["maskpeak", "measure"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_table_of_an_older_version_is_told_in_any_order(key, order):
    run = run_of()
    older = MosaicTable([], {name: one for name, one in meta_of("islands").items() if name != key})
    run.tables["islands"] = [run.tables["islands"][0], older][::order]
    with pytest.raises(ConfigError, match="none for the islands of " + "ba"[order < 0]):
        require_one_of_each(run)


def test_what_changes_no_value_is_no_difference():
    require_one_of_each(run_of("limits", enabled=True))
    first, elsewhere = ({"components": TABLE | one} for one in ({}, {"url": "/b/elsewhere.fits"}))
    assert meta_of("clusters", **first) == meta_of("clusters", **elsewhere)
    assert meta_of("clusters", **first) != meta_of("clusters", components=TABLE | {"flux_error": 0.2})


def test_credentials_of_a_table_of_components_stay_out_of_the_metadata():
    options = MeasureOptions.model_validate({"components": "https://me:secret@there/a.fits?token=s3"})
    assert "there" not in settings_text(options)


@pytest.mark.parametrize("kind", ["islands", "clusters"])
def test_tables_state_every_option_that_they_depend_on(kind):
    stated = json.loads(MADE[kind].meta["measure"])
    assert sorted(stated) == sorted(OPTIONS[kind])


def merge(tmp_path, settings, run=None):
    write_catalogues(Products(str(tmp_path)), run or run_of("limits"), config=load_config(settings))


@pytest.mark.parametrize(
    ("section", "settings", "said"),
    [
        (
            "segmentation",
            {"threshold": 0.7},
            "threshold (thresh) THRESHOLD, but SAYS 0.7: set it back, or make",
        ),
        ("segmentation", {"threshold": CARD.threshold}, "threshold (maskpeak) PEAK, but SAYS THRESHOLD: "),
        ("segmentation", {"mode": "reference"}, "mode (segmode) exact, but SAYS reference: set it back"),
        ("segmentation", {"min_island_beams": 3}, "min_island_beams (minbeams) 1.0, but SAYS 3.0: "),
        ("segmentation", {"model": "lotss-unet"}, "model (modelsha) SHA, but SAYS "),
        (
            "measure",
            {"calibration_error": 0.2},
            "calibration_error 0.1, but SAYS 0.2: set it back, or make the",
        ),
        ("measure", {"h0": 67.4}, "h0 70.0, but SAYS 67.4: "),
        ("measure", {"components": "/a.fits"}, "components null, but SAYS "),
        ("limits", {"seed": 2}, "seed 1, but SAYS 2: "),
    ],
)
def test_tables_that_contradict_the_settings_of_their_run_are_refused(tmp_path, section, settings, said):
    names = {"THRESHOLD": CARD.threshold, "PEAK": CARD.peak, "SHA": CARD.weights.sha256}
    for name, value in names.items():
        said = said.replace(name, str(value))
    said = said.replace("SAYS", "the configuration of the run says")
    with pytest.raises(ConfigError, match=re.escape(f" of a was made with {section}.{said}")) as caught:
        merge(tmp_path, {section: settings})
    rules = {"segmentation": "segment", "limits": "measure_limits"}.get(
        section, "find_islands measure_clusters"
    )
    rules = "measure_clusters measure_limits" if "h0" in settings else rules
    assert str(caught.value).endswith(f": --forcerun {rules}")
    assert not (tmp_path / "catalogue").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"limits": {"enabled": True}},
        {"segmentation": {"precision": "float32", "batch": 2}, "report": {"max_pictures": 3}},
        {"segmentation": {"model": "not-at-hand"}},
    ],
)
def test_settings_that_change_no_table_are_no_contradiction(tmp_path, settings):
    merge(tmp_path, settings)
    assert Path(Products(str(tmp_path)).catalogue("clusters", "vot")).is_file()


def test_a_threshold_of_many_digits_is_that_of_its_fits_card(tmp_path):
    digits = 0.00012345678901234567
    cut = {"thresh": 0.000123456789012345, "maskpeak": 0.000123456789012345}
    run = RunTables(
        ["a"], {kind: [MosaicTable([], meta_of(kind, **cut))] for kind in ("islands", "clusters")}, []
    )
    merge(tmp_path, {"segmentation": {"threshold": digits}}, run)


def test_regions_of_different_settings_are_not_merged(tmp_path):
    survey = Products(str(tmp_path / "survey"))
    regions = []
    for pixel, error in enumerate((0.1, 0.2)):
        region = survey.region(2, pixel)
        for kind in ("islands", "clusters"):
            table = make_table(kind, [], meta_of(kind, calibration_error=error))
            write_ecsv(getattr(region, kind)(f"P{pixel}"), table)
        write_region_tables(region, read_run_tables(region, [f"P{pixel}"], [], [], False, []), {})
        regions.append(region)
    for joined, said in (
        (
            regions,
            "differ in measure.calibration_error: 0.1 for the clusters of P0, 0.2 for the clusters of P1",
        ),
        (regions[1:], "the table of clusters of P1 was made with measure.calibration_error 0.2, but"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            merge(tmp_path, {}, join_regions(joined))
