"""The section ``serve`` of ``cgscan.yaml``.

::

    numbers     numbers in bounds
    crawling    which registries are walked through, and when
    telling     who is told what, and where reports are attached
    tls         certificate and key
    admission   what is asked of images before a deploy, by namespace
    harbor      Harbors that use the service as a scanner
    section     the section as a whole
    forms       what some of its keys may be, as JSON Schema
"""

from scanner.serving.admission import Admission, Mode, Rule, Say
from scanner.serving.crawling import Crawl, crawl_of
from scanner.serving.harbor import SEVERITIES, Harbor
from scanner.serving.section import KEYS, RIGHTS, SECTION, URL, Serving, TokenSetting, listening, serving_of
from scanner.serving.telling import Attaching, Receiver
from scanner.serving.tls import Tls

__all__ = [
    "KEYS",
    "RIGHTS",
    "SECTION",
    "SEVERITIES",
    "URL",
    "Admission",
    "Attaching",
    "Crawl",
    "Harbor",
    "Mode",
    "Receiver",
    "Rule",
    "Say",
    "Serving",
    "Tls",
    "TokenSetting",
    "crawl_of",
    "listening",
    "serving_of",
]
