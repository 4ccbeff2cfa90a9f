import pytest
import torch

from lipkd.errors import LipkdError
from lipkd.model.lipnet import LipNet, dropout, network_shape, standardise


def small(picture: tuple[int, int, int] = (24, 48, 3)) -> LipNet:
    torch.manual_seed(0)
    return LipNet(network_shape("lipnet", 0.125, picture=picture, symbols=28))


@pytest.mark.parametrize(
    ("name", "width", "channels", "hidden"),
    [
        ("lipnet", 1.0, (32, 64, 96), 256),
        ("lipnet-256", 1.0, (16, 32, 64), 256),
        ("lipnet-128", 1.0, (16, 32, 64), 128),
        ("lipnet-128", 0.5, (8, 16, 32), 64),
    ],
)
def test_named_networks(name: str, width: float, channels: tuple[int, int, int], hidden: int) -> None:
    shape = network_shape(name, width, picture=(50, 100, 3), symbols=28)
    assert (shape.channels, shape.hidden) == (channels, hidden)


@pytest.mark.parametrize("picture", [(16, 16, 3), (25, 50, 1), (50, 100, 3), (47, 91, 3)])
def test_any_crop_size_and_length(picture: tuple[int, int, int]) -> None:
    network = small(picture)
    for n_frames in (1, 7):
        hidden, logits = network(torch.randn(2, picture[2], n_frames, *picture[:2]), torch.tensor([n_frames, 1]))
        assert hidden.shape == (2, n_frames, 64)
        assert logits.shape == (2, n_frames, 28)


def test_padding_and_company_do_not_change_a_clip() -> None:
    """A clip alone, and the same clip padded with rubbish beside a longer one, give the same logits."""
    network = small()
    clip = torch.randn(1, 3, 6, 24, 48)
    alone = network(clip, torch.tensor([6]))[1]
    company = torch.randn(2, 3, 11, 24, 48)
    company[0, :, :6] = clip[0]
    together = network(company, torch.tensor([6, 11]))[1]
    torch.testing.assert_close(together[:1, :6], alone, rtol=1e-4, atol=1e-5)


def test_standardise_by_hand() -> None:
    """Values 1 and 3 in the two valid frames: mean 2, variance 1; the padded 9 counts nothing."""
    x = torch.tensor([1.0, 3.0, 9.0]).reshape(1, 1, 3, 1, 1)
    mask = torch.tensor([True, True, False]).reshape(1, 1, 3, 1, 1)
    assert standardise(x, mask).flatten()[:2].tolist() == pytest.approx([-1, 1], abs=1e-4)
    assert standardise(x, mask & False).isfinite().all()


def test_standardise_keeps_its_digits_where_the_mean_is_far_above_the_deviation() -> None:
    """Values 9999 and 10001: E[x²] - E[x]² is rounded away in float32. Padding at 0 does not count."""
    x = torch.tensor([9999.0, 10001.0, 0.0]).reshape(1, 1, 3, 1, 1)
    mask = torch.tensor([True, True, False]).reshape(1, 1, 3, 1, 1)
    assert standardise(x, mask).flatten().tolist() == pytest.approx([-1, 1, 0], abs=1e-4)


def test_a_fully_padded_row_is_finite() -> None:
    network = small()
    logits = network(torch.randn(2, 3, 4, 24, 48), torch.tensor([0, 4]))[1]
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_width_without_channels_is_refused() -> None:
    with pytest.raises(LipkdError, match=r"network.width = 0.01: .*above 0.015625"):
        network_shape("lipnet", 0.01, picture=(50, 100, 3), symbols=28)


def test_dropout_follows_its_generator() -> None:
    x = torch.ones(2, 3, 4, 5, 6)
    one, two = (dropout(x, 0.5, torch.Generator().manual_seed(1), per_channel=True) for _ in range(2))
    assert torch.equal(one, two)
    assert set(one.unique().tolist()) <= {0.0, 2.0}
    assert (one.amax((2, 3, 4)) == one.amin((2, 3, 4))).all()
    assert dropout(x, 0.5, None) is x
