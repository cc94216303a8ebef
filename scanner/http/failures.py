"""What is no answer: whether it may pass, and what it is called."""

from __future__ import annotations

import socket
import ssl
from typing import Final
from urllib.request import getproxies

import httpx

from scanner.http.answers import CertificateRefused, HostUnreachable, RequestFailed

_ABOUT_PROXIES: Final = (
    "the environment names a proxy, which may be what is not reached (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)"
)


def _root(problem: BaseException) -> BaseException:
    """What the libraries below wrapped; they hide it with ``from None``, which keeps the context."""
    while inner := problem.__cause__ or problem.__context__:
        problem = inner
    return problem


def failure(problem: Exception, url: str) -> RequestFailed:
    """What the libraries below raise, as an error of ours; ``url`` may be shown."""
    text = f"{url}: {said(problem)}"
    if isinstance(_root(problem), ssl.SSLCertVerificationError):
        return CertificateRefused(text, hint="name its certificate authority with --ca-file")
    if isinstance(problem, httpx.ProxyError):
        return RequestFailed(f"{url}: the proxy answered {said(problem)}", hint="HTTPS_PROXY or HTTP_PROXY names it")
    if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
        return HostUnreachable(text, hint=_ABOUT_PROXIES if getproxies() else None)
    return RequestFailed(text)


def may_pass(problem: Exception) -> bool:
    """Whether the same request could have an answer soon: not where nobody listens or TLS is refused."""
    lasting = (httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
    if not isinstance(problem, httpx.TransportError) or isinstance(problem, lasting):
        return False
    if isinstance(problem, httpx.ProxyError) and str(problem).startswith("4"):  # the proxy's refusal: 407, 403
        return False
    root = _root(problem)
    if isinstance(root, socket.gaierror):
        return root.errno == socket.EAI_AGAIN
    return not isinstance(root, ConnectionRefusedError) and not (
        isinstance(problem, httpx.ConnectError) and isinstance(root, ssl.SSLError)
    )


def said(problem: Exception) -> str:
    """What went wrong, in few words; httpx leaves the text empty for some."""
    names: dict[type[Exception], str] = {
        httpx.ConnectTimeout: "timed out while connecting",
        httpx.ReadTimeout: "timed out",
        httpx.PoolTimeout: "timed out waiting for a connection",
        httpx.LocalProtocolError: "a request that cannot be sent",  # its text would show the header
    }
    return names.get(type(problem), "") or str(problem).partition("\n")[0][:200] or type(problem).__name__
