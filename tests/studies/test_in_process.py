import torch
from torch import nn

from batchlab.studies.in_process import InProcessExecutor
from cases import tiny_classifier
from train_settings import settings

SERVED: list[int] = []


class Watched(nn.Linear):
    """A linear model that writes down how many threads serve it."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        SERVED.append(torch.get_num_threads())
        return super().forward(inputs)


def test_a_trial_has_the_threads_that_its_settings_say_whatever_torch_has() -> None:
    before = torch.get_num_threads()
    executor = InProcessExecutor(tiny_classifier(model=lambda: Watched(4, 3)), "object:tiny")
    for threads in (1, 2):
        SERVED.clear()
        executor.submit("a", settings(threads=threads))
        event = executor.next_event(0.0)
        assert event is not None and event.result is not None
        assert set(SERVED) == {threads}
        assert torch.get_num_threads() == before


def test_a_small_model_in_this_process_keeps_one_thread() -> None:
    executor = InProcessExecutor(tiny_classifier(), "object:tiny")
    executor.inspect()
    assert executor.settle([settings()], None, lambda: None) == 1
    assert executor.settle([settings()], 2, lambda: None) == 2
