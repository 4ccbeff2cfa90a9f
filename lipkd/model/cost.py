"""What a network costs: parameters, and multiply–adds per second of video.

Counted are the convolutions, the recurrent layers and the output, by hand from the shape; pooling, normalisation,
activations and the recurrent gates' own arithmetic (under two per cent) are not.
"""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from lipkd.model.lipnet import KERNELS, NetworkShape, network_shape
from lipkd.text import Alphabet

if TYPE_CHECKING:  # reading with a deployed model needs no pydantic
    from lipkd.config.trial_config import TrialConfig

GATES = 3  # of a GRU


@dataclass(frozen=True)
class Cost:
    """Of one network: `parameters`, and `multiply_adds` per second of video."""

    parameters: int
    multiply_adds: int


def network_cost(shape: NetworkShape, fps: float = 25.0) -> Cost:
    """The cost of a network of that shape at `fps` frames per second."""
    parameters, per_frame = 0, 0
    height, width = (shape.height + 1) // 2, (shape.width + 1) // 2  # the first convolution's stride
    inputs = (shape.picture_channels, *shape.channels[:-1])
    for before, after, kernel in zip(inputs, shape.channels, KERNELS, strict=True):
        weights = before * after * prod(kernel)
        parameters += weights + 3 * after  # bias, scale, shift
        per_frame += weights * height * width
        height, width = height // 2, width // 2  # pooling
    for size in (shape.features, 2 * shape.hidden):
        weights = 2 * GATES * shape.hidden * (size + shape.hidden)  # two directions
        parameters += weights + 2 * GATES * shape.hidden * 2  # two biases each
        per_frame += weights
    weights = 2 * shape.hidden * shape.symbols
    return Cost(parameters + weights + shape.symbols, round((per_frame + weights) * fps))


def peer_costs(config: "TrialConfig", picture: tuple[int, int, int], fps: float = 25.0) -> tuple[Cost, ...]:
    """The cost of every peer of a trial, were it deployed; picture (height, width, channels) of its clip store."""
    height, width = config.data.crop or picture[:2]
    symbols = Alphabet(config.data.alphabet).size
    seen = (height, width, picture[2])
    shapes = (network_shape(config.network.name, w, picture=seen, symbols=symbols) for w in config.widths)
    return tuple(network_cost(shape, fps) for shape in shapes)
