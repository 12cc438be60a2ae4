"""Numbers as the pages of the results site show them, by Node.js; `tests/browser` looks at whole pages."""

import json
import shutil
import subprocess

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


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
def test_numbers_have_the_power_of_ten_of_the_value_that_is_shown():
    values = json.dumps([values for values, _ in SHOWN])
    program = f"console.log(JSON.stringify({values}.map((one) => Site.number(...one))))"
    code = (ASSETS / "core.js").read_text(encoding="utf-8")
    done = subprocess.run([NODE], input=f"{code}\n{program}", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [text for _, text in SHOWN]
