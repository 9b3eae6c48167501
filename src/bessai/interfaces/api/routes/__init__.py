"""One file a subject; each has a `router` that `app` includes under `/api/v1`."""
