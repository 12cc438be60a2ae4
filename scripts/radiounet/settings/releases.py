"""Data releases: their cells, their images, and where their lists and files are.

Those of the survey stand here, and the user's own images beside them; section ``releases`` of the
configuration adds others.
"""

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from radiounet.errors import ConfigError
from radiounet.settings.section import CellUrl, FieldUrl, FileNames, FileOrUrl, Section


class ReleaseArchive(Section):
    """URL templates of one release; ``{mosaic}``, ``{field}``, ``{pixel}`` and ``{file}`` are filled in."""

    mosaic: CellUrl | None = Field(None, description="URL of a mosaic's files")
    mosaic_files: FileNames = Field(["low-mosaic.fits"], description="candidate file names, tried in order")
    field: FieldUrl | None = Field(None, description="URL of a field's files; no anonymous one is known")
    field_int_files: FileNames = Field(
        ["image_full_low_m.int.restored.fits"], description="candidates, true flux"
    )
    field_app_files: FileNames = Field(
        ["image_full_low_m.app.restored.fits"], description="candidates, apparent flux"
    )


class Release(Section):
    """A data release of a survey."""

    name: str = Field("", description="its name, which is its key; nobody has to write it")
    survey: str = Field("", max_length=100, description="survey that it is a release of, such as LoTSS")
    facility: str = Field("", max_length=100, description="telescope, such as LOFAR, for what is published")
    instrument: str = Field("", max_length=100, description="its instrument, such as HBA")
    paper: str = Field(
        "", max_length=200, description="paper that describes it, for the citation of what is published"
    )
    doi: str = Field("", pattern=r"^(10\.\S+)?$", description="DOI of that paper")
    cells: Literal["pointing", "healpix", "images"] = Field(
        description="who owns which sky: pointing: the nearest pointing; healpix: a cell of HEALPix (RING, "
        "ICRS). The value images is that of the built-in release of own images, which mosaics.source "
        "chooses; it is refused here"
    )
    nside: int | None = Field(None, ge=1, le=8192, description="healpix: nside of the cells, a power of 2")
    prefix: str = Field(
        "hp", pattern="^[A-Za-z]{1,20}$", description="healpix: beginning of a mosaic's name, such as hp01312"
    )
    pixel_arcsec: float = Field(gt=0, le=3600, description="pixel scale of its mosaics, arcsec")
    beam_arcsec: float = Field(gt=0, le=3600, description="FWHM of the round beam of its mosaics, arcsec")
    frequency_mhz: float = Field(gt=0, description="frequency of its images, MHz")
    bandwidth_mhz: float = Field(0, ge=0, description="width of its band, MHz; 0 if unknown")
    blank: Literal["circle", "none"] = Field(
        "none", description="mosaics made here, with mosaics.options.blank survey: what is blanked"
    )
    field_px: int = Field(6075, gt=0, description="side of a field's image, px; for the plan")
    mosaics: FileOrUrl | None = Field(
        None, description="pointing: table of its mosaics (name, ra, dec in deg), a URL or a file"
    )
    footprint: FileOrUrl | None = Field(
        None, description="healpix: its footprint (FITS MOC), a URL or a file"
    )
    fields: FileOrUrl | None = Field(
        None, description="grid of fields (name, ra, dec in deg), a URL or a file; null: archive.lists.fields"
    )
    archive: ReleaseArchive = Field(ReleaseArchive(), description="URLs of its files")

    @model_validator(mode="after")
    def _cells_are_complete(self) -> "Release":
        if self.bandwidth_mhz >= 2 * self.frequency_mhz:
            raise ValueError(f"bandwidth_mhz is {self.bandwidth_mhz:g}, not below twice frequency_mhz")
        if bool(self.paper) != bool(self.doi):
            raise ValueError("paper and doi belong together: give both, or none")
        is_healpix = self.cells == "healpix"
        if is_healpix and (self.nside is None or self.nside & (self.nside - 1)):
            raise ValueError(f"cells is 'healpix', so that nside must be a power of 2, not {self.nside}")
        wrong = ("mosaics",) if is_healpix else ("nside", "footprint")
        for name in wrong:
            if getattr(self, name) is not None:
                raise ValueError(f"cells is {self.cells!r}, which has no {name}")
        if not is_healpix and "{pixel}" in (self.archive.mosaic or ""):
            raise ValueError(f"cells is {self.cells!r}, so that archive.mosaic cannot hold {{pixel}}")
        return self

    @property
    def is_listed(self) -> bool:
        """Whether lists say what it has; of the user's own images the configuration does."""
        return self.cells != "images"

    @property
    def collection(self) -> str:
        """Survey and release, such as LoTSS DR2."""
        return f"{self.survey} {self.name.upper()}".strip() if self.is_listed else "own images"

    @property
    def title(self) -> str:
        """Its name and frequency for people."""
        frequency = f" ({self.frequency_mhz:g} MHz)" if self.is_listed else ""
        return f"{self.collection}{frequency}"


