"""Settings of mosaics: where they come from, how they are made, which of them are run."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from radiounet.errors import ConfigError
from radiounet.settings.section import (
    BeamText,
    FieldFile,
    FilePath,
    MosaicFile,
    Name,
    Names,
    Section,
    fetchable,
    template,
)


def _whole_place(url: str) -> str:
    if ("{ra_deg}" in url) != ("{dec_deg}" in url):
        raise ValueError("{ra_deg} and {dec_deg} belong together")
    return url


CutoutUrl = Annotated[
    str,
    AfterValidator(template(("mosaic", "pixel", "ra_deg"), "dec_deg", "size_deg", "size_arcmin")),
    AfterValidator(_whole_place),
    AfterValidator(fetchable),
]


class OwnImage(Section):
    """One of the user's own FITS images."""

    name: Name = Field(description="name of the products made from it")
    path: FilePath = Field(description="FITS file")
    beam: BeamText | None = Field(
        None,
        description="MAJ,MIN,PA of its beam, arcsec and deg; null: as in its header",
    )


class MosaicOptions(Section):
    """Making a mosaic from fields (ddf-pipeline's method, see radiounet.mosaicking.mosaic)."""

    beam_cut: float = Field(
        0.3, ge=0, lt=1, description="primary beam below which a field is cut; 0 for no cut"
    )
    beam_median: bool = Field(True, description="median of 3 x 3 px of the primary beam, against its noise")
    noise_map: FieldFile | None = Field(
        None,
        description="noise map of a field's apparent image (FITS, Jy/beam), a path with {field}; "
        "null: one number, from the central box",
    )
    rms_box_px: int = Field(1500, ge=10, le=100_000, description="central box for a field's noise, px")
    clip_rms: float = Field(
        5.0,
        gt=1,
        le=1000,
        description="pixels farther from zero than this many rms are clipped when the noise of a field is "
        "measured",
    )
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
        None, description="table (columns field, flux_scale) of factors f_i; null: 1 everywhere"
    )
    min_island_px: int = Field(
        20, ge=0, le=10**9, description="islands of data up to this size are blanked, px; 0 for none"
    )
    blank: Literal["survey", "none", "circle", "cell"] = Field(
        "survey",
        description="none: nothing is blanked; circle: pixels outside the circle inscribed in the mosaic; "
        "cell: pixels outside its cell; survey: as the release (DR2 circle, DR3 none)",
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
        "published",
        description="published: mosaics of the survey; fields: mosaics made here from fields; "
        "images: your own images",
    )
    images: list[OwnImage] = Field([], description="own images, for source images")
    field_radius_deg: float = Field(
        2.6,
        gt=0,
        le=90,
        description="HEALPix cells: fields whose disc of this radius meets a mosaic are used, deg "
        "(where the LOFAR beam at 144 MHz falls to 0.3)",
    )
    options: MosaicOptions = MosaicOptions()
    compare_to: MosaicFile | None = Field(
        None,
        description="published mosaics for rule compare_mosaics, a path with {mosaic}; null: none",
    )
    high_resolution: CutoutUrl | None = Field(
        None,
        description="6 arcsec images that the compact sources around clusters are found on, a path or URL "
        "with {mosaic} or {pixel}, or with {ra_deg}, {dec_deg} and {size_deg} or {size_arcmin} of a service "
        "of cut-outs; null: they are found on the 20 arcsec image",
    )

    def own_image(self, name: str) -> OwnImage:
        """One of the user's own images.

        Raises
        ------
        ConfigError
            None has this name.
        """
        for image in self.images:
            if image.name == name:
                return image
        raise ConfigError(f"mosaics.images has no image {name}")


class Disc(Section):
    """A disc on the sky."""

    ra_deg: float = Field(ge=0, lt=360, description="centre, ICRS deg")
    dec_deg: float = Field(ge=-90, le=90, description="centre, ICRS deg")
    radius_deg: float = Field(gt=0, le=180, description="radius, deg")


class HealpixRegion(Section):
    """A region of a survey that is run in parts: a HEALPix pixel of the sky."""

    order: int = Field(
        ge=0, le=8, description="HEALPix order of the regions: 12 x 4^order of them cover the sky"
    )
    pixel: int | None = Field(
        None,
        ge=0,
        description="HEALPix pixel (NESTED, ICRS) of that order: only this region is run; "
        "null: nothing is run, the finished regions are merged into the catalogue of the survey",
    )

    @model_validator(mode="after")
    def _pixel_is_of_the_order(self) -> "HealpixRegion":
        count = 12 * 4**self.order
        if self.pixel is not None and self.pixel >= count:
            raise ValueError(f"pixel {self.pixel}: order {self.order} has the pixels 0 to {count - 1}")
        return self


class Selection(Section):
    """Which mosaics to run; with nothing given all of the release. Conditions combine."""

    mosaics: Names = Field([], description="names of mosaics (DR2 pointings, DR3 cells)")
    region: Disc | None = Field(None, description="mosaics whose centre lies in this disc")
    with_clusters: bool = Field(False, description="only mosaics whose cell holds a listed cluster")
    healpix: HealpixRegion | None = Field(
        None,
        description="run the survey by regions: mosaics whose centre lies in a HEALPix pixel, "
        "with a folder of their own",
    )

    @property
    def region_pixel(self) -> int | None:
        """HEALPix pixel of the region that is run; None for the whole survey."""
        return self.healpix.pixel if self.healpix else None

    @property
    def merges_regions(self) -> bool:
        """Whether the run merges finished regions, and works on no mosaic."""
        return self.healpix is not None and self.healpix.pixel is None
