import pytest
import torch

from lipkd.config.trial_config import parse_config
from lipkd.model.cost import network_cost, peer_costs
from lipkd.model.lipnet import LipNet, NetworkShape, network_shape

# 16×16 grey pictures; 8×8 after the stride, then 4×4, 2×2, 1×1 after each pooling; 3 features a frame.
TINY = NetworkShape(channels=(1, 2, 3), hidden=2, height=16, width=16, picture_channels=1, symbols=4)


def test_a_tiny_network_by_hand() -> None:
    convolutions = (75 * 1 * 1, 75 * 1 * 2, 27 * 2 * 3)  # weights: 75, 150, 162
    recurrent = (2 * 3 * 2 * (3 + 2), 2 * 3 * 2 * (4 + 2))  # two directions, three gates: 60, 72
    output = 4 * 4
    biases = 3 * (1 + 2 + 3) + 2 * (2 * 3 * 2 * 2) + 4
    cost = network_cost(TINY, fps=10.0)
    assert cost.parameters == sum(convolutions) + sum(recurrent) + output + biases == 605
    per_frame = 75 * 8 * 8 + 150 * 4 * 4 + 162 * 2 * 2 + 60 + 72 + 16
    assert cost.multiply_adds == 10 * per_frame == 10 * 7996


@pytest.mark.parametrize(
    ("name", "width", "picture"), [("lipnet", 1.0, (50, 100, 3)), ("lipnet-128", 0.5, (25, 47, 1))]
)
def test_parameters_are_those_that_the_network_has(name: str, width: float, picture: tuple[int, int, int]) -> None:
    shape = network_shape(name, width, picture=picture, symbols=28)
    assert network_cost(shape).parameters == sum(p.numel() for p in LipNet(shape).parameters())


def test_multiply_adds_are_those_that_the_convolutions_do() -> None:
    """Measured by hooks: every output value of a convolution is a sum over its kernel."""
    shape = network_shape("lipnet", 0.25, picture=(47, 91, 3), symbols=28)
    network, done = LipNet(shape), 0

    def count(layer: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal done
        assert isinstance(layer, torch.nn.Conv3d)
        done += out.numel() * layer.weight[0].numel()

    for layer in network.convolutions:
        layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 5, 47, 91), torch.tensor([5]))
    rest = sum(w.numel() for gru in network.recurrent for n, w in gru.named_parameters() if "weight" in n)
    rest += network.output.weight.numel()
    assert network_cost(shape, fps=5.0).multiply_adds == done + 5 * rest


def test_every_peer_of_a_trial_has_its_cost() -> None:
    """The store's pictures, unless the trial looks at smaller ones; the wider network costs more."""
    data = {"store": "s", "alphabet": " ab"}
    value = {"data": data, "cohort": {"peers": 2, "widths": [1.0, 0.25]}}
    wide, narrow = peer_costs(parse_config(value), (50, 100, 1))
    assert wide == network_cost(network_shape("lipnet", 1.0, picture=(50, 100, 1), symbols=4))
    assert narrow == network_cost(network_shape("lipnet", 0.25, picture=(50, 100, 1), symbols=4))
    cropped = parse_config({**value, "data": {**data, "crop": [24, 48]}})
    assert peer_costs(cropped, (50, 100, 1), 30.0)[1] == network_cost(
        network_shape("lipnet", 0.25, picture=(24, 48, 1), symbols=4), 30.0
    )
