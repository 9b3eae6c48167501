"""The service plane: everything that may be slow, large or broken, in a process of its own.

It reads the journal and carries it outwards; it never touches the device and never delays a control cycle.
`python -m bessai.interfaces` runs it (`service.main`), the gateway starts it and restarts it when it dies.

A **sink** carries the journal to one place. Each sink has a thread, a reader and a cursor of its own, so that
one which is slow or failing delays no other:

* `delivery.Delivery` is the one that never loses a record: a durable cursor, retries, a circuit breaker, rate
  limits, dead letters, and after an outage the newest records first. A `courier.Courier` tells it how one
  protocol carries a batch; `pubsub.PubSubPublisher` is the one for Google Cloud Pub/Sub.
* `telemetry.TelemetrySink` turns each cycle into OpenTelemetry spans and metrics. It starts at the newest
  record and keeps no cursor: telemetry about the past is worth nothing.
* `notify.sink.NotifySink` tells people of alarms; see `notify`.

`envelope.Envelope` is the message that people and clouds see, documented as stable in `docs/message.md`.
To add a destination, write a `Courier`, or a `sink.Sink`, and list its builder in `build.BUILDERS`.
"""
