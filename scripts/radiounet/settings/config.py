"""The configuration: every option, its unit, its limits and its default.

The classes are the single truth. ``workflow/schemas/config.schema.json`` is
generated from them, and so are the options of the command (radiounet.settings.command_line).
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from radiounet.errors import ConfigError
from radiounet.images.products import Products
from radiounet.settings.archive import Archive, added_to
from radiounet.settings.config_faults import explain, require_moderate
from radiounet.settings.limits import LimitOptions
from radiounet.settings.measure import MeasureOptions, ReportOptions
from radiounet.settings.mosaics import MosaicSource, Selection
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import (
    ENTRY,
    LISTED,
    OWN_IMAGES,
    PUBLISHED,
    PUBLISHED_RELEASES,
    SOURCES,
    Release,
    ReleaseArchive,
)
from radiounet.settings.section import FilePaths, Folder, Name, Names, Section
from radiounet.settings.segmentation import Segmentation, VerifyOptions
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import TrainOptions
from radiounet.settings.urls import has_credentials


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _none_listed(value: Any) -> Any:
    return [] if value is None else _listed(value)


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

    releases: Annotated[
        dict[Name, Release],
        BeforeValidator(added_to({name: one.model_dump() for name, one in PUBLISHED_RELEASES.items()})),
    ] = Field(
        default_factory=lambda: dict(PUBLISHED_RELEASES),
        description="further data releases that release can name; of dr2 and dr3, where lists and files are "
        "is set in archive",
    )
    release: Name = Field("dr2", description="data release: dr2, dr3, or one of releases")
    results: Folder = Field("results", description="folder of all products; may hold $VARIABLES")
    scratch: Folder | None = Field(
        None,
        description="folder for fields and mosaics, linked from results: a large file system, "
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
    clusters: Annotated[
        FilePaths, BeforeValidator(_none_listed, json_schema_input_type=str | FilePaths | None)
    ] = Field(
        [],
        description="psz2, mcxc or another of archive.clusters, or a table with name, ra, dec, z and M500 or "
        "R500; several are merged, and the first list that has a cluster decides on it; null: no clusters",
    )
    archive: Archive = Archive()
    segmentation: Segmentation = Segmentation()
    measure: MeasureOptions = MeasureOptions()
    limits: LimitOptions = LimitOptions()
    verify: VerifyOptions = VerifyOptions()
    report: ReportOptions = ReportOptions()
    publish: PublishOptions = PublishOptions()
    simulate: SimulateOptions = SimulateOptions()
    train: TrainOptions = TrainOptions()

    @field_validator("releases", mode="after")
    @classmethod
    def _releases_have_their_names(cls, releases: dict[str, Release]) -> dict[str, Release]:
        for name, release in releases.items():
            if name == OWN_IMAGES.name or not release.is_listed:
                raise ValueError(f"{name}: own images are no release, write mosaics.source: images")
            if release.name not in ("", name):
                raise ValueError(f"{name}: its name is its key, not {release.name!r}")
            shipped = PUBLISHED_RELEASES.get(name) if name in Archive.model_fields else None
            if shipped and any(getattr(release, one) != getattr(shipped, one) for one in SOURCES):
                raise ValueError(
                    f"{name}: set where its lists and files are in archive.{name}, archive.lists"
                )
        return {name: release.model_copy(update={"name": name}) for name, release in releases.items()}

    @field_validator("release", mode="after")
    @classmethod
    def _release_is_known(cls, name: str, info: ValidationInfo) -> str:
        known = info.data.get("releases")
        if known is not None and name not in known:
            raise ValueError(f"known releases are {', '.join(known)}")
        return name

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
            raise ValueError(f"mosaics.source is 'fields' but {self.archive_key}.field has no URL")
        if self.select.with_clusters and not self.clusters:
            raise ValueError("select.with_clusters is true but clusters names no catalogue")
        if self.mosaics.source == "images" and self.select.healpix:
            raise ValueError("select.healpix is given but own images have no regions: use select.mosaics")
        names = [image.name for image in self.mosaics.images]
        if len(names) != len(set(names)):
            raise ValueError("mosaics.images: two images have the same name")
        return self

    @property
    def published_release(self) -> Release:
        """The release that `release` names, with its sources as section `archive` sets them."""
        release = self.releases[self.release]
        sources = {"fields": release.fields or self.archive.lists.fields}
        return release.model_copy(update=sources | self.archive.sources_of(self.release))

    @property
    def survey_release(self) -> Release:
        """What the run works on: the published release, or the user's own images."""
        return OWN_IMAGES if self.mosaics.source == "images" else self.published_release

    @property
    def fetched_clusters(self) -> list[str]:
        """The lists of clusters that are fetched; the others are files."""
        return [name for name in self.clusters if name in self.archive.clusters]

    def of_image(self, name: str) -> "Config":
        """The same for one of the own images alone, whose stages the others do not concern.

        Raises
        ------
        ConfigError
            There is no such image.
        """
        alone = self.mosaics.model_copy(update={"images": [self.mosaics.own_image(name)]})
        return self.model_copy(update={"mosaics": alone})

    def compact_files(self, products: Products, mosaic: str) -> dict[str, str]:
        """Files that the compact sources of a mosaic come from, beside its image, by option of a stage."""
        components, found = self.measure.components, {}
        if components is not None:
            found["components"] = components.file(mosaic, products)
        if self.mosaics.high_resolution is not None:
            found["high_resolution"] = products.high_resolution(mosaic)
        return found

    def own_components(self, products: Products, mosaic: str) -> list[str]:
        """The user's own table of components of a mosaic; empty where there is none, or it is fetched."""
        options = self.measure.components
        return [options.file(mosaic, products)] if options and not options.is_fetched else []

    def fetched_compact(self, products: Products, *mosaics: str) -> list[str]:
        """Those of `compact_files` of some mosaics that the run fetches, each once."""
        found = {
            path: None
            for mosaic in mosaics
            for path in self.compact_files(products, mosaic).values()
            if path not in self.own_components(products, mosaic)
        }
        return list(found)

    @property
    def archive_key(self) -> str:
        """Key of the section that says where the files of the published release are."""
        return f"archive.{self.release}" if self.has_archive_section else f"releases.{self.release}.archive"

    @property
    def has_archive_section(self) -> bool:
        """Whether a section of `archive` says where the files of the release are, or its entry itself."""
        return self.release in Archive.model_fields

    @property
    def keys_of_lists(self) -> list[tuple[str, ...]]:
        """Keys that say what the lists of the published release are made from."""
        return [*self._keys_of_entry(*LISTED), ("archive", "list_folder"), ("archive", "lists")]

    @property
    def keys_of_downloads(self) -> list[tuple[str, ...]]:
        """Keys that a download must be told and that change nothing of its files.

        An entry of `releases` is valid only with some keys that no download uses.
        """
        is_own = self.published_release and not self.has_archive_section
        return [("archive", "download"), *(self._keys_of_entry(*ENTRY) if is_own else [])]

    def keys_of_files(self, *names: str) -> list[tuple[str, ...]]:
        """Keys that say where files of the published release are, by names of `ReleaseArchive`."""
        if self.has_archive_section:
            return [("release",), *(("archive", self.release, name) for name in names)]
        return [("release",), *(("releases", self.release, "archive", name) for name in names)]

    def _keys_of_entry(self, *names: str) -> list[tuple[str, ...]]:
        return [("release",), *(("releases", self.release, name) for name in names)]

    @property
    def keys_of_cells(self) -> list[tuple[str, ...]]:
        """Keys that say who owns which sky: the release without its sources, or own images without beams."""
        if not self.survey_release.is_listed:
            images = ("mosaics", "images", "__all__")
            return [("mosaics", "source"), (*images, "name"), (*images, "path")]
        names = [name for name in Release.model_fields if name not in (*SOURCES, *PUBLISHED)]
        return self._keys_of_entry(*names)

    @property
    def keys_of_tables(self) -> list[str | tuple[str, ...]]:
        """Keys that the merged tables and the verdict depend on."""
        keys: list[str | tuple[str, ...]] = [
            *("results", "select", "clusters", "archive.list_folder", "limits.enabled"),
            *("mosaics.source", "mosaics.high_resolution", "measure.components"),
            *(f"measure.{name}" for name in ("h0", "omega_m", "unit")),
            *self.keys_of_fetched_clusters,
        ]
        if not self.survey_release.is_listed:
            return [*keys, "mosaics.images"]
        if self.mosaics.source == "fields":
            keys += ["mosaics.field_radius_deg"]
            if self.has_archive_section:
                keys += [("archive", self.release, "field")]
        return [*keys, "release", ("releases", self.release)]

    @property
    def keys_of_fetched_clusters(self) -> list[str | tuple[str, ...]]:
        """Keys that say which lists of clusters are fetched."""
        return [("archive", "clusters", name) for name in self.fetched_clusters]

    @property
    def release_archive(self) -> ReleaseArchive:
        """Where the files of the published release are."""
        return self.published_release.archive

    @property
    def survey(self) -> str:
        """Folder of the survey's products below `results`: the release, or ``images``."""
        return self.survey_release.name

    @property
    def survey_products(self) -> Products:
        """Products of the whole survey."""
        return Products(f"{self.results}/{self.survey}")

    @property
    def products(self) -> Products:
        """Products of the run: of the whole survey, or of one of its regions."""
        region = self.select.healpix
        if region is None or region.pixel is None:
            return self.survey_products
        return self.survey_products.region(region.order, region.pixel)


def load_config(raw: dict[str, Any]) -> Config:
    """Check a configuration.

    Parameters
    ----------
    raw : dict
        As read from YAML by Snakemake. The text ``null`` is no value, as ``--config KEY=null`` gives it.

    Raises
    ------
    ConfigError
        Names every wrong key with its value, what is allowed, and YAML that is right.
    """
    require_moderate(raw)
    try:
        return Config.model_validate(_with_nulls(raw))
    except ValidationError as error:
        raise ConfigError(f"the configuration cannot be used:\n{explain(error, Config)}") from None


def _with_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nulls(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_nulls(one) for one in value]
    return None if value == "null" else value
