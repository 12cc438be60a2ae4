def pytest_addoption(parser):
    parser.addoption(
        "--fix-schema", action="store_true", help="rewrite workflow/schemas/config.schema.json from the code"
    )
