"""What all Keras networks share: their weights by name and in files, and how they are compiled."""

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops

from radiounet.errors import ModelError
from radiounet.images.writing import atomic
from radiounet.network.architectures.registry import Graphs, Precision, Span
from radiounet.network.model_cards import read_named_weights


def keras_graphs(build: Callable, inference: Callable) -> Graphs:
    """Graphs of a Keras network.

    Parameters
    ----------
    build : callable
        See `Graphs.build`.
    inference : callable
        From a network, the side of a tile, the kept rows and columns and the name of a compute type to a
        function from tiles to the probabilities of their cores, which is compiled here.
    """

    def compiled(
        model: keras.Model, tile_px: int, core: Span, batch: int, precision: Precision
    ) -> Callable[[np.ndarray], object]:
        dtype = "bfloat16" if precision == "bfloat16" else "float32"
        function = inference(model, tile_px, core, dtype)
        return _compiled(function, (batch, tile_px, tile_px, 1), precision)

    return Graphs(build, load_weights, named_weights, compiled)


def named_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """All weights of a network, as ``layer/weight``: kernels are ``[y, x, in, out]``."""
    return {
        f"{layer.name}/{weight.name}": ops.convert_to_numpy(weight)
        for layer in model.layers
        for weight in layer.weights
    }


def set_named_weights(model: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Give a network the weights of `named_weights`.

    Raises
    ------
    ModelError
        Names or shapes that are not those of the network.
    """
    own = {f"{layer.name}/{weight.name}": weight for layer in model.layers for weight in layer.weights}
    if set(own) != set(weights):
        raise ModelError(f"weights of another network: {sorted(set(own) ^ set(weights))[:4]} differ")
    for name, variable in own.items():
        if tuple(variable.shape) != weights[name].shape:
            raise ModelError(f"{name} has shape {weights[name].shape}, the network {tuple(variable.shape)}")
        variable.assign(weights[name].astype(np.float32))


def load_weights(model: keras.Model, path: Path) -> None:
    """Give a network the weights of a file: of Keras, or by name in half precision (``.npz``).

    Raises
    ------
    ValueError, OSError, KeyError, ModelError
        It is no such file, or of another network.
    """
    if path.suffix == ".npz":
        set_named_weights(model, read_named_weights(path))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras only warns of layers it could not fill
        try:
            model.load_weights(path)
        except UserWarning:
            raise ValueError("they are of another network, or of none") from None


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights of a model; `path` ends in ``.weights.h5``."""
    with atomic(path) as temporary:
        # Keras insists on the double suffix, which the temporary name lacks
        renamed = temporary.with_name(temporary.name + ".weights.h5")
        try:
            model.save_weights(renamed)
            renamed.replace(temporary)
        finally:
            renamed.unlink(missing_ok=True)


def _compiled(function: Callable, shape: tuple[int, ...], precision: Precision) -> Callable:
    """One compiled shape. On a GPU by XLA; on a CPU TensorFlow's own kernels are faster than XLA's."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        if on_gpu:
            # else the fastest of several kernels is found by timing, and may be another the next time
            tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
        graph = tf.function(function, jit_compile=on_gpu, autograph=False)
        compiled = graph.get_concrete_function(tf.TensorSpec(shape, tf.float32))
        if on_gpu:
            # XLA compiles at the first call: here, as long as the switch for TF32 is this engine's
            compiled(tf.zeros(shape))
        return compiled
    if backend == "jax":
        import jax

        with jax.default_matmul_precision("tensorfloat32" if precision == "tf32" else "float32"):
            return jax.jit(function).lower(np.zeros(shape, np.float32)).compile()
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"

    def run(tiles: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return function(ops.convert_to_tensor(tiles)).cpu().numpy()

    return run
