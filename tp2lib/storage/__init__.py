"""Files and folders: a picture with its record, the ledger of what was made, each written whole or not at all."""
