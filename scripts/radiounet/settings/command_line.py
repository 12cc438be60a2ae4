"""The configuration as command-line options, as a JSON schema and as a page of reference."""

import argparse
import base64
import json
import re
import shlex
import types
import typing
import zlib
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from radiounet.errors import ConfigError
from radiounet.settings.config import Config, load_config
from radiounet.settings.config_faults import explain, model_in
from radiounet.settings.section import Section, merged

UNIONS = (types.UnionType, typing.Union)
PACKED = "zlib:"
"""Start of settings that were packed."""
READABLE_BYTES, MOST_BYTES = 60_000, 110_000
"""Settings are packed from the first number on, and refused beyond the second: Linux allows a command of
131,072 bytes, in which other options stand, too."""


def schema_text() -> str:
    """JSON schema of the configuration, as kept in ``workflow/schemas``."""
    return json.dumps(Config.model_json_schema(), indent=1, sort_keys=True) + "\n"


def reference_text() -> str:
    """Every option with its default, as kept in ``config/README.md``."""
    lines = [REFERENCE_HEAD]
    lines += _reference(Config, "")
    return "\n".join(lines) + "\n"


REFERENCE_HEAD = """# Configuration

Generated from the classes of `scripts/radiounet/settings` (`make schema`); the same text feeds
`workflow/schemas/config.schema.json`. Unknown keys are refused. Working examples: `config/examples/`.

Names have at most 100 letters, digits and `+ _ . -`, and begin with a letter or digit. Numbers are finite.
Files that are named here must be there before a run begins, outside the folder that it writes to.

| key | default | meaning |
|---|---|---|"""


def _reference(section: type[BaseModel], prefix: str) -> list[str]:
    lines = []
    containers: dict[object, str] = {list: "[]", dict: ".NAME"}
    for name, field in section.model_fields.items():
        inner = model_in(field.annotation)
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        if nested and typing.get_origin(field.annotation) is None:
            lines += _reference(inner, f"{prefix}{name}.")
            continue
        values = [str(one) for one in _choices(field.annotation)]
        about = field.description or ""
        if not all(_names(about, one) for one in values):
            about += f"; allowed: {', '.join(f'`{one}`' for one in values)}"
        lines.append(f"| `{prefix}{name}` | {_default(field)} | {about} |")
        if nested:
            many = containers.get(typing.get_origin(field.annotation), "")
            lines += _reference(inner, f"{prefix}{name}{many}.")
    return lines


def _names(text: str, value: str) -> bool:
    """Whether a text has a value as a word, not as a part of one or of the name of a file."""
    return bool(re.search(rf"(?<![\w/.-]){re.escape(value)}(?![\w/-]|\.\w)", text))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "the published ones" if field.default_factory else f"`{json.dumps(_plain(field.default))}`"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_defaults=True)
    return list(value) if isinstance(value, tuple) else value


def add_options(parser: argparse.ArgumentParser, section: type[Section], *only: str) -> None:
    """Give a program one option per field of a section, or some of them, named and documented alike."""
    for name in only or section.model_fields:
        field = section.model_fields[name]
        option = f"--{name.replace('_', '-')}"
        if field.annotation is bool:
            yes_or_no = argparse.BooleanOptionalAction
            parser.add_argument(option, action=yes_or_no, default=field.default, help=field.description)
            continue
        kind, many = _option_type(field.annotation)
        parser.add_argument(
            option,
            type=kind,
            nargs=many,
            action="extend" if many == "+" and not field.default else "store",
            default=field.default,
            help=_help(field),
            choices=_choices(field.annotation) or None,
        )


def _help(field: FieldInfo) -> str:
    """Description of a field as that of an option: a command line has no ``null``."""
    text = (field.description or "").replace("%", "%%")
    return (
        text.replace("null: ", "by default ") if field.default is None else f"{text} (default: %(default)s)"
    )


def _choices(annotation: Any) -> tuple[Any, ...]:
    """Values that are allowed, but None; empty where they are not listed."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in UNIONS:
        return tuple(value for one in args for value in _choices(one))
    return args if origin is Literal else ()


def _option_type(annotation: Any) -> tuple[Any, int | str | None]:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return args[0], len(args)
    if origin is list:
        return _option_type(args[0])[0], "+"
    if origin in (*UNIONS, typing.Annotated):
        return _option_type(args[0])
    is_section = isinstance(annotation, type) and issubclass(annotation, Section)
    if origin is Literal or is_section:  # a section by its short form
        return str, None
    return annotation, None


def options_from(args: argparse.Namespace, section: type[Section], *only: str) -> Any:
    """Build a section from a script's parsed options, all of its own or some of them.

    Raises
    ------
    ConfigError
        A value outside its limits.
    """
    try:
        return section.model_validate({name: getattr(args, name) for name in only or section.model_fields})
    except ValidationError as error:
        raise ConfigError(f"these options cannot be used:\n{explain(error, section)}") from None


def settings_to(config: Config, *keys: str | tuple[str, ...]) -> str:
    """Settings for a stage: JSON of some keys, or of the whole configuration; packed where it is long.

    Parameters
    ----------
    keys : str or tuple of str
        Such as ``measure.h0``, or ``("archive", "models", name)`` where a name may hold dots.

    Raises
    ------
    ConfigError
        They are too long for a command line.
    """
    wanted: dict[str, Any] = {}
    for key in keys:
        *sections, last = key.split(".") if isinstance(key, str) else key
        place = wanted
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = True
    text = config.model_dump_json(include=wanted if keys else None)
    if len(text.encode()) < READABLE_BYTES:
        return text
    packed = PACKED + base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    if len(packed) > MOST_BYTES:
        raise ConfigError(
            f"the configuration is too long for the command line of a job: {len(packed)} bytes packed, "
            f"{MOST_BYTES} can be used; make several runs with fewer own images (mosaics.images) or names "
            "(select.mosaics) in each, and a folder (results) for each"
        )
    return packed


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Give a script the option that takes settings; ``args.settings`` is a `Config`."""
    parser.add_argument(
        "--settings",
        action=_MergeSettings,
        default=Config(),
        metavar="JSON",
        help='keys of the configuration, such as \'{"segmentation": {"threshold": 0.3}}\'; the others keep '
        "their defaults, and of values given twice the last counts",
    )


class _MergeSettings(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        text: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, "given_settings", {})
        try:
            packed = text.removeprefix(PACKED)
            given = json.loads(text if packed == text else zlib.decompress(base64.b64decode(packed)))
            if not isinstance(given, dict):
                raise ValueError("give keys of the configuration in braces")
            namespace.given_settings = merged(before, given)
            namespace.settings = load_config(namespace.given_settings)
        except (ValueError, zlib.error, ConfigError) as error:
            raise argparse.ArgumentError(self, str(error)) from None


def shell_word(text: str) -> str:
    """One word of the shell, whatever it holds, inside a text that Snakemake formats."""
    return shlex.quote(text).replace("{", "{{").replace("}", "}}")


def options_to(section: Section, *only: str) -> str:
    """Command-line options that give a script this section, or some of its fields.

    Values left at null, and empty lists, are left out.
    """
    words: list[str] = []
    for name, value in section.model_dump(include=set(only) or None).items():
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
        elif value is not None and value != []:
            values = value if isinstance(value, list | tuple) else [value]
            words += [f"--{name.replace('_', '-')}", *(shlex.quote(str(one)) for one in values)]
    return " ".join(words)
