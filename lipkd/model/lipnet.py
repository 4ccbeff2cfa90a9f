"""LipNet (Assael et al. 2016): frames to one distribution over symbols per frame.

    three times   3D convolution → max pooling over the picture → instance normalisation → ReLU → dropout
    then          two bidirectional GRU layers → linear map to V symbols, for CTC

Differences from the paper, and why: every channel of a clip is standardised over the clip's frames and
pixels (instance normalisation, Ulyanov et al. 2016), because CTC from scratch on a few hundred clips stays
on its plateau without it: on the Italian corpus the warm start reached in 7 epochs what it took 17 for
with layer normalisation of each frame, and 10 or more with batch normalisation. It takes lighting and skin
out, and a clip's values do not depend on the clips beside it. Pooling comes before the normalisation: a
quarter of the work. Padded frames are zeroed before every convolution, left out of the statistics and
kept from the GRU (lipkd/model/gru.py), so a clip gives the same logits alone and in any batch.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipkd.errors import LipkdError
from lipkd.model.gru import run_gru

# name → channels of the three convolutions, hidden units of each GRU direction. The first is the
# paper's, the other two are the thesis's narrow networks.
NETWORKS = {
    "lipnet": ((32, 64, 96), 256),
    "lipnet-256": ((16, 32, 64), 256),
    "lipnet-128": ((16, 32, 64), 128),
}
KERNELS = ((3, 5, 5), (3, 5, 5), (3, 3, 3))  # (time, height, width); the first has stride 2 in the picture


@dataclass(frozen=True)
class NetworkShape:
    """Everything that fixes a network's tensors: channels, hidden units, picture (H, W, C), symbols V."""

    channels: tuple[int, int, int]
    hidden: int
    height: int
    width: int
    picture_channels: int
    symbols: int

    @property
    def features(self) -> int:
        """Length of a frame's feature vector between convolutions and GRU."""
        height, width = map_size(self.height, self.width)
        return self.channels[-1] * height * width


