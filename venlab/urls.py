"""What a person writes as the url of a server."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from venlab.errors import ConfigError

__all__ = ["checked_url"]


def checked_url(url: str, name: str = "vtn_url") -> str:
    """Return a server's url without its last slash; a ConfigError where it is none.

    Parameters
    ----------
    url : str
        With http or https, a host, and no query.
    name : str
        The setting it comes from, for the error.

    Examples
    --------
    >>> checked_url("http://127.0.0.1:8080/flat/")
    'http://127.0.0.1:8080/flat'
    """
    if re.match(r"([^/]*//)?[^/]*@", url):  # it would stand in files, logs and messages
        remedy = "secrets belong in the environment: VENLAB_TOKEN, VENLAB_CLIENT_SECRET"
        raise ConfigError(f"{name} holds a user or a password", remedy)
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        fits = False
    if not fits or re.search(r"[\s?#]", url) or not url.isprintable():
        raise ConfigError(f"{name} is {url!r}", "write it as http://127.0.0.1:8080/flat")
    return url.rstrip("/")
