"""A page that runs the step program of a bundle in a browser; begin reading in `site`.

May import what ``export`` may. The page itself is in ``assets/``, plain JavaScript modules.
"""

from paddlevideo.export.web.runtime_files import require_runtime
from paddlevideo.export.web.site import site_folder, write_site

__all__ = ["require_runtime", "site_folder", "write_site"]
