def pytest_addoption(parser):
    parser.addoption(
        "--fix-schema", action="store_true", help="rewrite the configuration's schema and reference"
    )


LONG = ("tests/workflow/", "tests/unit/learning/", "tests/unit/network/", "tests/unit/simulation/")
"""Folders whose files take longest: begun first, so that no core waits at the end for one of them."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if name in str(item.path)), len(LONG)))
