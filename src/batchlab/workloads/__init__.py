"""The workloads that are built in, by name; nothing here imports torch or opens a file."""

BUILTIN = {
    "digits-mlp": "batchlab.workloads.digits:digits_mlp",
    "digits-cnn": "batchlab.workloads.digits:digits_cnn",
    "mnist-mlp": "batchlab.workloads.images:mnist_mlp",
    "mnist-cnn": "batchlab.workloads.images:mnist_cnn",
    "fashion-mlp": "batchlab.workloads.images:fashion_mlp",
    "fashion-cnn": "batchlab.workloads.images:fashion_cnn",
    "cifar10-cnn": "batchlab.workloads.cifar10:cifar10_cnn",
    "char-lm": "batchlab.workloads.char_lm:char_lm",
    "no-signal": "batchlab.workloads.no_signal:no_signal",
    "quadratic": "batchlab.workloads.quadratic:quadratic",
}


def builtin_names() -> tuple[str, ...]:
    """Return the names of the built-in workloads, the default first.

    >>> builtin_names()[0]
    'digits-mlp'
    """
    return tuple(BUILTIN)
