"""Losses of a network of two classes."""

from keras import ops


def cross_entropy(truth, prediction):
    """Mean cross-entropy of the pixels with data.

    Parameters
    ----------
    truth : tensor, ``[crop, y, x]``
        1 diffuse, 0 not, -1 no data: not counted.
    prediction : tensor, ``[crop, y, x, 2]``
        Softmax; channel 1 is the probability of diffuse emission.
    """
    known, truth, probability = _counted(truth, prediction)
    right = truth * probability + (1 - truth) * (1 - probability)
    return -_mean(ops.log(right), known)


def focal(truth, prediction):
    """Focal loss with gamma 2 and weight 0.75 for diffuse pixels (Lin et al. 2017).

    Takes what `cross_entropy` takes.
    """
    known, truth, probability = _counted(truth, prediction)
    right = truth * probability + (1 - truth) * (1 - probability)
    weight = 0.75 * truth + 0.25 * (1 - truth)
    return -_mean(weight * (1 - right) ** 2 * ops.log(right), known)


def dice_cross_entropy(truth, prediction):
    """Cross-entropy plus soft Dice of the diffuse class (Milletari et al. 2016).

    Takes what `cross_entropy` takes; the Dice is that of the whole batch.
    """
    entropy = cross_entropy(truth, prediction)
    known, truth, probability = _counted(truth, prediction)
    overlap = ops.sum(known * truth * probability)
    total = ops.sum(known * (truth + probability))
    return entropy + 1 - (2 * overlap + 1) / (total + 1)


LOSSES = {"cross_entropy": cross_entropy, "focal": focal, "dice_cross_entropy": dice_cross_entropy}


def _counted(truth, prediction) -> tuple:
    known = ops.cast(truth >= 0, "float32")
    probability = ops.clip(ops.cast(prediction[..., 1], "float32"), 1e-6, 1 - 1e-6)
    return known, ops.maximum(ops.cast(truth, "float32"), 0), probability


def _mean(values, known):
    return ops.sum(values * known) / ops.maximum(ops.sum(known), 1)
