"""The section ``serve`` of ``cgscan.yaml``.

::

    numbers     numbers in bounds
    telling     who is told what, and where reports are attached
    section     the section as a whole
"""

from scanner.serving.section import KEYS, RIGHTS, SECTION, Serving, TokenSetting, listening, serving_of
from scanner.serving.telling import Attaching, Receiver

__all__ = ["KEYS", "RIGHTS", "SECTION", "Attaching", "Receiver", "Serving", "TokenSetting", "listening", "serving_of"]
