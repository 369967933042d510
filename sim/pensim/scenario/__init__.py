"""Scenario files: what a host, people and faults do to a pen, and what must come of it. Host only.

The same file runs against a virtual pen in this process, one that is served on a port, and a board. A file is read by
`model`, its conditions by `conditions`; `run.play` carries it out on a `targets.Target` through the conversation that
`client` holds, `checks` judges what no file has to say, and `report` words what came out. Nothing here knows the
firmware's insides: only the wire, sealed records, the needle's own account, and pins.
"""
