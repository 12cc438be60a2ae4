"""Numbers as the pages of the results site show them, by Node.js; `tests/browser` looks at whole pages."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from radiounet.publishing.site import ASSETS

NODE = shutil.which("node")
SHOWN = [
    ((9.9999e24, 2), "1.00 × 10²⁵"),  # not 10.00 × 10²⁴
    ((9.9899e24, 2), "9.99 × 10²⁴"),
    ((-9.996e5, 2), "−1.00 × 10⁶"),
    ((9.9999e24, 2, 1.2e23), "(1.00 ± 0.01) × 10²⁵"),
    ((1e5, 2), "1.00 × 10⁵"),
    ((12.3, 3, 0.0996), "12.30 ± 0.10"),
    ((12.3, 3, 0.0994), "12.300 ± 0.099"),
    ((123, 3, 9.96), "123 ± 10"),
    ((9.9996, 3), "10.00"),
    ((99.996, 3), "100.0"),
    ((0.0123, 3), "0.012"),
    ((0, 3), "0.000"),
    ((None, 3), "–"),
]


MAP = """
globalThis.window = globalThis.document = {};
globalThis.getComputedStyle = () => ({ getPropertyValue: () => "" });
const drawn = { steps: [], texts: [] };
let pen = null;
const context = new Proxy({
  moveTo: (x, y) => { pen = [x, y]; },
  lineTo: (x, y) => {
    const middle = [(x + pen[0]) / 2, (y + pen[1]) / 2];
    const isSeen = middle[0] > 0 && middle[0] < 1300 && middle[1] > 0 && middle[1] < 560;
    if (isSeen) drawn.steps.push(Math.hypot(x - pen[0], y - pen[1]));
    pen = [x, y];
  },
  fillText: (text, x, y) => drawn.texts.push([text, x, y]),
}, { get: (target, name) => target[name] || (() => null) });
const map = Object.assign(Object.create(SkyMap.Map.prototype), {
  run: { mosaics: [] }, clusters: { count: 0, columns: {} }, islands: null, box: { clientWidth: 1300 },
  canvas: { clientHeight: 560, getContext: () => context }, ra: VIEW[0], dec: VIEW[1], fov: VIEW[2],
});
map.draw();
console.log(JSON.stringify(drawn));
"""
"""Steps of the lines on a sky map in pixels, and its labels with their places."""

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")


def run_program(scripts, program):
    """What a program writes as JSON, after scripts of the site."""
    code = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in scripts)
    done = subprocess.run([NODE], input=f"{code}\n{program}", capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_numbers_have_the_power_of_ten_of_the_value_that_is_shown():
    values = json.dumps([values for values, _ in SHOWN])
    program = f"console.log(JSON.stringify({values}.map((one) => Site.number(...one))))"
    assert run_program(["core.js"], program) == [text for _, text in SHOWN]


@pytest.mark.parametrize(
    "view", [(180, 0, 360), (40, 85, 360), (300, 60, 200), (40, 80, 130), (200, -82, 12), (40, 89.9, 0.5)]
)
def test_lines_of_the_sky_have_no_jump_and_labels_do_not_overlap(view):
    """A line that ran over the edge of the map came back as a straight one."""
    require_tidy(run_program(["core.js", "sky.js"], MAP.replace("VIEW", json.dumps(view))))


def require_tidy(drawn):
    assert len(drawn["steps"]) > 100
    assert max(drawn["steps"]) < 60
    for place, (text, x, y) in enumerate(drawn["texts"]):
        for other, other_x, other_y in drawn["texts"][:place]:
            assert abs(x - other_x) > 30 or abs(y - other_y) >= 11, (text, other)


@pytest.mark.parametrize("fov", [90, 100, 100.5, 110, 119, 121, 135, 150, 180])
@pytest.mark.parametrize("dec", [-90, -60, 0, 30, 89])
def test_a_map_that_turns_into_the_whole_sky_has_no_jump_and_no_overlap(dec, fov):
    """Labels of places that such a map does not show have none."""
    require_tidy(run_program(["core.js", "sky.js"], MAP.replace("VIEW", json.dumps([0, dec, fov]))))


@pytest.mark.parametrize(("view", "count"), [((40, 89.5, 6), 8), ((40, -89.9, 0.5), 8), ((40, 80, 12), 24)])
def test_meridians_around_a_pole_are_evenly_spread_over_all_of_it(view, count):
    """A view in which the pole may be seen had those of one side, or several hundred."""
    program = MAP.replace("VIEW", json.dumps(view)).replace(
        "map.draw();", "const lines = []; map.line = (places) => { lines.push(places); }; map.draw();"
    )
    lines = run_program(["core.js", "sky.js"], program.replace("stringify(drawn)", "stringify(lines)"))
    meridians = sorted({places[0][0] % 360 for places in lines if len({ra for ra, _ in places}) == 1})
    assert meridians == [360 / count * number for number in range(count)]


MARKS = """
const make = (kind) => ({
  kind, at: {}, parts: [], setAttribute(name, value) { this.at[name] = value; }, addEventListener() {},
  append(...parts) { this.parts.push(...parts); }, set className(value) { this.at.class = value; },
});
globalThis.document = {
  createElement: make, createElementNS: (space, kind) => make(kind), createTextNode: (text) => ({ text }),
};
const marks = Site.marks(VIEW, { redshift: 0.2, r500_kpc: 1000, r500_arcmin: 5 }).flat();
const texts = marks.filter((one) => one.kind === "text");
console.log(JSON.stringify(texts.map(({ at }) => ["x", "y", "font-size"].map((name) => at[name]))));
"""
"""Places and sizes of the texts on a picture: north, east, scale."""


@pytest.mark.parametrize("size", [(160, 40), (160, 30), (160, 80), (160, 160), (40, 160), (400, 300)])
@pytest.mark.parametrize("angle_deg", [0, 30, 135, 180, 270])
def test_texts_on_a_picture_can_be_read_in_every_shape(size, angle_deg):
    """As wide as a panel of 300 px, letters have 11 to 12 px, lie inside and apart from each other."""
    angle = np.radians(angle_deg)
    north, east = [np.sin(angle), -np.cos(angle)], [-np.cos(angle), -np.sin(angle)]
    view = {"size": size, "scale": 4.5 / 60, "north": north, "east": east, "beam": [4.4, 4.4, 0]}
    texts = np.array(run_program(["core.js"], MARKS.replace("VIEW", json.dumps(view)))) * 300 / size[0]
    x, y, letters = texts.T
    assert ((letters >= 11) & (letters <= 12)).all()
    assert (y - 0.75 * letters > 0).all()
    assert (y < 300 * size[1] / size[0]).all()
    assert (x < 300 - letters / 3).all()
    assert np.hypot(x[0] - x[1], y[0] - y[1]) > letters[0]
