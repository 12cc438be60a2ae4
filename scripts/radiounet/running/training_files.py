"""The files of a training, for the rules that make it."""

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
    compared : list of str
        Cards and weights of models that it is compared with; of one that is not there, its card.
    """

    def __init__(self, config: Config, models: Path):
        options, files = config.train, ("pairs/{pair}.fits", config.segmentation.model)
        self.pair, self.folder = (f"{config.results}/training/{name}" for name in files)
        self.starts = [f"{model}/{MODEL_CARD}" for model in options.model_folders]
        named = (models / one if (models / one).is_dir() else Path(one) for one in options.compare)
        self.compared = [
            str(file) for one in named for file in (one / MODEL_CARD, *sorted(one.glob("[!.]*weights*")))
        ]
        ends = list(accumulate((options.fields, options.calibrate, options.held_out), initial=0))
        self.train, self.calibration, self.held_out = (
            [self.pair.format(pair=number) for number in range(*limits)] for limits in pairwise(ends)
        )

    @property
    def validation(self) -> list[str]:
        """Pairs of the validation loss."""
        return self.calibration[:8]
