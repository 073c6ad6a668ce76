"""The spec file that `batchlab init -o study.toml` writes."""

SPEC_TEMPLATE = """\
# A study for `batchlab study` with this file. Options of the command win over it, as does --set key=value;
# --dry-run says first how many trials that is and how long it takes. Paths start from this file's folder.
workload = "digits-mlp"  # or "workload.py:workload"

batch_sizes = "8:512"  # the powers of two, or a list: [8, 24, 64]
epochs = 20  # or examples, or steps
seeds = 5  # or "5..20": more only where the answer is open
# current = "64@0.1"  # today's setting, to compare with the best
# target = 0.05  # a validation metric to reach
# margin = 0.005  # differences up to this are ties

lr = "tune"  # at every batch size; or "linear", "sqrt", or a number for all
# base_lr = 0.05  # where the search begins
# optimizer = "sgd"
# schedule = "cosine"
# warmup = 0.05  # a share of the budget
# controls = ["lr", "equal-updates", "noise"]  # why larger batches lose here

# name = "first"
# store = "batchlab.db"

# [optimizer_settings]
# momentum = 0.9
"""
