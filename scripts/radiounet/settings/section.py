"""What every block of the configuration is made of: sections, and types of their values."""

import math
import os
import string
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from radiounet.images.gaussian import beam_numbers
from radiounet.images.products import NAME_PATTERN
from radiounet.settings.urls import url_scheme

LONGEST_NAME = 100
"""Letters of a name; a file system allows 255 for a file, of which suffixes and temporary names take some."""


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError(f"a range is written from low to high, not {list(limits)}")
    return limits


def _positive(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] <= 0:
        raise ValueError(f"both ends must be above 0, not {list(limits)}")
    return limits


def _not_negative(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] < 0:
        raise ValueError(f"both ends must be 0 or more, not {list(limits)}")
    return limits


def _fraction(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] < 0 or limits[1] > 1:
        raise ValueError(f"both ends must lie between 0 and 1, not {list(limits)}")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_ascending)]
PositiveRange = Annotated[Range, AfterValidator(_positive)]
NumberRange = Annotated[Range, AfterValidator(_not_negative)]
FractionRange = Annotated[Range, AfterValidator(_fraction)]
Width = Annotated[int, Field(ge=2)]
"""Filters of one level of a network."""


def _distinct(values: list[str]) -> list[str]:
    for value, count in Counter(values).most_common(1):
        if count > 1:
            raise ValueError(f"{value!r} is listed {count} times")
    return values


