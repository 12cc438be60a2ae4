"""The files of a training, for the rules that make it."""

from collections.abc import Iterable
from itertools import accumulate, pairwise
from pathlib import Path

from radiounet.images.model_files import MODEL_CARD
from radiounet.settings.config import Config


class TrainingFiles:
    """Files of a training: simulated pairs by number, and what is made of them.

    The numbers are the seeds of the pairs: training first, then calibration, then held out.

    Parameters
    ----------
    config : Config
    models : path
        Folder of the models that are given by name.

    Attributes
    ----------
    pair : str
        Any pair, with the wildcard ``{pair}``.
    folder : str
        Of the model that is trained.
    starts : list of str
        Cards of models that it starts from.
    shipped : list of str
        Cards and weights of those given by name, whose dates are those of a checkout and say nothing.
    compared : list of str
        Cards and weights of models that it is compared with; of one that is not there, its card.
    """

    def __init__(self, config: Config, models: Path):
        options, files = config.train, ("pairs/{pair}.fits", config.segmentation.model)
        self.pair, self.folder = (f"{config.results}/training/{name}" for name in files)
        self.starts = [f"{model}/{MODEL_CARD}" for model in options.model_folders]
        by_name = [one for one in (options.initial, options.hard_from) if one and "/" not in one]
        self.shipped, self.compared = _files_of(models, by_name), _files_of(models, options.compare)
        ends = list(accumulate((options.fields, options.calibrate, options.held_out), initial=0))
        self.train, self.calibration, self.held_out = (
            [self.pair.format(pair=number) for number in range(*limits)] for limits in pairwise(ends)
        )

    @property
    def validation(self) -> list[str]:
        """Pairs of the validation loss."""
        return self.calibration[:8]


def _files_of(models: Path, names: Iterable[str]) -> list[str]:
    """Cards and weights of models, names in a folder or folders."""
    folders = (models / one if (models / one).is_dir() else Path(one) for one in names)
    return [str(file) for one in folders for file in (one / MODEL_CARD, *sorted(one.glob("[!.]*weights*")))]
