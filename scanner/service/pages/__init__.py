"""What people read: pages, rendered here, that work without a script.

::

    links       URLs, safe for whatever a name is
    fields      what a form asked for
    drawing     coverage over time, and shares of a whole, as values to draw
    looks       templates, style and script -> an answer, with the policy that all pages have
    visiting    who looks, and what they may; errors as pages
    entrance    signing in and out; style and script
    overview    where the fleet stands
    images      names, repositories and their course
    shown       a kept report as the page shows it
    image       one report
    distributions  what runs where
    queue       jobs, and what can be done about them
    site        all of it, put into the application

They look like the HTML report and share its templates (:mod:`scanner.formats.html`), which escape all that is not the
page's own. Pages are no part of the API's description, and nothing but a browser should read them.
"""

from scanner.service.pages.site import add_pages

__all__ = ["add_pages"]
