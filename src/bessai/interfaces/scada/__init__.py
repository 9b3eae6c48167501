"""The operator's link: an IEC 60870-5-104 controlled station in the service plane.

    feed     the control plane's cycles, live
    station  what every point is now, and which changes are events
    buffer   events until each master has acknowledged them
    server   masters come and go; `session` is one of them, `dialogue` what it is answered
    commands what a master commands, as leased requests to the control plane
    sink     all of it in a thread of the service

The control plane does not know of any of it: it gives a feed to whoever reads it, and takes requests.
"""
