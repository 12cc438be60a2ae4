"""Names of all files of a run. Stages meet in files only, and no file name is made anywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9+_.-]*"
"""What a field or mosaic may be called: it becomes part of a path."""


@dataclass(frozen=True)
class Products:
    """Names of all products of one run.

    Parameters
    ----------
    root : str
        ``results/<release>``; all names lie below it, of a mosaic or a wildcard such as ``{mosaic}``.
    """

    root: str

    def of(self, mosaic: str) -> str:
        """Folder that holds the products of a mosaic."""
        return self.root

    def mosaics(self, kind: str) -> list[str]:
        """Names of mosaics that have a product, by its method here; not of one half written. Sorted."""
        example = Path(getattr(self, kind)("x"))
        return sorted(path.stem for path in example.parent.glob(f"[!.]*{example.suffix}"))

    def region(self, order: int, pixel: int) -> Products:
        """Products of a region of the survey, a HEALPix pixel (NESTED)."""
        return Products(f"{self.root}/{REGIONS}/{order}_{pixel}")

    @property
    def release(self) -> str:
        """Name of the release, also for products of a region."""
        path = Path(self.root)
        return path.parents[1].name if re.search(rf"/{REGIONS}/\d+_\d+$", self.root) else path.name

    @property
    def title(self) -> str:
        """What they are products of: ``dr3``, or ``dr3 region 2_17``."""
        name = Path(self.root).name
        return name if name == self.release else f"{self.release} region {name}"

    def field_image(self, field: str, kind: str) -> str:
        """20" image of a field: `kind` is ``int`` or ``app``."""
        return f"{self.root}/fields/{field}/{kind}.fits"

    def field_source(self, field: str) -> str:
        """Where a field's images came from (JSON)."""
        return f"{self.root}/sources/fields/{field}.json"

    def image(self, mosaic: str) -> str:
        """20" image of a mosaic, Jy/beam."""
        return f"{self.of(mosaic)}/mosaics/{mosaic}/image.fits"

    def high_resolution(self, mosaic: str) -> str:
        """Cut-outs of a 6" image around the clusters of a mosaic, Jy/beam."""
        return f"{self.of(mosaic)}/high_resolution/{mosaic}.fits"

    def components(self, name: str) -> str:
        """Fetched table of components: of a mosaic, or of all."""
        return f"{self.root}/components/{name}.fits"

    def weights(self, mosaic: str) -> str:
        """Summed weights of a mosaic made from fields, (beam/Jy)^2."""
        return f"{self.of(mosaic)}/mosaics/{mosaic}/weights.fits"

    def rms(self, mosaic: str) -> str:
        """Noise of a mosaic made from fields by its weights, Jy/beam."""
        return f"{self.of(mosaic)}/mosaics/{mosaic}/rms.fits"

    def left_out(self, mosaic: str) -> str:
        """Fields that a mosaic was made without, and why (JSON)."""
        return f"{self.of(mosaic)}/sources/left_out/{mosaic}.json"

    def comparison(self, mosaic: str) -> str:
        """Folder of what a mosaic shows beside a published one, see `comparison_files`."""
        return f"{self.of(mosaic)}/comparison/{mosaic}"

    def verification(self, mosaic: str) -> str:
        """What a mosaic's masks share with reference ones (JSON)."""
        return f"{self.of(mosaic)}/verification/{mosaic}.json"

    def verdict(self) -> str:
        """Verdict of all mosaics (JSON)."""
        return f"{self.root}/verification.json"

    def verdict_page(self) -> str:
        """The same as a page of Markdown."""
        return f"{self.root}/verification.md"

    def mosaic_source(self, mosaic: str) -> str:
        """Where a downloaded mosaic came from (JSON)."""
        return f"{self.of(mosaic)}/sources/mosaics/{mosaic}.json"

    def probability(self, mosaic: str) -> str:
        """Probability of diffuse emission per pixel, 0..1, NaN where blank."""
        return f"{self.of(mosaic)}/probability/{mosaic}.fits"

    def mask(self, mosaic: str) -> str:
        """0 no, 1 diffuse, 255 no data."""
        return f"{self.of(mosaic)}/masks/{mosaic}.fits"

    def islands(self, mosaic: str) -> str:
        """Islands of one mosaic."""
        return f"{self.of(mosaic)}/islands/{mosaic}.ecsv"

    def clusters(self, mosaic: str) -> str:
        """Clusters whose centre the mosaic's cell owns."""
        return f"{self.of(mosaic)}/clusters/{mosaic}.ecsv"

    def cutouts(self, mosaic: str) -> str:
        """Cut-outs of these clusters: residual, compact sources, islands."""
        return f"{self.of(mosaic)}/cutouts/{mosaic}.fits"

    def limits(self, mosaic: str) -> str:
        """Upper limits and completeness of those clusters."""
        return f"{self.of(mosaic)}/limits/{mosaic}.ecsv"

    def catalogue(self, kind: str, suffix: str) -> str:
        """`kind` is ``clusters``, ``islands`` or ``rejected``."""
        return f"{self.root}/catalogue/{kind}.{suffix}"

    def catalogues(self) -> dict[str, str]:
        """All catalogues, by kind and suffix."""
        return {
            f"{kind}_{s}": self.catalogue(kind, s) for kind in CATALOGUE_KINDS for s in CATALOGUE_SUFFIXES
        }

    def configuration(self) -> str:
        """Settings that the catalogues were made with (YAML)."""
        return f"{self.root}/catalogue/configuration.yaml"

    def image_list(self) -> str:
        """Places of own images (CSV)."""
        return f"{self.root}/mosaics.csv"

    def cluster_list(self) -> str:
        """Clusters of several lists, merged."""
        return f"{self.root}/cluster_list.ecsv"

    def of_survey(self) -> list[str]:
        """Catalogues, their settings, and report."""
        return [*self.catalogues().values(), self.configuration(), self.report()]

    def region_index(self) -> str:
        """Which region holds the products of each mosaic, of a survey that was run by regions (CSV)."""
        return f"{self.root}/{REGIONS}/mosaics.csv"

    def region_file(self, name: str) -> str:
        """What a survey takes from its region: tables of all mosaics, and ``region.json`` of these."""
        return f"{self.root}/catalogue/region/{name}"

    def input_record(self) -> str:
        """Size, date and hash of the user's own files that the run was made from (JSON)."""
        return f"{self.root}/sources/inputs.json"

    def run_settings(self) -> str:
        """Configuration that a run began with (JSON), as long as it runs."""
        return f"{self.root}/sources/run.json"

    def shelf(self) -> str:
        """Folder of maps that a job made for others, see `radiounet.running.shelf`."""
        return f"{self.root}/sources/shelf"

    def edit_marks(self) -> str:
        """Folder of notes on jobs whose code was edited during their run."""
        return f"{self.root}/sources/edited"

    def log(self, stage: str, name: str = "all") -> str:
        """Log of one job."""
        return f"{self.root}/logs/{stage}/{name}.log"

    def benchmark(self, stage: str, name: str = "all") -> str:
        """Time and memory of one job, as Snakemake measures them."""
        return f"{self.root}/benchmarks/{stage}/{name}.tsv"

    def status_file(self) -> str:
        """How the latest run stands (JSON)."""
        return f"{self.root}/status.json"

    def status_page(self) -> str:
        """The same as a page that reloads itself."""
        return f"{self.root}/status.html"

    def plan(self) -> str:
        """What a run will take (Markdown)."""
        return f"{self.root}/plan.md"

    def report(self) -> str:
        """The run's report page."""
        return f"{self.root}/report.html"

    def publication(self) -> str:
        """Folder that can be put on a web server, see `Publication`."""
        return f"{self.root}/publication"

    def has_site(self) -> bool:
        """Whether a results site is there, to which the pages of a run lead."""
        return Path(SiteFiles(self.publication()).page()).is_file()


