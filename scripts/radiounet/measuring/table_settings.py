"""The settings that tables were made with: those of one catalogue agree with each other, and with its run."""

import json
import math
from collections.abc import Container, Mapping

from radiounet.errors import ConfigError
from radiounet.images.model_files import MODEL_CARD
from radiounet.images.rejections import Rejection
from radiounet.measuring.mosaic_tables import RunTables
from radiounet.network.model_cards import ModelCard, model_folder, read_card
from radiounet.settings.config import Config
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.section import Section

ONE_OF_A_RUN = {
    "modelsha": "segmentation.model",
    "cardsha": "segmentation.model",
    "segmode": "segmentation.mode",
    "thresh": "segmentation.threshold",
    "maskpeak": "segmentation.threshold",
    "minbeams": "segmentation.min_island_beams",
    "measure": "measure",
    "limits": "limits",
}
"""What a catalogue may not mix: entries of the metadata, each with its option or section."""

OPTIONS = {
    "islands": ("calibration_error", "galactic_latitude_deg", "components"),
    "clusters": tuple(MeasureOptions.model_fields),
    "limits": ("h0", "omega_m", "unit"),
}
"""Options of `measure` that the tables of each kind depend on."""

_RULES = {"islands": "find_islands", "clusters": "measure_clusters", "limits": "measure_limits"}


def settings_text(section: Section, *names: str) -> str:
    """Settings as metadata of a table have them: JSON of a section, or of some of its options.

    What changes no value is left out: whether there are limits, and where a table of components is, which
    the metadata say without its credentials.
    """
    return section.model_dump_json(
        include=set(names) or None, exclude={"enabled": True, "components": {"url": True}}
    )


def settings_in(meta: Mapping[str, object]) -> dict[str, str]:
    """What metadata of a table or catalogue say of `ONE_OF_A_RUN`, each option of a section by itself."""
    found: dict[str, str] = {}
    for key, option in ONE_OF_A_RUN.items():
        if meta.get(key) is None:
            continue
        text = str(meta[key])
        if key != option:
            found[key] = text
            continue
        try:
            found |= {f"{key}.{name}": json.dumps(value) for name, value in json.loads(text).items()}
        except ValueError:  # several, of a version that merged them
            found[key] = text
    return found


def require_one_of_each(run: RunTables) -> None:
    """Make sure that the tables of a run were made in one way.

    Raises
    ------
    ConfigError
        Names the first option that differs, two values of it, and a table of each.
    """
    stated = _stated(run)
    for key in dict.fromkeys(key for _, _, settings in stated for key in settings):
        kinds = {kind for kind, _, settings in stated if key in settings}
        tables: dict[str, str] = {}
        for kind, mosaic, settings in stated:
            if kind in kinds:  # a table without it is of an older version
                tables.setdefault(settings.get(key, "none"), f"{kind} of {mosaic}")
        if len(tables) > 1:
            (one, here), (other, there), *_ = tables.items()
            raise ConfigError(
                f"the tables of this run differ in {_label(key)}: {one} for the {here}, {other} for the "
                f"{there}; make them anew: --forcerun {_rules(key, run.tables)}"
            )


def card_of(config: Config) -> ModelCard | None:
    """Card of the model of a run; None where it is not at hand, which merging and publishing do not need."""
    folder = model_folder(config.segmentation.model)
    return read_card(folder, check_weights=False) if (folder / MODEL_CARD).is_file() else None


def require_settings_of_run(run: RunTables, config: Config) -> None:
    """Make sure that tables were made with the settings of their run, see `require_settings`."""
    card = card_of(config)
    for kind, mosaic, settings in _stated(run):
        require_settings(settings, config, card, f"the table of {kind} of {mosaic}", run.tables)


def require_settings(
    made: Mapping[str, str],
    config: Config,
    card: ModelCard | None,
    table: str,
    kinds: Container[str],
) -> None:
    """Make sure that a table was made with the settings of a configuration.

    Parameters
    ----------
    made : mapping
        See `settings_in`; what it lacks, as of an older version, is not compared.
    config : Config
    card : ModelCard or None
        Of its model; without, neither the weights nor the threshold of the model are compared.
    table : str
        Its name, for the error.
    kinds : container of {'islands', 'clusters', 'limits'}
        Tables of its run.

    Raises
    ------
    ConfigError
        Names the first option that differs, both values, and what to do.
    """
    for key, wanted in _settings_of(config, card).items():
        if key in made and not _agree(made[key], wanted):
            raise ConfigError(
                f"{table} was made with {_label(key)} {made[key]}, but the configuration of the run says "
                f"{wanted}: set it back, or make the tables anew: --forcerun {_rules(key, kinds)}"
            )


def require_settings_of_catalogue(meta: Mapping[str, object], config: Config, path: str) -> None:
    """Make sure that a catalogue of clusters was made with these settings, see `require_settings`."""
    made = settings_in(meta)
    card = card_of(config)
    made_by = made.get("modelsha"), made.get("cardsha", card.sha256 if card else None)
    if card and made_by != (card.weights.sha256, card.sha256):
        card = None  # a newer model of this name
    kinds = ["islands", "clusters", *["limits"] * ("limits" in meta)]
    require_settings(made, config, card, path, kinds)


def _stated(run: RunTables) -> list[tuple[str, str, dict[str, str]]]:
    """Kind, first mosaic and settings of the tables of a run, once for each way that they were made in."""
    firsts: dict[tuple, str] = {}
    for kind, tables in run.tables.items():
        for mosaic, one in zip(run.mosaics, tables, strict=True):
            if not isinstance(one, Rejection):
                firsts.setdefault((kind, *map(one.meta.get, ONE_OF_A_RUN)), mosaic)
    return [
        (kind, mosaic, settings_in(dict(zip(ONE_OF_A_RUN, values, strict=True))))
        for (kind, *values), mosaic in firsts.items()
    ]


def _settings_of(config: Config, card: ModelCard | None) -> dict[str, object]:
    """Settings of a configuration by the names of `settings_in`; a number of a FITS card is a float."""
    used = config.segmentation
    wanted: dict[str, object] = {"segmode": used.mode, "minbeams": used.min_island_beams}
    if card is not None:
        wanted |= {"modelsha": card.weights.sha256, "cardsha": card.sha256}
        wanted["thresh"], wanted["maskpeak"] = card.thresholds(used.threshold)
    elif used.threshold is not None:
        wanted |= {"thresh": used.threshold, "maskpeak": used.threshold}
    sections = {"measure": settings_text(config.measure), "limits": settings_text(config.limits)}
    return wanted | settings_in(sections)


def _agree(made: str, wanted: object) -> bool:
    """Whether metadata state a value; a FITS card holds 20 characters of a number."""
    if not isinstance(wanted, float):
        return made == wanted
    try:
        return math.isclose(float(made), wanted, rel_tol=1e-9)
    except ValueError:
        return False


def _label(key: str) -> str:
    option = ONE_OF_A_RUN.get(key, key)
    return key if option == key else f"{option} ({key})"


def _rules(key: str, kinds: Container[str]) -> str:
    """Rules that make the tables of a run, of these kinds, with another value."""
    section, _, option = key.partition(".")
    if section == "limits":
        return _RULES["limits"]
    if section != "measure":
        return "segment"
    return " ".join(_RULES[kind] for kind, options in OPTIONS.items() if kind in kinds and option in options)
