"""Named errors, and what each means for a run.

Two kinds of failure exist. `BadDataError`: the input itself is unusable, the mosaic is rejected and the
survey goes on. `TransientError`: the same call may succeed later, the job exits non-zero and the profile
tries again. `SupersededError` is no failure: another run does the work of the job. Everything else is a
mistake in the configuration or in the program and stops the run.
"""


class RadioUNetError(Exception):
    """Base of every error raised on purpose by this library."""

    exit_status = 1


class ConfigError(RadioUNetError):
    """The configuration asks for something that does not exist."""

    exit_status = 78  # EX_CONFIG


class ModelError(RadioUNetError):
    """A model card, its weights and its architecture do not fit together."""

    exit_status = 78


class TransientError(RadioUNetError):
    """Worth trying again: network, server, file system."""

    exit_status = 75  # EX_TEMPFAIL


class SupersededError(RadioUNetError):
    """A job whose run was stopped, when another run has begun in its place.

    Not a failure: after one, Snakemake removes the products of a job, which are those of the other run.
    """

    exit_status = 0


class BadDataError(RadioUNetError):
    """Input that no retry can mend; leads to a row in ``rejected``.

    Attributes
    ----------
    file : str
        Path or URL of the file at fault; not there until whoever knows the file sets it.
    """

    exit_status = 65  # EX_DATAERR
    file: str


class NotInArchiveError(BadDataError):
    """No candidate file name exists in the archive."""


class UnreadableError(BadDataError):
    """A file that its reader cannot make sense of, or that is not there."""


class NotFitsError(UnreadableError):
    """The bytes are not a FITS file (an HTML page, for instance)."""


class TruncatedError(UnreadableError):
    """A FITS file shorter or longer than its own headers say."""


class ChecksumError(BadDataError):
    """The bytes differ from the checksum on record."""


class UnitError(BadDataError):
    """A brightness unit that is not Jy/beam, or none where one is needed."""


class CelestialError(BadDataError):
    """No celestial plane or more than one, or coordinates that mean no place on the sky."""


class BeamError(BadDataError):
    """The restoring beam is missing or not usable."""


class StokesError(BadDataError):
    """A plane of polarised emission, where total intensity is needed."""


class FrequencyError(BadDataError):
    """Images that are to be one, but were made at different frequencies."""


class AllBlankError(BadDataError):
    """Not one pixel holds data."""


class BrightnessError(BadDataError):
    """Pixels brighter than anything in the sky, or scaled by what is no number."""


class ShapeMismatchError(BadDataError):
    """Two images that must share a grid do not."""


class GridError(BadDataError):
    """An image whose pixel scale, beam or orientation does not fit."""


class OriginError(BadDataError):
    """Products that were not made from each other, or one that is not whole."""


class NoNoiseError(BadDataError):
    """An image whose noise is 0, where other numbers are measured in units of it."""


class NotConvergedError(BadDataError):
    """An iterative estimate did not settle."""


class NoOverlapError(BadDataError):
    """A field has no pixel on the mosaic."""


class BeamCutError(BadDataError):
    """A field's primary beam is below the cut everywhere on the mosaic."""


class FacetError(BadDataError):
    """The files that describe a field's facets cannot be read or do not fit together."""
