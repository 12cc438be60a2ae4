"""Parsers of command lines, of all programs.

It imports no other module, so that the command ``radiounet`` begins at once.
"""

import argparse
from typing import Any


def new_parser(program: str | None = None, **about: Any) -> argparse.ArgumentParser:
    """Return a parser whose options cannot be abbreviated: one that is not there is taken for no other.

    Parameters
    ----------
    program : str, optional
        Its name (default: that of the script).
    **about
        Further arguments of `argparse.ArgumentParser`. Texts keep their lines.
    """
    return argparse.ArgumentParser(
        program, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **about
    )
