"""A traced run as figures and as one page. The drawing of the pipeline is handed in: the runtime does not draw."""

from pnyx.runtime.report.figures import RunFigures, figures_of
from pnyx.runtime.report.page import page_of

__all__ = ["RunFigures", "figures_of", "page_of"]
