"""Save the published network as Keras 2 does, with random weights; run as a program of its own.

    legacy_model.py FOLDER WIDTH,WIDTH,... [WIDTH,WIDTH,... ...]

writes a network of each list of widths: FOLDER/0/saved (a SavedModel), FOLDER/0/input.npy and
FOLDER/0/output.npy, FOLDER/1/saved and so on. The network is written out here once more, from the
published graph, and not taken from the library.
"""

import sys

import numpy as np
import tf_keras
from tf_keras import layers


def network(widths: list[int]) -> tf_keras.Model:
    """The layers of ``model-5-50-200-0.0001.ckpt`` in their order."""
    start = tf_keras.Input((192, 192, 1))
    x = layers.Conv2D(widths[0], 3, strides=2, activation="relu", padding="same")(start)
    x = layers.BatchNormalization()(x)
    before = x
    for width in widths[1:]:
        for _ in range(2):
            x = layers.Conv2D(width, 3, activation="relu", padding="same")(x)
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(2, strides=2, padding="same")(x)
        x = layers.Dropout(0.5)(x)
        skip = layers.Conv2D(width, 1, strides=2, padding="same")(before)
        x = layers.add([x, skip])
        before = x
    for width in widths[::-1]:
        for _ in range(2):
            x = layers.Conv2DTranspose(width, 3, activation="relu", padding="same")(x)
            x = layers.BatchNormalization()(x)
        x = layers.UpSampling2D(2)(x)
        skip = layers.UpSampling2D(2)(before)
        skip = layers.Conv2D(width, 1, padding="same")(skip)
        x = layers.add([x, skip])
        before = x
    return tf_keras.Model(start, layers.Conv2D(2, 1, activation="softmax", padding="same")(x))


def write(folder: str, widths: list[int], traces: bool) -> None:
    """Build, fill, save and run one network; without the traces of its layers it is saved much faster."""
    model = network(widths)
    rng = np.random.default_rng(3)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if "variance" in variable.name or "gamma" in variable.name:
            value = rng.uniform(0.5, 1.5, shape)
        elif "kernel" in variable.name:
            value = rng.standard_normal(shape) * np.sqrt(1.5 / np.prod(shape[:2]) / min(shape[2:]))
        else:
            value = 0.2 * rng.standard_normal(shape)
        variable.assign(value)
    model.compile("rmsprop", "sparse_categorical_crossentropy")
    image = rng.random((2, 192, 192, 1), np.float32)
    # its variables must be left out
    model.optimizer.build(model.trainable_variables)
    # a head whose two classes both occur
    features = tf_keras.Model(model.input, model.layers[-2].output).predict(image, verbose=0)
    kernel, bias = model.layers[-1].get_weights()
    logits = (features - features.mean(axis=(0, 1, 2))) @ kernel[0, 0]
    kernel = kernel / logits.std()
    model.layers[-1].set_weights([kernel, bias - features.mean(axis=(0, 1, 2)) @ kernel[0, 0]])
    model.save(f"{folder}/saved", save_traces=traces)
    np.save(f"{folder}/input.npy", image)
    np.save(f"{folder}/output.npy", model.predict(image, verbose=0))


if __name__ == "__main__":
    for number, words in enumerate(sys.argv[2:]):
        write(f"{sys.argv[1]}/{number}", [int(width) for width in words.split(",")], traces=number == 0)
