"""Before a deploy: a Kubernetes AdmissionReview is answered from results, within a time that is fixed.

::

    workloads   objects of Kubernetes -> the images that they name
    review      a body -> a Review, or why it is none
    tags        tag -> digest, within a time limit and from a small memory
    found       what is known of an image, as values
    lookup      digests -> what is known of them; reports judged under a policy, remembered
    judging     a rule x what is known -> what is said, in words
    gate        all of it within the time, whatever is slow

An image without a result is queued before all others and answered by the rule; nothing is ever scanned within a
review, and a registry or a database that does not answer makes images unknown, not reviews late.
"""

from scanner.service.admission.gate import Gate
from scanner.service.admission.judging import Decision
from scanner.service.admission.review import BadReview, Review, read
from scanner.service.admission.tags import Tags

__all__ = ["BadReview", "Decision", "Gate", "Review", "Tags", "read"]
