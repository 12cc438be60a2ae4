"""The results site and the labelling page in a real Chromium, made of what the stages write."""

import io
import json
import os
import re
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import Request, urlopen

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from radiounet.images.products import Publication, SiteFiles, file_stems
from radiounet.measuring.labels import read_labels
from radiounet.publishing.label_server import Labelling, LabelServer
from radiounet.publishing.labelling import LabelTable, candidates
from radiounet.publishing.publication import publish, survey_of_run
from radiounet.publishing.site import write_site
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import OWN_IMAGES
from stages import DEC, RA, run_to_catalogue, write_image
from tests.browser.made_up import (
    CHROMIUM,
    DRIVER,
    FILTER,
    FIRST_VIEW,
    WEBGL,
    open_browser,
    visit,
    wait,
    write_survey,
)
from tests.waiting import wait_until

pytest.importorskip("selenium", reason="selenium is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium or its driver is not installed"),
]
HOSTILE = "<img src=x onerror=\"document.title='hacked'\"> </script> 'q' \u202e Größe " + "y" * 230


PAGES = [f"/cluster/a/{stem}" for stem in file_stems([HOSTILE, "Plain 2"])]
ALADIN = os.environ.get("ALADIN_LITE", "")
"""Program of Aladin Lite, which is not part of this repository."""
CELLS = """return [...document.querySelectorAll('tbody tr')].map(
    (row) => parseFloat(row.cells[arguments[0]].textContent))"""
SHOWN = """return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility())
    .map((one) => one.textContent)"""
SORT_BY_FLUX = """[...document.querySelectorAll('thead button')].find(
    (one) => /^S (in mask|total)/.test(one.textContent)).click()"""


@pytest.fixture(scope="module")
def browser():
    driver = open_browser()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    image = write_image(folder / "a.fits", n_px=220)
    table = Table({"name": [HOSTILE, "Plain 2"], "ra": [RA, RA + 0.03], "dec": [DEC, DEC - 0.02]})
    table["z"], table["R500"] = [0.2, 0.3], [2.0, 2.0]
    return run_to_catalogue(folder, image, table)


@pytest.fixture(scope="module")
def site(products, tmp_path_factory):
    folder = tmp_path_factory.mktemp("publication")
    write_site(products.root, folder, None, 1)
    return folder


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
    # every layer that is drawn in a colour has it in its key
    for layer, shape in (("islands", "path"), ("contours", "path"), ("r500", "circle"), ("fit", "ellipse")):
        drawn, key = browser.execute_script(
            """const shape = document.querySelector(`[data-layer=${arguments[0]}] ${arguments[1]}`);
            const label = document.querySelector(`.layer-${arguments[0]}`);
            return [shape && getComputedStyle(shape).stroke,
                    label && getComputedStyle(label, '::after').backgroundImage]""",
            layer,
            shape,
        )
        assert (drawn is None) is (key is None)
        assert drawn is None or drawn in key
    for link in browser.execute_script(
        "return [...document.querySelectorAll('.files a[download]')].map(a => a.href)"
    ):
        assert browser.execute_script("return decodeURI(arguments[0])", link).startswith(
            f"file://{site}/site/cutouts/a/"
        )
    assert browser.title != "hacked"
    require_clean(browser, "file://")


