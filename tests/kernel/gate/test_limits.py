"""Raw counts to limits and headers."""

from kernel.gate.limits import Counts, Limit, binding, headers, standing

NOON_US = (20_000 * 86_400 + 43_200) * 1_000_000


def test_standing__half_used_day__tells_rest_and_seconds_to_midnight():
    [daily] = standing(
        Counts(40, 0, 100, None, None), Counts(40, 0, None, None, None), NOON_US, 1, refused=False
    )
    assert daily == Limit("daily", 100, 86_400, 60, 43_200, exceeded=False)


def test_standing__burst_ahead_of_clock__tells_room_left():
    key = Counts(3, NOON_US + 300_000, None, 100_000, 10)
    [burst] = standing(key, Counts(3, 0, None, None, None), NOON_US, 1, refused=False)
    assert (burst.limit, burst.window, burst.remaining, burst.reset) == (10, 1, 7, 0)


def test_standing__burst_refused__tells_whole_seconds_until_cost_fits():
    key = Counts(3, NOON_US + 10_000_000, None, 1_000_000, 10)
    [burst] = standing(key, Counts(0, 0, None, None, None), NOON_US, 3, refused=True)
    assert (burst.remaining, burst.exceeded, burst.reset) == (0, True, 3)


def test_standing__tenant_full_and_key_not__only_tenant_is_exceeded():
    limits = standing(
        Counts(5, 0, 10, None, None), Counts(20, 0, 20, None, None), NOON_US, 1, refused=True
    )
    assert [(x.name, x.exceeded) for x in limits] == [("daily", False), ("tenant_daily", True)]
    assert binding(limits).name == "tenant_daily"


def test_headers__two_limits__lists_both_and_binds_the_scarcer():
    limits = [
        Limit("burst", 40, 2, 39, 0, exceeded=False),
        Limit("daily", 1000, 86_400, 7, 600, exceeded=False),
    ]
    assert headers(limits, NOON_US + 1) == {
        "RateLimit-Policy": '"burst";q=40;w=2, "daily";q=1000;w=86400',
        "RateLimit": '"burst";r=39;t=0, "daily";r=7;t=600',
        "X-RateLimit-Limit": "1000",
        "X-RateLimit-Remaining": "7",
        "X-RateLimit-Reset": str(NOON_US // 1_000_000 + 600),
    }


def test_headers__burst_binds_between_two_seconds__names_a_moment_that_is_not_too_early():
    burst = Limit("burst", 2, 2, 0, 1, exceeded=True)
    assert headers([burst], NOON_US + 1)["X-RateLimit-Reset"] == str(NOON_US // 1_000_000 + 2)


def test_headers__no_limits__writes_none():
    assert headers([], NOON_US) == {}
