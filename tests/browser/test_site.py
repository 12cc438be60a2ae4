"""The results site and the labelling page in a real Chromium, made of what the stages write."""

import json
import os
import shutil
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import Request, urlopen

import numpy as np
import pytest
from astropy.table import Table

from labelled import catalogue_table
from radiounet.images.products import Products, Publication, SiteFiles
from radiounet.measuring.catalogue import merge_catalogues, write_catalogue
from radiounet.measuring.columns import ISLANDS, make_table
from radiounet.measuring.labels import read_labels
from radiounet.publishing.label_server import Labelling, make_server
from radiounet.publishing.labelling import LabelTable, candidates
from radiounet.publishing.publication import publish, survey_of_run
from radiounet.publishing.site import write_site
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import OWN_IMAGES
from stages import DEC, RA, run_stages, write_image

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium or its driver is not installed"),
]
HOSTILE = "<img src=x onerror=\"document.title='hacked'\"> </script> 'q' \u202e Größe " + "y" * 230


WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
ALADIN = os.environ.get("ALADIN_LITE", "")
"""Program of Aladin Lite, which is not part of this repository."""
CELLS = """return [...document.querySelectorAll('tbody tr')].map(
    (row) => parseFloat(row.cells[arguments[0]].textContent))"""
SORT_BY_FLUX = """[...document.querySelectorAll('thead button')].find(
    (one) => /^S (in mask|total)/.test(one.textContent)).click()"""


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for one in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1300,900",
        *WEBGL,
    ):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    image = write_image(folder / "a.fits", n_px=220)
    table = Table({"name": [HOSTILE, "Plain 2"], "ra": [RA, RA + 0.03], "dec": [DEC, DEC - 0.02]})
    table["z"], table["R500"] = [0.2, 0.3], [2.0, 2.0]
    table["R500"].unit = "arcmin"
    table.write(folder / "clusters.ecsv")
    products = Products(str(folder / "images"))
    run_stages(products, {"a": image}, folder / "clusters.ecsv")
    merge_catalogues(products.root, ["a"])
    return products


@pytest.fixture(scope="module")
def site(products, tmp_path_factory):
    folder = tmp_path_factory.mktemp("publication")
    write_site(products.root, folder, None, 1)
    return folder


def visit(browser, address):
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(address)
    wait(browser, "return document.body.dataset.page || document.querySelector('#main h1')")


def wait(browser, script):
    for _ in range(200):
        if found := browser.execute_script(script):
            return found
        time.sleep(0.05)
    raise AssertionError(f"never true: {script}")


