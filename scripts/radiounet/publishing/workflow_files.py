"""The workflow as a publication carries it: its files, the package, and the configuration of the run."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from radiounet import __version__
from radiounet.errors import ConfigError
from radiounet.images.products import Products
from radiounet.images.provenance import PACKAGE, code_hash, package_files
from radiounet.measuring.table_settings import require_settings_of_catalogue
from radiounet.publishing.records import require_files
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.config import load_config
from radiounet.settings.configuration_file import require_unchanged
from radiounet.settings.releases import Release
from radiounet.settings.yaml_file import read_yaml

SNAKEFILE = "workflow/Snakefile"
CONFIGURATION = "workflow/config/config.yaml"
"""Where the Snakefile looks for its configuration."""
PACKAGE_FILE = "workflow/scripts/radiounet.zip"
PARTS = (
    "Snakefile",
    "LICENSE",
    "workflow/rules/*.smk",
    "workflow/report/*.rst",
    "envs/*.yaml",
    "profiles/default/*.yaml",
    "scripts/*.py",
)
"""Files of a checkout, which keep their places below ``workflow/``."""
WITHOUT_CHECKOUT = """# Made with radiounet {version}, code {code}, which was installed without its workflow.
rule publish:
    shell:
        "radiounet publish RESULTS --out publication"
"""
OLDEST = (1980, 1, 1, 0, 0, 0)


def workflow_files(configuration: str | Path) -> dict[str, bytes]:
    """Files of the workflow by their name in a publication.

    Parameters
    ----------
    configuration : path
        Settings that the catalogues were made with.
    """
    files = {CONFIGURATION: Path(configuration).read_bytes(), PACKAGE_FILE: _package()}
    if not (CHECKOUT / "Snakefile").is_file():
        text = WITHOUT_CHECKOUT.format(version=__version__, code=code_hash())
        return files | {SNAKEFILE: text.encode()}
    paths = (path for part in PARTS for path in sorted(CHECKOUT.glob(part)))
    return files | {f"workflow/{path.relative_to(CHECKOUT).as_posix()}": path.read_bytes() for path in paths}


def check_configuration(products: Products, release: Release, made: Mapping[str, object]) -> None:
    """Make sure that the configuration of a run can be published.

    Parameters
    ----------
    products : Products
    release : Release
    made : mapping
        Metadata of the catalogue of clusters.

    Raises
    ------
    ConfigError
        It is missing, was changed, is no configuration, or is of a run over another release or with other
        settings.
    """
    path = products.configuration()
    require_files([path])
    try:
        config = load_config(read_yaml(path))
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{path} is no configuration of this version: {error}") from None
    if config.survey != release.name:
        raise ConfigError(
            f"{path} is of a run over {config.survey}, not {release.name}: publish it as {config.survey}"
        )
    require_unchanged(path)
    require_settings_of_catalogue(made, config, products.catalogue("clusters", "vot"))


def _package() -> bytes:
    """The package, without dates: its hash is that of the products."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as store:
        for name in package_files(PACKAGE):
            content = (PACKAGE.parent / name).read_bytes()
            store.writestr(zipfile.ZipInfo(name, OLDEST), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()
