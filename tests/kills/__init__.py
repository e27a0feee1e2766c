"""Kills at random moments: what is lost, and whether the run ends as if nothing had happened."""
