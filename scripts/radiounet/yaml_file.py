"""Reading YAML that somebody else may have written."""

from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 10_000_000
MOST_ALIASES = 100


class _Loader(yaml.SafeLoader):
    """Refuses more aliases than a person writes: they can stand for more values than any memory holds."""

    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MOST_ALIASES:
                raise yaml.constructor.ConstructorError(
                    None, None, f"more than {MOST_ALIASES} aliases (*)", self.peek_event().start_mark
                )
        return super().compose_node(parent, index)


def read_yaml(path: str | Path) -> Any:
    """Content of a YAML file.

    Raises
    ------
    FileNotFoundError
    ValueError
        Says why it cannot be read: too large, too many aliases, nested too deep, no text, not YAML.
    """
    path = Path(path)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} has more than {MOST_BYTES / 1e6:.0f} MB")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    except RecursionError:
        raise ValueError(f"{path} is nested too deep") from None
