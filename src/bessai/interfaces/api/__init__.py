"""The API and the page: what programs call and people look at, in a process of its own.

    python -m bessai.interfaces.api          # the gateway starts it, and starts it again when it dies

* `settings`: where to listen, as the gateway says in the environment.
* `context`: what every route is given: the gateway's socket, the history, the people, the audit log.
* `roles`: who may do what; `needs(Role.OPERATOR)` guards a route.
* `problems`: every error has one form (RFC 9457) and names field, value and mend.
* `identity`: users, sessions, API tokens, lockout; `audit`: the chain of what people did.
* `live`: one watcher of the control plane, handed on to all viewers; slow ones lose frames, never time.
* `routes`: one file a subject, each with a `router`.
* `app`: all of it put together; `server`: the process.

It holds no way to a device: what it wants, it asks of the control plane over the local socket.
"""
