"""The networks: one module each, with the graph to train and the graph for inference, side by side.

`registry` says what is known of each without its framework, `graphs` finds its module by name. A new
architecture is a module, a row in either, and a test. A module in another framework than Keras
provides the same `radiounet.network.architectures.registry.Graphs`, as `class_unet_torch` does.
"""

__all__ = [
    "class_unet",
    "class_unet_torch",
    "graphs",
    "keras_network",
    "layers",
    "lotss_unet",
    "published_unet",
    "registry",
    "unet_pair",
]
