import pytest

from batchlab.errors import DeviceError
from batchlab.studies.device_names import device_names


@pytest.mark.parametrize("text", ["cuda:0,0", "cuda:0,", "cuda,cpu", "0,1,x"])
def test_a_list_that_names_no_gpus_is_an_error(text: str) -> None:
    with pytest.raises(DeviceError) as raised:
        device_names(text)
    assert str(raised.value) == (
        f"Several GPUs are named by their numbers, each once, as in cuda:0,1, got {text!r}; do so."
    )
