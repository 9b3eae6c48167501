"""Asks for a page from time to time, so that a service outside misses the gateway when it is dead."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

FRESH = 180.0
"""Seconds: when the newest record is older, the gateway does not record, and no sign of life is given. Three of the
longest cycles."""
_TIMEOUT = 15.0


class Heartbeat:
    """A plain GET every so often, in a thread that nobody waits for.

    Args:
        url: secret; never shown.
        every: seconds between two.
        clock: monotonic seconds.
    """

    def __init__(self, url: str, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._every, self._clock = url, every, clock
        self._due = clock()
        self._under_way = threading.Event()
        self.answered: float | None = None
        """Seconds since 1970 of the last answer that was well."""
        self.problem: str | None = None
        """Why the last one was not."""

    def beat(self, newest: float, now: float) -> bool:
        """Give a sign of life when it is due and true. Returns whether one began.

        Args:
            newest: seconds since 1970 of the newest record.
            now: seconds since 1970.
        """
        if self._clock() < self._due or self._under_way.is_set() or now - newest > FRESH:
            return False
        self._due = self._clock() + self._every
        self._under_way.set()
        threading.Thread(target=self._ask, name="notify-heartbeat", daemon=True).start()
        return True

    def _ask(self) -> None:
        try:
            request = urllib.request.Request(self._url, headers={"User-Agent": "BESSAI"})  # noqa: S310  http(s) by check
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310  as above
                answer.read(1024)
            self.answered, self.problem = time.time(), None
        except urllib.error.HTTPError as error:
            self.problem = f"the page answers {error.code}"
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None)
            why = reason if isinstance(reason, OSError) else type(error).__name__
            self.problem = f"the page cannot be reached: {why}"
        except Exception as error:  # noqa: BLE001  http.client raises what is no OSError
            self.problem = f"the page cannot be reached: {type(error).__name__}"
        finally:
            self._under_way.clear()
