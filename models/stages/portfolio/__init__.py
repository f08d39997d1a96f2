"""Portfolio: the partial totals of all loans partitions merged into each entity's book, and judged."""

from models.stages.portfolio.stage import PortfolioStage

__all__ = ["PortfolioStage"]
