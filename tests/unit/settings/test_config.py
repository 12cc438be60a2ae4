import argparse
import contextlib
import math
import shlex
import typing
from pathlib import Path

import pytest
import yaml

from configs import refusal
from radiounet.errors import ConfigError
from radiounet.settings.command_line import (
    add_options,
    options_from,
    options_to,
    reference_text,
    schema_text,
)
from radiounet.settings.config import Config, load_config
from radiounet.settings.config_faults import model_in
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.mosaics import MosaicOptions
from radiounet.settings.section import Section
from radiounet.settings.segmentation import Segmentation
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import TrainOptions

ROOT = Path(__file__).parents[3]
IMAGE = {"name": "a", "path": "a.fits"}


def corrected(message: str) -> dict:
    return yaml.safe_load(message.split("write for example:\n")[1])


def all_sections(section=Section):
    for child in section.__subclasses__():
        if child.__module__.startswith("radiounet.settings."):
            yield child
            yield from all_sections(child)


def test_empty_configuration_is_all_of_dr2():
    made = load_config({})
    assert (made.release, made.survey, made.mosaics.source) == ("dr2", "dr2", "published")
    assert made.release_archive is made.archive.dr2


def test_survey_follows_the_release_or_the_images():
    assert load_config({"release": "dr3"}).survey == "dr3"
    assert load_config({"mosaics": {"source": "images", "images": [IMAGE]}}).survey == "images"


def test_unknown_key_is_refused_with_the_allowed_ones_and_the_nearest():
    message = refusal({"relase": "dr3"})
    assert "- relase: unknown key (value 'dr3'); allowed keys: releases, release, results," in message
    assert corrected(message) == {"release": "dr3"}


def test_unknown_key_deep_down_is_refused_with_its_whole_path():
    message = refusal({"mosaics": {"options": {"beamcut": 0.2}}})
    assert (
        "- mosaics.options.beamcut: unknown key (value 0.2); allowed keys: beam_cut, beam_median" in message
    )
    assert corrected(message) == {"mosaics": {"options": {"beam_cut": 0.2}}}


def test_every_fault_is_listed():
    message = refusal({"relase": "dr3", "measure": {"h0": -1}, "segmentation": {"mode": "quick"}})
    assert [line.split(":")[0] for line in message.splitlines() if line.startswith("- ")] == [
        "- segmentation.mode",
        "- measure.h0",
        "- relase",
    ]


def test_value_out_of_range_is_refused_with_the_limit_and_the_default():
    message = refusal({"mosaics": {"options": {"beam_cut": 1.5}}})
    assert "- mosaics.options.beam_cut: 1.5 is not allowed; Input should be less than 1" in message
    assert corrected(message) == {"mosaics": {"options": {"beam_cut": 0.3}}}


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({"release": "dr4"}, "release: 'dr4'"),
        ({"archive": {"download": {"attempts": 0}}}, "archive.download.attempts: 0"),
        ({"archive": {"dr3": {"mosaic_files": []}}}, "archive.dr3.mosaic_files: []"),
        ({"archive": {"clusters": {"a/b": "x"}}}, "archive.clusters.a/b.[key]: 'a/b'"),
        ({"simulate": {"rms_ujy": [1, 2, 3]}}, "simulate.rms_ujy: [1, 2, 3]"),
        ({"segmentation": {"threshold": 1}}, "segmentation.threshold: 1 "),
        ({"select": {"region": {"ra_deg": 360, "dec_deg": 0, "radius_deg": 1}}}, "select.region.ra_deg: 360"),
        ({"measure": None}, "measure: None"),
        ({"results": ""}, "results: ''"),
        ({"scratch": " "}, "scratch: ' '"),
        ({"clusters": ""}, "clusters.0: ''"),
        ({"mosaics": {"source": "images", "images": [IMAGE | {"path": ""}]}}, "mosaics.images.0.path: ''"),
        (
            {"mosaics": {"source": "images", "images": [IMAGE | {"path": "a\nb"}]}},
            r"mosaics.images.0.path: 'a\nb'",
        ),
        ({"archive": {"dr2": {"mosaic_files": ["a.fits", "a.fits"]}}}, "archive.dr2.mosaic_files: ['a.fits'"),
        ({"archive": {"list_folder": ""}}, "archive.list_folder: ''"),
        ({"measure": {"h0": 0.7}}, "measure.h0: 0.7"),
        ({1: 2}, "1: 1 is not allowed"),
    ],
)
def test_value_that_is_not_allowed_is_named(raw, key):
    assert f"- {key}" in refusal(raw)


