"""How a source is named in messages and logs: without the secrets that an address may hold."""

import re

# scheme://userinfo@host/path?query#fragment. The userinfo ends at the last @ before the path.
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*:)?//([^\s/?#]*)([^\s?#'\"<>]*)([?#][^\s'\"<>]*)?")
_LONGEST = 200


def public_name(source: object) -> str:
    """Return ``source`` as it may be shown: an address without userinfo, query and fragment.

    What is no address (a path, the number of a camera) is returned as it is.
    """
    text = str(source)
    address = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*://)(.*)", text, re.DOTALL)
    if address is None:
        return text
    scheme, rest = address.groups()
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    # A password may hold a slash that was not escaped: then the @ comes behind it.
    if "@" in host:
        host = host.rpartition("@")[2]
    elif "@" in path and ":" in host:
        host, slash, path = path.rpartition("@")[2].partition("/")
    name = f"{scheme}{host}{slash}{path}"
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..."


def without_secrets(text: str, source: object) -> str:
    """Return ``text``, such as a library's message, with each address in it as `public_name` does.

    Args:
        source: what the text is about; it is replaced also where it is not recognisable.
    """
    text = text.replace(str(source), public_name(source))
    return _URL.sub(lambda match: public_name(match[0]) if match[1] else match[0], text)
