"""What people see of a run: live progress, plain lines, closing table, texts of the other reports."""
