"""The configuration: every option, its unit, its limits and its default.

The classes are the single truth. ``workflow/schemas/config.schema.json`` is
generated from them, and so are the options of the stage scripts (radiounet.options).
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from radiounet.config_faults import explain, require_moderate
from radiounet.errors import ConfigError
from radiounet.recipe import SimulateOptions, TrainOptions
from radiounet.section import (
    BeamText,
    CellUrl,
    FieldFile,
    FieldUrl,
    FileNames,
    FilePath,
    Folder,
    LogScale,
    MosaicFile,
    MosaicUrl,
    Name,
    Names,
    Reference,
    Section,
    Source,
)
from radiounet.urls import has_credentials


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


class OwnImage(Section):
    """One of the user's own FITS images."""

    name: Name = Field(description="name of the products made from it")
    path: FilePath = Field(description="FITS file")
    beam: BeamText | None = Field(
        None,
        description="MAJ,MIN,PA of its beam, arcsec and deg; null: as in its header",
    )


class MosaicOptions(Section):
    """Making a mosaic from fields (ddf-pipeline's method, see radiounet.mosaic)."""

    beam_cut: float = Field(
        0.3, ge=0, lt=1, description="primary beam below which a field is cut; 0 for no cut"
    )
    beam_median: bool = Field(True, description="median of 3 x 3 px of the primary beam, against its noise")
    noise_map: FieldFile | None = Field(
        None,
        description="noise map of a field's apparent image (FITS, Jy/beam), a path with {field}; "
        "null: one number, from the central box",
    )
    sigma_box_px: int = Field(1500, ge=10, le=100_000, description="central box for a field's noise, px")
    clip_sigma: float = Field(5.0, gt=1, le=1000, description="clipping about zero for that noise, sigma")
    facets: FieldFile | None = Field(
        None,
        description="a field's facets (DDFacet's *.tessel.reg), a path with {field}; null: none",
    )
    facet_offsets: FieldFile | None = Field(
        None, description="table of the facets' astrometric offsets, a path with {field}; null: no shift"
    )
    bad_facets: FieldFile | None = Field(
        None,
        description="list of facets to leave out, a path with {field}; a field without the file has none; "
        "null: all are kept",
    )
    flux_scale: FilePath | None = Field(
        None, description="table (columns field, flux_scale) of factors f_i; null for 1 everywhere"
    )
    min_island_px: int = Field(
        20, ge=0, le=10**9, description="islands of data up to this size are blanked, px; 0 for none"
    )
    blank: Literal["survey", "none", "circle", "cell"] = Field(
        "survey",
        description="what to blank: all beyond the circle in the square, all beyond the cell, nothing; "
        "survey: circle in DR2, nothing in DR3, whose squares give the network context",
    )
    missing_field: Literal["skip", "reject"] = Field(
        "skip", description="a field that is missing: go on without it, or reject the mosaic"
    )

    @model_validator(mode="after")
    def _facets_are_given(self) -> "MosaicOptions":
        if self.facets is None and (self.facet_offsets or self.bad_facets):
            raise ValueError("facet_offsets and bad_facets need facets")
        return self


class MosaicSource(Section):
    """Where the mosaics come from."""

    source: Literal["published", "fields", "images"] = Field(
        "published", description="the survey's 20 arcsec mosaics, mosaics made here, or own images"
    )
    images: list[OwnImage] = Field([], description="own images, for source images")
    field_radius_deg: float = Field(
        2.6,
        gt=0,
        le=90,
        description="DR3: fields whose disc of this radius meets a mosaic are used, deg "
        "(where the LOFAR beam at 144 MHz falls to 0.3)",
    )
    options: MosaicOptions = MosaicOptions()
    compare_to: MosaicFile | None = Field(
        None,
        description="published mosaics for rule compare_mosaics, a path with {mosaic}; null for none",
    )


class Region(Section):
    """A disc on the sky."""

    ra_deg: float = Field(ge=0, lt=360, description="centre, ICRS deg")
    dec_deg: float = Field(ge=-90, le=90, description="centre, ICRS deg")
    radius_deg: float = Field(gt=0, le=180, description="radius, deg")


