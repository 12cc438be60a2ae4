"""Settings of a publication."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from radiounet.errors import ConfigError
from radiounet.settings.section import FilePath, Section

Creator = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


def _iso_day(value: Any) -> Any:
    """A day as text: YAML gives one without quotes as a date."""
    if isinstance(value, date):
        return value.isoformat()[:10]
    if isinstance(value, str):
        date.fromisoformat(value)
    return value


Day = Annotated[str, BeforeValidator(_iso_day), StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


def require_aladin(path: str | Path) -> None:
    """Refuse what cannot be the program of Aladin Lite: no text, a page of HTML, or one without ``aladin``.

    Raises
    ------
    ConfigError
    """
    if not Path(path).is_file():
        raise ConfigError(f"there is no file {path}")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    if "aladin" not in text.lower() or "\0" in text or text.lstrip().startswith("<"):
        raise ConfigError(
            f"{path} is not the program of Aladin Lite: JavaScript, such as dist/aladin.js of its package"
        )


class PublishOptions(Section):
    """The folder that is put on a web server."""

    creators: list[Creator] = Field(
        [],
        description="who publishes the masks and catalogues, as 'Family name, given names'; in the research "
        "object, the texts for citation and .zenodo.json",
    )
    date: Day | None = Field(
        None,
        description="date of the publication in the research object, such as 2027-01-31; null: that of the "
        "latest image",
    )
    license: str = Field(
        "CC-BY-4.0",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]*$",
        description="SPDX identifier of the licence of what is published",
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+/$",
        description="address at which the folder will be, ending in /; the table of images (ObsCore) and "
        "the VOTables give files by it; null: by their place in the folder",
    )
    aladin: FilePath | None = Field(
        None,
        description="program of Aladin Lite (a .js file), which the results site shows its HiPS with; null: "
        "its sky map is a drawing of the mosaics",
    )
