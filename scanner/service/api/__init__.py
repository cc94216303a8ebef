"""HTTP. Everything but health and metrics is below ``/api/v1``, described by ``/api/v1/openapi.json``.

::

    problems    errors as problem+json (RFC 9457)
    bounds      bodies are bounded before anything reads them
    neighbours  without tokens, no stranger's page gets in through a browser of this machine
    answers     what is answered, as values; the description is made of them
    asked       what a handler works with; who may do what
    jobs        submit, wait, cancel, the dead-letter list
    images      names, reports, what is asked across them
    hooks       webhooks of registries
    notifications  what was told, what waits to be
    operation   health and metrics
    shown       tokens as machines show them
    admission   Kubernetes asks before it deploys
    harbor      Harbor uses the service as a scanner
    application all of it as one application
"""

from scanner.service.api.application import application
from scanner.service.api.asked import Service

__all__ = ["Service", "application"]
