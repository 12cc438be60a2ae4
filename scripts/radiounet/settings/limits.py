"""Settings of upper limits and completeness, from mock objects that are added to the image."""

from pydantic import Field

from radiounet.settings.section import FractionRange, PositiveRange, Section


class LimitOptions(Section):
    """Upper limits and completeness of clusters."""

    enabled: bool = Field(
        False,
        description="add mock halos to the image at each cluster, and measure which flux densities are found",
    )
    trials: int = Field(48, ge=24, le=10_000, description="mock halos, and mock relics, of each cluster")
    radius_kpc: PositiveRange = Field(
        (100.0, 400.0), description="e-folding radius of mock halos, drawn by its logarithm, kpc"
    )
    axis_ratio: FractionRange = Field((0.5, 1.0), description="minor over major axis of mock halos")
    relics: bool = Field(True, description="add mock relics at R500 too")
    seed: int = Field(
        1, ge=0, le=2**31 - 1, description="seed of all random numbers of the mocks: sizes, shapes, places"
    )
