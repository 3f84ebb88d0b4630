"""What a reader has told pip of the package index, handed on to pip and to uv; and nothing else of it.

Index, mirror, proxy and certificates are the reader's to choose. Where packages go and which they are is the
book's: options such as target, prefix, user, constraint or dry-run end here. Standard library only.
"""

import ast
import math
import os
import re

# what pip calls it: what uv calls it (None: it has no such setting)
HANDED_ON = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": None,
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
    "keyring-provider": None,
    "cache-dir": None,
    "no-cache-dir": None,
    "use-feature": None,
    "use-deprecated": None,
}
SETTING = re.compile(r"^(?:global|install|:env:)\.(?:default-)?([a-z-]+)=(.*)$")


# `pip config` takes these settings for options of its own, and would list less
LISTED_WHOLE = {
    **dict.fromkeys(("PIP_USER", "PIP_GLOBAL", "PIP_SITE", "PIP_QUIET", "PIP_VERBOSE"), "0"),
    "PYTHONUTF8": "1",
}
PASSWORD = re.compile(r"[^/@:\s]*:([^/@\s]+)@")


def read(listing):
    """The settings of the index in what `pip config list` prints, by their long names, such as {"proxy": "http://p:3128"}.

    pip lists them with the weaker section first only by chance, so they are ordered here: what stands for
    all commands, what stands for `install`, what the variables say.

    >>> read("global.index-url='https://a/simple'\\n:env:.index-url='https://b/simple'\\nglobal.target='/x'")
    {'index-url': 'https://b/simple'}
    """
    found = {}
    for section in ("global.", "install.", ":env:."):
        for line in listing.splitlines():
            setting = SETTING.match(line) if line.startswith(section) else None
            if setting and setting[1] in HANDED_ON:
                value = str(ast.literal_eval(setting[2]))
                if value:  # pip passes over empty ones
                    found[setting[1]] = value
    return found


def for_pip(environ, settings):
    """The variables with which pip sees these settings and no others, in no file either."""
    changed = {name: value for name, value in environ.items() if not name.startswith("PIP_")}
    changed.update(PIP_CONFIG_FILE=os.devnull, PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    changed.update({
        "PIP_" + name.upper().replace("-", "_"): value for name, value in settings.items()
    })
    return changed


def for_uv(environ, settings):
    """The variables with which uv sees these settings and no others, in no file either."""
    changed = {name: value for name, value in environ.items() if not name.startswith("UV_")}
    changed.update(
        UV_NO_CONFIG="1", UV_PYTHON_DOWNLOADS="never", UV_INDEX_STRATEGY="unsafe-best-match"
    )
    changed.update(
        UV_SYSTEM_CERTS="true"
    )  # the certificates that an organisation has given its machines
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # pip heeds these two, uv does not
        if environ.get(name) and "SSL_CERT_FILE" not in environ:
            changed["SSL_CERT_FILE"] = environ[name]
    for name, value in settings.items():
        if HANDED_ON[name]:
            changed[HANDED_ON[name]] = " ".join(
                value.split()
            )  # a file may hold a list line by line
    if "cert" in settings:
        changed["SSL_CERT_FILE"] = os.path.expanduser(settings["cert"])
    if "proxy" in settings:
        proxy = settings["proxy"] if "://" in settings["proxy"] else "http://" + settings["proxy"]
        changed.update(ALL_PROXY=proxy, HTTP_PROXY=proxy, HTTPS_PROXY=proxy)
    if "find-links" in settings:
        places = [os.path.expanduser(place) for place in settings["find-links"].split()]
        there = [place for place in places if "://" in place or os.path.exists(place)]
        changed["UV_FIND_LINKS"] = ",".join(there)  # pip passes over the others
    if "timeout" in settings:
        changed["UV_HTTP_TIMEOUT"] = str(math.ceil(float(settings["timeout"])))
    if settings.get("keyring-provider", "disabled") != "disabled":
        changed["UV_KEYRING_PROVIDER"] = "subprocess"
    return changed


def passwords(environ, settings):
    """The passwords in these settings, and in the proxies among the variables: nobody else is to see them.

    >>> sorted(passwords({"HTTPS_PROXY": "http://me:secret@proxy:3128"}, {"index-url": "you:other@host/simple"}))
    ['other', 'secret']
    """
    texts = list(settings.values())
    texts += [value for name, value in environ.items() if name.lower().endswith("_proxy")]
    return {word for text in texts for word in PASSWORD.findall(text)}


def uv_options(settings):
    """What uv takes as an option only: to ask no index at all."""
    return (
        ["--no-index"] if settings.get("no-index", "").lower() in ("1", "true", "yes", "on") else []
    )
