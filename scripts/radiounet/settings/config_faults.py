"""What is wrong with a configuration: the place, the value, what is allowed there, and YAML that is right."""

import difflib
import reprlib
import types
import typing
from datetime import date
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticUndefined, to_jsonable_python

from radiounet.errors import ConfigError
from radiounet.images.products import NAME_PATTERN
from radiounet.settings.urls import public_text

MOST_VALUES = 1_000_000
DEEPEST = 20
LONGEST_VALUE = 120

CORRECTIONS = {
    "mosaics.source is 'images'": "mosaics:\n  source: images\n  images:\n"
    "    - {name: my-cluster, path: my-cluster.fits}",
    "mosaics.images is given": "mosaics:\n  source: images",
    **{
        f"mosaics.source is 'fields' but archive.{release}": f"archive:\n  {release}:\n"
        "    field: https://your.server/{field}/{file}   # or file:///folder/{field}/{file}"
        for release in ("dr2", "dr3")
    },
    "mosaics.source is 'fields' but releases": "releases:\n  my-release:\n    archive:\n"
    "      field: https://your.server/{field}/{file}",
    "facet_offsets and bad_facets need facets": "mosaics:\n  options:\n"
    '    facets: "/data/{field}/image_full_low_m.tessel.reg"',
    "select.with_clusters": "clusters: psz2",
    "mosaics.images: two": "mosaics:\n  images:\n    - {name: a, path: a.fits}",
}
"""YAML that mends a contradiction, by the beginning of its message."""

RENAMED = {"sigma_box_px": "rms_box_px", "clip_sigma": "clip_rms", "added_noise_sigma": "added_noise_rms"}
RENAMED |= {
    f"{name}_sigma": f"{name}_snr"
    for name in (
        *("truth", "peak", "clean", "pedestal", "gradient", "remnant", "spiral", "galactic", "shell"),
        *("mega_halo", "bridge"),
    )
}
"""Keys of older versions, and what they are called now."""

OF_PLACES = {
    "mosaics.images": [{"name": "my-cluster", "path": "my.fits"}],
    "select.mosaics": ["P124+62"],
    "pointing": ["P124+62"],
    "measure.unit": ["R500=Mpc"],
    "publish.url": "https://your.server/dr2/",
}
"""Examples of single places: lists that are empty by default, keys that mean something else elsewhere."""

EXAMPLES = {"ra_deg": 194.95, "dec_deg": 27.98, "radius_deg": 5.0, "name": "my-cluster", "path": "my.fits"}
EXAMPLES |= {
    "url": "https://your.server/model.zip",
    "cells": "pointing",
    "order": 2,
    "pixel_arcsec": 6.0,
    "beam_arcsec": 25.0,
    "frequency_mhz": 1300.0,
    "noise_map": "/data/{field}/image_full_low_m.app.restored_facetnoise.fits",
    "facets": "/data/{field}/image_full_low_m.tessel.reg",
    "facet_offsets": "/data/{field}/pslocal-facet_offsets.fits",
    "bad_facets": "/data/{field}/Badfacets.txt",
    "masks": "/data/{mosaic}/mask.fits",
    "probabilities": "/data/{mosaic}/probability.fits",
    "compare_to": "/data/{mosaic}/low-mosaic-blanked.fits",
}


