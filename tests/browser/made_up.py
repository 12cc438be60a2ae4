"""A Chromium, and the results site of a survey as large as DR3."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from radiounet.measuring.columns import ISLANDS, make_table
from radiounet.publishing.site import write_site
from tests.labelled import catalogue_table
from tests.waiting import wait_until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""What Aladin Lite needs; every page is drawn slowly then."""
FIRST_VIEW = (
    *("index.html", "site/site.css", "site/data/run.js", "site/data/clusters.js"),
    *(f"site/{one}.js" for one in ("core", "sky", "catalogue", "source", "main")),
)
"""What the first view of a site loads, beside the pictures that are seen."""
FILTER = """const f = document.querySelector(`[data-key="${arguments[0]}"]`), b = performance.now();
    f.value = arguments[1]; f.dispatchEvent(new Event('input'));
    const head = document.querySelector('.headline p').textContent;
    return new Promise((done) => { const look = () =>
      document.querySelector('.headline p').textContent === head
        ? requestAnimationFrame(look) : done(performance.now() - b); look(); });"""
"""Set a filter, and wait until the list shows it; ms."""


def open_browser(*flags: str):
    """Open Chromium without a window."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for one in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1300,900",
        *flags,
    ):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


def visit(browser, address: str) -> None:
    """Open a page of a site afresh, with empty logs."""
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(address)
    wait(browser, "return document.body.dataset.page || document.querySelector('#main h1')")


def wait(browser, script: str):
    """Wait until a script returns something; what it returns."""
    return wait_until(lambda: browser.execute_script(script), lambda: script)


def write_survey(folder: Path) -> Path:
    """Write the site of a run of 1,571 mosaics with 3,821 clusters and 50,000 islands; no images."""
    root, rng = folder / "dr3", np.random.default_rng(1)
    mosaics = [f"hp{n:05d}" for n in range(1571)]

    def place():
        return {"ra_deg": rng.uniform(0, 360), "dec_deg": np.degrees(np.arcsin(rng.uniform(0, 1)))}

    clusters = [
        {"name": f"PSZ2 G{n:06d}", "mosaic": mosaics[n % 1571], "redshift": rng.uniform(0.02, 1.2)}
        | {"class": str(rng.choice(["cRH", "cRR", "U", "NDE"])), "p_diffuse": rng.uniform(), **place()}
        | {"flux_mjy": rng.exponential(40), "flux_err_mjy": 4.0, "r500_arcmin": 4.0, "coverage": 1.0}
        for n in range(3821)
    ]
    blank = {name: np.nan if one.kind is float else one.kind() for name, one in ISLANDS.items()}
    islands = [
        blank
        | {"name": f"RUN J{n:06d}", "mosaic": mosaics[n % 1571], "class": "U", "p_max": rng.uniform()}
        | {"p_mean": 0.3, "total_flux_mjy": rng.exponential(20), "total_flux_err_mjy": 3.0, **place()}
        | {"las_arcmin": 3.0, "area_arcmin2": 5.0, "peak_snr": 6.0}
        for n in range(50_000)
    ]
    tables = {"cluster": catalogue_table(clusters), "island": make_table("islands", islands, {})}
    target = folder / "publication"
    with pytest.MonkeyPatch.context() as patch:
        # astropy takes half a minute to write and read so large VOTables
        patch.setattr("radiounet.publishing.site.read_catalogues", lambda results: tables)
        patch.setattr("radiounet.publishing.site.write_mosaic", lambda sources, job: [])  # none is there
        write_site(root, target, None, 1)
    return target
