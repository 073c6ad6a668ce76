"""The recommended setting as lines to paste into a training script."""

from batchlab.analyze.probe_findings import ProbeFindings, say_rate

OPTIMIZER_CLASSES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad"}


def snippets(findings: ProbeFindings) -> dict[str, str]:
    """Return lines by framework: PyTorch, Lightning, Transformers' TrainingArguments and Accelerate."""
    advice = findings.recommendation
    size, rate = advice.micro_batch_size, say_rate(advice.learning_rate)
    parts, warm_up = advice.gradient_accumulation_steps, advice.warmup_steps
    name = OPTIMIZER_CLASSES.get(findings.optimizer, findings.optimizer)
    loader = f"loader = DataLoader(train, batch_size={size}, shuffle=True)"
    optimizer = f"optimizer = {name}(model.parameters(), lr={rate})  # other settings as before"
    schedule = (
        f"\nscheduler = LinearLR(optimizer, start_factor=1 / {warm_up}, total_iters={warm_up})" if warm_up > 1 else ""
    )
    return {
        "PyTorch": f"{loader}\n{optimizer}{schedule}",
        "Lightning": f"{loader}\ntrainer = Trainer(accumulate_grad_batches={parts})\n{optimizer}{schedule}",
        "Transformers": (
            f"args = TrainingArguments(per_device_train_batch_size={size}, gradient_accumulation_steps={parts}, "
            f"learning_rate={rate}, warmup_steps={warm_up})"
        ),
        "Accelerate": (
            f"accelerator = Accelerator(gradient_accumulation_steps={parts})\n{loader}\n{optimizer}{schedule}"
        ),
    }