def require_moderate(raw: Any) -> None:
    """Refuse what aliases of YAML have made endless or huge, before anything walks through all of it.

    Raises
    ------
    ConfigError
        More than `MOST_VALUES` values, or nested more than `DEEPEST` deep.
    """
    waiting, count = [(raw, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        count += 1 + len(inner)
        if count > MOST_VALUES or depth > DEEPEST:
            raise ConfigError(
                f"the configuration holds more than {MOST_VALUES:,} values, or values nested more than "
                f"{DEEPEST} deep: look at the anchors (&) and aliases (*) of its YAML"
            )
        waiting += [(one, depth + 1) for one in inner]


def explain(error: ValidationError, section: type[BaseModel]) -> str:
    """Every fault of a section, one below the other.

    Parameters
    ----------
    error : ValidationError
        From validating `section`.
    """
    return "\n".join(_explain(fault, section) for fault in error.errors(include_url=False))


def _explain(fault: Any, section: type[BaseModel]) -> str:
    path = list(fault["loc"])
    key = ".".join(map(str, path))
    if fault["type"] == "extra_forbidden":
        known = list(_type_at(path[:-1], section).model_fields)
        now = RENAMED.get(str(path[-1]), "")
        near = [now] if now in known else difflib.get_close_matches(str(path[-1]), known, 1)
        meant = f"; it is now called {now}" if now in known else f"; did you mean {near[0]}?" if near else ""
        allowed = f"allowed keys: {', '.join(known)}"
        right = _instead([*path[:-1], near[0]], fault["input"], section) if near else ""
        return f"- {key}: unknown key (value {shown(fault['input'])}); {allowed}{meant}{right}"
    if fault["type"] == "missing":
        return f"- {key}: is needed\n  write for example:\n{_as_yaml(path, _example(path, section))}"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "invalid_key":  # no text: nothing can be said of its place
        return f"- {key}: {shown(fault['input'])} is not allowed; {message}"
    if fault["type"] == "string_pattern_mismatch" and NAME_PATTERN in fault["ctx"]["pattern"]:
        message = "a name begins with a letter or digit and holds letters, digits of ASCII and + _ . -"
    if fault["type"] in ("string_type", "list_type") and isinstance(fault["input"], int | float | date):
        message = "a text is needed; what YAML takes for a number or a date stands in quotes"
    if fault["type"] == "value_error" and (key == "" or isinstance(fault["input"], dict | BaseModel)):
        correction = next((text for start, text in CORRECTIONS.items() if message.startswith(start)), None)
        right = f"\n  write for example:\n{_indent(correction)}" if correction else ""
        return f"- {f'{key}: ' if key else ''}{message}{right}"
    while path and isinstance(path[-1], int):  # of a list, all of it
        path = path[:-1]
    example = _example(path, section)
    right = f"\n  write for example:\n{_as_yaml(path, example)}" if example is not None else ""
    return f"- {key}: {shown(fault['input'])} is not allowed; {message}{right}"


def _instead(path: list[str | int], given: Any, section: type[BaseModel]) -> str:
    """YAML with the key that was meant: with the value that was given, if that is a short one of its type."""
    is_short = isinstance(given, bool | int | float | str) and len(str(given)) <= LONGEST_VALUE
    if not (is_short and _fits(given, path, section)):
        given = _example(path, section)
    elif isinstance(given, str):
        given = public_text(given)
    return f"\n  write for example:\n{_as_yaml(path, given)}" if given is not None else ""


def _fits(value: Any, path: list[str | int], section: type[BaseModel]) -> bool:
    """Whether a value has the type of a place."""
    try:
        TypeAdapter(_type_at(path, section)).validate_python(value)
    except ValidationError:
        return False
    return True


def shown(value: Any) -> str:
    """A value as a message shows it: no more than some of it, and no secret of a URL."""
    short = _PublicRepr()
    short.maxlevel, short.maxdict, short.maxlist, short.maxstring, short.maxother = 3, 6, 6, 120, 120
    return short.repr(value)


class _PublicRepr(reprlib.Repr):
    """Leaves credentials out before it shortens, which may part a secret from what tells it as one."""

    def repr_str(self, text: str, level: int) -> str:
        return super().repr_str(public_text(text), level)


def model_in(annotation: Any) -> Any:
    """Section class inside an annotation such as ``list[OwnImage]``; the annotation itself where none is."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for candidate in typing.get_args(annotation):
        inner = model_in(candidate)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return annotation


def _type_at(path: list[str | int], annotation: Any) -> Any:
    """What may stand at a place of the configuration: a section, or another annotation; None for nothing."""
    for part in path:
        annotation = _below(annotation, part)
    return annotation if typing.get_origin(annotation) in (dict, list, tuple) else model_in(annotation)


def _below(annotation: Any, part: str | int) -> Any:
    """Annotation of one part of a value: a field of a section, an item of a list, a value of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field and field.annotation
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is dict:
        return inner[1]
    if origin in (list, tuple):
        return inner[part if origin is tuple and isinstance(part, int) and part < len(inner) else 0]
    if origin in (typing.Annotated, typing.Union, types.UnionType):
        found = (_below(one, part) for one in inner[: 1 if origin is typing.Annotated else None])
        return next((one for one in found if one is not None), None)
    return None


def _example(path: list[str | int], section: type[BaseModel]) -> Any:
    """What could stand at a place: an example, or the default where one is; None for nothing known."""
    if (key := ".".join(map(str, path))) in OF_PLACES:
        return OF_PLACES[key]
    # one name may be a number in one section, and a range in another
    if path and path[-1] in EXAMPLES and _fits(EXAMPLES[path[-1]], path, section):
        return EXAMPLES[path[-1]]
    outer = _type_at(path[:-1], section)
    if typing.get_origin(outer) is dict:
        return _needed(_type_at(path, section))
    fields = outer.model_fields if isinstance(outer, type) and issubclass(outer, BaseModel) else {}
    if not path or path[-1] not in fields:
        return None
    default = fields[path[-1]].get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return None
    if default is None:  # which is no setting, but another may be built of what it needs
        return _needed(model_in(fields[path[-1]].annotation))
    return default.model_dump() if isinstance(default, BaseModel) else default


def _needed(section: Any) -> Any:
    """The entries that a section cannot do without; None for another type."""
    if not (isinstance(section, type) and issubclass(section, BaseModel)):
        return None
    return {name: EXAMPLES[name] for name, field in section.model_fields.items() if field.is_required()}


def _as_yaml(path: list[str | int], value: Any) -> str:
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    return _indent(yaml.safe_dump(to_jsonable_python(value), sort_keys=False).rstrip())


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())
