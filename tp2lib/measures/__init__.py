"""Numbers beside a picture: from pixels alone, but for the judge."""
