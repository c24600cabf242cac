"""One command per file: its options, what it calls, and what it prints."""
