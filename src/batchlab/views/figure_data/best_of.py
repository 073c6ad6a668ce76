"""What the best of n learning rates is expected to reach."""

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.wording import say_list
from batchlab.views.figure_data.scaling import wants_log_scale
from batchlab.views.figure_data.training import CurveLine, Curves
from batchlab.views.wording import metric_scale, metric_unit

FEWEST_RATES = 2


def expected_best(findings: StudyFindings) -> Curves | None:
    """Return the expected best metric over the number of learning rates tried, None where no search was made."""
    found = [one for one in findings.expected_best if len(one.n_rates) >= FEWEST_RATES]
    if not found:
        return None
    scale, best = metric_scale(findings.metric), findings.answer.best_batch_size
    lines = tuple(
        CurveLine(
            batch_size=one.batch_size,
            x=one.n_rates,
            mean=tuple(scale * value for value in one.valid_metric),
            low=(None,) * len(one.n_rates),
            high=(None,) * len(one.n_rates),
            highlighted=one.batch_size == best,
        )
        for one in found
    )
    values = [value for line in lines for value in line.mean if value is not None]
    return Curves(
        title=_title(lines, findings),
        caption=_caption(lines, findings),
        x_label="Learning rates tried",
        y_label=f"Expected best validation {findings.metric.name}",
        unit=metric_unit(findings.metric),
        lines=lines,
        log_x=False,
        log_y=wants_log_scale(values, findings.metric),
    )


def _title(lines: tuple[CurveLine, ...], findings: StudyFindings) -> str:
    """Return which batch size is ahead after a little search, and which after all of it."""
    pick = max if findings.metric.higher_is_better else min

    def ahead(place: int) -> int:
        return pick(lines, key=lambda line: line.mean[place] or 0.0).batch_size

    few, all_of_them = ahead(1), ahead(-1)
    if few == all_of_them:
        return f"Batch size {few} is ahead with little search as with all of it"
    return f"With 2 learning rates tried batch size {few} is ahead, with {lines[0].x[-1]} of them {all_of_them}"


def _caption(lines: tuple[CurveLine, ...], findings: StudyFindings) -> str:
    tried = sorted({sum(p.batch_size == line.batch_size for p in findings.learning_rate_response) for line in lines})
    sentences = [
        f"The best of n learning rates picked at random from the {say_list(tried)} tried at each batch size, expected "
        "over all ways of picking them; each rate is the mean of its tuning seeds",
        "A flat curve needs little search",
        "The last points are of picked trials and look better than the comparison on fresh seeds",
    ]
    if any(point.n_diverged for point in findings.learning_rate_response):
        sentences.append("Rates at which training diverged count as a constant guess")
    return ". ".join(sentences) + "."
