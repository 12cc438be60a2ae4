def pytest_addoption(parser):
    parser.addoption(
        "--fix-schema", action="store_true", help="rewrite the configuration's schema and reference"
    )
