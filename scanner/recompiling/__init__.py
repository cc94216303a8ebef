"""Is the code in a ``.pyc`` what its source compiles to? Asked of a process of its own, because both are hostile.

While layers are read a :class:`Spool` keeps the bytes of sources and of byte code of this machine's Python. When the
tree is there, :func:`compare` hands those pairs that Python would run to workers, each a process with little memory
and time that is thrown away when it crashes or hangs. What this Python cannot run is not compared.
"""

from __future__ import annotations

from scanner.recompiling.comparing import compare
from scanner.recompiling.spool import Spool

__all__ = ["Spool", "compare"]
