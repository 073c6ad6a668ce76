"""Two controls of the whole protocol: many studies in which every claim is known to be false.

    aa          eight arms of one batch size, each tuned by the study's own search
    no-signal   labels drawn independently of the inputs, drawn anew for every seed

A claim is any batch size called worse than the best; for no-signal, any verdict but no-signal. Of 100 studies five
false claims are expected in each control and at most ten allowed (more come by chance once in a hundred runs).
"""

import argparse
import collections
import dataclasses
import time
from typing import Any

from batchlab.analyze.study import analyze_study
from batchlab.records import to_json
from batchlab.studies.executors import WorkloadSource
from batchlab.studies.local_executor import LocalExecutor
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.spec import StudyOptions, resolve_spec
from evidence import write_evidence

ARMS = (8, 16, 32, 64, 128, 256, 512, 1024)
CONTROLS: dict[str, tuple[str, StudyOptions]] = {
    "aa": ("digits-mlp", StudyOptions(batch_sizes=ARMS, same_batch_size=32, epochs=2)),
    "no-signal": ("no-signal", StudyOptions(batch_sizes=(8, 16, 32, 64, 128, 256, 512), epochs=4)),
}


def run_control(name: str, n_studies: int) -> dict[str, Any]:
    """Run the control's studies, each with its own base seed, and count the false claims."""
    reference, options = CONTROLS[name]
    verdicts: collections.Counter[str] = collections.Counter()
    claims, n_trials, started = [], 0, time.monotonic()
    with LocalExecutor(WorkloadSource(reference)) as executor:
        info = executor.inspect()
        for seed in range(n_studies):
            spec = resolve_spec(_with_seed(options, seed), info)
            record = run_study(
                spec, info, name=f"{name}-{seed}", store=MemoryStore(), executor=Untimed(executor), progress=Quiet()
            )
            answer = analyze_study(record).answer
            n_trials += len(record.trials)
            verdicts[answer.verdict] += 1
            if answer.worse_batch_sizes or (name == "no-signal" and answer.verdict != "no-signal"):
                claims.append({"seed": seed, "verdict": answer.verdict, "worse": list(answer.worse_batch_sizes)})
            print(f"{seed + 1:4} studies, {len(claims):3} claims, {dict(verdicts)}", flush=True)
    return {
        "studies": n_studies,
        "false_claims": len(claims),
        "claims": claims,
        "verdicts": dict(verdicts),
        "trials": n_trials,
        "seconds": round(time.monotonic() - started, 1),
    }


class Untimed:
    """An executor without its quiet pass: these studies ask nothing about seconds."""

    def __init__(self, executor: LocalExecutor) -> None:
        """Wrap `executor`."""
        self.free, self.submit, self.next_event = executor.free, executor.submit, executor.next_event

    def time_steps(self, settings: object, on_wait: object) -> tuple[()]:
        """Return nothing."""
        return ()


def _with_seed(options: StudyOptions, seed: int) -> StudyOptions:
    return dataclasses.replace(options, seed=seed)


def main() -> None:
    """Run the controls."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("controls", nargs="*", default=list(CONTROLS), metavar="CONTROL", help=" or ".join(CONTROLS))
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    too_many = []
    for control in asked.controls:
        figures = run_control(control, asked.studies)
        print(f"{control}: {figures['false_claims']} false claims in {figures['studies']} studies")
        if asked.write:
            write_evidence(f"control-{control}", to_json(CONTROLS[control][1]), figures)
        if figures["false_claims"] > asked.studies * 0.1:
            too_many.append(control)
    if too_many:
        raise SystemExit(f"False claims in more than one study in ten: {', '.join(too_many)}")


if __name__ == "__main__":
    main()
