"""Mosaics that one job of a cluster segments, in one process that loads the model once.

Snakemake starts the program of a rule once for each mosaic of the job, one after another. The first
does the work of all, and lays the maps of the others on the shelf, where their own programs take them.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from radiounet.images.model_files import MODEL_CARD
from radiounet.images.products import Products
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.network.model_cards import ModelCard, model_folder, read_card
from radiounet.network.segmenting import PreparedImage, read_for, write_segmentation
from radiounet.running.shelf import Shelf
from radiounet.running.stage import run_stage

if TYPE_CHECKING:  # it needs a backend
    from radiounet.network.inference import Predictor


def segment_mosaics(args: argparse.Namespace) -> None:
    """Segment a mosaic, and then those beside it in the job, whose maps are laid on the shelf.

    Ends with the status that the first deserves. The next image is read while one is predicted.

    Parameters
    ----------
    args : Namespace
        Of ``scripts/segment.py``.
    """
    own, targets = (args.mosaic, args.image), [args.probability, args.mask]
    todo, shelf = [(*own, targets)], None
    if args.root:
        products = Products(args.root)
        shelf = Shelf(products, _made_with(args))
        if shelf.has(*own):
            run_stage(args, lambda: shelf.take(*own, targets), inputs=[own[1]], outputs=targets, name=own[0])
            return
        others = [(name, products.image(name)) for name in args.beside if name != own[0]]
        missing = [one for one in others if os.path.isfile(one[1]) and not shelf.has(*one)]
        todo += [(*one, shelf.places(*one)) for one in missing]
    status: str | int | None = 0
    model = _Model(args)
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(model.read, own[1])
        for (mosaic, image, outputs), following in zip_longest(todo, todo[1:]):
            laid = ahead
            if following:
                ahead = reader.submit(model.read, following[1])
            work = partial(model.write, laid, outputs)
            try:
                run_stage(args, work, inputs=[image], outputs=outputs, name=mosaic)
            except SystemExit as end:  # the log says why; the program of another mosaic will meet it again
                if mosaic == own[0]:
                    status = end.code
                continue
            if shelf and mosaic == own[0] and len(todo) > 1:
                shelf.lay(*own, targets)
    sys.exit(status)


class _Model:
    """The model of a job: images are read for it in one thread, and predicted in another.

    Parameters
    ----------
    args : Namespace
        Of ``scripts/segment.py``.
    """

    def __init__(self, args: argparse.Namespace):
        self._options, self._threads = args.settings.segmentation, args.threads
        self._folder = model_folder(self._options.model)
        self._loaded: tuple[Predictor, ModelCard] | None = None

    def read(self, image: str) -> PreparedImage:
        """An image, ready to be predicted; see `radiounet.network.segmenting.read_for`."""
        return read_for(image, read_card(self._folder), self._options.mode)

    def write(self, laid: Future[PreparedImage], outputs: Sequence[str]) -> None:
        """Predict an image and write its maps."""
        # the framework is imported while the image is read
        from radiounet.network.devices import use_threads
        from radiounet.network.inference import open_model

        image = laid.result()  # bad data shows here, before the model is loaded
        if self._loaded is None:
            use_threads(self._threads)
            self._loaded = open_model(self._folder, self._options.batch, self._options.precision)
        write_segmentation(image, *self._loaded, self._options, *outputs)


def _made_with(args: argparse.Namespace) -> str:
    """What decides about the maps of a mosaic beside its image."""
    options = args.settings.segmentation
    card = sha256_of(Path(model_folder(options.model), MODEL_CARD))
    return f"{card} {options.model_dump_json()} {code_hash('segment')}"
