"""The graphs of an architecture by its name; only its own framework is imported."""

from collections.abc import Callable

from radiounet.network.architectures.registry import Graphs, known_architecture


def _published_unet() -> Graphs:
    from radiounet.network.architectures.published_unet import GRAPHS

    return GRAPHS


def _lotss_unet() -> Graphs:
    from radiounet.network.architectures.lotss_unet import GRAPHS

    return GRAPHS


def _class_unet() -> Graphs:
    from radiounet.network.architectures.class_unet import GRAPHS

    return GRAPHS


def _class_unet_torch() -> Graphs:
    from radiounet.network.architectures.class_unet_torch import GRAPHS

    return GRAPHS


def _unet_pair() -> Graphs:
    from radiounet.network.architectures.unet_pair import GRAPHS

    return GRAPHS


# imports are written out, since the hash of a stage's code follows them
_FINDERS: dict[str, Callable[[], Graphs]] = {
    "published_unet": _published_unet,
    "lotss_unet": _lotss_unet,
    "class_unet": _class_unet,
    "class_unet_torch": _class_unet_torch,
    "unet_pair": _unet_pair,
}


def graphs_of(name: str) -> Graphs:
    """Graphs of an architecture; ValueError for a name that `registry` does not have."""
    return _FINDERS[known_architecture(name)]()
