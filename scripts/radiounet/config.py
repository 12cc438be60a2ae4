"""The configuration: every option, its unit, its limits and its default.

The classes are the single truth. ``workflow/schemas/config.schema.json`` is
generated from them, and so are the options of the stage scripts (radiounet.options).
"""

import difflib
import json
import os
import typing
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator

from radiounet.errors import ConfigError
from radiounet.products import NAME_PATTERN
from radiounet.recipe import SimulateOptions, TrainOptions
from radiounet.section import LogScale, Section


def _expanded(path: str) -> str:
    path = os.path.expanduser(os.path.expandvars(path))
    if "$" in path:
        raise ValueError(f"no such variable in the environment: {path}")
    return path


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
Folder = Annotated[str, AfterValidator(_expanded)]
FieldFile = Annotated[str, Field(pattern=r"\{field\}")]
MosaicFile = Annotated[str, Field(pattern=r"\{mosaic\}")]


class OwnImage(Section):
    """One of the user's own FITS images."""

    name: Name = Field(description="name of the products made from it")
    path: str = Field(description="FITS file")


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
    sigma_box_px: int = Field(1500, ge=10, description="central box for a field's noise, px")
    clip_sigma: float = Field(5.0, gt=1, description="clipping about zero for that noise, sigma")
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
    flux_scale: str | None = Field(
        None, description="table (columns field, flux_scale) of factors f_i; null for 1 everywhere"
    )
    min_island_px: int = Field(
        20, ge=0, description="islands of data up to this size are blanked, px; 0 for none"
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

    mosaics: list[Name] = Field([], description="names of mosaics (DR2 pointings, DR3 cells)")
    region: Region | None = Field(None, description="mosaics whose centre lies in this disc")
    with_clusters: bool = Field(False, description="only mosaics whose cell holds a listed cluster")


class DownloadOptions(Section):
    """How files are fetched."""

    timeout_s: float = Field(60.0, gt=0, description="longest silence of a server, s")
    attempts: int = Field(6, ge=1, description="attempts per file within one job")
    backoff_s: float = Field(1.0, ge=0, description="first pause between attempts, doubles, with jitter, s")
    backoff_max_s: float = Field(120.0, ge=0, description="longest pause, s")


class ReleaseArchive(Section):
    """URL templates of one release; ``{mosaic}``, ``{field}``, ``{pixel}`` and ``{file}`` are filled in."""

    mosaic: str = Field(description="URL of a mosaic's files")
    mosaic_files: list[str] = Field(min_length=1, description="candidate file names, tried in order")
    field: str | None = Field(None, description="URL of a field's files; no anonymous one is known")
    field_int_files: list[str] = Field(
        ["image_full_low_m.int.restored.fits"], description="candidates, true flux"
    )
    field_app_files: list[str] = Field(
        ["image_full_low_m.app.restored.fits"], description="candidates, apparent flux"
    )


class Dr2Archive(ReleaseArchive):
    """DR2: one mosaic per pointing."""

    mosaic: str = Field(
        "https://lofar-surveys.org/public/DR2/mosaics/{mosaic}/{file}", description="URL of a mosaic's files"
    )
    mosaic_files: list[str] = Field(
        ["low-mosaic-blanked.fits"], min_length=1, description="candidate file names, tried in order"
    )


class Dr3Archive(ReleaseArchive):
    """DR3: one mosaic per HEALPix cell; which of the names is public is not known yet."""

    mosaic: str = Field(
        "https://lofar-surveys.org/public/DR3/healpix_mosaics/{pixel}/{file}",
        description="URL of a mosaic's files",
    )
    mosaic_files: list[str] = Field(
        ["low-mosaic.fits", "low-mosaic-blanked.fits"],
        min_length=1,
        description="candidate file names, tried in order",
    )


class Lists(Section):
    """Where the lists of the survey are read from: a URL, or a local file."""

    dr2_mosaics: str = Field(
        "https://vo.astron.nl/tap/sync?REQUEST=doQuery&LANG=ADQL&FORMAT=votable&QUERY="
        "SELECT+mosaic_id,centeralpha,centerdelta,adler32+FROM+lotss_dr2.mosaics",
        description="DR2 mosaics: TAP answer, or a table with name, ra, dec (deg)",
    )
    dr3_footprint: str = Field(
        "https://lofar-surveys.org/public/DR3/catalogues/dr3-moc.moc",
        description="DR3 footprint (FITS MOC)",
    )
    fields: str = Field(
        "https://raw.githubusercontent.com/mhardcastle/ddf-pipeline/"
        "454c9fb357c9f105fbf41b4e0114e16ed7d863e2/misc/LoTSS_grid_hba_progress.txt",
        description="grid of LoTSS fields: name, ra, dec (deg)",
    )


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    return [value] if isinstance(value, str) else []


class PublishedModel(LogScale):
    """Published weights of Radio U-Net: where their zip is, and what belongs to them."""

    url: str = Field(description="zip of a TensorFlow SavedModel: a URL, or a local file")
    checksum: str | None = Field(None, description="of the zip, written gitblob:HEX or sha256:HEX")
    threshold: float = Field(0.5, gt=0, lt=1, description="probability where the mask begins")


RADIO_UNET = "https://raw.githubusercontent.com/ICSC-Spoke3/Radio-U-Net/0f2a3416b62099e7026bae5a9a89468231df5a4b/models/"


class Archive(Section):
    """Servers, file names and lists."""

    dr2: Dr2Archive = Dr2Archive()
    dr3: Dr3Archive = Dr3Archive()
    lists: Lists = Lists()
    list_folder: str = Field("resources/footprints", description="where the fetched lists are kept")
    checksums: str | None = Field(
        None,
        description="table (columns name, file, checksum) of known checksums, "
        "written adler32:HEX, sha256:HEX or gitblob:HEX",
    )
    clusters: dict[Literal["psz2", "mcxc"], str] = Field(
        {
            "psz2": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/594/A27/psz2"
            "&-out.max=unlimited&-out=Name&-out=RAdeg&-out=DEdeg&-out=z&-out=MSZ",
            "mcxc": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/534/A109/mcxc"
            "&-out.max=unlimited&-out=MCXC&-out=RAdeg&-out=DEdeg&-out=z&-out=M500&-out=R500",
        },
        description="URLs of cluster catalogues (VOTable)",
    )
    models: dict[Name, PublishedModel] = Field(
        {
            "radio-unet-original": PublishedModel(
                url=RADIO_UNET + "original_model.ckpt.zip",
                checksum="gitblob:40d49419fff745b1671bf6717ba23dfeb5ea6a1c",
            ),
            # its name says norm-3-9; what its authors did with LOFAR images is not known: set low and high
            "radio-unet-new": PublishedModel(
                url=RADIO_UNET + "model_RG-5-50-200-0.0001-norm-3-9.ckpt.zip",
                checksum="gitblob:0457ad60c3f4cd0af2a3f56f61a29360f07ee6ef",
            ),
        },
        description="weights that rule fetch_model imports into resources/models/NAME: url, checksum, "
        "normalisation (low, high, floor), threshold",
    )
    download: DownloadOptions = DownloadOptions()

    @model_validator(mode="after")
    def _no_credentials(self) -> "Archive":
        for url in _strings(self.model_dump()):
            if urlsplit(url).username or urlsplit(url).password:
                host = urlsplit(url).hostname
                raise ValueError(f"credentials do not belong in a URL (host {host}): put them in ~/.netrc")
        return self


class Segmentation(Section):
    """From image to mask."""

    model: Name = Field("lotss-unet", description="folder in resources/models")
    mode: Literal["exact", "reference"] = Field(
        "exact",
        description="exact: every pixel, in the model's tiles; reference: as the published code, "
        "edges left out",
    )
    batch: int | None = Field(
        None, ge=1, description="tiles per call of the network; null: 2^20 px on a CPU, by memory on a GPU"
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32", description="of the network's multiplications; tf32 on a GPU only"
    )
    threshold: float | None = Field(
        None, gt=0, lt=1, description="probability where the mask begins; null for the model's own"
    )
    min_island_beams: float = Field(1.0, ge=0, description="smallest island kept, beam areas")


class MeasureOptions(Section):
    """Measuring islands and clusters."""

    calibration_error: float = Field(0.1, ge=0, lt=1, description="flux scale error, fraction")
    galactic_latitude_deg: float = Field(
        10.0, ge=0, le=90, description="islands below this |b| are flagged galactic, deg"
    )
    h0: float = Field(70.0, gt=0, description="Hubble constant, km/s/Mpc")
    omega_m: float = Field(0.3, gt=0, lt=1, description="matter density of the flat cosmology")
    unit: list[str] = Field(
        [],
        description="units of the cluster table that it does not say: M500=1e14solMass R500=Mpc",
    )


class VerifyOptions(Section):
    """Comparing masks and probability maps with reference ones (rule verify)."""

    masks: MosaicFile | None = Field(
        None, description="reference masks, a path or URL with {mosaic}; null: not compared"
    )
    probabilities: MosaicFile | None = Field(
        None, description="reference probability maps, a path or URL with {mosaic}; null: not compared"
    )
    min_iou: float = Field(0.999, ge=0, le=1, description="lowest IoU of masks that are called equal")
    max_difference: float = Field(
        1e-4, ge=0, description="largest difference of probabilities that are called equal"
    )


class ReportOptions(Section):
    """The report page."""

    max_pictures: int = Field(60, ge=0, description="clusters shown as pictures, most probable first")


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
    pointing: Annotated[list[Name], BeforeValidator(_listed)] = Field(
        [],
        exclude=True,  # a request, not a setting: products do not depend on it
        description="pointings (fields, or mosaics) to redo with all that depends on them, see target rerun",
    )
    only: Literal["rejected"] | None = Field(
        None, exclude=True, description="rejected: redo all rejected pointings, see target rerun"
    )
    mosaics: MosaicSource = MosaicSource()
    select: Selection = Selection()
    clusters: str | None = Field(
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


CORRECTIONS = {
    "mosaics.source is 'images'": "mosaics:\n  source: images\n  images:\n"
    "    - {name: my-cluster, path: my-cluster.fits}",
    "mosaics.images is given": "mosaics:\n  source: images",
    **{
        f"mosaics.source is 'fields' but archive.{release}": f"archive:\n  {release}:\n"
        "    field: https://your.server/{field}/{file}   # or file:///folder/{field}/{file}"
        for release in ("dr2", "dr3")
    },
    "facet_offsets and bad_facets need facets": "mosaics:\n  options:\n"
    '    facets: "/data/{field}/image_full_low_m.tessel.reg"',
    "select.with_clusters": "clusters: psz2",
    "mosaics.images: two": "mosaics:\n  images:\n    - {name: a, path: a.fits}",
}


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
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        faults = "\n".join(_explain(fault) for fault in error.errors())
        raise ConfigError(f"the configuration cannot be used:\n{faults}") from None


def _explain(fault: dict[str, Any]) -> str:
    path = [str(part) for part in fault["loc"]]
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        known = list(_section_at(path[:-1]).model_fields)
        near = difflib.get_close_matches(path[-1], known, 1)
        allowed = f"allowed keys: {', '.join(known)}"
        right = _as_yaml([*path[:-1], near[0] if near else known[0]], "...")
        return f"- {key}: unknown key (value {fault['input']!r}); {allowed}\n  write for example:\n{right}"
    if fault["type"] == "value_error":
        message = fault["msg"].removeprefix("Value error, ")
        if key == "archive":
            return f"- {key}: {message}"
        right = next((yaml for start, yaml in CORRECTIONS.items() if message.startswith(start)), None)
        example = _indent(right) if right else _as_yaml(path, _default_at(path))
        return f"- {f'{key}: ' if key else ''}{message}\n  write for example:\n{example}"
    default = _default_at(path)
    right = f"\n  write for example:\n{_as_yaml(path, default)}" if default is not None else ""
    return f"- {key}: {fault['input']!r} is not allowed; {fault['msg']}{right}"


def _section_at(path: list[str]) -> type[BaseModel]:
    section: Any = Config
    for part in path:
        if part.isdigit():
            continue
        section = model_in(section.model_fields[part].annotation)
    return section


def model_in(annotation: Any) -> Any:
    """Section class inside an annotation such as ``list[OwnImage]``; the annotation itself where none is."""
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return annotation


EXAMPLES = {"ra_deg": 194.95, "dec_deg": 27.98, "radius_deg": 5.0, "name": "my-cluster", "path": "my.fits"}
EXAMPLES |= {
    "noise_map": "/data/{field}/image_full_low_m.app.restored_facetnoise.fits",
    "facets": "/data/{field}/image_full_low_m.tessel.reg",
    "facet_offsets": "/data/{field}/pslocal-facet_offsets.fits",
    "bad_facets": "/data/{field}/Badfacets.txt",
    "masks": "/data/{mosaic}/mask.fits",
    "probabilities": "/data/{mosaic}/probability.fits",
    "compare_to": "/data/{mosaic}/low-mosaic-blanked.fits",
}


def _default_at(path: list[str]) -> Any:
    if path[-1] in EXAMPLES:
        return EXAMPLES[path[-1]]
    value: Any = Config()
    for part in path:
        value = getattr(value, part, None)
    return value.model_dump() if isinstance(value, BaseModel) else value


def _as_yaml(path: list[str], value: Any) -> str:
    for part in reversed(path):
        value = [value] if part.isdigit() else {part: value}
    plain = json.loads(json.dumps(value))
    return _indent(yaml.safe_dump(plain, sort_keys=False).rstrip())


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())
