"""Settings of the way from image to mask, and of its verification."""

from typing import Literal

from pydantic import Field

from radiounet.settings.section import Name, Reference, Section


class Segmentation(Section):
    """From image to mask."""

    model: Name = Field("lotss-pair", description="folder in resources/models")
    mode: Literal["exact", "reference"] = Field(
        "exact",
        description="exact: every pixel, in the model's tiles; reference: as the published code, "
        "edges left out",
    )
    batch: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="tiles per call of the network; null: 2^20 px on a CPU, by memory on a GPU",
    )
    precision: Literal["float32", "tf32", "bfloat16"] | None = Field(
        None,
        description="precision of the network: float32, tf32 (GPU only) or bfloat16; null: that of the "
        "model, or float32 if the processor does not support bfloat16",
    )
    mosaics_per_job: int = Field(
        24,
        ge=1,
        le=1000,
        description="mosaics that one job of a cluster segments with the model loaded once; "
        "without a cluster each is a job",
    )
    threshold: float | None = Field(
        None, gt=0, lt=1, description="probability where the mask begins; null: the model's own"
    )
    min_island_beams: float = Field(1.0, ge=0, le=1e6, description="smallest island kept, beam areas")


class VerifyOptions(Section):
    """Comparing masks and probability maps with reference ones (rule verify)."""

    masks: Reference | None = Field(
        None, description="reference masks, a path or URL with {mosaic}; null: not compared"
    )
    probabilities: Reference | None = Field(
        None, description="reference probability maps, a path or URL with {mosaic}; null: not compared"
    )
    min_iou: float = Field(0.999, ge=0, le=1, description="lowest IoU of masks that are called equal")
    max_difference: float = Field(
        1e-4, ge=0, le=1, description="largest difference of probabilities that are called equal"
    )
