"""A DNP3 outstation (IEEE 1815) with the point list of the IEC 60870-5-104 station.

    events       what has changed, by class, until the master confirms it
    image        every point of the station as DNP3 objects
    reading      answers to READ: static data and events, in confirmed fragments
    controls     CROB and analog output commands, to the control plane
    outstation   what one master's request is answered
    server       TCP, who may connect, link and transport layers
    sink         all of it in a thread of the service

Frames, transport segments, fragments and the rules of select and operate are those of `dnp3py`. The values come from
`bessai.interfaces.scada.station`, commands go through `bessai.interfaces.scada.commands`.
"""
