"""Scripts that play one client each, in that client's own environment: nothing here is imported."""
