import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from batchlab.adapt.accumulate import accumulate

PADDING = -1


def network(*, dtype=torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.LayerNorm(7), nn.Linear(7, 3)).to(dtype)


def mean_loss(model):
    return lambda batch: nn.functional.cross_entropy(model(batch[0]), batch[1])


def token_loss(model):
    """Return the sum over tokens that are not padding, and how many there are."""

    def loss(batch):
        outputs = model(batch["inputs"]).flatten(0, 1)
        targets = batch["targets"].flatten()
        losses = nn.functional.cross_entropy(outputs, targets, ignore_index=PADDING, reduction="sum")
        return losses, (targets != PADDING).sum()

    return loss


def gradients(model) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 23), st.integers(1, 30), st.integers(0, 99))
def test_the_gradient_is_that_of_the_whole_batch_however_ragged_the_split(n, size, seed):
    model, generator = network(), torch.Generator().manual_seed(seed)
    batch = (
        torch.randn(n, 5, generator=generator, dtype=torch.float64),
        torch.randint(0, 3, (n,), generator=generator),
    )
    whole = mean_loss(model)(batch)
    whole.backward()
    expected = gradients(model)
    done = accumulate(model, mean_loss(model), batch, size)
    assert (gradients(model) - expected).abs().max() < 1e-12
    assert float(done.loss) == pytest.approx(float(whole.detach()), abs=1e-12)
    assert done.n_micro_batches == -(-n // min(size, n))


def tokens(n: int = 7, length: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(0, 3, (n, length), generator=generator)
    for row in range(n):
        targets[row, row % length + 1 :] = PADDING
    return {"inputs": torch.randn(n, length, 5, generator=generator, dtype=torch.float64), "targets": targets}


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_tokens_weigh_the_same_in_whichever_micro_batch_they_are(size):
    model, batch = network(), tokens()
    loss_sum, count = token_loss(model)(batch)
    (loss_sum / count).backward()
    expected = gradients(model)
    done = accumulate(model, token_loss(model), batch, size)
    assert (gradients(model) - expected).abs().max() < 1e-12
    assert int(done.count) == int(count)


def test_a_mean_of_means_is_not_what_is_done():
    model = nn.Linear(1, 1, bias=False).double()
    inputs = torch.tensor([[1.0], [1.0], [1.0], [5.0]], dtype=torch.float64)
    done = accumulate(model, lambda micro: model(micro).mean(), inputs, 3)
    assert (model.weight.grad.item(), done.n_micro_batches) == (2.0, 2)


def test_gradients_from_before_are_replaced_and_the_step_is_that_of_one_batch():
    torch.manual_seed(0)
    batch = torch.randn(10, 5, dtype=torch.float64), torch.randint(0, 3, (10,))
    models = [network(), network()]
    for model, size in zip(models, (10, 4), strict=True):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(3):
            accumulate(model, mean_loss(model), batch, size)
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
    one, other = (nn.utils.parameters_to_vector(model.parameters()) for model in models)
    assert torch.allclose(one, other, rtol=0, atol=1e-10)


def test_where_memory_is_short_micro_batches_are_halved_until_they_fit():
    model, sizes = network(), []
    batch = torch.randn(20, 5, dtype=torch.float64), torch.randint(0, 3, (20,))
    mean_loss(model)(batch).backward()
    expected = gradients(model)

    def loss(micro):
        sizes.append(len(micro[0]))
        # The second micro-batch of an attempt fails: half a gradient is there already.
        if sizes[-1] > 5 and len(sizes) % 2 == 0:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return mean_loss(model)(micro)

    done = accumulate(model, loss, batch, 12)
    assert sizes == [12, 8, 6, 6, 3, 3, 3, 3, 3, 3, 2]
    assert (done.micro_batch_size, done.n_micro_batches) == (3, 7)
    assert (gradients(model) - expected).abs().max() < 1e-12


def test_the_tensors_of_a_failed_attempt_are_gone_before_the_next_one():
    class Large:
        alive = 0

        def __init__(self):
            Large.alive += 1

        def __del__(self):
            Large.alive -= 1

    model, seen = network(), []

    def loss(micro):
        seen.append(Large.alive)
        held = Large()
        if len(micro[0]) > 2:
            raise MemoryError(held)
        return mean_loss(model)(micro)

    accumulate(model, loss, (torch.randn(4, 5, dtype=torch.float64), torch.zeros(4, dtype=torch.int64)))
    assert seen == [0, 0, 0]


def test_a_single_example_that_does_not_fit_is_the_end():
    def loss(micro):
        raise MemoryError("nothing fits")

    with pytest.raises(MemoryError, match="nothing fits"):
        accumulate(network(), loss, (torch.randn(4, 5), torch.zeros(4)))


def test_other_failures_are_not_tried_again():
    calls = []

    def loss(micro):
        calls.append(1)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        accumulate(network(), loss, (torch.randn(4, 5), torch.zeros(4)))
    assert len(calls) == 1


def test_batch_normalization_is_named_where_a_batch_is_split_and_only_there():
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    whole = copy.deepcopy(model)
    batch = torch.randn(8, 5, dtype=torch.float64), torch.randint(0, 3, (8,))
    accumulate(whole, mean_loss(whole), batch)
    with pytest.warns(UserWarning) as warned:
        accumulate(model, mean_loss(model), batch, 4)
    assert (gradients(model) - gradients(whole)).abs().max() > 1e-3
    assert str(warned[0].message) == (
        "Accumulation gives the gradient of the whole batch where examples do not see one another, but module '1' "
        "normalizes over micro-batches of 4; keep that size fixed when you compare batch sizes, or use a layer without "
        "batch statistics."
    )


def test_a_scaled_loss_gives_a_scaled_gradient():
    model, batch = network(), tokens()
    accumulate(model, token_loss(model), batch, 2)
    plain = gradients(model)
    accumulate(model, token_loss(model), batch, 2, scale=lambda loss: 1024 * loss)
    assert torch.allclose(gradients(model), 1024 * plain, rtol=1e-12)


def test_a_micro_batch_of_nothing_is_refused():
    with pytest.raises(ValueError) as error:
        accumulate(network(), print, (torch.randn(4, 5), torch.zeros(4)), -1)
    assert str(error.value) == "`micro_batch_size` is a whole number of at least 1, got -1; use 1 or more."