@pytest.mark.parametrize("key", ["pointing", "results"])
@pytest.mark.parametrize("value", [1234, 1e3])
def test_a_text_that_yaml_takes_for_something_else_stands_in_quotes(key, value):
    assert f"- {key}: {value!r} is not allowed; a text is needed; what YAML takes" in refusal({key: value})


def test_null_of_the_command_line_is_no_value():
    """Snakemake gives it as a text."""
    raw = {"clusters": "null", "segmentation": {"threshold": "null"}}
    assert load_config(raw) == load_config({})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"mosaics": {"source": "images"}}, "mosaics.source is 'images' but mosaics.images lists none"),
        (
            {"mosaics": {"images": [IMAGE]}},
            "mosaics.images is given but mosaics.source is 'published'",
        ),
        ({"mosaics": {"source": "fields"}}, "mosaics.source is 'fields' but archive.dr2.field has no URL"),
        ({"select": {"with_clusters": True}}, "select.with_clusters is true but clusters names no catalogue"),
        (
            {"mosaics": {"source": "images", "images": [IMAGE, IMAGE]}},
            "mosaics.images: two images have the same name",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused_with_yaml(raw, message):
    text = refusal(raw)
    assert f"- {message}\n  write for example:\n" in text
    assert isinstance(corrected(text), dict)


@pytest.mark.parametrize("release", ["dr2", "dr3"])
def test_correction_for_missing_fields_url_is_enough(release):
    raw = {"release": release, "mosaics": {"source": "fields"}}
    made = load_config(raw | corrected(refusal(raw)))
    assert made.release_archive.field == "https://your.server/{field}/{file}"


@pytest.mark.parametrize(
    "raw",
    [
        {"mosaics": {"source": "images", "images": [IMAGE, IMAGE | {"name": "b"}]}},
        {"mosaics": {"source": "fields"}, "archive": {"dr2": {"field": "/data/{field}/{file}"}}},
        {"select": {"with_clusters": True}, "clusters": "psz2"},
    ],
)
def test_complete_options_are_accepted(raw):
    assert isinstance(load_config(raw), Config)


def test_other_release_needs_no_fields_url():
    archive = {"dr3": {"field": "/data/{field}/{file}"}}
    assert load_config({"release": "dr3", "mosaics": {"source": "fields"}, "archive": archive})
    assert "archive.dr2.field" in refusal({"mosaics": {"source": "fields"}, "archive": archive})


def test_partial_override_keeps_the_other_defaults():
    made = load_config({"archive": {"dr3": {"mosaic": "https://mirror/{pixel}/{file}"}}})
    default = load_config({})
    assert made.archive.dr3.mosaic == "https://mirror/{pixel}/{file}"
    assert made.archive.dr3.mosaic_files == ["low-mosaic.fits", "low-mosaic-blanked.fits"]
    assert made.archive.dr3.field_int_files == ["image_full_low_m.int.restored.fits"]
    assert made.archive.dr2 == default.archive.dr2
    assert made.archive.lists == default.archive.lists
    assert made.archive.download == default.archive.download


def through_a_script(section: Section, *only: str) -> Section:
    parser = argparse.ArgumentParser()
    add_options(parser, type(section))
    return options_from(parser.parse_args(shlex.split(options_to(section, *only))), type(section))


@pytest.mark.parametrize(
    "section",
    [
        MosaicOptions(),
        MosaicOptions(
            beam_cut=0.25,
            rms_box_px=800,
            clip_rms=4.5,
            min_island_px=0,
            missing_field="reject",
            flux_scale="scales.csv",
        ),
        MosaicOptions(flux_scale="my scales.csv"),
        MeasureOptions(),
        MeasureOptions(calibration_error=0, galactic_latitude_deg=1e-7, h0=67.4, omega_m=0.315),
        SimulateOptions(),
        SimulateOptions(seed=7, rms_ujy=(80.5, 90), robust=(-1.5, -0.25), flux_min_mjy=1 / 3),
        TrainOptions(),
        TrainOptions(widths=[8, 16], tile_px=128, core_px=64, learning_rate=1e-5),
        Segmentation(),
        Segmentation(model="other", mode="reference", batch=1, threshold=0.4, min_island_beams=2.5),
    ],
)
def test_section_survives_the_command_line(section):
    assert through_a_script(section) == section


def test_only_the_wanted_options_are_given():
    section = Segmentation(mode="reference", threshold=0.4, min_island_beams=2.5)
    assert options_to(section, "threshold", "min_island_beams").split() == [
        "--threshold",
        "0.4",
        "--min-island-beams",
        "2.5",
    ]
    assert through_a_script(section, "threshold") == Segmentation(threshold=0.4)


def test_option_out_of_range_is_a_configuration_error():
    parser = argparse.ArgumentParser()
    add_options(parser, MeasureOptions)
    with pytest.raises(ConfigError, match="omega_m"):
        options_from(parser.parse_args(["--omega-m", "1.5"]), MeasureOptions)


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        (MosaicOptions, "--missing-field", "ignore"),
        (Segmentation, "--precision", "float31"),
        (TrainOptions, "--loss", "dice"),
    ],
)
def test_option_outside_its_choices_is_refused(capsys, section, option, value):
    parser = argparse.ArgumentParser()
    add_options(parser, section)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args([option, value])
    assert f"argument {option}: invalid choice: '{value}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("on_reject", "allowed: `continue`, `stop`"),
        ("train.precision", "allowed: `float32`, `mixed_bfloat16`, `mixed_float16`"),
        # its description has the names of files
        ("environment", "allowed: `cpu`, `gpu`"),
        # their descriptions name the values
        ("segmentation.precision", None),
        ("releases.NAME.cells", None),
        ("only", None),
        ("segmentation.batch", None),
    ],
)
def test_the_reference_lists_the_values_of_an_option_once(key, values):
    (line,) = [line for line in reference_text().splitlines() if line.startswith(f"| `{key}` |")]
    assert line.endswith(f"; {values} |") if values else "allowed:" not in line


