"""Make the topic, and a subscription `local` that keeps what is published, in the Pub/Sub emulator."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request


def put(path: str, body: dict[str, object]) -> None:
    """Make one; that it is there already is fine."""
    request = urllib.request.Request(
        f"http://{os.environ['PUBSUB_EMULATOR_HOST']}/v1/{path}",
        data=json.dumps(body).encode(), method="PUT", headers={"Content-Type": "application/json"},
    )  # fmt: skip
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  as above
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise


def main() -> int:
    """Returns the exit code."""
    project, topic = os.environ["GCP_PROJECT_ID"], os.environ["GCP_PUBSUB_TOPIC"]
    name = f"projects/{project}/topics/{topic}"
    try:
        put(name, {})
        put(f"projects/{project}/subscriptions/local", {"topic": name, "enableMessageOrdering": True})
    except OSError as error:
        print(f"error: {name} cannot be made: {error}", file=sys.stderr)
        return 1
    print(f"{name} is there, and the subscription projects/{project}/subscriptions/local")
    return 0


if __name__ == "__main__":
    sys.exit(main())
