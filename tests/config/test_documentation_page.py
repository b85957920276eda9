"""The page at /api/docs works without a network: all that it loads is served here."""

import contextlib
import re

from django.test import Client

LOADED = re.compile(r'(?:src|href)="([^"]+)"')


def test_docs_page__everything_it_loads__comes_from_this_server():
    client = Client()
    page = client.get("/api/docs")
    found = LOADED.findall(page.content.decode())

    assert {url.partition("/")[0] for url in found} == {""}  # a path, never a scheme or a host
    assert not [url for url in found if url.startswith("//")]
    assert sorted(url.rpartition(".")[2] for url in found) == ["css", "js", "js", "png"]
    assert all(size(client, url) > 100 for url in found)
    # And what is loaded may load nothing from elsewhere.
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "://" not in policy


def size(client, url):
    with contextlib.closing(client.get(url)) as answer:
        assert answer.status_code == 200, url
        return len(answer.getvalue())
