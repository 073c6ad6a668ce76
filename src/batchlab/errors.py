"""What can go wrong, as one tree.

    BatchlabError                 something the user can mend; the command prints one line and exits with 1
    ├── UsageError                an argument, option or setting is wrong; the command exits with 2
    ├── WorkloadError             the workload cannot be used
    │   ├── UnknownWorkload       no workload has this name
    │   ├── DataMissing           its data were not found
    │   └── DataCorrupt           its data were found and are not what they should be
    ├── DeviceError               the device asked for is not there
    ├── StoreError                the store cannot be used
    │   ├── StudyNotFound         no study, or more than one, answers to this name
    │   └── StudyRunning          another driver works on this study
    ├── StudyInterrupted          Ctrl-C; what had finished is kept
    ├── ExecutorError             workers could not be started, or died again and again
    │   └── CannotTravel          a live workload cannot be sent to another process
    └── MissingPackage            an optional package is needed and not installed

Messages have three parts: what was expected, what came, what to do. They are complete sentences of one line; several
mistakes of usage, which are told together, are one line each.
"""


class BatchlabError(Exception):
    """Something the user can mend; the message says how."""


class UsageError(BatchlabError):
    """An argument, option or setting is wrong; `mistakes` has a message for each that is.

    >>> print(UsageError("This is wrong; mend it.", "So is that; mend it too."))
    2 mistakes:
    - This is wrong; mend it.
    - So is that; mend it too.
    """

    def __init__(self, *mistakes: str) -> None:
        """Take one message a mistake."""
        lines = [f"{len(mistakes)} mistakes:", *(f"- {mistake}" for mistake in mistakes)]
        super().__init__(mistakes[0] if len(mistakes) == 1 else "\n".join(lines))
        self.mistakes = mistakes


class WorkloadError(BatchlabError):
    """The workload cannot be used."""


class UnknownWorkload(WorkloadError):
    """No workload has this name."""


class DataMissing(WorkloadError):
    """The data of a workload were not found."""


class DataCorrupt(WorkloadError):
    """The data of a workload were found and are not what they should be."""


class DeviceError(BatchlabError):
    """The device asked for is not there."""


class StoreError(BatchlabError):
    """The store cannot be used."""


class StudyNotFound(StoreError):
    """No study, or more than one, answers to this name."""


class StudyRunning(StoreError):
    """Another driver works on this study."""


class StudyInterrupted(BatchlabError):
    """Ctrl-C; what had finished is kept."""


class ExecutorError(BatchlabError):
    """Workers could not be started, or died again and again."""


class CannotTravel(ExecutorError):
    """A live workload cannot be sent to another process."""


class MissingPackage(BatchlabError):
    """An optional package is needed and not installed."""
