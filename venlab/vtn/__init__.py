"""The embedded VTN: a real server with a store of its own."""