def require_clean(browser, begin):
    """No console error, and no request to anywhere else."""
    assert browser.get_log("browser") == []
    events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    asked = [
        one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    assert [one for one in asked if not one.startswith((begin, "data:", "blob:", "about:"))] == []


def test_a_cluster_with_a_hostile_name_has_its_page_and_its_picture(browser, site):
    visit(browser, f"file://{site}/index.html#/clusters")
    assert len(browser.execute_script("return [...document.querySelectorAll('.card')]")) == 2
    browser.execute_script("document.querySelector('.card[href*=img]').click()")
    wait(
        browser,
        "const i = document.querySelector('.panel img'); return i && i.complete && i.naturalWidth > 50",
    )
    heading = browser.execute_script("return document.querySelector('h1').textContent")
    assert heading == HOSTILE.replace("\u202e", "\\u202e")
    parsed = "return document.querySelectorAll('main script, main img[onerror]').length"
    assert browser.execute_script(parsed) == 0
    assert browser.execute_script("return document.querySelector('.island').getAttribute('d').length") > 20
    for link in browser.execute_script(
        "return [...document.querySelectorAll('.files a[download]')].map(a => a.href)"
    ):
        assert browser.execute_script("return decodeURI(arguments[0])", link).startswith(
            f"file://{site}/site/cutouts/a/"
        )
    assert browser.title != "hacked"
    require_clean(browser, "file://")


@pytest.mark.parametrize("page", ["/", "/islands?view=table", "/rejected", "/run"])
def test_every_page_opens_without_an_error(browser, site, page):
    visit(browser, f"file://{site}/index.html#{page}")
    assert (
        browser.execute_script("return document.querySelector('h1').textContent")
        != "This page cannot be shown"
    )
    require_clean(browser, "file://")


@pytest.fixture
def served(products, tmp_path):
    """Address of a publication with Aladin Lite on a server of static files."""
    survey = survey_of_run(products, OWN_IMAGES, ["a"])
    publish(products, Publication(str(tmp_path)), survey, ["a"], 1, PublishOptions(aladin=ALADIN))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.skipif(not ALADIN, reason="ALADIN_LITE does not name Aladin Lite's program")
def test_the_viewer_draws_the_hips_of_the_run(browser, served):
    visit(browser, f"{served}/index.html#/viewer/image")
    seen, deadline = [], time.monotonic() + 60
    while not any("/Dir0/Npix" in url and status == 200 for url, status in seen):
        assert time.monotonic() < deadline, seen
        time.sleep(0.5)
        events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
        answers = [e["params"]["response"] for e in events if e["method"] == "Network.responseReceived"]
        seen += [(one["url"], one["status"]) for one in answers]
    assert [url for url, _ in seen if not url.startswith((served, "data:", "blob:"))] == []
    # a HiPS has no tiles where it has no data, and Aladin Lite asks for them
    errors = [one["message"] for one in browser.get_log("browser") if one["level"] == "SEVERE"]
    assert [one for one in errors if "/hips/image/Norder" not in one and "favicon" not in one] == []


def test_the_site_is_the_same_again_and_nothing_is_written(products, site):
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in site.rglob("*") if path.is_file()
    }
    write_site(products.root, site, None, 1)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in site.rglob("*") if path.is_file()}
    assert after == before


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The lists of a run of 1,571 mosaics with 3,821 clusters and 50,000 islands; no images."""
    root = tmp_path_factory.mktemp("large") / "dr3"
    products, rng = Products(str(root)), np.random.default_rng(1)
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
    write_catalogue(catalogue_table(clusters), products.catalogue("clusters", "vot"))
    write_catalogue(make_table("islands", islands, {}), products.catalogue("islands", "vot"))
    folder = root.parent / "publication"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "radiounet.publishing.site._write_mosaics", lambda jobs, processes: []
        )  # no mosaic is there
        write_site(root, folder, None, 1)
    return folder


@pytest.mark.slow
def test_a_survey_opens_and_filters_at_once(browser, large):
    begun = time.monotonic()
    visit(browser, f"file://{large}/index.html")
    wait(browser, "return document.querySelector('.card')")
    opened = time.monotonic() - begun
    assert opened < 2
    names = [
        "index.html",
        "site/site.css",
        *(f"site/{one}.js" for one in ("core", "sky", "catalogue", "source", "main")),
    ]
    files = [*names, "site/data/run.js", "site/data/clusters.js"]
    assert sum((large / one).stat().st_size for one in files) < 3e6
    for kind, field, low in (("clusters", "flux_mjy.min", 100), ("islands", "total_flux_mjy.min", 60)):
        visit(browser, f"file://{large}/index.html#/{kind}?view=table")
        wait(browser, "return document.querySelectorAll('tbody tr').length === 100")
        took = browser.execute_script(
            """const f = document.querySelector(`[data-key="${arguments[0]}"]`), b = performance.now();
            f.value = arguments[1]; f.dispatchEvent(new Event('input'));
            const head = document.querySelector('.headline p').textContent;
            return new Promise((done) => { const look = () =>
              document.querySelector('.headline p').textContent === head
                ? requestAnimationFrame(look) : done(performance.now() - b); look(); });""",
            field,
            low,
        )
        assert took < 200
        column = browser.execute_script(
            CELLS,
            5 if kind == "clusters" else 4,
        )
        assert column
        assert min(column) >= low
        browser.execute_script(SORT_BY_FLUX)
        column = browser.execute_script(
            CELLS,
            5 if kind == "clusters" else 4,
        )
        assert column == sorted(column, reverse=True)


def test_labels_are_given_by_keys_taken_back_and_read_again(browser, products, tmp_path):
    path = tmp_path / "labels.ecsv"
    server, address = make_server(
        Labelling(candidates(products.root, "cluster", "uncertain"), LabelTable(path, "me"))
    )
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        visit(browser, address)
        first = wait(
            browser, "return document.querySelector('.panel img') && document.querySelector('h1').textContent"
        )
        press = "document.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0]}))"
        browser.execute_script(press, "h")
        wait(browser, "return document.querySelector('p').textContent.startsWith('1 of 2')")
        browser.execute_script(press, "z")
        wait(browser, "return document.querySelector('p').textContent.startsWith('0 of 2')")
        browser.execute_script(press, "g")
        wait(browser, "return document.querySelector('p').textContent.startsWith('1 of 2')")
        require_clean(browser, address)
        (label,) = read_labels(path)
        assert (label.name, label.classes) == (first, ("NDE",))
        assert len(LabelTable(path, "me").rows) == 1
        body = json.dumps({"action": "undo"}).encode()
        good = {
            "Content-Type": "application/json",
            "Origin": address.split("/", 3)[0] + "//" + address.split("/")[2],
        }
        for place, headers in (
            (address + "act", good | {"Origin": "http://example.org"}),
            (address + "act", {"Content-Type": "application/json"}),
            (address + "act", good | {"Host": "example.org"}),
            (address.replace(address.split("/")[3], "guess") + "act", good),
        ):
            with pytest.raises(OSError, match="403"):
                urlopen(Request(place, body, headers), timeout=5)
        assert len(read_labels(path)) == 1
    finally:
        server.shutdown()
        server.server_close()


def test_names_of_files_are_told_apart_where_case_is_ignored(products):
    from radiounet.images.products import file_stems

    assert file_stems(["A 1", "a_1", "A+1", "µ", "", "../x"]) == [
        "A_1",
        "a_1~2",
        "A+1",
        "unnamed",
        "unnamed~2",
        "x",
    ]
    assert SiteFiles("p").picture("m", "A_1", "image") == "p/site/pictures/m/A_1.image.jpg"
