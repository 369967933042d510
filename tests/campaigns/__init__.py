"""Campaigns: what the tests prove for a few cases, for very many: seeded, sharded over cores, every failure told by the
line that replays it. `python -m tests.campaigns`, or `make campaign SIZE=commit|nightly|release`. Host only.
"""
