"""Notifications: people hear of alarms where they are, through Apprise (e-mail, Telegram, Slack, webhooks, SMS …).

`NOTIFY_FILE` says who hears of what, when, and in which language (`schema`, `loading`). A consumer of the journal with
its own cursor turns events into alarms that stand (`standing`), finds who should know (`desk`, `rules`), and lets what
waits for a channel go out together in one message (`queue`, `words`). That one mechanism is the storm that becomes a
single message, the digest after quiet hours, and the digest after an outage of the channel.

* **Never lost.** What waits is in `DATA_DIR/notify/state.json`, written before the cursor moves (`store`).
* **Never twice silently.** A message is noted as begun before it is sent. When the outcome stays unknown, because the
  power failed or the channel did not answer, it is sent again and says that it may have been received before.
* **Nothing waits for it.** `sink` is a thread of the service plane; each sending runs in a short-lived process of its
  own (`courier`, `send`), so that a channel that hangs is ended, and Apprise costs no memory while nothing happens.
* **Secrets.** An address is a secret. Nothing prints more of it than its kind (`addresses`).

The desk does no I/O and is told the time, so that its tests step through nights and weekends.
"""
