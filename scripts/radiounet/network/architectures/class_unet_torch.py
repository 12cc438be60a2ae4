"""`radiounet.network.architectures.class_unet` in PyTorch, with the same names of weights."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as tf

from radiounet.errors import ModelError
from radiounet.network.architectures.registry import (
    ARCHITECTURES,
    CLIP_SNR,
    OTHER_CLASSES,
    Graphs,
    Precision,
    Span,
)
from radiounet.network.model_cards import read_named_weights

CLIP = float(np.arcsinh(CLIP_SNR))


class _Block(nn.Module):
    """Residual block of two 3x3 convolutions."""

    def __init__(self, before: int, width: int):
        super().__init__()
        self.short = nn.Conv2d(before, width, 1, bias=False)
        self.conv1 = nn.Conv2d(before, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the block's width."""
        y = tf.relu(self.norm1(self.conv1(x)))
        return tf.relu(self.norm2(self.conv2(y)) + self.short(x))


class ClassUnet(nn.Module):
    """`radiounet.network.architectures.class_unet.class_unet` layer by layer.

    From ``[tile, 1, y, x]`` to logits ``[tile, class, y, x]``.
    """

    def __init__(self, widths: Sequence[int], classes: int):
        super().__init__()
        self.stem = nn.Conv2d(1, widths[0], 5, stride=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0], eps=1e-3, momentum=0.01)
        before = [widths[0], *(one + 1 for one in widths[:-1])]
        self.down = nn.ModuleList(_Block(*one) for one in zip(before, widths, strict=True))
        below = list(zip(widths[1:], widths[:-1], strict=True))
        self.up = nn.ModuleList(_Block(low + here, here) for low, here in below)
        self.logits = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of the classes, at full resolution."""
        faint = tf.avg_pool2d(torch.sinh(x.clamp(-CLIP, CLIP)), 2)
        # Keras pads a stride of 2 by one before and two after
        x = tf.relu(self.stem_norm(self.stem(tf.pad(x, (1, 2, 1, 2)))))
        skips: list[torch.Tensor] = []
        for level, block in enumerate(self.down):
            if level:
                skips.append(x)
                faint = tf.avg_pool2d(faint, 2)
                x = torch.cat([tf.max_pool2d(x, 2), faint.to(x.dtype)], 1)
            x = block(x)
        for level in reversed(range(len(self.up))):
            x = torch.cat([tf.interpolate(x, scale_factor=2), skips[level]], 1)
            x = self.up[level](x)
        logits = self.logits(x).float()
        return tf.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)

    def _by_name(self) -> dict[str, nn.Module]:
        layers: dict[str, nn.Module] = {"stem_conv": self.stem, "stem_norm": self.stem_norm}
        for kind, blocks in (("down", self.down), ("up", self.up)):
            for level, block in enumerate(blocks):
                name = f"{kind}{level}"
                layers |= {f"{name}_short": block.short}
                layers |= {f"{name}_1_conv": block.conv1, f"{name}_1_norm": block.norm1}
                layers |= {f"{name}_2_conv": block.conv2, f"{name}_2_norm": block.norm2}
        return layers | {"logits": self.logits}

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors: dict[str, torch.Tensor] = {}
        for name, layer in self._by_name().items():
            if isinstance(layer, nn.BatchNorm2d):
                tensors |= {f"{name}/gamma": layer.weight, f"{name}/beta": layer.bias}
                tensors |= {f"{name}/moving_mean": layer.running_mean}
                tensors |= {f"{name}/moving_variance": layer.running_var}
            else:
                tensors[f"{name}/kernel"] = layer.weight
                if layer.bias is not None:
                    tensors[f"{name}/bias"] = layer.bias
        return tensors

    def named_weights(self) -> dict[str, np.ndarray]:
        """As `radiounet.network.architectures.keras_network.named_weights`."""
        return {
            name: (one.permute(2, 3, 1, 0) if one.ndim == 4 else one).detach().float().cpu().numpy()
            for name, one in self._tensors().items()
        }

    def set_named_weights(self, weights: dict[str, np.ndarray]) -> None:
        """As `radiounet.network.architectures.keras_network.set_named_weights`."""
        with torch.no_grad():
            for name, one in self._tensors().items():
                value = torch.from_numpy(np.asarray(weights[name], np.float32))
                one.copy_(value.permute(3, 2, 0, 1) if value.ndim == 4 else value)


def class_unet(tile_px: int, widths: Sequence[int]) -> ClassUnet:
    """Network with random weights for the classes of the registry; arguments as of the Keras network."""
    ARCHITECTURES["class_unet_torch"].check_tile(tile_px, len(widths))
    return ClassUnet(widths, 1 + len(OTHER_CLASSES))


def _load(model: ClassUnet, path: Path) -> None:
    if path.suffix != ".npz":
        raise ModelError(f"{path} is a file of Keras: this network takes weights by name (.npz)")
    model.set_named_weights(read_named_weights(path))


def inference(
    model: ClassUnet, tile_px: int, core: Span, batch: int, precision: Precision
) -> Callable[[np.ndarray], np.ndarray]:
    """Function from tiles to the probabilities of their cores, on a GPU where PyTorch finds one."""
    ARCHITECTURES["class_unet_torch"].check_tile(tile_px, len(model.down))
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = model.eval().to(device)
    low, high = core

    def run(tiles: np.ndarray) -> np.ndarray:
        planes = torch.from_numpy(tiles).to(device).permute(0, 3, 1, 2)
        half = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
        with torch.inference_mode(), half:
            logits = network(planes)[..., low:high, low:high]
            return torch.sigmoid(logits).permute(0, 2, 3, 1).cpu().numpy()

    return run


GRAPHS = Graphs(class_unet, _load, ClassUnet.named_weights, inference)
