"""The stages of a survey, one row each: what plan, rerun, progress and scratch know of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from radiounet.images.products import Products
from radiounet.images.regional_products import ProductsOfRegions

if TYPE_CHECKING:
    from radiounet.settings.config import Config

Source = Literal["published", "fields", "images"]
EVERY: tuple[Source, ...] = ("published", "fields", "images")


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes
    ----------
    rule : str
        Name of its rule and of its script.
    each : str
        What one of its jobs works on: a ``field``, a ``mosaic`` that is made, a ``selected`` one
        (not a neighbour that is made only to measure clusters), a ``table`` of components, of a selected
        mosaic or of all, or the whole ``survey``.
    shows : str
        Product that shows that a job is done: a method of `Products`, of the field, mosaic or table.
    unit : str
        What its cost in ``resources/costs.csv`` counts.
    sources : tuple of str
        Values of ``mosaics.source`` with which it runs.
    beside : tuple of str
        Further products of a mosaic that its jobs write, methods of `Products`.
    lasting : tuple of str
        Products of a mosaic that stay after a run, methods of `Products`.
    bulky : tuple of str
        Folders of products that can be fetched or made again, and may lie on scratch.
    on_gpu : bool
    switch : str or None
        Key of the configuration without which it does not run.
    """

    rule: str
    each: Literal["field", "mosaic", "selected", "table", "survey"]
    shows: str
    unit: Literal["GB", "Mpx", "Mpx of fields", "Mpx of apertures", "cluster", "mosaic", "picture"]
    sources: tuple[Source, ...] = EVERY
    beside: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()
    bulky: tuple[str, ...] = ()
    on_gpu: bool = False
    switch: Literal["limits.enabled", "mosaics.high_resolution", "measure.fetches_components"] | None = None

    @property
    def fetches(self) -> bool:
        """Whether it downloads."""
        return self.rule.startswith("fetch")

    @property
    def keeps_bytes(self) -> bool:
        """Whether newer code leaves its products: large downloads, or what was cut from them."""
        return self.rule in ("fetch_field", "fetch_mosaic", "fetch_high_resolution")


STAGES = [
    Stage("fetch_field", "field", "field_source", "GB", ("fields",), bulky=("fields",)),
    Stage("fetch_mosaic", "mosaic", "mosaic_source", "GB", ("published",), ("image",), bulky=("mosaics",)),
    Stage(
        "mosaic",
        "mosaic",
        "image",
        "Mpx of fields",
        ("fields",),
        beside=("weights", "rms", "left_out"),
        bulky=("mosaics",),
    ),
    Stage("prepare_image", "mosaic", "image", "Mpx", ("images",), bulky=("mosaics",)),
    Stage(
        "fetch_high_resolution",
        "selected",
        "high_resolution",
        "cluster",
        bulky=("high_resolution",),
        switch="mosaics.high_resolution",
    ),
    Stage("fetch_components", "table", "components", "mosaic", switch="measure.fetches_components"),
    Stage("segment", "mosaic", "mask", "Mpx", lasting=("probability", "mask"), on_gpu=True),
    Stage("find_islands", "selected", "islands", "Mpx", lasting=("islands",)),
    Stage("measure_clusters", "selected", "clusters", "Mpx of apertures", lasting=("clusters", "cutouts")),
    Stage("measure_limits", "selected", "limits", "cluster", lasting=("limits",), switch="limits.enabled"),
    Stage("merge_catalogue", "survey", "configuration", "mosaic"),
    Stage("report", "survey", "report", "picture"),
]
"""In the order of the walk. A workflow that uses this one as a module may add rows."""
OF_PACKAGE = tuple(STAGES)


