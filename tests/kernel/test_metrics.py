"""Metrics: fine buckets, routes and never tenants, loopback only."""

from django.test import Client

from kernel.ids import new_id


def test_metrics__after_requests__counts_by_route_and_fine_buckets():
    client = Client()
    for _ in range(3):
        client.get("/livez")
    text = client.get("/metrics").content.decode()
    [count] = [
        line
        for line in text.splitlines()
        if line.startswith("django_http_responses_total_by_status_view_method_total{")
        and 'view="livez"' in line
        and 'status="200"' in line
    ]
    assert float(count.rpartition(" ")[2]) >= 3
    assert 'le="0.0025",method="GET",view="livez"' in text
    assert 'le="0.015",method="GET",view="livez"' in text


def test_metrics__unknown_paths__share_one_label():
    client = Client()
    marks = [new_id().hex for _ in range(3)]
    for mark in marks:
        client.get(f"/{mark}")
    text = client.get("/metrics").content.decode()
    assert 'view="<none>"' in text
    assert not any(mark in text for mark in marks)


def test_metrics__from_elsewhere__403():
    answer = Client(REMOTE_ADDR="203.0.113.1").get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
