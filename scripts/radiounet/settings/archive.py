"""Settings of servers, file names and lists."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from radiounet.settings.catalogues import PUBLISHED_CATALOGUES, ClusterCatalogue
from radiounet.settings.releases import DR2, DR3, LOTSS_FIELDS, ReleaseArchive
from radiounet.settings.section import (
    CellUrl,
    FileNames,
    FileOrUrl,
    FilePath,
    Folder,
    LogScale,
    MosaicUrl,
    Name,
    Section,
    merged,
)


class DownloadOptions(Section):
    """How files are fetched."""

    timeout_s: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="longest silence of a server, and longest time for which a download may average below "
        "1 kB/s, s",
    )
    attempts: int = Field(6, ge=1, le=1000, description="attempts per file within one job")
    backoff_s: float = Field(
        1.0, ge=0, le=86_400, description="first pause between attempts, doubles, with jitter, s"
    )
    backoff_max_s: float = Field(120.0, ge=0, le=86_400, description="longest pause, s")


class Dr2Archive(ReleaseArchive):
    """DR2: one mosaic per pointing."""

    mosaic: MosaicUrl = Field(str(DR2.archive.mosaic), description="URL of a mosaic's files")
    mosaic_files: FileNames = Field(
        DR2.archive.mosaic_files, description="candidate file names, tried in order"
    )


class Dr3Archive(ReleaseArchive):
    """DR3: one mosaic per HEALPix cell; which of the names is public is not known yet."""

    mosaic: CellUrl = Field(str(DR3.archive.mosaic), description="URL of a mosaic's files")
    mosaic_files: FileNames = Field(
        DR3.archive.mosaic_files, description="candidate file names, tried in order"
    )


class Lists(Section):
    """Where the lists of the survey are read from: a URL, or a local file."""

    dr2_mosaics: FileOrUrl = Field(
        str(DR2.mosaics), description="DR2 mosaics: TAP answer, or a table with name, ra, dec (deg)"
    )
    dr3_footprint: FileOrUrl = Field(str(DR3.footprint), description="DR3 footprint (FITS MOC)")
    fields: FileOrUrl = Field(LOTSS_FIELDS, description="grid of LoTSS fields: name, ra, dec (deg)")


class PublishedModel(LogScale):
    """Published weights of Radio U-Net: where their zip is, and what belongs to them."""

    url: FileOrUrl = Field(description="zip of a TensorFlow SavedModel: a URL, or a local file")
    checksum: str | None = Field(None, description="of the zip, written gitblob:HEX or sha256:HEX")
    threshold: float = Field(0.5, gt=0, lt=1, description="probability where the mask begins")
    pixel_arcsec: float = Field(DR2.pixel_arcsec, gt=0, description="pixel scale of its images, arcsec")
    beam_arcsec: float = Field(DR2.beam_arcsec, gt=0, description="FWHM of their beam, arcsec")


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


def added_to(published: Mapping[str, Any], short: str | None = None) -> Callable[[Any], Any]:
    """Make a function that puts the entries of a user beside, or into, the published ones.

    Parameters
    ----------
    published : mapping of str to dict
    short : str, optional
        Key that a text in place of an entry is the value of.
    """

    def add(given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if short:
            given = {name: {short: one} if isinstance(one, str) else one for name, one in given.items()}
        return merged(published, given)

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
        dict[Name, ClusterCatalogue], BeforeValidator(added_to(PUBLISHED_CATALOGUES, short="url"))
    ] = Field(
        {name: ClusterCatalogue(**entries) for name, entries in PUBLISHED_CATALOGUES.items()},
        description="cluster catalogues that clusters can name: url, columns, units, or a URL alone; those "
        "that are given are added to the published ones, and of these change only what they name",
    )
    models: Annotated[dict[Name, PublishedModel], BeforeValidator(added_to(PUBLISHED_MODELS))] = Field(
        {name: PublishedModel(**entries) for name, entries in PUBLISHED_MODELS.items()},
        description="weights that rule fetch_model imports into resources/models/NAME: url, checksum, "
        "normalisation (low, high, floor), threshold; those that are given are added to the published ones, "
        "and of these change only what they name",
    )
    download: DownloadOptions = DownloadOptions()

    def sources_of(self, release: str) -> dict[str, Any]:
        """Where lists and files of a shipped release are, by names of `Release`; nothing for another."""
        shipped = {
            DR2.name: {"mosaics": self.lists.dr2_mosaics, "archive": self.dr2},
            DR3.name: {"footprint": self.lists.dr3_footprint, "archive": self.dr3},
        }
        return {"fields": self.lists.fields} | shipped[release] if release in shipped else {}
