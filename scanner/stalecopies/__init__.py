"""Which entries of proxies and of local caches keep Chainguard's builds away, and what there is instead of each.

tools           where in a tool's store an artifact lies: which tool, which store, which entry
local           the cached distributions of a scanned folder -> copies
instead         Chainguard's wheel that does for everybody whom a stored file served
proxies         what a manager's proxy holds x Chainguard's indexes -> copies
"""

from scanner.stalecopies.local import local_copies
from scanner.stalecopies.proxies import Surveyed, proxy_copies

__all__ = ["Surveyed", "local_copies", "proxy_copies"]
