"""JSON ⇄ model, one module a dialect; nothing outside this folder knows JSON names."""
