"""A run of two mosaics that share a border, made by the stages, and its publication."""

import shutil
from pathlib import Path

from radiounet.images.products import Products, Publication
from radiounet.images.squares import Mosaic
from radiounet.publishing.publication import publish, run_mosaics, survey_of_run
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import DR2
from radiounet.survey.survey import Survey
from stages import DEC, N_PX, RA

NAMES = ["a", "b"]
OPTIONS = PublishOptions(creators=["Doe, Jane", "Roe, Rick"], license="CC0-1.0")
SECOND_RA = RA + 0.15
"""Centre of the second mosaic: 0.15 deg of right ascension east, so that the two overlap by half."""
HOSTILE = '<script>alert(1)</script> "x" \' ü ☃ ' + 270 * "y"
SURVEY = Survey(DR2, [Mosaic("a", RA, DEC, N_PX), Mosaic("b", SECOND_RA, DEC, N_PX)])


def publish_to(folder, products, names=None, release=DR2, processes=1):
    names = names or run_mosaics(products)
    publication = Publication(str(folder))
    publish(products, publication, survey_of_run(products, release, names), names, processes, OPTIONS)
    return publication


def state_of(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def bytes_of(publication):
    return {name: content for name, (_, content) in state_of(publication.root).items()}


def copy_of(run, folder):
    shutil.copytree(run.root, folder / "dr2")
    return Products(str(folder / "dr2"))
