"""Questions to the running server."""

import http.client
import json
from collections.abc import Mapping

from config.launcher.demo import Demo

_SECONDS = 5.0
LOST = frozenset({"NOT_FOUND", "DISABLED", "EXPIRED"})


class Probe:
    """Asks one server over HTTP; a server that does not answer says no."""

    def __init__(self, base_url: str) -> None:
        self._address = base_url.removeprefix("http://")

    def ready(self) -> bool:
        """Tell whether it wants requests."""
        return self._ask("GET", "/readyz", {}, b"")[0] == http.client.OK

    def states(self, demo: Demo) -> dict[str, str]:
        """Ask what became of each tenant's key, by slug: VALID, TENANT_SUSPENDED and so on.

        Nothing is known, and NOT_FOUND said, where the platform key itself is refused. Costs
        nobody a request: the platform key has no limits and the keys are asked at cost 0.
        """
        headers = {
            "Authorization": f"Bearer {demo['platform_key']}",
            "Content-Type": "application/json",
        }
        found = {}
        for tenant in demo["tenants"]:
            body = json.dumps({"key": tenant["key"], "cost": 0}).encode()
            _, answer = self._ask("POST", "/api/v1/keys/verify", headers, body)
            found[tenant["slug"]] = str(answer.get("code", "NOT_FOUND"))
        return found

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection(self._address, timeout=_SECONDS)
        try:
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            text = response.read()
            answer = json.loads(text) if response.status == http.client.OK and body else {}
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        else:
            return response.status, answer
        finally:
            connection.close()