def merged(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of one mapping and of another, which counts where both have one; mappings in them alike."""
    both = {**known, **given}
    for name in known.keys() & given.keys():
        if isinstance(known[name], Mapping) and isinstance(given[name], Mapping):
            both[name] = merged(known[name], given[name])
    return both


def printable_path(path: str) -> str:
    """Refuse what no file should be called; a leading dash, which programs take for an option, is hidden.

    Raises
    ------
    ValueError
        An empty path, or one with control characters.
    """
    if not path.strip():
        raise ValueError("a path cannot be empty")
    if not path.isprintable():
        raise ValueError(f"a path cannot hold control characters: {path!r}")
    return os.path.abspath(path) if path.startswith("-") else path


def _expanded(path: str) -> str:
    path = os.path.expanduser(os.path.expandvars(path))
    if "$" in path:
        raise ValueError(f"no such variable in the environment: {path}")
    if path.startswith("~"):
        raise ValueError(f"no such user: {path}")
    if set(path) & set("{}"):
        raise ValueError(f"{path}: Snakemake takes braces in the path of a folder for wildcards")
    # Snakemake knows a file by its path as it is written: ./a//b is another one than a/b
    path = os.path.normpath(printable_path(path))
    return os.path.abspath(path) if path == os.curdir else path


def template(needed: tuple[str, ...], *others: str) -> Callable[[str], str]:
    """Make a check that a path or URL holds one of the `needed` names in braces, and else only `others`.

    With no `needed` ones it need not hold any.
    """
    known = (*needed, *others)
    allowed = ", ".join(f"{{{name}}}" for name in known)

    def check(template: str) -> str:
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError as error:
            raise ValueError(
                f"braces stand around names, others are doubled ({error}); known: {allowed}"
            ) from None
        names = {name for _, name, _, _ in parts if name is not None}
        if strange := sorted(names - set(known)):
            raise ValueError(f"unknown {{{strange[0]}}}; known: {allowed}")
        if any(spec or conversion for _, _, spec, conversion in parts):
            raise ValueError(f"a name in braces is filled in as it is, without : or !; known: {allowed}")
        if needed and not names & set(needed):
            wanted = " or ".join(f"{{{name}}}" for name in needed)
            raise ValueError(f"must contain {wanted}, or all would have the same file")
        return printable_path(template)

    return check


def _beam(text: str) -> str:
    major, minor, angle = beam_numbers(text)
    # headers, from which people copy, lose a little by rounding
    if not (0 < minor <= 1.001 * major < math.inf and math.isfinite(angle)):
        raise ValueError(f"the beam {text!r} has no axes above 0, the longer one first")
    return text


def fetchable(url: str) -> str:
    """Refuse what nothing can fetch.

    Raises
    ------
    ValueError
    """
    scheme = url_scheme(url)
    if scheme not in ("", "file", "http", "https"):
        raise ValueError(f"{scheme}:// cannot be fetched: give an http(s):// or file:// URL, or a path")
    return url


def _no_url(path: str) -> str:
    if "://" in path:
        raise ValueError("this must be a path, not a URL: fetch the files first")
    return path


def _in_schema(needed: str) -> Any:
    return Field(json_schema_extra={"pattern": rf"\{{{needed}\}}"})


Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", max_length=LONGEST_NAME)]
Names = Annotated[list[Name], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})]
FilePath = Annotated[str, AfterValidator(printable_path)]
FilePaths = Annotated[
    list[FilePath], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})
]
FileNames = Annotated[FilePaths, Field(min_length=1)]
Folder = Annotated[str, AfterValidator(_expanded)]
BeamText = Annotated[
    str,
    AfterValidator(_beam),
    Field(json_schema_extra={"pattern": r"^[-+.eE\d]+(,[-+.eE\d]+,[-+.eE\d]+)?$"}),
]
FieldFile = Annotated[str, AfterValidator(template(("field",))), AfterValidator(_no_url), _in_schema("field")]
MosaicFile = Annotated[
    str, AfterValidator(template(("mosaic",))), AfterValidator(_no_url), _in_schema("mosaic")
]
Reference = Annotated[
    str, AfterValidator(template(("mosaic",))), AfterValidator(fetchable), _in_schema("mosaic")
]
FileOrUrl = Annotated[FilePath, AfterValidator(fetchable)]
FieldUrl = Annotated[
    str, AfterValidator(template(("field",), "file")), AfterValidator(fetchable), _in_schema("field")
]
MosaicUrl = Annotated[
    str, AfterValidator(template(("mosaic",), "file")), AfterValidator(fetchable), _in_schema("mosaic")
]
CellUrl = Annotated[str, AfterValidator(template(("mosaic", "pixel"), "file")), AfterValidator(fetchable)]


NOT_A_SWITCH = PydanticCustomError(
    "not_a_switch", "YAML makes true and false of yes, no, on and off too: write a number, or text in quotes"
)


def _types_in(annotation: Any) -> set[Any]:
    inner = typing.get_args(annotation)
    return {annotation}.union(*map(_types_in, inner)) if inner else {annotation}


class Section(BaseModel):
    """A block of the configuration; unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _only_switches_are_true_or_false(cls, raw: Any) -> Any:
        """YAML reads yes, no, on and off as true and false, and pydantic takes these for 1 and 0."""
        given = raw.items() if isinstance(raw, dict) else ()
        wrong = [
            InitErrorDetails(type=NOT_A_SWITCH, loc=(name,), input=value)
            for name, value in given
            if name in cls.model_fields
            and bool not in (types := _types_in(cls.model_fields[name].annotation))
            and types & {int, float, str}
            and any(isinstance(one, bool) for one in (value if isinstance(value, list | tuple) else [value]))
        ]
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return raw


class LogScale(Section):
    """The published network's scale of brightness."""

    low: float = Field(1e-7, gt=0, description="log10 normalisation: brightness mapped to 0, Jy/beam")
    high: float = Field(1e-2, gt=0, description="log10 normalisation: brightness mapped to 1, Jy/beam")
    floor: float = Field(1e-9, gt=0, description="log10 normalisation: clip before it, Jy/beam")

    @model_validator(mode="after")
    def _low_is_lower(self) -> "LogScale":
        if self.low >= self.high:
            raise ValueError(f"low must be below high, not {self.low} and {self.high}")
        if self.floor >= self.high:
            raise ValueError(f"floor must be below high, not {self.floor} and {self.high}")
        return self
