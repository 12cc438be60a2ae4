"""What every block of the configuration is made of."""

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if not all(map(math.isfinite, limits)):
        raise ValueError(f"both ends must be numbers, not {list(limits)}")
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


class Section(BaseModel):
    """A block of the configuration; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LogScale(Section):
    """The published network's scale of brightness."""

    low: float = Field(1e-7, gt=0, description="log10 normalisation: brightness mapped to 0, Jy/beam")
    high: float = Field(1e-2, gt=0, description="log10 normalisation: brightness mapped to 1, Jy/beam")
    floor: float = Field(1e-9, gt=0, description="log10 normalisation: clip before it, Jy/beam")

    @model_validator(mode="after")
    def _low_is_lower(self) -> "LogScale":
        if self.low >= self.high:
            raise ValueError(f"low must be below high, not {self.low} and {self.high}")
        return self
