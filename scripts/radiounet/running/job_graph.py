"""What the job graph needs to know of a survey, worked out from the configuration and the lists.

Imported while the Snakefile is parsed, in every job: nothing heavy is loaded
before it is asked for.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable
from functools import cache, cached_property, partial
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.model_files import MODEL_CARD, MODEL_WEIGHTS
from radiounet.images.provenance import sha256_of
from radiounet.running.inputs import check_inputs, check_model
from radiounet.running.list_sources import how_to_make_lists, require_catalogue, require_lists
from radiounet.running.stages import further_kinds
from radiounet.settings.checkout import MODELS_VARIABLE
from radiounet.settings.config import Config
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import Release
from radiounet.settings.urls import local_path
from radiounet.settings.yaml_file import read_yaml
from radiounet.survey.survey import Cluster, Survey, list_paths, read_survey, survey_of_images

CLUSTER_FOLDER = "resources/clusters"


class JobGraph:
    """Mosaics, fields and clusters of one run.

    Parameters
    ----------
    config : Config
    base : path
        Folder of the workflow.
    is_main : bool
        Whether this process starts the run: then lists of other sources than now are refused.

    Attributes
    ----------
    touched_by_clusters_of : callable
        Other mosaics that the apertures of a mosaic's clusters touch, needed to measure them.
    fields_of : callable
        Fields that make a mosaic.
    check_model : callable
        Looks at the model that segments, see `radiounet.running.inputs.check_model`.
    """

    def __init__(self, config: Config, base: str | Path, is_main: bool = False):
        self.config, self._is_main = config, is_main
        self.models = Path(os.environ.get(MODELS_VARIABLE) or Path(base) / "resources" / "models")
        self.products = config.products
        # inputs, params and targets ask for the same mosaic or model; work it out once
        self.touched_by_clusters_of: Callable[[str], list[str]] = cache(self._touched_by_clusters_of)
        self.fields_of: Callable[[str], list[str]] = cache(self._fields_of)
        self.check_model: Callable[[], None] = cache(partial(check_model, config, self.models))

    @cached_property
    def release(self) -> Release:
        """What the run works on: a published release, or the user's own images."""
        return self.config.survey_release

    @property
    def _lists(self) -> dict[str, str]:
        return list_paths(self.config.archive.list_folder, self.config.release)

    @property
    def model_folder(self) -> str:
        """Folder of the configured model."""
        return str(self.models / self.config.segmentation.model)

    def check(self) -> None:
        """Look at all that the configuration names, before Snakemake does.

        A configuration with a section ``train`` may name a model that is still to be made.

        Raises
        ------
        ConfigError
            Names what is not there, or cannot be used.
        """
        check_inputs(self.config, self.products.root)
        if "train" not in self.config.model_fields_set:
            self.check_model()

    @property
    def model_card(self) -> str:
        """Card of the configured model."""
        return f"{self.model_folder}/{MODEL_CARD}"

    @property
    def fetched_model(self) -> list[str]:
        """Card and weights of the configured model where the run fetches it: made again when they are lost.

        Any other is no input: params hold its hash, wherever it lies.
        """
        model = self.config.segmentation.model
        is_fetched = model in self.config.archive.models
        files = (MODEL_CARD, MODEL_WEIGHTS) if is_fetched else ()
        return [f"{self.models_from_here}/{model}/{file}" for file in files]

    @cached_property
    def models_from_here(self) -> str:
        """Folder of the models from that of the run: the same in a clone that is moved with its results.

        One that the environment names stays where it is.
        """
        return os.environ.get(MODELS_VARIABLE) or os.path.relpath(self.models)

    @cached_property
    def spoiled_model(self) -> list[str]:
        """Card and weights of a fetched model where these do not belong together; to be fetched again."""
        files = self.fetched_model
        if not files or not all(Path(file).is_file() for file in files):
            return []
        is_whole = read_yaml(self.model_card)["weights"]["sha256"] == sha256_of(files[1])
        return [] if is_whole else files

    @cached_property
    def model_state(self) -> str:
        """What tells a model from another: SHA-256 of its card, which states that of its weights.

        For one that the run fetches, how it is fetched, which is the same before and after.
        """
        fetched = self.config.archive.models.get(self.config.segmentation.model)
        if fetched:
            return fetched.model_dump_json()
        return sha256_of(self.model_card) if Path(self.model_card).is_file() else ""

    @property
    def list_options(self) -> list[str]:
        """Option that gives a stage the list of all mosaics; none for own images, which settings name.

        A stage of an own image is not given the others: one of them that moves does not concern it.
        """
        return ["--list", self.mosaic_list] if self.release.is_listed else []

    def cells(self, *mosaics: str) -> str:
        """SHA-256 of positions and sizes of these mosaics and their neighbours, which decide their cells."""
        around = {place for name in mosaics for place in self.survey.around(self.known(name))}
        return hashlib.sha256(repr(sorted(around, key=lambda place: place.name)).encode()).hexdigest()

    @property
    def mosaic_list(self) -> str:
        """List of all mosaics of the survey (CSV)."""
        if not self.release.is_listed:
            return self.products.image_list()
        return self._lists["mosaics"]

    @property
    def list_made_here(self) -> list[str]:
        """The list as an input of the report: that of own images is made in the run, the others before it.

        Stages of one mosaic have what they need of it as params, so that another image that is added
        or moved does not redo them. Never as ``ancient``: Snakemake 9.27 leaves out all that follows
        from such an input alone when the job that makes it is to run.
        """
        return [] if self.release.is_listed else [self.mosaic_list]

    @property
    def cluster_lists(self) -> dict[str, MeasureOptions]:
        """Tables of clusters that the configuration names, in its order, and how each is read.

        Where there are several, units that it gives are those of the user's own tables.
        """
        own, names = self.config.measure, self.config.clusters
        fetched = own.model_copy(update={"unit": []}) if len(names) > 1 else own
        return {
            path: own if path == name else fetched
            for name, path in zip(names, map(self._cluster_path, names), strict=True)
        }

    def _cluster_path(self, name: str) -> str:
        return f"{CLUSTER_FOLDER}/{name}.ecsv" if name in self.config.fetched_clusters else name

    @property
    def cluster_table(self) -> list[str]:
        """Table of input clusters, which several lists are merged into; empty when the run has none."""
        lists = list(self.cluster_lists)
        return [self.config.survey_products.cluster_list()] if len(lists) > 1 else lists

    @property
    def cluster_options(self) -> list[str]:
        """Options that name the table of clusters to a script."""
        return [word for table in self.cluster_table for word in ("--clusters", table)]

    @property
    def lists_made_first(self) -> list[str]:
        """Lists that must be fetched, and merged, before the job graph can be made."""
        fetched = map(self._cluster_path, self.config.fetched_clusters)
        merged = [table for table in self.cluster_table if table not in self.cluster_lists]
        return [*(self._lists.values() if self.release.is_listed else ()), *fetched, *merged]

    @cached_property
    def survey(self) -> Survey:
        """The survey's mosaics and, where these are made here, fields.

        Raises
        ------
        ConfigError
            Its lists are not there yet.
        """
        if not self.release.is_listed:
            return survey_of_images(self.config.mosaics.images)
        paths = self._lists
        absent = [path for path in paths.values() if not Path(path).is_file()]
        if absent:
            raise ConfigError(f"{absent[0]} is not there: fetch the lists once, {how_to_make_lists()}")
        if self._is_main:
            require_lists(self.release, paths["mosaics"])
        fields = paths["fields"] if self.config.mosaics.source == "fields" else None
        return read_survey(self.release, paths["mosaics"], fields)

    @cached_property
    def clusters(self) -> list[Cluster]:
        """All clusters of the input table, also those that cannot be measured.

        Raises
        ------
        ConfigError
            A list that is not fetched yet, or lists that are not merged yet, or were others then.
        """
        if not self.cluster_table:
            return []
        from radiounet.survey.cluster_tables import clusters_to_measure, merged_from

        (path,), lists = self.cluster_table, self.cluster_lists
        for name in self.config.fetched_clusters if self._is_main else ():
            require_catalogue(self.config.archive.clusters[name], self._cluster_path(name))
        for made in self.lists_made_first:
            if made in (*lists, path) and not Path(made).is_file():
                without = "\n(or write clusters: null, for a run without clusters)" if made == path else ""
                raise ConfigError(f"{made} is not there: make it once, {how_to_make_lists()}{without}")
        if path not in lists and not merged_from(path, lists):
            raise ConfigError(f"{path} was merged from other lists: make it again, {how_to_make_lists()}")
        return clusters_to_measure(path, self.config.measure)

    @cached_property
    def selected(self) -> list[str]:
        """Mosaics of this run."""
        return self.survey.select(self.config.select, self._measurable)

    @property
    def listed_if_rejected(self) -> list[str]:
        """Products of which catalogues list only rejections: compact sources, what further stages made."""
        kinds, products = further_kinds(self.config), self.products
        further = [getattr(products, kind)(name) for name in self.selected for kind in kinds]
        return [*self.config.fetched_compact(products, *self.selected), *further]

    @property
    def component_tables(self) -> list[str]:
        """Names of the tables of components that are fetched: mosaics, or one name for a table of all."""
        components = self.config.measure.components
        if components is None or not components.is_fetched:
            return []
        return list(dict.fromkeys(components.table_of(mosaic) for mosaic in self.selected))

    @cached_property
    def _measurable(self) -> list[Cluster]:
        return [cluster for cluster in self.clusters if cluster.measurable]

    @cached_property
    def _clusters_by_owner(self) -> dict[str, list[Cluster]]:
        owned = defaultdict(list)
        if self._measurable and self.survey.cells.disjoint:
            places = ([c.ra_deg for c in self._measurable], [c.dec_deg for c in self._measurable])
            for cluster, owner in zip(self._measurable, self.survey.owner(*places), strict=True):
                owned[str(owner)].append(cluster)
        return owned

    @property
    def cluster_count(self) -> int:
        """Clusters to measure in this run; all of them for own images, which own all they show."""
        if not self.survey.cells.disjoint:
            return len(self._measurable)
        return sum(len(self._clusters_by_owner[name]) for name in self.selected if self.has_clusters(name))

    def has_clusters(self, mosaic: str) -> bool:
        """Whether a mosaic owns any cluster that can be measured."""
        return mosaic in self._clusters_by_owner

    def clusters_of(self, mosaic: str) -> int:
        """Clusters of a mosaic that can be measured; of own images all, which need not show them."""
        return len(self._clusters_by_owner[mosaic] if self.survey.cells.disjoint else self._measurable)

    def _touched_by_clusters_of(self, mosaic: str) -> list[str]:
        touched = {
            name
            for cluster in self._clusters_by_owner.get(self.known(mosaic), [])
            for name in self.survey.touched_by(cluster.ra_deg, cluster.dec_deg, cluster.r500_arcmin)
        }
        return sorted(touched - {mosaic})

    @cached_property
    def neighbours(self) -> list[str]:
        """Mosaics of this run that are made only to measure clusters of others."""
        touched = {name for mosaic in self.selected for name in self.touched_by_clusters_of(mosaic)}
        return sorted(touched - set(self.selected))

    def _fields_of(self, mosaic: str) -> list[str]:
        names = self.survey.fields_of(self.known(mosaic), self.config.mosaics.field_radius_deg)
        if not names:
            raise ConfigError(f"no field of {self.config.release} reaches mosaic {mosaic}")
        return names

    @cached_property
    def fields_used(self) -> list[str]:
        """All fields of this run; none when mosaics are not made here."""
        if self.config.mosaics.source != "fields":
            return []
        return sorted(
            {field for mosaic in (*self.selected, *self.neighbours) for field in self.fields_of(mosaic)}
        )

    def known(self, mosaic: str) -> str:
        """Return a mosaic's name.

        Raises
        ------
        ConfigError
            The survey has no such mosaic.
        """
        if mosaic not in self.survey.mosaics:
            raise ConfigError(f"{self.config.survey} has no mosaic {mosaic}")
        return mosaic

    def cells_of_mosaicking(self, mosaic: str) -> str:
        """The same of a mosaic that is cut to its cell; of any other, its own position and size."""
        if self.config.mosaics.options.blank == "cell":
            return self.cells(mosaic)
        return repr(self.survey.mosaics[self.known(mosaic)])

    def published_mosaic(self, mosaic: str) -> str:
        """Path of the published mosaic that one is compared with.

        Raises
        ------
        ConfigError
            The configuration names none.
        """
        template = self.config.mosaics.compare_to
        if template is None:
            raise ConfigError(f"mosaics.compare_to names no published mosaic to compare {mosaic} with")
        return template.format(mosaic=mosaic)

    def reference_files(self, mosaic: str) -> list[str]:
        """Masks and maps that a mosaic is verified with, of those that are files here."""
        templates = filter(None, (self.config.verify.masks, self.config.verify.probabilities))
        paths = (local_path(template.format(mosaic=mosaic)) for template in templates)
        return [path for path in paths if path is not None]

    def files_beside_fields(self, mosaic: str) -> list[str]:
        """What a mosaic is made with beside its fields' images: noise maps, facets, flux scales.

        They are no inputs of the rule: a field that lacks them is left out and reported, where a
        missing input would stop the survey.
        """
        options = self.config.mosaics.options
        templates = filter(
            None, (options.noise_map, options.facets, options.facet_offsets, options.bad_facets)
        )
        fields = self.fields_of(mosaic)
        paths = [template.format(field=field) for template in templates for field in fields]
        return [*paths, *filter(None, [options.flux_scale])]

    def rows_near(self, mosaic: str, owned: bool = False) -> str:
        """SHA-256 of the rows of the cluster table that its clusters are measured with, or of its own."""
        rows = self.survey.clusters_near(mosaic, self.clusters)
        if owned:
            rows = self.survey.clusters_of(mosaic, rows)
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    def places_of_clusters(self, mosaic: str) -> str:
        """What cut-outs around the clusters of a mosaic depend on."""
        is_listed = self.release.is_listed
        owned = self._clusters_by_owner[mosaic] if is_listed else self._measurable
        place = None if is_listed else self.survey.mosaics[mosaic]  # the image says which of them it shows
        return repr((place, [(one.name, one.ra_deg, one.dec_deg, one.r500_arcmin) for one in owned]))

    @property
    def checksum_tables(self) -> list[str]:
        """Tables of known checksums."""
        return [self._lists["checksums"], *filter(None, [self.config.archive.checksums])]