def test_help_shows_description_and_default():
    parser = argparse.ArgumentParser()
    add_options(parser, MeasureOptions)
    text = " ".join(parser.format_help().split())
    assert "--h0 H0 Hubble constant, km/s/Mpc (default: 70.0)" in text


@pytest.mark.parametrize("section", list(all_sections()))
def test_every_field_is_described(section):
    assert section.__doc__
    for name, field in section.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        assert nested or field.description, name


def test_all_sections_are_seen():
    names = {section.__name__ for section in all_sections()}
    assert {"Config", "Dr3Archive", "OwnImage", "TrainOptions"} <= names


@pytest.mark.parametrize(
    ("file", "text"),
    [("workflow/schemas/config.schema.json", schema_text), ("config/README.md", reference_text)],
)
def test_generated_files_are_those_of_the_code(pytestconfig, file, text):
    if pytestconfig.getoption("fix_schema"):
        (ROOT / file).write_text(text())
    assert (ROOT / file).read_text() == text(), "run: make schema"


@pytest.mark.parametrize(
    "words", [["--unit", "M500=Msun", "R500=Mpc"], ["--unit", "M500=Msun", "--unit", "R500=Mpc"]]
)
def test_a_list_may_be_given_at_once_or_piece_by_piece(words):
    parser = argparse.ArgumentParser()
    add_options(parser, MeasureOptions)
    assert options_from(parser.parse_args(words), MeasureOptions).unit == ["M500=Msun", "R500=Mpc"]
    assert options_from(parser.parse_args([]), MeasureOptions).unit == []


