"""Questions to the running server."""

import http.client
import json
from collections.abc import Mapping

from config.launcher.demo import Demo

_SECONDS = 5.0
_LOST = {"NOT_FOUND", "DISABLED", "EXPIRED"}


class Probe:
    """Asks one server over HTTP; a server that does not answer says no."""

    def __init__(self, base_url: str) -> None:
        self._address = base_url.removeprefix("http://")

    def ready(self) -> bool:
        """Tell whether it wants requests."""
        return self._ask("GET", "/readyz", {}, b"")[0] == http.client.OK

    def demo_holds(self, demo: Demo) -> bool:
        """Tell whether the platform key still verifies and every tenant key is still known.

        Costs nobody a request: the platform key has no limits and the keys are asked at cost 0.
        """
        headers = {
            "Authorization": f"Bearer {demo['platform_key']}",
            "Content-Type": "application/json",
        }
        for tenant in demo["tenants"]:
            body = json.dumps({"key": tenant["key"], "cost": 0}).encode()
            status, answer = self._ask("POST", "/api/v1/keys/verify", headers, body)
            if status != http.client.OK or answer.get("code") in {
                "NOT_FOUND",
                "DISABLED",
                "EXPIRED",
            }:
                return False
        return True

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