class Selection(Section):
    """Which mosaics to run; with nothing given all of the release. Conditions combine."""

    mosaics: Names = Field([], description="names of mosaics (DR2 pointings, DR3 cells)")
    region: Region | None = Field(None, description="mosaics whose centre lies in this disc")
    with_clusters: bool = Field(False, description="only mosaics whose cell holds a listed cluster")


class DownloadOptions(Section):
    """How files are fetched."""

    timeout_s: float = Field(60.0, gt=0, le=86_400, description="longest silence of a server, s")
    attempts: int = Field(6, ge=1, le=1000, description="attempts per file within one job")
    backoff_s: float = Field(
        1.0, ge=0, le=86_400, description="first pause between attempts, doubles, with jitter, s"
    )
    backoff_max_s: float = Field(120.0, ge=0, le=86_400, description="longest pause, s")


class ReleaseArchive(Section):
    """URL templates of one release; ``{mosaic}``, ``{field}``, ``{pixel}`` and ``{file}`` are filled in."""

    mosaic: CellUrl = Field(description="URL of a mosaic's files")
    mosaic_files: FileNames = Field(description="candidate file names, tried in order")
    field: FieldUrl | None = Field(None, description="URL of a field's files; no anonymous one is known")
    field_int_files: FileNames = Field(
        ["image_full_low_m.int.restored.fits"], description="candidates, true flux"
    )
    field_app_files: FileNames = Field(
        ["image_full_low_m.app.restored.fits"], description="candidates, apparent flux"
    )


class Dr2Archive(ReleaseArchive):
    """DR2: one mosaic per pointing."""

    mosaic: MosaicUrl = Field(
        "https://lofar-surveys.org/public/DR2/mosaics/{mosaic}/{file}", description="URL of a mosaic's files"
    )
    mosaic_files: FileNames = Field(
        ["low-mosaic-blanked.fits"], description="candidate file names, tried in order"
    )


class Dr3Archive(ReleaseArchive):
    """DR3: one mosaic per HEALPix cell; which of the names is public is not known yet."""

    mosaic: CellUrl = Field(
        "https://lofar-surveys.org/public/DR3/healpix_mosaics/{pixel}/{file}",
        description="URL of a mosaic's files",
    )
    mosaic_files: FileNames = Field(
        ["low-mosaic.fits", "low-mosaic-blanked.fits"], description="candidate file names, tried in order"
    )


class Lists(Section):
    """Where the lists of the survey are read from: a URL, or a local file."""

    dr2_mosaics: Source = Field(
        "https://vo.astron.nl/tap/sync?REQUEST=doQuery&LANG=ADQL&FORMAT=votable&QUERY="
        "SELECT+mosaic_id,centeralpha,centerdelta,adler32+FROM+lotss_dr2.mosaics",
        description="DR2 mosaics: TAP answer, or a table with name, ra, dec (deg)",
    )
    dr3_footprint: Source = Field(
        "https://lofar-surveys.org/public/DR3/catalogues/dr3-moc.moc",
        description="DR3 footprint (FITS MOC)",
    )
    fields: Source = Field(
        "https://raw.githubusercontent.com/mhardcastle/ddf-pipeline/"
        "454c9fb357c9f105fbf41b4e0114e16ed7d863e2/misc/LoTSS_grid_hba_progress.txt",
        description="grid of LoTSS fields: name, ra, dec (deg)",
    )


class PublishedModel(LogScale):
    """Published weights of Radio U-Net: where their zip is, and what belongs to them."""

    url: Source = Field(description="zip of a TensorFlow SavedModel: a URL, or a local file")
    checksum: str | None = Field(None, description="of the zip, written gitblob:HEX or sha256:HEX")
    threshold: float = Field(0.5, gt=0, lt=1, description="probability where the mask begins")


