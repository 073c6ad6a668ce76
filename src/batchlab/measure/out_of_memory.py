"""Telling a lack of memory from other failures, and giving back what such a failure leaves behind."""

import gc

import torch

# What torch says on a GPU, what its allocator says on a CPU, and what drivers and libraries say.
PHRASES = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "_status_alloc_failed",
    "could not create a memory object",
    "std::bad_alloc",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether this exception means that memory did not suffice.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), is_out_of_memory(ValueError("x"))
    (True, False)
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in PHRASES)


def release_memory() -> None:
    """Give back what nobody refers to anymore, and the blocks that torch keeps on a GPU.

    To be called outside the `except` block: until it is left, the exception's traceback holds the tensors.
    """
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
