"""`python -m pinprick`, the same as the `pinprick` command. Host only."""

import sys

from pinprick.cli import main

sys.exit(main())