@pytest.mark.parametrize("shape", [(160, 40), (40, 160), (90, 90)])
def test_a_card_shows_the_whole_picture(browser, site, tmp_path, shape):
    """Red on the first side, green in the middle, blue on the last side of the longer axis."""
    folder = tmp_path / "site"
    shutil.copytree(site, folder)
    longer = int(shape[1] > shape[0])
    bands = np.full((*shape, 3), 128, np.uint8)
    for place, colour in ((slice(0, 20), 0), (slice(-20, None), 2)):
        np.moveaxis(bands, longer, 0)[place] = 255 * np.eye(3, dtype=np.uint8)[colour]
    middle = [slice(length // 2 - 10, length // 2 + 10) for length in shape]
    bands[middle[0], middle[1]] = [0, 255, 0]
    for path in folder.glob("site/pictures/a/*.residual.jpg"):
        Image.fromarray(bands).save(path, "JPEG", quality=95)
    visit(browser, f"file://{folder}/index.html#/clusters")
    wait(browser, "const i = document.querySelector('.thumb img'); return i && i.complete && i.naturalWidth")
    (card, *_) = browser.find_elements("css selector", ".thumb")
    shown = np.asarray(Image.open(io.BytesIO(card.screenshot_as_png)).convert("RGB")).astype(int)
    for colour, place in ((0, 0.0), (1, 0.5), (2, 1.0)):
        pixels = np.argwhere((np.abs(shown - 255 * np.eye(3)[colour]) < 60).all(axis=2))
        assert pixels.mean(axis=0)[longer] / shown.shape[longer] == pytest.approx(place, abs=0.12)


def test_cards_name_their_flux_density_and_show_it_whole(browser, site):
    for kind, pattern in (("clusters", r"\d mJy in mask|no flux density"), ("islands", r"\d mJy in total")):
        visit(browser, f"file://{site}/index.html#/{kind}")
        lines = browser.execute_script(
            """return [...document.querySelectorAll('.facts')].map(
                (one) => [one.textContent, one.scrollWidth - one.clientWidth])"""
        )
        assert len([text for text, _ in lines if re.search(pattern, text)]) * 2 == len(lines) > 0
        assert {over for _, over in lines} == {0}


def test_only_filters_and_an_order_can_be_reset(browser, site):
    button = "return [...document.querySelectorAll('.headline p button')].length"
    for query, count in (("", 0), ("?view=table", 0), ("?sort=name", 1), ("?view=table&name=zz", 1)):
        visit(browser, f"file://{site}/index.html#/clusters{query}")
        assert browser.execute_script(button) == count


def test_islands_of_the_sky_map_have_a_key_and_can_be_hidden_again(browser, site):
    visit(browser, f"file://{site}/index.html#/")
    press = "document.querySelector('p.legend button').click()"
    state = """const key = document.querySelector('span.legend');
        return [document.querySelector('p.legend button').textContent,
                key.checkVisibility() && key.textContent]"""
    assert browser.execute_script(state) == ["Show islands", False]
    browser.execute_script(press)
    text, key = wait(browser, state.replace("return", "if (!key.hidden) return"))
    assert text == "Hide islands"
    assert re.fullmatch(r"Islands, smaller:(\S+ [a-z ]+, \d+)+", key)
    browser.execute_script(press)
    wait(browser, "return document.querySelector('span.legend').hidden")
    assert browser.execute_script(state)[0] == "Show islands"


@pytest.mark.parametrize("page", ["/", "/islands?view=table", "/rejected", "/run"])
def test_every_page_opens_without_an_error(browser, site, page):
    visit(browser, f"file://{site}/index.html#{page}")
    assert (
        browser.execute_script("return document.querySelector('h1').textContent")
        != "This page cannot be shown"
    )
    require_clean(browser, "file://")


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("page", ["/", "/clusters", "/clusters?view=table", "/islands", *PAGES, "/run"])
def test_a_phone_shows_every_page_within_its_width(browser, site, page, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        visit(browser, f"file://{site}/index.html#{page}")
        heading = wait(browser, "return document.querySelector('#main h1').textContent")
        assert heading != "This page cannot be shown"
        assert browser.execute_script("return document.documentElement.scrollWidth") == width
        require_clean(browser, "file://")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_print_shows_the_numbers_of_a_cluster_and_no_controls(browser, site):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        for page in ("/clusters?view=table", *PAGES):
            visit(browser, f"file://{site}/index.html#{page}")
            wait(browser, "return document.querySelector('main h1')")
            assert (
                browser.execute_script(SHOWN, "nav, .filters, .options, .pager, .tools, .layers label") == []
            )
        assert len(browser.execute_script(SHOWN, ".panel img")) == 3
        numbers = browser.execute_script(SHOWN, ".numbers th")
        assert "Diffuse flux density of the cluster's own islands inside R500" in numbers
        assert browser.execute_script("return getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


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
def test_the_viewer_draws_the_hips_of_the_run(served):
    browser = open_browser(*WEBGL)
    visit(browser, f"{served}/index.html#/viewer/image")
    seen = []

    def drawn():
        events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
        answers = [e["params"]["response"] for e in events if e["method"] == "Network.responseReceived"]
        seen.extend((one["url"], one["status"]) for one in answers)
        return any("/Dir0/Npix" in url and status == 200 for url, status in seen)

    wait_until(drawn, lambda: seen)
    assert [url for url, _ in seen if not url.startswith((served, "data:", "blob:"))] == []
    # a HiPS has no tiles where it has no data, and Aladin Lite asks for them
    errors = [one["message"] for one in browser.get_log("browser") if one["level"] == "SEVERE"]
    browser.quit()
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
    return write_survey(tmp_path_factory.mktemp("large"))


@pytest.mark.slow
def test_a_survey_opens_small_and_filters_and_sorts(browser, large):
    visit(browser, f"file://{large}/index.html")
    wait(browser, "return document.querySelector('.card')")
    assert sum((large / one).stat().st_size for one in FIRST_VIEW) < 3e6
    for kind, field, low in (("clusters", "flux_mjy.min", 100), ("islands", "total_flux_mjy.min", 60)):
        visit(browser, f"file://{large}/index.html#/{kind}?view=table")
        wait(browser, "return document.querySelectorAll('tbody tr').length === 100")
        browser.execute_script(FILTER, field, low)
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
    server = LabelServer(Labelling(candidates(products.root, "cluster", "uncertain"), LabelTable(path, "me")))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        visit(browser, server.url)
        first = wait(
            browser, "return document.querySelector('.panel img') && document.querySelector('h1').textContent"
        )
        bars = browser.execute_script(SHOWN, ".bar.inferno, .bar.cividis")
        captions = browser.execute_script(SHOWN, "figcaption")
        assert len(bars) == len([text for text in bars if text.startswith("0")]) == 3
        assert [text.partition(", ")[2] for text in captions] == ["mJy/beam", "mJy/beam", ""]
        # north, east, a scale and the beam on the image
        count = "return document.querySelectorAll(arguments[0]).length"
        assert browser.execute_script(count, ".panel line.mark") >= 3
        assert browser.execute_script(count, ".panel ellipse.beam") >= 1
        written = (
            "return [...document.querySelectorAll('.panel text')].map((one) => one.textContent).join(' ')"
        )
        assert re.fullmatch(r"(N E [\d.]+′( = \d+ kpc)? ?)+", browser.execute_script(written))
        press = "document.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0]}))"
        browser.execute_script(press, "h")
        wait(browser, "return document.querySelector('p').textContent.startsWith('1 of 2')")
        browser.execute_script(press, "z")
        wait(browser, "return document.querySelector('p').textContent.startsWith('0 of 2')")
        browser.execute_script(press, "g")
        wait(browser, "return document.querySelector('p').textContent.startsWith('1 of 2')")
        require_clean(browser, server.url)
        (label,) = read_labels(path)
        assert (label.name, label.classes) == (first, ("NDE",))
        assert len(LabelTable(path, "me").rows) == 1
        body = json.dumps({"action": "undo"}).encode()
        good = {
            "Content-Type": "application/json",
            "Origin": server.url.removesuffix(f"/{server.token}/"),
        }
        for place, headers in (
            (server.url + "act", good | {"Origin": "http://example.org"}),
            (server.url + "act", {"Content-Type": "application/json"}),
            (server.url + "act", good | {"Host": "example.org"}),
            (server.url.replace(server.token, "guess") + "act", good),
        ):
            with pytest.raises(OSError, match="403"):
                urlopen(Request(place, body, headers), timeout=5)
        assert len(read_labels(path)) == 1
    finally:
        server.shutdown()
        server.server_close()


def test_names_of_files_are_told_apart_where_case_is_ignored(products):
    assert file_stems(["A 1", "a_1", "A+1", "µ", "", "../x"]) == [
        "A_1",
        "a_1~2",
        "A+1",
        "unnamed",
        "unnamed~2",
        "x",
    ]
    assert SiteFiles("p").picture("m", "A_1", "image") == "p/site/pictures/m/A_1.image.jpg"


def test_the_keyboard_keeps_its_place(browser, large):
    visit(browser, f"file://{large}/index.html#/clusters?view=table")
    browser.execute_script(SORT_BY_FLUX.replace(".click()", ".focus()"))
    pressed = browser.execute_script("return document.activeElement.textContent")
    browser.execute_script("document.activeElement.click()")
    assert browser.execute_script("return document.activeElement.tagName") == "BUTTON"
    now = browser.execute_script("return document.activeElement.textContent")
    assert now[:9] == pressed[:9]
    browser.execute_script("document.getElementById('skip').click()")
    assert browser.execute_script("return document.activeElement.id") == "main"
    assert browser.execute_script("return location.hash").startswith("#/clusters")
    browser.execute_script("location.hash = '#/%E0%A4%A'")
    wait(browser, "return document.querySelector('#main h1')")
    # this survey has no pictures
    errors = [one["message"] for one in browser.get_log("browser")]
    assert [one for one in errors if "ERR_FILE_NOT_FOUND" not in one] == []