HIPS_LAYERS = ("image", "probability", "mask")
"""What a publication shows as a HiPS each."""


@dataclass(frozen=True)
class Publication:
    """Names of all files of a publication, from its folder.

    Parameters
    ----------
    root : str
        Its folder, `Products.publication` in a run.
    """

    root: str

    def at(self, name: str) -> str:
        """Path of one of the files below."""
        return f"{self.root}/{name}"

    def record(self, job: str, name: str) -> str:
        """What one job made, of what, with checksums (JSON)."""
        return self.at(f".made/{job}/{name}.json")

    @staticmethod
    def mask(mosaic: str) -> str:
        """Mask, tile-compressed."""
        return f"masks/{mosaic}.fits.fz"

    @staticmethod
    def probability(mosaic: str) -> str:
        """Probability map, tile-compressed integers."""
        return f"probabilities/{mosaic}.fits.fz"

    @staticmethod
    def cutouts(mosaic: str) -> str:
        """Cut-outs of the clusters of a mosaic."""
        return f"cutouts/{mosaic}.fits"

    @staticmethod
    def catalogue(kind: str, suffix: str) -> str:
        """A catalogue of the run."""
        return f"catalogue/{kind}.{suffix}"

    @staticmethod
    def cds(name: str) -> str:
        """ReadMe of the catalogues in the format of CDS, or one of their tables of fixed width."""
        return f"cds/{name}"

    @staticmethod
    def obscore(suffix: str) -> str:
        """Table of the images."""
        return f"obscore.{suffix}"

    @staticmethod
    def moc(kind: str, suffix: str) -> str:
        """``coverage`` or ``mask``, as a MOC."""
        return f"moc/{kind}.{suffix}"

    @staticmethod
    def completeness() -> str:
        """HEALPix map of the flux density at which 90 % are found."""
        return "completeness.fits"

    @staticmethod
    def hips(layer: str) -> str:
        """Folder of a HiPS, see `HIPS_LAYERS`."""
        return f"hips/{layer}"

    @staticmethod
    def checksums() -> str:
        """SHA-256 of every other file."""
        return "SHA256SUMS"


