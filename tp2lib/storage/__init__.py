"""Write pictures with their records, and the ledger of all runs; each file is written completely or not at all."""
