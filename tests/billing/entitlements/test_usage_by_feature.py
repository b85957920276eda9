"""What a tenant uses of each metered feature."""

from tests.billing.house import call, make_house

PATH = "v1/usage/features"


def used(key: str) -> dict:
    return {row["feature"]: row for row in call(key, "GET", PATH)["features"]}


def test_features__metered_ones__have_use_limit_and_meter():
    house = make_house("basic")
    path = f"v1/customers/{house.slug}/entitlements/processed_units"
    call(house.key, "POST", f"{path}/consume", {"quantity": 25})

    found = used(house.key)

    value = call(house.key, "GET", f"{path}/value")
    row = found["processed_units"]
    volatile = {"exhaustedAt", "remainingSeconds"}
    assert {name: row[name] for name in value if name not in volatile} == {
        name: value[name] for name in value if name not in volatile
    }
    assert (row["usage"], row["meter"]) == (25, "processed_units")
    assert row["usedPercent"] == round(25 / value["totalAvailableGrantAmount"] * 100, 2)
    assert found["api_requests"]["meter"] == "api_requests"
    assert {row["type"] for row in found.values()} == {"metered"}


def test_features__without_a_limit__have_no_percentage():
    found = used(make_house("enterprise").key)

    assert found["api_requests"]["usedPercent"] is None
    assert found["api_requests"]["usage"] == 1


def test_features__of_another_tenant__are_not_counted():
    house, other = make_house("basic"), make_house("basic")
    path = f"v1/customers/{other.slug}/entitlements/processed_units/consume"
    call(other.key, "POST", path, {"quantity": 7})

    assert used(house.key)["processed_units"]["usage"] == 0