def map_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of what the convolutions make of a picture: halved by the stride, then by each pooling."""
    height, width = (height + 1) // 2, (width + 1) // 2
    for _ in KERNELS:
        height, width = height // 2, width // 2
    return height, width


def network_shape(
    name: str, multiplier: float, *, picture: tuple[int, int, int], symbols: int, field: str = "network.width"
) -> NetworkShape:
    """The shape of network `name` with all channels and hidden units times `multiplier`.

    picture is (height, width, channels). Raises LipkdError when a layer would have no channel or the
    picture is too small for the pooling.
    """
    channels, hidden = NETWORKS[name]
    sizes = [round(size * multiplier) for size in (*channels, hidden)]
    if min(sizes) < 1:
        least = 0.5 / min(*channels, hidden)
        raise LipkdError(f"{field} = {multiplier:g}: a layer of {name} has no channel left (allowed: above {least:g})")
    shape = NetworkShape((sizes[0], sizes[1], sizes[2]), sizes[3], *picture, symbols)
    if shape.features < 1:
        raise LipkdError(f"data.crop = {picture[0]}×{picture[1]}: too small for {name}, at least 16×16")
    return shape


def standardise(x: Tensor, mask: Tensor) -> Tensor:
    """x (B, C, T, H, W) with mean 0 and variance 1 in each channel of each clip, over its valid frames.

    mask (B, 1, T, 1, 1) is False where padded; there the result is 0. A clip without valid frames stays finite. The
    variance is that of centred values: E[x²] - E[x]² loses all digits where the mean is far above the deviation.
    """
    values = x.float() * mask
    pixels = (mask.sum((2, 3, 4), keepdim=True) * x.shape[3] * x.shape[4]).clamp(min=1)
    centred = (values - values.sum((2, 3, 4), keepdim=True) / pixels) * mask
    variance = (centred * centred).sum((2, 3, 4), keepdim=True) / pixels
    return centred * torch.rsqrt(variance + 1e-5)


def dropout(x: Tensor, share: float, generator: torch.Generator | None, *, per_channel: bool = False) -> Tensor:
    """Inverted dropout from an explicit generator, so that every peer has its own reproducible draws.

    With `per_channel` the mask is constant over all but the first two dimensions. No generator: unchanged.
    """
    if generator is None or share == 0:
        return x
    shape = (*x.shape[:2], *(1 for _ in x.shape[2:])) if per_channel else x.shape
    keep = torch.rand(shape, generator=generator, device=generator.device).to(x.device) >= share
    return x * keep / (1 - share)


def make_convolution(before: int, after: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> nn.Conv3d:
    """A 3D convolution that keeps the size (before its stride), with He initialisation, channels last in memory."""
    convolution = nn.Conv3d(before, after, kernel, stride, padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2))
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    convolution.weight.data = convolution.weight.data.contiguous(memory_format=torch.channels_last_3d)
    return convolution


class Trunk(nn.Module):
    """The convolutions of LipNet. In method `one` all peers share one."""

    def __init__(self, shape: NetworkShape, dropout_share: float = 0.0) -> None:
        super().__init__()
        self._add_trunk(shape, dropout_share)

    def _add_trunk(self, shape: NetworkShape, dropout_share: float) -> None:
        self.shape = shape
        self.dropout_share = dropout_share
        inputs = (shape.picture_channels, *shape.channels[:-1])
        self.convolutions = nn.ModuleList(
            make_convolution(before, after, kernel, stride=(1, 2, 2) if first else (1, 1, 1))
            for before, after, kernel, first in zip(inputs, shape.channels, KERNELS, (True, False, False), strict=True)
        )
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(1, c, 1, 1, 1)) for c in shape.channels)
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(1, c, 1, 1, 1)) for c in shape.channels)

    def encode(self, frames: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """frames (B, C, T, H, W), lengths (B,) on the CPU, to a feature vector per frame, (B, T, features), 0 where
        padded. `generator` switches dropout on."""
        valid = torch.arange(frames.shape[2])[None, :] < lengths[:, None]
        mask = valid[:, None, :, None, None].to(frames.device)
        x = frames.contiguous(memory_format=torch.channels_last_3d) * mask
        for convolution, scale, shift in zip(self.convolutions, self.scales, self.shifts, strict=True):
            x = F.max_pool3d(convolution(x), (1, 2, 2))
            x = F.relu(standardise(x, mask) * scale + shift) * mask
            x = dropout(x, self.dropout_share, generator, per_channel=True)
        return x.transpose(1, 2).flatten(2).float()


class Branch(nn.Module):
    """The recurrent layers and the output of LipNet: a peer of method `one`, which encodes with a shared trunk."""

    def __init__(self, shape: NetworkShape, dropout_share: float = 0.0) -> None:
        super().__init__()
        self._add_branch(shape, dropout_share)

    def _add_branch(self, shape: NetworkShape, dropout_share: float) -> None:
        self.shape = shape
        self.dropout_share = dropout_share
        self.recurrent = nn.ModuleList(
            nn.GRU(size, shape.hidden, batch_first=True, bidirectional=True)
            for size in (shape.features, 2 * shape.hidden)
        )
        self.output = nn.Linear(2 * shape.hidden, shape.symbols)
        for gru in self.recurrent:
            for name, parameter in gru.named_parameters():
                if "weight_hh" in name:  # one orthogonal block per gate keeps gradients alive over 100 frames
                    for gate in parameter.data.chunk(3):
                        nn.init.orthogonal_(gate)

    def classify(
        self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """features (B, T, features), lengths (B,) on the CPU, to hidden states (B, T, 2·hidden) and logits (B, T, V).

        `generator` switches dropout on. Values at padded frames mean nothing.
        """
        hidden = features
        with torch.autocast(features.device.type, enabled=False):  # small recurrent products gain nothing from bf16
            for gru in self.recurrent:
                hidden = dropout(run_gru(cast("nn.GRU", gru), hidden, lengths), self.dropout_share, generator)
            return hidden, self.output(hidden)


class LipNet(Trunk, Branch):
    """A whole network: what a peer of all methods but `one` is, and what is deployed.

    Its tensors have the names that they have in a Trunk and in a Branch.
    """

    def __init__(self, shape: NetworkShape, dropout_share: float = 0.0) -> None:
        nn.Module.__init__(self)
        self._add_trunk(shape, dropout_share)  # before the branch: the order decides who draws which initial weights
        self._add_branch(shape, dropout_share)

    def forward(
        self, frames: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """frames (B, C, T, H, W), lengths (B,) on the CPU; hidden states (B, T, 2·hidden) and logits (B, T, V).

        `generator` switches dropout on. Values at padded frames mean nothing.
        """
        return self.classify(self.encode(frames, lengths, generator), lengths, generator)

    def split(self) -> tuple[Trunk, Branch]:
        """Copies of the two parts."""
        trunk, branch = Trunk(self.shape, self.dropout_share), Branch(self.shape, self.dropout_share)
        state = self.state_dict()
        for part in (trunk, branch):
            part.load_state_dict({name: state[name] for name in part.state_dict()})
        return trunk, branch

    @classmethod
    def joined(cls, trunk: Trunk, branch: Branch) -> "LipNet":
        """A network with copies of the weights of both parts."""
        network = cls(branch.shape, branch.dropout_share)
        network.load_state_dict({**trunk.state_dict(), **branch.state_dict()})
        return network