BELOW_MODELS = {"url": "https://there/model.zip"}


@pytest.mark.parametrize(
    ("raw", "key", "near"),
    [
        (
            {"archive": {"models": {"mine": BELOW_MODELS | {"chekcsum": "x"}}}},
            "archive.models.mine.chekcsum",
            "checksum",
        ),
        (
            {"archive": {"models": {"radio-unet-new": {"hihg": 1e-3}}}},
            "archive.models.radio-unet-new.hihg",
            "high",
        ),
        ({"mosaics": {"source": "images", "images": [IMAGE | {"pth": "a"}]}}, "mosaics.images.0.pth", "path"),
        (
            {"select": {"region": {"ra_deg": 1, "dec_deg": 2, "radius_deg": 3, "radius": 4}}},
            "select.region.radius",
            "radius_deg",
        ),
        ({"archive": {"lists": {"dr2_mosaic": "x"}}}, "archive.lists.dr2_mosaic", "dr2_mosaics"),
        ({"simulate": {"n_pix": 3}}, "simulate.n_pix", "n_px"),
    ],
)
def test_unknown_key_at_every_place_says_where_and_what_was_meant(raw, key, near):
    message = refusal(raw)
    assert f"- {key}: unknown key" in message
    assert f"did you mean {near}?" in message
    assert near in str(corrected(message))
    assert "..." not in message


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [
        ("mosaics.options", "sigma_box_px", "rms_box_px"),
        ("mosaics.options", "clip_sigma", "clip_rms"),
        ("simulate", "peak_sigma", "peak_snr"),
        ("train", "added_noise_sigma", "added_noise_rms"),
    ],
)
def test_a_renamed_key_is_refused_with_its_new_name(section, old, new):
    raw = {old: 300}
    for name in reversed(section.split(".")):
        raw = {name: raw}
    message = refusal(raw)
    assert f"- {section}.{old}: unknown key" in message
    assert f"it is now called {new}" in message
    assert new in str(corrected(message))


def test_item_of_a_list_is_shown_as_it_should_be():
    message = refusal({"mosaics": {"source": "images", "images": ["a.fits"]}})
    assert "- mosaics.images.0: 'a.fits' is not allowed" in message
    assert corrected(message) == {"mosaics": {"images": [{"name": "my-cluster", "path": "my.fits"}]}}


def test_key_that_is_needed_is_named_with_an_example():
    message = refusal({"archive": {"models": {"mine": {"low": 1e-9}}}})
    assert "- archive.models.mine.url: is needed" in message
    assert corrected(message) == {"archive": {"models": {"mine": {"url": "https://your.server/model.zip"}}}}


def places(section=Config, path=()):
    """Every key of the configuration, with a mapping or list entered once."""
    for name, field in section.model_fields.items():
        yield (*path, name), field.annotation
        inner = model_in(field.annotation)
        if isinstance(inner, type) and issubclass(inner, Section):
            step = {list: (0,), dict: ("mine",)}.get(typing.get_origin(field.annotation), ())
            yield from places(inner, (*path, name, *step))


def nested(path, value):
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    return value


STRANGE = [
    None,
    True,
    -1,
    10**400,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "\0",
    "x" * 10_000,
    [],
    [[]],
    {},
    {"": 1},
    {1: {2: 3}},
    [None],
]


@pytest.mark.parametrize("path", [path for path, _ in places()], ids=lambda path: ".".join(map(str, path)))
def test_no_value_anywhere_ends_in_another_error(path):
    for value in STRANGE:
        with contextlib.suppress(ConfigError):
            load_config(nested(path, value))
    assert f"- {'.'.join(map(str, path))}x: unknown key" in refusal(nested((*path[:-1], f"{path[-1]}x"), 1))


