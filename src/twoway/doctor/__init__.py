"""A failure told as a finding: one cause, one side to blame, one thing to change."""