@dataclass(frozen=True)
class SiteFiles:
    """Names of the files of a results site, all below one folder.

    Parameters
    ----------
    root : str
        Folder of the publication.
    """

    root: str

    def page(self) -> str:
        """The page itself, which shows everything."""
        return f"{self.root}/index.html"

    def folder(self) -> str:
        """Folder of all other files of the site; nothing else lies in it."""
        return f"{self.root}/site"

    def code(self, name: str) -> str:
        """Style sheet, program of the page, or a library beside it."""
        return f"{self.folder()}/{name}"

    def data(self, name: str) -> str:
        """Data of the page, as a script: ``run``, ``clusters`` or ``islands``."""
        return f"{self.folder()}/data/{name}.js"

    def mosaic(self, mosaic: str) -> str:
        """All numbers of the clusters and islands of a mosaic, as a script."""
        return f"{self.folder()}/data/mosaics/{mosaic}.js"

    def picture(self, mosaic: str, stem: str, kind: str) -> str:
        """Picture of a cluster or island: `kind` is ``image``, ``residual`` or ``probability``."""
        return f"{self.folder()}/pictures/{mosaic}/{stem}.{kind}.jpg"

    def cutout(self, mosaic: str, stem: str) -> str:
        """Cut-outs of a cluster or island, one FITS file."""
        return f"{self.folder()}/cutouts/{mosaic}/{stem}.fits"

    def regions(self, mosaic: str, stem: str) -> str:
        """DS9 regions of a cluster or island."""
        return f"{self.folder()}/cutouts/{mosaic}/{stem}.reg"


def file_stems(names: Iterable[str]) -> list[str]:
    """Names of files without suffix, one for each name of a cluster or island, in the same order.

    Letters, digits, ``+``, ``-`` and ``.`` stay, anything else is an underscore. Names that would be the
    same on a file system that ignores case get a number.
    """
    found, taken = [], set()
    for name in names:
        first = re.sub(r"[^A-Za-z0-9+.-]+", "_", name).strip("._")[:LONGEST_STEM] or "unnamed"
        stem, number = first, 2
        while stem.lower() in taken:
            stem, number = f"{first}~{number}", number + 1
        taken.add(stem.lower())
        found.append(stem)
    return found


LONGEST_STEM = 80


def _files(folder: str, names: dict[str, str]) -> dict[str, str]:
    return {kind: f"{folder}/{name}" for kind, name in names.items()}


def comparison_files(folder: str) -> dict[str, str]:
    """Files of a comparison of two mosaics: what was found, sources, difference image, picture."""
    tables = {"found": "comparison.json", "sources": "sources.ecsv"}
    return _files(folder, tables | {"difference": "difference.fits", "picture": "comparison.png"})


def segment_files(folder: str) -> dict[str, str]:
    """Files of the command ``radiounet segment``."""
    maps = {"probability": "probability.fits", "mask": "mask.fits"}
    tables = {"islands": "islands.ecsv", "clusters": "clusters.ecsv", "cutouts": "cutouts.fits"}
    return _files(folder, maps | tables | {"prepared": "prepared.fits", "overview": "overview.png"})


def kit_files(folder: str) -> dict[str, str]:
    """Files of one cluster or island of the command ``radiounet kit``."""
    planes = {kind: f"{kind}.fits" for kind in ("image", "residual", "probability", "mask", "clean_mask")}
    return _files(folder, planes | {"regions": "regions.reg", "kit": "kit.json"})


def catalogue_evaluation_files(folder: str) -> dict[str, str]:
    """Files of the command ``radiounet evaluate-catalogue``; the last only where it recalibrates."""
    scores = {"page": "evaluation.md", "evaluation": "evaluation.json", "picture": "evaluation.png"}
    tables = {"matched": "labels_matched.ecsv", "recalibrated": "catalogue_recalibrated.ecsv"}
    return _files(folder, scores | tables)


LOCK_FILE = ".radiounet.lock"
"""Who works in a folder of products."""
OWNER_FILE = "owner.txt"
"""Whose run a folder on scratch belongs to."""
REGIONS = "regions"
"""Folder of the regions of a survey."""
CATALOGUE_KINDS = ("clusters", "islands", "rejected")
CATALOGUE_SUFFIXES = ("fits", "vot", "csv", "parquet")
