# Copyright (c) mmfba authors.
"""The tables and plots that render.py writes, by the word of their mark."""

from .comparison import accuracy_plot, comparison_table
from .memory import memory_table, pareto_plot
from .operators import operators_table
from .overlap import overlap_table
from .paper import paper_table
from .results import demo_table, results_table
from .scaling import scaling_table
from .sharding import sharding_table
from .side_by_side import side_by_side_table
from .similarity import similarity_table
from .supported import supported_table
from .versions import versions_table
from .ways import ways_table

TABLES = dict(
    accuracy=accuracy_plot,
    comparison=comparison_table,
    demo=demo_table,
    memory=memory_table,
    operators=operators_table,
    overlap=overlap_table,
    pareto=pareto_plot,
    results=results_table,
    scaling=scaling_table,
    sharding=sharding_table,
    side_by_side=side_by_side_table,
    similarity=similarity_table,
    supported=supported_table,
    table=paper_table,
    versions=versions_table,
    ways=ways_table,
)
