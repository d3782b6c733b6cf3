"""SQLite storage for the single binary, through Kine."""
