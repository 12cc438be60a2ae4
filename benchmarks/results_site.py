"""The results site of a survey as large as DR3 in Chromium: first view, filter.

Needs Chromium and its driver (`make chromium`): `PYTHONPATH=. python benchmarks/results_site.py`.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

from tests.browser.made_up import FILTER, FIRST_VIEW, open_browser, visit, wait, write_survey

from common import print_table
from radiounet.running.parsers import new_parser


def main() -> None:
    """Measure and print a table."""
    parser = new_parser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site, browser = write_survey(Path(folder)), open_browser()
        opened, filtered = [], []
        for _ in range(args.rounds):
            begun = time.monotonic()
            visit(browser, f"file://{site}/index.html")
            wait(browser, "return document.querySelector('.card')")
            opened.append(time.monotonic() - begun)
            visit(browser, f"file://{site}/index.html#/islands?view=table")
            wait(browser, "return document.querySelectorAll('tbody tr').length === 100")
            filtered.append(browser.execute_script(FILTER, "total_flux_mjy.min", 60))
        size = sum((site / one).stat().st_size for one in FIRST_VIEW)
        browser.quit()
    print_table(
        ["3,821 clusters, 50,000 islands", "goal", f"median of {args.rounds}"],
        [
            ["first view, s", 2, f"{median(opened):.2f}"],
            ["first view, MB", 3, f"{size / 1e6:.2f}"],
            ["filter of 50,000 islands, ms", 200, f"{median(filtered):.0f}"],
        ],
    )


if __name__ == "__main__":
    main()
