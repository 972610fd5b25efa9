"""Through which doors a gateway under test is entered: all where that is cheap, else in the long form only."""

import os

BOTH = ("express", "plain")
DOORS = BOTH if os.environ.get("PE_FULL") == "1" else BOTH[:1]
