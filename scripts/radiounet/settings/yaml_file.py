"""Reading YAML that somebody else may have written."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from radiounet.errors import ConfigError

MOST_BYTES = 10_000_000
MOST_ALIASES = 100


class _Loader(yaml.SafeLoader):
    """Refuses more aliases than a person writes, which can stand for more values than any memory holds.

    Refuses a key that stands twice in one mapping as well: all but the last would be lost.
    """

    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MOST_ALIASES:
                place = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                raise yaml.constructor.ConstructorError(
                    None, None, f"more than {MOST_ALIASES} aliases (*)", place
                )
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        known: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":  # << may stand more than once
                continue
            if isinstance(key, yaml.ScalarNode) and key.value in known:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is given twice in one mapping", key.start_mark
                )
            known.add(str(key.value))
        return node


def read_yaml(path: str | Path) -> Any:
    """Content of a YAML file.

    Raises
    ------
    FileNotFoundError
    ValueError
        Says why it cannot be read: too large, too many aliases, a key twice, nested too deep, no text,
        not YAML.
    """
    path = Path(path)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} has more than {MOST_BYTES / 1e6:.0f} MB")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, ValueError) as error:  # no text, or a day that there is not
        raise ValueError(f"{path} is not YAML: {error}") from error
    except RecursionError:
        raise ValueError(f"{path} is nested too deep") from None


def require_one_configfile(words: Sequence[str]) -> None:
    """Refuse a command line of Snakemake that gives ``--configfile`` twice: the files of the first are lost.

    Raises
    ------
    ConfigError
    """
    if (
        "snakemake" in words[0]
        and sum(word.partition("=")[0] in ("--configfile", "--configfiles") for word in words) > 1
    ):
        raise ConfigError(
            "--configfile is given twice, and Snakemake reads the files of the last one only: "
            "name all files after one, as in --configfile mine.yaml more.yaml"
        )


def require_single_keys(paths: Iterable[str | Path]) -> None:
    """Look into configuration files for keys that stand twice, of which Snakemake takes the last.

    Raises
    ------
    ConfigError
        Names file, line and key.
    """
    for path in paths:
        try:
            # files in JSON as well, but for tabs, which YAML does not take
            yaml.compose(Path(path).read_text(encoding="utf-8").replace("\t", " "), _Loader)
        except yaml.YAMLError as error:
            raise ConfigError(f"the configuration {path} cannot be used: {error}") from None
