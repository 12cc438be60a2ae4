"""Bulky products on another file system than those that must last."""

import contextlib
import os
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.products import OWNER_FILE, Products
from radiounet.running.access import permitted
from radiounet.running.stages import bulky_folders

WHAT_THIS_IS = "Files of radiounet that can be fetched or made again; results/ has links to here.\n"


def _own(folder: Path, root: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / OWNER_FILE
    with contextlib.suppress(FileExistsError), open(mark, "x", encoding="utf-8") as stream:
        stream.write(f"{root}\n")
    owner = mark.read_text(encoding="utf-8").strip()
    if not owner:  # whoever began to write it was killed
        mark.write_text(f"{root}\n", encoding="utf-8")
    elif owner != str(root):
        raise ConfigError(
            f"{folder} holds the files of the run in {owner}: give this run a scratch of its own, "
            f"or, where that run was moved or is over, remove {mark}"
        )


def link_scratch(products: Products, scratch: str) -> None:
    """Put a link to `scratch` in the place of each bulky folder; make the folders that it points to.

    A purge of `scratch` costs nothing as long as nothing new needs what is gone.

    Raises
    ------
    ConfigError
        A bulky folder is here already, or is a link to somewhere else; or another run has
        this scratch, whose products would be taken for this run's; or a folder cannot be written to.
    """
    root = Path(products.root)
    home = Path(os.path.realpath(scratch), products.title.replace(" ", "_"))
    with permitted(home):
        root.mkdir(parents=True, exist_ok=True)
        _own(home, Path(os.path.realpath(root)))
        _link_folders(root, home)


def _link_folders(root: Path, home: Path) -> None:
    for name in bulky_folders():
        link, target = root / name, home / name
        target.mkdir(parents=True, exist_ok=True)
        # Snakemake removes folders that it finds empty, and fails at a link to one
        if not (target / "README.txt").exists():
            (target / "README.txt").write_text(WHAT_THIS_IS, encoding="utf-8")
        if not link.is_symlink() and not link.exists():
            link.symlink_to(target)
        if not link.is_symlink() or os.path.realpath(link) != str(target):
            raise ConfigError(
                f"{link} is there already, and is no link to {target} (scratch of the configuration): "
                f"move it with its time stamps, mv {link}/* {target}/ && rmdir {link}, or leave scratch out"
            )
