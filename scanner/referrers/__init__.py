"""What is attached to an image in a registry: OCI referrers, listed, read and written.

OCI distribution 1.1, "Listing Referrers" and "Pushing Manifests with Subject". A registry without that interface keeps
the list as an index under a tag, which whoever attaches something writes anew.

In reading order::

    documents       the artifact that is attached, and the index under the tag, as bytes
    uploads         blobs and manifests -> a registry
    attaching       an artifact attached to an image
    listing         what is attached, and what is in it
"""

from scanner.referrers.attaching import Attached, attach
from scanner.referrers.documents import ARTIFACT_TYPE, Artifact, fallback_tag
from scanner.referrers.listing import Listing, Referrer, list_referrers, read_documents

__all__ = [
    "ARTIFACT_TYPE",
    "Artifact",
    "Attached",
    "Listing",
    "Referrer",
    "attach",
    "fallback_tag",
    "list_referrers",
    "read_documents",
]
