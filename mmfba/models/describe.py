# Copyright (c) mmfba authors.
from typing import Any, Dict, List

from .local_model import LocalModel


def describe(model: LocalModel) -> List[Dict[str, Any]]:
    """One row for each local module, as the user's log shows it.

    It has the index, first and last unit, parameters of its units and of its
    auxiliary network, and what is read: entries of the bank, by the last
    module outputs of the backbone.
    """
    parameter = model.local_backbone.get_parameter
    rows = []
    for index, (start, stop) in enumerate(model.ranges):
        module = model.anatomy.units[start:stop]
        names = [name for unit in module for name in unit.parameters]
        row = dict(
            module=index,
            units=f'{module[0].name} .. {module[-1].name}',
            parameters=sum(parameter(name).numel() for name in names),
            aux_parameters=0,
            reads=[name for name in model.outputs_read if name],
        )
        if index < len(model.local_aux):
            auxiliary = model.local_aux[index]
            sizes = [p.numel() for p in auxiliary.parameters()]
            row.update(aux_parameters=sum(sizes), reads=list(auxiliary.reads))
        rows.append(row)
    return rows
