"""Redoing single pointings: where each begins anew, and what depends on it."""

import logging
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from radiounet.errors import BeamCutError, ConfigError, NoOverlapError, UnreadableError
from radiounet.images.products import Products
from radiounet.images.rejections import Rejection, read_left_out, read_rejection
from radiounet.running.job_graph import JobGraph
from radiounet.running.stages import further_kinds, lasting_products, stages_of, tables_of_mosaic
from radiounet.settings.config import Config

logger = logging.getLogger(__name__)

NOT_AT_FAULT = (NoOverlapError.__name__, BeamCutError.__name__)


class Rerun:
    """What ``--config pointing=NAME`` or ``only=rejected`` asks for.

    Parameters
    ----------
    config : Config
    graph : JobGraph
    products : Products

    Raises
    ------
    ConfigError
        Nothing is asked for, or a pointing that is no part of the run.
    """

    def __init__(self, config: Config, graph: JobGraph, products: Products):
        if not config.pointing and not config.only:
            raise ConfigError("say what to rerun: --config pointing=NAME, or --config only=rejected")
        self._config, self._graph = config, graph
        self._products = products
        self.fields: set[str] = set()
        self.mosaics: set[str] = set()
        self._files: set[str] = set()
        for name in config.pointing:
            self._add(name)
        if config.only == "rejected":
            self._add_rejected()

    def _add(self, name: str) -> None:
        """A field is fetched again, a mosaic made or fetched again; in DR2 they share their names."""
        if name in self._graph.fields_used:
            self.fields.add(name)
        elif name in self._run_mosaics:
            self.mosaics.add(name)
            self._files.add(self._products.image(name))
        else:
            raise ConfigError(f"pointing={name}: this run has no such pointing (its mosaics: select.*)")

    def _add_rejected(self) -> None:
        for name in self._graph.selected:
            for path in self._config.fetched_compact(self._products, name):
                if _rejections_in(path):  # in its own place; mosaics may share it
                    self.mosaics.add(name)
                    self._files.add(path)
        for mosaic, rejection in self._rejections():
            if rejection.stage == "fetch_field" or rejection.name != mosaic:
                self.fields.add(rejection.name)
                continue
            self.mosaics.add(mosaic)
            is_fetched = rejection.file in self._config.fetched_compact(self._products, mosaic)
            self._files.add(rejection.file if is_fetched else self._products.image(mosaic))

    def _rejections(self) -> Iterator[tuple[str | None, Rejection]]:
        made = {name: lasting_products(self._config, self._products, name) for name in self._graph.selected}
        # others that it may have are of an earlier run
        kinds = [kind for one in stages_of(self._config) if one.each == "mosaic" for kind in one.lasting]
        for name in self._graph.neighbours:
            made[name] = [getattr(self._products, kind)(name) for kind in kinds]
        for mosaic, paths in made.items():
            found = (one for path in paths for one in _rejections_in(path))
            yield from ((mosaic, one) for one in islice(found, 1))
        for field in self._graph.fields_used:
            yield from ((None, one) for one in _rejections_in(self._products.field_source(field)))
        for mosaic in self._run_mosaics if self._graph.fields_used else []:
            for one in _rejections_in(self._products.left_out(mosaic), is_list=True):
                if not one.reason.startswith(NOT_AT_FAULT):
                    yield None, one

    @property
    def _run_mosaics(self) -> list[str]:
        return [*self._graph.selected, *self._graph.neighbours]

    def starts(self) -> list[str]:
        """Files to make anew even where they are; Snakemake redoes what depends on them."""
        return sorted(
            {self._products.field_image(field, "int") for field in self.fields} | self._files,
        )

    def targets(self) -> list[str]:
        """Tables that depend on the pointings; the catalogue and the report too, once the rest is there."""
        if not self.fields and not self.mosaics:
            return []
        made = set(self.mosaics)
        if self.fields:
            made |= {name for name in self._run_mosaics if self.fields & set(self._graph.fields_of(name))}
        kinds = dict.fromkeys([*tables_of_mosaic(self._config), *further_kinds(self._config)])
        tables: set[str] = set()
        others: set[str] = set()
        for name in self._graph.selected:
            touched = made & set(self._graph.touched_by_clusters_of(name))
            for kind in kinds:
                depends = name in made or (touched and kind == "clusters")
                (tables if depends else others).add(getattr(self._products, kind)(name))
        if _all_there(sorted(others)):
            tables |= {self._products.catalogue("clusters", "fits"), self._products.report()}
        return sorted(tables)


def _rejections_in(path: str, is_list: bool = False) -> list[Rejection]:
    """What a product says was rejected; nothing where it is absent or damaged."""
    if not os.path.isfile(path):
        return []
    try:
        found = read_left_out(path) if is_list else [read_rejection(path)]
    except UnreadableError as error:
        logger.warning("%s; a run that needs it makes it again", error)
        return []
    return [one for one in found if one]


def _all_there(paths: Sequence[str]) -> bool:
    return all(Path(path).is_file() for path in paths)