SOURCES = ("mosaics", "footprint", "fields", "archive")
"""Where a release comes from."""
LISTED = ("cells", "nside", "prefix", "pixel_arcsec", "mosaics", "footprint", "fields")
"""What its lists follow from."""
ENTRY = ("nside", *(name for name, one in Release.model_fields.items() if one.is_required()))
"""What an entry needs to be one."""
CITED = ("paper", "doi")
"""What only citations need to know of it."""
PUBLISHED = (*CITED, "survey", "facility", "instrument")
"""What only a report and a publication need to know of it."""

LOTSS_IMAGES: dict[str, Any] = {"pixel_arcsec": 4.5, "beam_arcsec": 20.0, "frequency_mhz": 144.0}
LOTSS: dict[str, Any] = {"survey": "LoTSS", "facility": "LOFAR", "instrument": "HBA", **LOTSS_IMAGES}
LOTSS_BAND_MHZ = 48.0
LOTSS_FIELDS = (
    "https://raw.githubusercontent.com/mhardcastle/ddf-pipeline/"
    "454c9fb357c9f105fbf41b4e0114e16ed7d863e2/misc/LoTSS_grid_hba_progress.txt"
)
DR2 = Release(
    name="dr2",
    paper="Shimwell et al. 2022, A&A 659, A1",
    doi="10.1051/0004-6361/202142484",
    cells="pointing",
    **LOTSS,
    bandwidth_mhz=LOTSS_BAND_MHZ,
    blank="circle",
    mosaics="https://vo.astron.nl/tap/sync?REQUEST=doQuery&LANG=ADQL&FORMAT=votable&QUERY="
    "SELECT+mosaic_id,centeralpha,centerdelta,adler32+FROM+lotss_dr2.mosaics",
    fields=LOTSS_FIELDS,
    archive=ReleaseArchive(
        mosaic="https://lofar-surveys.org/public/DR2/mosaics/{mosaic}/{file}",
        mosaic_files=["low-mosaic-blanked.fits"],
    ),
)
DR3 = Release(
    name="dr3",
    paper="Shimwell et al. 2026, A&A",
    doi="10.1051/0004-6361/202557749",
    cells="healpix",
    nside=16,
    **LOTSS,
    bandwidth_mhz=LOTSS_BAND_MHZ,
    blank="none",  # the squares give the network context
    footprint="https://lofar-surveys.org/public/DR3/catalogues/dr3-moc.moc",
    fields=LOTSS_FIELDS,
    archive=ReleaseArchive(
        mosaic="https://lofar-surveys.org/public/DR3/healpix_mosaics/{pixel}/{file}",
        mosaic_files=["low-mosaic.fits", "low-mosaic-blanked.fits"],
    ),
)
OWN_IMAGES = Release(name="images", cells="images", **LOTSS_IMAGES)
"""The user's own images; its pixel scale is the one in which the sides of their squares are counted."""

PUBLISHED_RELEASES = {release.name: release for release in (DR2, DR3)}


def parse_release(text: str) -> Release:
    """Read a release that is given as text: the name of a shipped one, or JSON.

    Raises
    ------
    ConfigError
        Neither.
    """
    known = PUBLISHED_RELEASES | {OWN_IMAGES.name: OWN_IMAGES}
    if text in known:
        return known[text]
    try:
        return Release.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(
            f"{text!r} is not a release: give one of {', '.join(known)}, or an entry of releases as JSON "
            f"({error.error_count()} faults)"
        ) from None
