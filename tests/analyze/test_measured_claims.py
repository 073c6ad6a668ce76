import dataclasses

import measurement_cases as cases
from batchlab.analyze.measured_claims import claims_at


def verdicts(checkpoint):
    return {claim.name: claim.verdict for claim in claims_at(checkpoint)}


def test_gaussian_gradients_decide_the_published_claims():
    found = verdicts(cases.checkpoint())
    assert found["larger-steps"] == "does not hold" and found["larger-steps-sum"] == "holds"
    assert found["larger-variance"] == "does not hold" and found["larger-variance-sum"] == "holds"
    assert found["norm-law"] == "holds"


def test_examples_that_agree_do_not_compete_and_those_that_oppose_do():
    assert verdicts(cases.checkpoint())["competition"] == "does not hold"
    against = cases.pairs(0)
    opposed = dataclasses.replace(
        against,
        every=dataclasses.replace(against.every, cosine=cases.order_table(1, (-0.2, -0.3, -0.25), (1, 2, 3)).same),
    )
    assert verdicts(cases.checkpoint(interference=opposed))["competition"] == "holds"


def test_evidence_names_the_classes_where_there_are_some():
    claims = {claim.name: claim for claim in claims_at(cases.checkpoint())}
    assert "within a class" in claims["competition"].evidence
    assert claims["larger-steps"].evidence.startswith("mean gradient norm, batch size 16 over 1: 0.")


def test_a_difference_that_may_be_none_is_undecided():
    assert verdicts(cases.checkpoint())["sequence"] == "undecided"
    better = cases.order_table(0.1, (1.0, 1.0, 1.0), (-1.0, -1.1, -0.9))
    assert verdicts(cases.checkpoint(order=better))["sequence"] == "holds"


def test_the_law_fails_only_beyond_its_error():
    table = cases.norms()
    rows = [dataclasses.replace(row, law_ratio=1.3, law_error=0.01) for row in table.rows]
    assert verdicts(cases.checkpoint(norms=dataclasses.replace(table, rows=tuple(rows))))["norm-law"] == "does not hold"
    rows = [dataclasses.replace(row, law_ratio=1.3, law_error=0.2) for row in table.rows]
    assert verdicts(cases.checkpoint(norms=dataclasses.replace(table, rows=tuple(rows))))["norm-law"] == "undecided"


def test_what_was_not_measured_makes_no_claim():
    assert claims_at(cases.checkpoint(norms=None, interference=None, order=None)) == ()
