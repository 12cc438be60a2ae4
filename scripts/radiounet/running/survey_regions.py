"""A survey in regions: which there are, what each was made with, and what its catalogue is merged from."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

from radiounet.errors import ConfigError, RadioUNetError
from radiounet.images.products import Products
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.regional_products import read_record, region_files
from radiounet.running.job_graph import JobGraph
from radiounet.running.stages import OF_PACKAGE, stages_of
from radiounet.settings.releases import PUBLISHED, SOURCES
from radiounet.survey.survey import list_paths

CHANGES_NO_PRODUCT = {
    *("releases", "archive", "results", "scratch", "select", "environment", "on_reject"),
    *("verify", "report", "publish", "simulate", "train"),
}
"""Sections that are not those of a mosaic's products; of the releases that of the run counts, and of the
archive the tables that came from there."""
MOST_NAMED = 20
"""So many regions are named where more cannot be merged."""


class SurveyRegions:
    """The regions of a survey.

    Parameters
    ----------
    graph : JobGraph
        Of a run whose `select.healpix` is set.
    """

    def __init__(self, graph: JobGraph):
        self._graph, self._config = graph, graph.config

    @cached_property
    def mosaics(self) -> dict[int, list[str]]:
        """Mosaics of the selection by pixel of their region, both sorted."""
        mosaics: dict[int, list[str]] = defaultdict(list)
        names = self._graph.selected
        pixels = self._graph.survey.region_pixels(names, self._order)
        for name, pixel in zip(names, pixels.tolist(), strict=True):
            mosaics[pixel].append(name)
        return dict(sorted(mosaics.items()))

    @property
    def _order(self) -> int:
        region = self._config.select.healpix
        if region is None:
            raise ConfigError("select.healpix is not set: this run has no regions")
        return region.order

    def products(self, pixel: int) -> Products:
        """Products of one region."""
        return self._config.survey_products.region(self._order, pixel)

    def made_with(self) -> dict[str, Any]:
        """What the products of a region depend on beside images: settings, lists, model, code.

        Hashes, since URLs of a configuration may hold tokens.
        """
        config = self._config
        sections = config.model_dump(mode="json", exclude=CHANGES_NO_PRODUCT)
        sections["segmentation"].pop("mosaics_per_job")
        if not config.limits.enabled:
            sections["limits"] = None
        sections["release"] = config.published_release.model_dump(mode="json", exclude={*SOURCES, *PUBLISHED})
        texts = {key: json.dumps(section, sort_keys=True) for key, section in sections.items()}
        # a rule of another workflow has no script here
        rules = [
            stage.rule
            for stage in stages_of(config)
            if stage in OF_PACKAGE and stage.each != "survey" and not stage.keeps_bytes
        ]
        return {
            "settings": {key: hashlib.sha256(text.encode()).hexdigest() for key, text in texts.items()},
            "lists": [sha256_of(path) for path in self._tables() if Path(path).is_file()],
            "model": self._graph.model_state,
            "code": {rule: code_hash(rule) for rule in (*rules, "merge_catalogue")},
        }

    def _tables(self) -> list[str]:
        """Files that say what a region is made of and with: lists, flux scales, a table of components."""
        config, graph = self._config, self._graph
        tables = [*graph.cluster_table, graph.mosaic_list]
        if config.mosaics.source == "fields":
            tables += [list_paths(config.archive.list_folder, config.release)["fields"]]
            tables += filter(None, [config.mosaics.options.flux_scale])
        return tables + config.own_components(graph.products, "")

    def require_all(self) -> None:
        """Make sure that every region can be merged.

        Raises
        ------
        ConfigError
            Names regions that are missing, incomplete, or made with something else than this run says.
        """
        now = self.made_with()
        found = {pixel: self._fault(pixel, names, now) for pixel, names in self.mosaics.items()}
        faults = {pixel: fault for pixel, fault in found.items() if fault}
        if not faults:
            return
        named = [f"- region {self._order}_{pixel}: {fault}" for pixel, fault in faults.items()]
        if len(named) > MOST_NAMED:
            named[MOST_NAMED:] = [f"- and {len(named) - MOST_NAMED} more"]
        example = f"select={{healpix: {{order: {self._order}, pixel: {next(iter(faults))}}}}}"
        lines = [
            f"{len(faults)} of {len(found)} regions cannot be merged yet:",
            *named,
            f"Run each with the same configuration and its pixel, such as --config '{example}'",
        ]
        raise ConfigError("\n".join(lines))

    def _fault(self, pixel: int, names: list[str], now: dict[str, Any]) -> str:
        products = self.products(pixel)
        try:
            record = read_record(products)
        except RadioUNetError as error:
            return f"its record cannot be used: {error}"
        if record is None:
            return "missing, its catalogue is not made"
        if record["mosaics"] != names:
            absent = sorted(set(names) - set(map(str, record["mosaics"])))
            other = sorted(set(map(str, record["mosaics"])) - set(names))
            what = f"without {', '.join(absent[:3])}" if absent else f"with {', '.join(other[:3])}"
            return f"incomplete, {len(record['mosaics'])} mosaics in place of {len(names)}, {what}"
        others = _differences(record["made_with"], now)
        if others:
            return f"stale, made with other {', '.join(others)}"
        files = region_files(products, self._config.limits.enabled)
        gone = [Path(path).name for path in files if not Path(path).is_file()]
        return f"incomplete, without {', '.join(gone)}" if gone else ""

    def files(self) -> list[str]:
        """Files that the catalogues of the survey are merged from."""
        limits = self._config.limits.enabled
        return [path for pixel in self.mosaics for path in region_files(self.products(pixel), limits)]

    def folders(self) -> dict[str, str]:
        """Name of the folder of its region by mosaic."""
        return {name: f"{self._order}_{pixel}" for pixel, names in self.mosaics.items() for name in names}


def _differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What a region was made with that is not as it is now."""
    others = [what for what in ("lists", "model") if then.get(what) != now[what]]
    for kind in ("settings", "code"):
        known = then.get(kind)
        known = known if isinstance(known, dict) else {}
        keys = sorted({*known, *now[kind]})  # what is switched off now may be among the products
        others += [f"{kind} of {key}" for key in keys if known.get(key) != now[kind].get(key)]
    return others


def folders_of_run(graph: JobGraph) -> list[str]:
    """Folders that a run has for itself: that of its products, and of a merge that of all regions, too."""
    own = graph.products.root
    return [own, _folder_of_regions(graph)] if graph.config.select.merges_regions else [own]


def folders_at_rest(graph: JobGraph) -> list[str]:
    """Folders in which nothing may run meanwhile: a merge needs that of each region, a region that of all.

    Each first holds its own and then looks at these, so that of two that begin at once none goes on unseen.
    A merge does not hold the regions, since the number of open files is limited.
    """
    select = graph.config.select
    if select.merges_regions:
        regions = SurveyRegions(graph)
        return [regions.products(pixel).root for pixel in regions.mosaics]
    return [_folder_of_regions(graph)] if select.region_pixel is not None else []


def _folder_of_regions(graph: JobGraph) -> str:
    return str(Path(graph.config.survey_products.region_index()).parent)
