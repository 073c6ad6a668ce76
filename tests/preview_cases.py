"""What a study would do, made up."""

from batchlab.analyze.findings import StudyLabel
from batchlab.analyze.preview import Preview, SizePreview, Span, StagePreview
from batchlab.records import Budget

FOUND = Preview(
    study=StudyLabel("abcdef0123456789", "mine"),
    workload="digits-mlp",
    device="cpu",
    budget=Budget("epochs", 20.0),
    learning_rate_mode="tune",
    stages=(
        StagePreview("tuning", Span(20, 46), 0, Span(30.0, 80.0)),
        StagePreview("comparing", Span(4, 4), 6, Span(9.0, 9.0)),
    ),
    batch_sizes=(SizePreview(8, 2698, (0.05, 0.1), 5.64), SizePreview(512, 42, (0.4, 0.8), 0.201)),
    trials=Span(24, 50),
    seconds=Span(19.5, 44.5),
    workers=2,
    timed_by="timing",
    power="5 seeds tell something.",
    notes=("Fewest and most.",),
)
