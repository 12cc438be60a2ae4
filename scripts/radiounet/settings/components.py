"""Settings of a table of components, in place of compact sources that are found on the image."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from radiounet.images.products import Products
from radiounet.settings.section import Section, fetchable, template
from radiounet.settings.urls import local_path

ComponentUrl = Annotated[str, AfterValidator(template((), "mosaic")), AfterValidator(fetchable)]

Quantity = Literal["ra", "dec", "flux", "flux_error", "major", "minor", "angle"]


class ComponentTable(Section):
    """A table of components: positions, total flux densities and sizes."""

    url: ComponentUrl = Field(
        description="table of components of the same survey and frequency: a path or a URL, which may hold "
        "{mosaic}"
    )
    columns: dict[Quantity, str] = Field(
        {},
        description="our name of each column: its name in the table; those that are not named are looked for "
        "as LoTSS and PyBDSF call them: RA, DEC, Total_flux, E_Total_flux, DC_Maj, DC_Min, DC_PA or PA",
    )
    units: dict[Quantity, str] = Field(
        {}, description="our name of a column: its unit, such as mJy, in place of what the table states"
    )
    flux_error: float = Field(
        0.1, ge=0, lt=1, description="error of flux densities for which the table states none, fraction"
    )
    beam_arcsec: float | None = Field(
        None,
        gt=0,
        description="FWHM of the round beam that the sizes hold, arcsec; Maj, Min and PA are read then; "
        "null: the sizes are deconvolved",
    )

    def file(self, mosaic: str, products: Products) -> str:
        """The table of a mosaic as a file: that of the user, or that which the run fetches."""
        path = local_path(self.url.format(mosaic=mosaic))
        return path or products.components(self.table_of(mosaic))

    def table_of(self, mosaic: str) -> str:
        """Name of the table of a mosaic."""
        return mosaic if self.is_of_mosaic else ALL

    @property
    def is_of_mosaic(self) -> bool:
        """Whether each mosaic has a table of its own."""
        return "{mosaic}" in self.url

    @property
    def is_fetched(self) -> bool:
        """Whether the run fetches it."""
        return local_path(self.url) is None


ALL = "all"
"""Name of the fetched table of all mosaics."""
