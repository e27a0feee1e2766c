"""Scripts of peers run in the peers' environments; here their libraries are not there."""

collect_ignore_glob = ["peers/play_*.py"]
