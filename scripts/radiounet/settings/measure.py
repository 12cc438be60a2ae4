"""Settings of what is measured and shown."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from radiounet.settings.components import ComponentTable
from radiounet.settings.section import Section


def _short(given: Any) -> Any:
    return {"url": given} if isinstance(given, str) else given


class MeasureOptions(Section):
    """Measuring islands and clusters."""

    calibration_error: float = Field(0.1, ge=0, lt=1, description="flux scale error, fraction")
    galactic_latitude_deg: float = Field(
        10.0, ge=0, le=90, description="islands nearer to the Galactic plane are flagged galactic, deg"
    )
    host_share: float = Field(
        0.33,
        gt=0,
        lt=1,
        description="share of clusters with detectable diffuse emission that p_diffuse expects: a third "
        "of those in PSZ2 (Botteon et al. 2022)",
    )
    spectral_index: float = Field(
        -1.3, ge=-4, le=1, description="alpha of S ~ nu^alpha, for flux densities and powers at 150 MHz"
    )
    spectral_index_error: float = Field(0.4, ge=0, le=4, description="error of spectral_index")
    h0: float = Field(70.0, ge=20, le=200, description="Hubble constant, km/s/Mpc")
    omega_m: float = Field(0.3, gt=0, lt=1, description="matter density of the flat cosmology")
    unit: list[str] = Field(
        [],
        description="units of the cluster table that it does not say: M500=1e14solMass R500=Mpc",
    )
    components: Annotated[
        ComponentTable | None, BeforeValidator(_short, json_schema_input_type=str | ComponentTable | None)
    ] = Field(
        None,
        description="table of components, such as those of LoTSS or PyBDSF, of which the compact ones are "
        "taken away: url, columns, units, or a path or URL alone; null: they are found on the image",
    )

    @property
    def fetches_components(self) -> bool:
        """Whether tables of components are fetched."""
        return self.components is not None and self.components.is_fetched


class ReportOptions(Section):
    """The report page."""

    max_pictures: int = Field(
        60,
        ge=0,
        le=100_000,
        description="clusters, and islands away from clusters, shown as pictures at most",
    )