@pytest.mark.parametrize(
    "path",
    [path for path, kind in places() if kind in (float, float | None)],
    ids=lambda path: ".".join(map(str, path)),
)
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, True])
def test_numbers_are_finite_and_no_switches(path, value):
    assert f"- {'.'.join(map(str, path))}: {value}" in refusal(nested(path, value))


def test_ends_of_ranges_are_finite():
    assert "- simulate.redshift.1: inf is not allowed" in refusal({"simulate": {"redshift": [0.1, math.inf]}})
    assert "- simulate.redshift: [0.1, True]" in refusal({"simulate": {"redshift": [0.1, True]}})


@pytest.mark.parametrize(
    "raw",
    [
        {"archive": {"dr2": {"mosaic": "https://x/{wrong}?token=hidden"}}},
        {"archive": {"dr2": {"mosaic": "https://x/{wrong}/" + 90 * "y" + "?api_key=" + 40 * "z" + "hidden"}}},
        {"verify": {"masks": ["https://x/{mosaic}?X-Amz-Signature=hidden"]}},
        {"release": {"a": {"b": "https://me:hidden@x/"}}},
    ],
)
def test_a_refused_value_is_shown_without_its_secrets(raw):
    assert "hidden" not in refusal(raw)


def test_own_models_and_catalogues_stand_beside_the_published_ones():
    default = load_config({}).archive
    made = load_config(
        {"archive": {"models": {"mine": BELOW_MODELS}, "clusters": {"psz2": "https://mirror/psz2"}}}
    ).archive
    assert made.models == default.models | {"mine": made.models["mine"]}
    psz2 = default.clusters["psz2"].model_copy(update={"url": "https://mirror/psz2"})
    assert made.clusters == default.clusters | {"psz2": psz2}
    changed = load_config({"archive": {"models": {"radio-unet-new": {"low": 1e-9}}}}).archive.models
    assert changed["radio-unet-new"] == default.models["radio-unet-new"].model_copy(update={"low": 1e-9})
    assert load_config({"archive": {"models": {}}}).archive == default


@pytest.mark.parametrize(
    "raw",
    [
        {"verify": {"masks": "https://me:secret@there/{mosaic}.fits"}},
        {"mosaics": {"source": "images", "images": [IMAGE | {"path": "https://me:secret@there/a.fits"}]}},
        {"archive": {"lists": {"fields": "https://me:secret@there/grid"}}},
        {"archive": {"dr2": {"mosiac": "https://me:secret@there/{file}"}}},
        {"archive": {"dr2": {"mosaic": "https://me:secret@there/{file}"}}},
        {"clusters": "https://me:secret@there/table"},
        {"train": {"initial": "https://secret@there/model"}},
    ],
)
def test_credentials_are_refused_everywhere_and_never_shown(raw):
    message = refusal(raw)
    assert "secret" not in message
    assert "there" in message


def test_option_of_a_script_is_refused_like_a_key_of_the_configuration():
    parser = argparse.ArgumentParser()
    add_options(parser, MeasureOptions)
    with pytest.raises(ConfigError) as caught:
        options_from(parser.parse_args(["--h0", "nan"]), MeasureOptions)
    assert "- h0: nan is not allowed; Input should be a finite number" in str(caught.value)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "https://your.server/dr2", "ftp://your.server/dr2/"])
def test_an_address_that_is_refused_is_answered_with_one_that_is_not(url):
    assert load_config(corrected(refusal({"publish": {"url": url}}))).publish.url.endswith("/")


@pytest.mark.parametrize("given", ["SIM-A", ["SIM-A"], 3])
def test_a_value_of_another_type_is_not_put_under_the_key_that_was_meant(given):
    message = refusal({"select": {"mosaic": given}})
    assert load_config(corrected(message)).select.mosaics == ["P124+62"]
