"""The section ``serve`` of ``cgscan.yaml``.

::

    numbers     numbers in bounds
    section     the section as a whole
"""

from scanner.serving.section import KEYS, RIGHTS, SECTION, Serving, TokenSetting, listening, serving_of

__all__ = ["KEYS", "RIGHTS", "SECTION", "Serving", "TokenSetting", "listening", "serving_of"]
