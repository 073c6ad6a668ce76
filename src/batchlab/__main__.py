"""`python -m batchlab` is the command `batchlab`."""

import sys

from batchlab.cli.main import main

sys.exit(main())
