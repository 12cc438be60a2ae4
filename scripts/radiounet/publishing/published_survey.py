"""What a publication says of the survey as a whole: MOCs, map of completeness, table of images."""

from collections.abc import Sequence

import numpy as np

from radiounet.images.products import Products, Publication
from radiounet.images.provenance import sha256_of
from radiounet.publishing.catalogue_check import read_votable
from radiounet.publishing.coverage import COVERAGE_ORDER, MASK_ORDER, completeness_map, joined, moc_bytes
from radiounet.publishing.hips_summary import publisher_id, release_date
from radiounet.publishing.obscore import middle_of_band, obscore_bytes, obscore_table
from radiounet.publishing.records import (
    JobFiles,
    digest_of,
    do_once,
    found_by,
    published_mosaics,
    require_files,
)
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import CITED, SOURCES, Release


def publish_survey(
    products: Products,
    publication: Publication,
    release: Release,
    mosaics: Sequence[str],
    options: PublishOptions,
) -> None:
    """Write MOCs, map of completeness and table of images; note what the tiles must know."""
    found = {name: found_by(publication, "mosaic", name) for name in published_mosaics(publication, mosaics)}
    catalogue = products.catalogue("clusters", "vot")
    require_files([catalogue])
    made_of: dict[str, object] = {name: digest_of(one) for name, one in found.items()}

    def make(job_files: JobFiles) -> dict:
        orders = {"coverage": COVERAGE_ORDER, "mask": MASK_ORDER}
        mocs = {kind: joined((one[kind] for one in found.values()), order) for kind, order in orders.items()}
        for kind, moc in mocs.items():
            for suffix, content in moc_bytes(moc).items():
                job_files.put(Publication.moc(kind, suffix), content)
        completeness = completeness_map(read_votable(catalogue), mocs["coverage"])
        if completeness is not None:
            job_files.put(Publication.completeness(), completeness)
        rows = [one["row"] for one in found.values()]
        images = obscore_table(rows, release, publisher_id(release), options.url)
        for suffix, content in obscore_bytes(images).items():
            job_files.put(Publication.obscore(suffix), content)
        rms = [one["rms_jy"] for one in found.values() if one["rms_jy"] > 0]
        widest: dict = max(rows, key=lambda row: row["owned_area"], default={})
        return {
            # two digits: a mosaic more does not change the grey scale of all
            "rms_jy": float(f"{np.median(rms) if rms else 1.0:.2g}"),
            "date": release_date(one["date"] for one in found.values()),
            "ra_deg": widest.get("s_ra", 0.0),
            "dec_deg": widest.get("s_dec", 0.0),
            "fov_deg": widest.get("s_fov", 1.0),
            "frequency_hz": middle_of_band(widest) if widest else 1e6 * release.frequency_mhz,
            "progenitors": f"{release.title}, {len(rows)} mosaics",
        }

    about_release = release.model_dump(mode="json", exclude={*SOURCES, *CITED})
    made_of |= {"clusters": sha256_of(catalogue), "url": options.url, "release": about_release}
    do_once(publication, "survey", "all", made_of, make)
