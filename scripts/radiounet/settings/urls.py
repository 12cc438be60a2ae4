"""Credentials in URLs: refused where a URL is given, left out wherever one is shown; URLs of local files."""

import re
from urllib.parse import unquote, urlsplit

from radiounet.errors import ConfigError

# up to the last @ before the path; where the port is no number, a password with a slash in it
_USER = re.compile(r"(?<=//)(?:[^/?#\s]*|[^/?#\s:@\[]*:(?!\d*(?:[/?#\s]|$))\S*)@")
_SECRET = re.compile(
    r"([?&;][^=&;\s]*(?:token|secret|passw|auth|signature|credential|api_?key)[^=&;\s]*=)[^&;#\s'\")]+",
    re.IGNORECASE,
)


def public_text(text: str) -> str:
    """Text without the credentials of the URLs in it.

    ``user:password@`` goes, and so do the values of query parameters whose names
    say that they are secret, such as ``token`` or ``X-Amz-Signature``. For all
    that is logged, recorded or raised.
    """
    return _SECRET.sub(r"\1***", _USER.sub("", text))


def has_credentials(url: str) -> bool:
    """Whether ``user@`` or ``user:password@`` stands in a URL."""
    if "@" not in url:
        return False
    if re.match(r"https?:(?!//)", url, re.IGNORECASE):
        return True  # mistyped, and an @ in it
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return True  # an @, and a host that cannot be one: a password with / ? or # in it
    return "@" in parts.netloc


def refuse_credentials(url: str) -> None:
    """Raise where a URL has credentials in it.

    Raises
    ------
    ConfigError
        Names the host only.
    """
    if has_credentials(url):
        host = re.split(r"[/?#\s]", public_text(url).partition("//")[2], maxsplit=1)[0] or "not readable"
        raise ConfigError(f"credentials do not belong in a URL (host {host}): use ~/.netrc")


def url_scheme(url: str) -> str:
    """Scheme of a URL in lower case; empty for a path, also one with a colon in it."""
    found = re.match(r"file(?=:/)|[a-z][a-z0-9+.-]*(?=://)", url, re.IGNORECASE)
    return found[0].lower() if found else ""


def local_path(url: str) -> str | None:
    """Path of a local file, given as such or as a URL ``file://``; None for what is elsewhere."""
    scheme = url_scheme(url)
    if not scheme:
        return url
    return unquote(urlsplit(url).path) if scheme == "file" else None