RADIO_UNET = "https://raw.githubusercontent.com/ICSC-Spoke3/Radio-U-Net/0f2a3416b62099e7026bae5a9a89468231df5a4b/models/"
PUBLISHED_MODELS = {
    "radio-unet-original": {
        "url": RADIO_UNET + "original_model.ckpt.zip",
        "checksum": "gitblob:40d49419fff745b1671bf6717ba23dfeb5ea6a1c",
    },
    # its name says norm-3-9; what its authors did with LOFAR images is not known: set low and high
    "radio-unet-new": {
        "url": RADIO_UNET + "model_RG-5-50-200-0.0001-norm-3-9.ckpt.zip",
        "checksum": "gitblob:0457ad60c3f4cd0af2a3f56f61a29360f07ee6ef",
    },
}
PUBLISHED_CATALOGUES = {
    "psz2": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/594/A27/psz2"
    "&-out.max=unlimited&-out=Name&-out=RAdeg&-out=DEdeg&-out=z&-out=MSZ",
    "mcxc": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/534/A109/mcxc"
    "&-out.max=unlimited&-out=MCXC&-out=RAdeg&-out=DEdeg&-out=z&-out=M500&-out=R500",
}


def _added_to(published: dict[str, Any]) -> Callable[[Any], Any]:
    """Make a function that puts the entries of a user beside, or into, the published ones."""

    def add(given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        merged = dict(published)
        for name, entry in given.items():
            known = published.get(name)
            both = isinstance(known, dict) and isinstance(entry, dict)
            merged[name] = known | entry if both else entry
        return merged

    return add


class Archive(Section):
    """Servers, file names and lists."""

    dr2: Dr2Archive = Dr2Archive()
    dr3: Dr3Archive = Dr3Archive()
    lists: Lists = Lists()
    list_folder: Folder = Field("resources/footprints", description="where the fetched lists are kept")
    checksums: FilePath | None = Field(
        None,
        description="table (columns name, file, checksum) of known checksums, "
        "written adler32:HEX, sha256:HEX or gitblob:HEX",
    )
    clusters: Annotated[
        dict[Literal["psz2", "mcxc"], Source], BeforeValidator(_added_to(PUBLISHED_CATALOGUES))
    ] = Field(
        PUBLISHED_CATALOGUES,
        description="URLs of cluster catalogues (VOTable); one that is given leaves the other as it is",
    )
    models: Annotated[dict[Name, PublishedModel], BeforeValidator(_added_to(PUBLISHED_MODELS))] = Field(
        {name: PublishedModel(**entries) for name, entries in PUBLISHED_MODELS.items()},
        description="weights that rule fetch_model imports into resources/models/NAME: url, checksum, "
        "normalisation (low, high, floor), threshold; those that are given are added to the published ones, "
        "and of these change only what they name",
    )
    download: DownloadOptions = DownloadOptions()


class Segmentation(Section):
    """From image to mask."""

    model: Name = Field("lotss-unet", description="folder in resources/models")
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
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32", description="of the network's multiplications; tf32 on a GPU only"
    )
    threshold: float | None = Field(
        None, gt=0, lt=1, description="probability where the mask begins; null for the model's own"
    )
    min_island_beams: float = Field(1.0, ge=0, le=1e6, description="smallest island kept, beam areas")


class MeasureOptions(Section):
    """Measuring islands and clusters."""

    calibration_error: float = Field(0.1, ge=0, lt=1, description="flux scale error, fraction")
    galactic_latitude_deg: float = Field(
        10.0, ge=0, le=90, description="islands below this |b| are flagged galactic, deg"
    )
    h0: float = Field(70.0, ge=20, le=200, description="Hubble constant, km/s/Mpc")
    omega_m: float = Field(0.3, gt=0, lt=1, description="matter density of the flat cosmology")
    unit: list[str] = Field(
        [],
        description="units of the cluster table that it does not say: M500=1e14solMass R500=Mpc",
    )


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


class ReportOptions(Section):
    """The report page."""

    max_pictures: int = Field(
        60, ge=0, le=100_000, description="clusters shown as pictures, most probable first"
    )


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
        description="with --software-deployment-method conda: envs/<this>.yaml for infer, train, evaluate",
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
