"""Records of sessions on this computer: read, put into words, held against their chain, kept, passed on. Host only.

    store = RecordStore()                       # the user's own folder
    pull_records(pen, store)                    # saved, then acknowledged
    report = store.inspect("PP-0001")           # gaps, first bad link, copies that somebody edited
    write_export(to_csv(store.load_all(["PP-0001"])), Path("records.csv"))

`words` says what a record holds, `chain` whether it may be believed, `store` keeps, `pulling` fetches from a pen,
`exchange` writes files for others and reads them back.
"""

from pinprick.records.chain import (
    BadLink,
    ChainReport,
    EditedCopy,
    Gap,
    Kind,
    LinkError,
    gaps,
    parse,
    verify_chain,
    verify_chains,
)
from pinprick.records.exchange import (
    COLUMNS,
    Imported,
    check_target,
    import_records,
    read_export,
    to_csv,
    to_json,
    write_export,
)
from pinprick.records.pulling import Pulled, RecordSource, check_continues, pull_records
from pinprick.records.store import RecordStore, SavedRecord, default_folder, read_record
from pinprick.records.words import describe

__all__ = [
    "COLUMNS",
    "BadLink",
    "ChainReport",
    "EditedCopy",
    "Gap",
    "Imported",
    "Kind",
    "LinkError",
    "Pulled",
    "RecordSource",
    "RecordStore",
    "SavedRecord",
    "check_continues",
    "check_target",
    "default_folder",
    "describe",
    "gaps",
    "import_records",
    "parse",
    "pull_records",
    "read_export",
    "read_record",
    "to_csv",
    "to_json",
    "verify_chain",
    "verify_chains",
    "write_export",
]
