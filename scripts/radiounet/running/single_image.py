"""All stages on one image, in one process."""

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from radiounet.errors import BadDataError, ConfigError
from radiounet.images.beams import Beam
from radiounet.images.image import open_plane, place_of
from radiounet.images.products import segment_files
from radiounet.images.reading import naming
from radiounet.images.resampling import prepare_image
from radiounet.images.squares import Mosaic
from radiounet.images.tables import TableError
from radiounet.images.writing import atomic, remove_leftovers
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.components import CompactFiles
from radiounet.measuring.islands import find_islands
from radiounet.network.model_cards import model_folder, read_card
from radiounet.network.segmenting import read_for, write_segmentation
from radiounet.publishing.overview import write_overview
from radiounet.running.locks import hold, let_go
from radiounet.running.outputs import claim_outputs
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import OWN_IMAGES
from radiounet.settings.segmentation import Segmentation
from radiounet.survey.cluster_tables import clusters_to_measure
from radiounet.survey.survey import Survey

logger = logging.getLogger(__name__)


def segment_image(
    image: str,
    model: str,
    segmentation: Segmentation,
    measure: MeasureOptions,
    clusters: str | None,
    folder: str,
    beam: Beam | None = None,
) -> None:
    """Run every stage on one image, and leave its products in a folder.

    Writes the files of `segment_files`, the table of clusters only if clusters are given; those of
    another image that lie there are removed once this one has been read.
    A `beam` given here counts instead of that of the image's header.

    Raises
    ------
    ConfigError
        There is no image; a table of clusters or components cannot be used; a file of such a name in the
        folder is an input, or was not made by this library.
    """
    card = read_card(model_folder(model))
    if clusters is not None:
        clusters_to_measure(clusters, measure)  # a mistake in it is found before the work
    compact = CompactFiles.of_image(measure)
    out = Path(folder)
    files = segment_files(folder)
    made, measured = ([Path(files[kind]) for kind in kinds] for kinds in (files, ("clusters", "cutouts")))
    claim_outputs(made, [image, model_folder(model), *([clusters] if clusters else [])])
    if not Path(image).exists():
        raise ConfigError(f"{image} is not there")
    new = [one for one in (out, *out.parents) if not one.exists()]
    hold(out)
    try:
        remove_leftovers(out, below=False)
        probability, mask = files["probability"], files["mask"]
        prepared = files["prepared"]
        with naming(image), atomic(prepared) as temporary:
            prepare_image(image, str(temporary), card.pixel_arcsec, card.beam_arcsec, beam)
            # an image, a table or a model that cannot be used deletes nothing
            try:
                compact.sources(open_plane(temporary))
            except TableError as error:
                raise ConfigError(str(error)) from error
            try:
                laid = replace(read_for(str(temporary), card, segmentation.mode), path=prepared)
            except BadDataError as error:  # of the image: its copy is gone by then
                raise type(error)(str(error).replace(str(temporary), image)) from error
            # takes seconds, so after all mistakes
            from radiounet.network.inference import open_model

            predictor, _ = open_model(model_folder(model), segmentation.batch, segmentation.precision)
            if clusters is None and (gone := [str(path) for path in measured if path.exists()]):
                logger.warning("removed, since no clusters are given: %s", ", ".join(gone))
            for path in made:
                path.unlink(missing_ok=True)
        write_segmentation(laid, predictor, card, segmentation, probability, mask)
        survey = Survey(OWN_IMAGES, [Mosaic("image", *place_of(prepared, OWN_IMAGES.pixel_arcsec))])
        planes = prepared, probability, mask
        islands = find_islands(*planes, survey, "image", measure, files["islands"], compact)
        if clusters is not None:
            measure_clusters(
                clusters,
                survey,
                "image",
                [MosaicProducts("image", *planes)],
                model,
                measure,
                target=files["clusters"],
                cutouts=files["cutouts"],
                unplaced=True,
                compact=compact,
            )
        title = f"{Path(image).name}, model {card.name}"
        write_overview(prepared, files, islands, title)
        logger.info("%d islands; picture: %s", len(islands), files["overview"])
    finally:
        let_go(out)
        with suppress(OSError):  # they hold products
            for one in new:
                one.rmdir()
