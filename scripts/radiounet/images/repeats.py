"""Names that stand twice where each may stand once; needs neither numpy nor astropy."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from radiounet.errors import RadioUNetError

MAX_NAMED = 5


def require_unique(
    path: str | Path,
    what: str,
    names: Iterable[str | int],
    error: type[RadioUNetError],
    row: str = "row",
) -> None:
    """Refuse a table with more than one row for a name: nothing says which of them counts.

    Parameters
    ----------
    path : path
        Of the table.
    what : str
        What is named, such as ``field``.
    names : iterable of str or int
        One for each row.
    error : type
        Raised, with the names.
    row : str
        What the table has for each name.
    """
    twice = [str(name) for name, count in sorted(Counter(names).items()) if count > 1]
    if twice:
        more = f" and {len(twice) - MAX_NAMED} more" if len(twice) > MAX_NAMED else ""
        raise error(
            f"{path} has more than one {row} for {what} {', '.join(twice[:MAX_NAMED])}{more}: "
            f"keep only one {row} per {what}"
        )
