"""The configuration: every option, its unit, its limits and its default.

The classes are the single truth. ``workflow/schemas/config.schema.json`` is
generated from them, and so are the options of the stage scripts (radiounet.settings.command_line).
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from radiounet.errors import ConfigError
from radiounet.settings.archive import Archive, ReleaseArchive
from radiounet.settings.config_faults import explain, require_moderate
from radiounet.settings.measure import MeasureOptions, ReportOptions
from radiounet.settings.mosaics import MosaicSource, Selection
from radiounet.settings.section import FilePath, Folder, Names, Section
from radiounet.settings.segmentation import Segmentation, VerifyOptions
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import TrainOptions
from radiounet.settings.urls import has_credentials


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a configuration and where it stands."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _texts(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _texts(one, f"{path}.{number}")
    elif isinstance(value, str):
        yield path, value


class Config(Section):
    """The whole configuration of a run."""

    release: Literal["dr2", "dr3"] = Field("dr2", description="data release")
    results: Folder = Field("results", description="folder of all products; may hold $VARIABLES")
    scratch: Folder | None = Field(
        None,
        description="folder for fields, mosaics, tiles and cores, linked from results: a large file system, "
        "which may be purged; null: they stay in results",
    )
    on_reject: Literal["continue", "stop"] = Field(
        "continue", description="bad data: reject the mosaic and go on, or stop with an error"
    )
    environment: Literal["cpu", "gpu"] = Field(
        "cpu",
        description="with --software-deployment-method conda: envs/cpu.yaml or gpu.yaml for networks",
    )
    pointing: Annotated[Names, BeforeValidator(_listed)] = Field(
        [],
        exclude=True,  # a request, not a setting: products do not depend on it
        description="pointings (fields, or mosaics) to redo with all that depends on them, see target rerun",
    )
    only: Literal["rejected"] | None = Field(
        None, exclude=True, description="rejected: redo all rejected pointings, see target rerun"
    )
    mosaics: MosaicSource = MosaicSource()
    select: Selection = Selection()
    clusters: FilePath | None = Field(
        None, description="psz2, mcxc, or a table with name, ra, dec, z and M500 or R500; null for none"
    )
    archive: Archive = Archive()
    segmentation: Segmentation = Segmentation()
    measure: MeasureOptions = MeasureOptions()
    verify: VerifyOptions = VerifyOptions()
    report: ReportOptions = ReportOptions()
    simulate: SimulateOptions = SimulateOptions()
    train: TrainOptions = TrainOptions()

    @model_validator(mode="after")
    def _no_credentials(self) -> "Config":
        for key, text in _texts(self.model_dump()):
            try:
                url = urlsplit(text)
            except ValueError as error:
                raise ValueError(f"{key} is no URL that can be read: {error}") from None
            if has_credentials(text) and url.scheme:
                raise ValueError(
                    f"credentials do not belong in a URL ({key}, host {url.hostname}): put them in ~/.netrc"
                )
        return self

    @model_validator(mode="after")
    def _sources_are_complete(self) -> "Config":
        if self.mosaics.source == "images" and not self.mosaics.images:
            raise ValueError("mosaics.source is 'images' but mosaics.images lists none")
        if self.mosaics.source != "images" and self.mosaics.images:
            raise ValueError(f"mosaics.images is given but mosaics.source is {self.mosaics.source!r}")
        if self.mosaics.source == "fields" and self.release_archive.field is None:
            raise ValueError(f"mosaics.source is 'fields' but archive.{self.release}.field has no URL")
        if self.select.with_clusters and self.clusters is None:
            raise ValueError("select.with_clusters is true but clusters names no catalogue")
        names = [image.name for image in self.mosaics.images]
        if len(names) != len(set(names)):
            raise ValueError("mosaics.images: two images have the same name")
        return self

    @property
    def release_archive(self) -> ReleaseArchive:
        """The archive of the chosen release."""
        return getattr(self.archive, self.release)

    @property
    def survey(self) -> str:
        """Folder of the products below `results`: the release, or ``images``."""
        return "images" if self.mosaics.source == "images" else self.release


def load_config(raw: dict[str, Any]) -> Config:
    """Check a configuration.

    Parameters
    ----------
    raw : dict
        As read from YAML by Snakemake.

    Raises
    ------
    ConfigError
        Names every wrong key with its value, what is allowed, and YAML that is right.
    """
    require_moderate(raw)
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"the configuration cannot be used:\n{explain(error, Config)}") from None
