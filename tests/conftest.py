import gc
import os
import signal

import radiounet  # noqa: F401 (before TensorFlow, which then computes here as in every command)


def pytest_configure():
    # syncing thousands of files takes long, and no test needs them after a power failure
    os.fsync = lambda descriptor: None
    # a shell lets what it starts in the background ignore Ctrl-C, which programs of tests must not inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--fix-schema", action="store_true", help="rewrite the configuration's schema and reference"
    )


LONG = (
    *("workflow/test_demo", "workflow/test_failures", "workflow/test_dag", "workflow/test_regions"),
    *("workflow/test_freshness", "workflow/test_survey", "workflow/test_other_release", "browser/"),
    *("workflow/", "unit/learning/test_training", "unit/publishing/test_publication", "unit/network/"),
    *("unit/measuring/test_islands", "unit/simulation/test_simulate", "unit/measuring/test_limits"),
    *(
        "unit/survey/test_cluster_fuzz",
        "unit/test_scripts",
        "unit/learning/",
        "unit/measuring/test_catalogue",
    ),
    *("unit/images/test_header_fuzz", "unit/running/", "unit/test_wheel", "unit/publishing/", "unit/"),
)
"""Files and folders of tests, the longest first, so that no core waits at the end for one of them."""


def pytest_collection_modifyitems(items):
    def place(item):
        return next((n for n, name in enumerate(LONG) if item.nodeid.startswith(f"tests/{name}")), len(LONG))

    items.sort(key=place)


def pytest_collection_finish():
    gc.collect()
    gc.freeze()  # imported modules stay, so the collector need not look through them again
