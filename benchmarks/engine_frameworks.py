"""Contestants of `engine.py` with a training loop of their own: Lightning, Keras and Hugging Face.

As in `engine_loops`, each function imports its framework and returns a run. Logging, checkpoints, summaries and
progress bars are off.
"""

import logging
import os
import tempfile
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

from engine_cases import EPOCHS, EVALUATION_BATCH, LEARNING_RATE, MODELS, MOMENTUM, Case, Data, make_optimizer
from engine_loops import Run


def lightning() -> Run:
    """Return a `LightningModule` on a `Trainer` with a `DataLoader`."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    import lightning.pytorch as library

    class Module(library.LightningModule):  # type: ignore[misc]
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            inputs, targets = batch
            return functional.cross_entropy(self.model(inputs), targets)

        def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
            inputs, targets = batch
            outputs = self.model(inputs)
            self.log("valid_loss", functional.cross_entropy(outputs, targets))
            self.log("valid_error", (outputs.argmax(1) != targets).float().mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return make_optimizer(self.parameters())

    def run(case: Case, data: Data, seed: int) -> float:
        torch.manual_seed(seed)
        trainer = library.Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        train = DataLoader(TensorDataset(*data.train), case.batch_size, shuffle=True)
        trainer.fit(Module(MODELS[case.model]()), train, DataLoader(TensorDataset(*data.valid), EVALUATION_BATCH))
        return float(trainer.callback_metrics["valid_loss"])

    return run


def keras() -> Run:
    """Return `Model.fit` of Keras 3 on its torch backend, given arrays."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as library

    layers = library.layers

    def network(case: Case) -> Any:
        if case.model == "mlp":
            middle = [layers.Flatten(), layers.Dense(256, activation="relu")]
        else:
            # The layout of the images, and torch's own: without it every layer would transpose.
            shape: dict[str, Any] = {"data_format": "channels_first"}
            middle = []
            for channels in (8, 16):
                middle += [layers.Conv2D(channels, 3, padding="same", activation="relu", **shape)]
                middle += [layers.MaxPooling2D(2, **shape)]
            middle += [layers.Flatten()]
        return library.Sequential([layers.Input((1, 28, 28)), *middle, layers.Dense(10)])

    def run(case: Case, data: Data, seed: int) -> float:
        library.utils.set_random_seed(seed)
        model = network(case)
        model.compile(
            library.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM),
            library.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        train, valid = ([part.numpy() for part in pair] for pair in (data.train, data.valid))
        told = model.fit(
            *train,
            batch_size=case.batch_size,
            epochs=EPOCHS,
            verbose=0,
            validation_data=tuple(valid),
            validation_batch_size=EVALUATION_BATCH,
        )
        return float(told.history["val_loss"][-1])

    return run


class _Classifier(nn.Module):
    """A network as the `Trainer` of Hugging Face wants it: with its loss."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return loss and outputs."""
        outputs = self.model(inputs)
        return {"loss": functional.cross_entropy(outputs, labels), "logits": outputs}


class _Items(Dataset[dict[str, Tensor]]):
    """Labeled images as dictionaries."""

    def __init__(self, pair: tuple[Tensor, Tensor]) -> None:
        self.inputs, self.labels = pair

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"inputs": self.inputs[index], "labels": self.labels[index]}


def hugging_face() -> Run:
    """Return the `Trainer` of transformers, constant learning rate, no clipping."""
    warnings.filterwarnings("ignore", module="transformers")
    import transformers as library

    library.utils.logging.set_verbosity_error()

    def metrics(predicted: Any) -> dict[str, float]:
        return {"error": float((predicted.predictions.argmax(-1) != predicted.label_ids).mean())}

    def run(case: Case, data: Data, seed: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            arguments = library.TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=case.batch_size,
                per_device_eval_batch_size=EVALUATION_BATCH,
                num_train_epochs=EPOCHS,
                learning_rate=LEARNING_RATE,
                lr_scheduler_type="constant",
                max_grad_norm=0.0,
                eval_strategy="epoch",
                logging_strategy="no",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                dataloader_pin_memory=False,
                seed=seed,
            )
            torch.manual_seed(seed)
            model = _Classifier(MODELS[case.model]())
            trainer = library.Trainer(
                model,
                arguments,
                train_dataset=_Items(data.train),
                eval_dataset=_Items(data.valid),
                compute_metrics=metrics,
                optimizers=(make_optimizer(model.parameters()), None),
            )
            _without_prints(trainer, library)
            trainer.train()
        return float(next(row["eval_loss"] for row in reversed(trainer.state.log_history) if "eval_loss" in row))

    return run


def _without_prints(trainer: Any, library: Any) -> None:
    """Take away the callback that prints the metrics where there is no progress bar."""
    trainer.remove_callback(library.PrinterCallback)
