import pytest

from rooms.checks import failure_policy_is_one


@pytest.mark.parametrize("policy", ["fail", "fall_back"])
def test_policies_that_are(settings, policy):
    settings.PLATFORM_FAILURE_POLICY = policy
    assert failure_policy_is_one(None) == []


@pytest.mark.parametrize("policy", ["default", "fallback", ""])
def test_a_policy_that_is_none_is_told_by_its_variable(settings, policy):
    settings.PLATFORM_FAILURE_POLICY = policy
    (error,) = failure_policy_is_one(None)
    assert (error.id, error.msg) == ("rooms.E001", f"PLATFORM_FAILURE_POLICY is {policy!r}, which is no policy.")
    assert error.hint == "One of: fail, fall_back."