def options_of_added(products: Products) -> list[str]:
    """Option that tells a job which stages were added: its process has those of the package alone.

    Parameters
    ----------
    products : Products
        Of the run. Methods of added products put the name into a path, and do nothing else with it.

    Returns
    -------
    list of str
        ``--added-stages`` and what `add_stages` takes (JSON); empty where none was added.
    """
    named = ProductsOfRegions(products.root, {"{name}": "{folder}"})
    added = []
    for place, stage in enumerate(STAGES):
        if stage not in OF_PACKAGE:
            kinds = (stage.shows, *stage.beside, *stage.lasting)
            name = () if stage.each == "survey" else ("{name}",)
            paths = {kind: getattr(named, kind)(*name) for kind in kinds}
            added.append({"place": place, "stage": asdict(stage), "paths": paths})
    return ["--added-stages", json.dumps(added)] if added else []


def add_stages(added: Iterable[dict[str, Any]]) -> None:
    """Add stages of another process to `STAGES`, and what they make to `Products`.

    One takes the place of a row of the same rule.

    Parameters
    ----------
    added : iterable of dict
        ``place`` in the table; ``stage``, its row; ``paths`` of its products by method, with ``{name}`` for
        the name of the field or mosaic, and ``{folder}`` for the folder of its products.
    """
    added = list(added)
    rules = {one["stage"]["rule"] for one in added}
    STAGES[:] = [stage for stage in STAGES if stage.rule not in rules]
    for one in added:
        STAGES.insert(one["place"], TypeAdapter(Stage).validate_python(one["stage"]))
        for kind, path in one["paths"].items():
            if not hasattr(Products, kind):
                setattr(Products, kind, _method(path))


def _method(path: str) -> Callable[..., str]:
    return lambda self, name="": path.replace("{folder}", self.of(name)).replace("{name}", name)


def stages_of(config: Config) -> list[Stage]:
    """Stages of a run."""
    return [
        stage
        for stage in STAGES
        if config.mosaics.source in stage.sources
        and (stage.switch is None or attrgetter(stage.switch)(config))
    ]


def lasting_products(config: Config, products: Products, mosaic: str) -> list[str]:
    """All of one mosaic that stays after a run, whatever its image was made from."""
    return [getattr(products, kind)(mosaic) for stage in stages_of(config) for kind in stage.lasting]


def products_of_mosaic(config: Config, products: Products, mosaic: str) -> list[str]:
    """All that the jobs of one mosaic write, and what is fetched for them, each once."""
    kinds = {
        kind: None
        for stage in stages_of(config)
        if stage.each in ("mosaic", "selected")
        for kind in (stage.shows, *stage.beside, *stage.lasting)
    }
    made = [getattr(products, kind)(mosaic) for kind in kinds]
    return list(dict.fromkeys([*made, *config.fetched_compact(products, mosaic)]))


def tables_of_mosaic(config: Config) -> list[str]:
    """Lasting products that are made from a mask, and so after all others of a mosaic."""
    stages = stages_of(config)
    first = stages.index(made_by("mask")) + 1
    return [kind for stage in stages[first:] for kind in stage.lasting]


MERGED = ("islands", "clusters", "cutouts", "limits")
"""Products of a mosaic that are merged into the catalogues, with their rejections."""


def further_kinds(config: Config) -> list[str]:
    """Lasting products of stages that were added: of these, only rejections reach a catalogue."""
    known = ("probability", "mask", *MERGED)
    return [kind for stage in stages_of(config) for kind in stage.lasting if kind not in known]


def bulky_folders() -> list[str]:
    """Folders of products that can be fetched or made again."""
    return list(dict.fromkeys(folder for stage in STAGES for folder in stage.bulky))


def made_by(kind: str) -> Stage:
    """The stage that leaves a lasting product of this kind."""
    return next(stage for stage in STAGES if kind in stage.lasting)


def are_done(stage: Stage, products: Products, names: Iterable[str]) -> int:
    """How many of a stage's jobs have left the product that shows it."""
    product = getattr(products, stage.shows)
    return sum(Path(product() if stage.each == "survey" else product(name)).is_file() for name in names)
