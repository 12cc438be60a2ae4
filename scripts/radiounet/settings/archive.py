"""Settings of servers, file names and lists."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from radiounet.settings.section import (
    CellUrl,
    FieldUrl,
    FileNames,
    FilePath,
    Folder,
    LogScale,
    MosaicUrl,
    Name,
    Section,
    Source,
)


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
