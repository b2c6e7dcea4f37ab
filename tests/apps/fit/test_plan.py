"""What is trained follows from the time that is given."""

from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.apps.fit.plan import FROM_SCRATCH, PRETRAINED, Cost, Data, make_plan

seconds = st.floats(1e-4, 0.1)
costs = st.builds(Cost, seconds, seconds, seconds, st.sampled_from([128, 172, 224]))
data = st.builds(Data, st.integers(2, 2000), st.integers(1, 500), st.integers(8, 64))
wanted = st.sampled_from([PRETRAINED, FROM_SCRATCH])


@given(data, costs, wanted, st.floats(10, 10_000), st.sampled_from([1, 2, 4]))
def test_a_plan_fits_the_time_or_is_the_smallest(data, cost, wanted, given_seconds, processes):
    plan = make_plan(data, cost, wanted, given_seconds, processes)
    assert plan.epochs >= 2 and 1 <= plan.val_interval <= plan.epochs
    assert plan.seconds <= given_seconds * 1.3 or plan.side == 80
    assert plan.side <= cost.native_side
    assert plan.processes == processes and 2 <= plan.batch_size <= 8
    more = make_plan(data, cost, wanted, 4 * given_seconds, processes)
    assert (more.side, more.epochs) >= (plan.side, min(plan.epochs, more.epochs))


@given(data, costs, wanted, st.floats(10, 1000), st.integers(1, 200))
def test_epochs_that_the_user_states_stay(data, cost, wanted, given_seconds, epochs):
    assert make_plan(data, cost, wanted, given_seconds, 2, epochs).epochs == epochs


def test_enough_is_enough():
    """Of little data and much time the epochs end where more gains nothing."""
    cost = Cost(1e-4, 1e-5, 1e-4, 172)
    plan = make_plan(Data(34, 10, 16), cost, PRETRAINED, 36_000, 2)
    assert (plan.side == 144 and plan.epochs == PRETRAINED.most_epochs) or plan.epochs >= 20
    assert plan.seconds < 3600
