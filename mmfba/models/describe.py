# Copyright (c) mmfba authors.
"""What local learning of a model is made of, in words."""

from typing import Any, Dict, List

from torch import nn

from .auxiliary import FBAAuxiliary
from .auxiliary.necks import SLMFPN, LocalFPN, SLMNeck
from .local_model import LocalModel

NOTHING_READ = ('SLM only', 'neither SLM nor bank')
"""Names of methods that would be FBA, or nearer to it, if the bank were
read."""


def describe(model: LocalModel) -> List[Dict[str, Any]]:
    """One row for each local module, as the user's log shows it.

    It has the index, first and last unit, parameters of its units and of its
    auxiliary network, what that is made of, and what is read: entries of the
    bank, by the last module outputs of the backbone.
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
            slm='-',
            head='main',
            reads=[name for name in model.outputs_read if name],
        )
        if index < len(model.local_aux):
            auxiliary = model.local_aux[index]
            sizes = [p.numel() for p in auxiliary.parameters()]
            row.update(aux_parameters=sum(sizes), reads=list(auxiliary.reads))
            row.update(auxiliary.parts)
        rows.append(row)
    return rows


def made_of(model: nn.Module) -> Dict[str, str]:
    """What the auxiliary networks of a model have, for a row of a table.

    ``slm``: kind and width; ``bank``: how many entries are read, and in how
    many of the K - 1 modules; ``head``. All are ``'-'`` where there is none,
    as in plain training.
    """
    auxiliaries = getattr(model, 'local_aux', ())
    if not len(auxiliaries):
        return dict(slm='-', bank='-', head='-')
    read = _entries_read(model)
    names, reading = set().union(*read), sum(map(bool, read))
    entries = f'{len(names)} entr{"y" if len(names) == 1 else "ies"}'
    bank = f'{entries}, {reading} of {len(read)} modules'
    slm, head = (auxiliaries[0].parts[key] for key in ('slm', 'head'))
    return dict(slm=slm, bank=bank if names else 'none', head=head)


def method_name(model: LocalModel) -> str:
    """The method by what it has: FBA has an SLM and reads the bank."""
    if not len(model.local_aux):
        return 'back-propagation'
    first = model.local_aux[0]
    if not isinstance(first, FBAAuxiliary):
        return type(first).__name__
    read = _entries_read(model)
    reading = sum(map(bool, read))
    if first.parts['slm'] != 'none':
        if 2 * reading >= len(read):
            return 'FBA: SLM and bank'
        some = f'FBA: SLM, and bank in {reading} of {len(read)} modules'
        return some if reading else NOTHING_READ[0]
    if isinstance(first.neck, (SLMFPN, LocalFPN)):
        return 'local FPN, bank' if reading else 'local FPN'
    if isinstance(first.neck, SLMNeck):
        return 'bank only' if reading else NOTHING_READ[1]
    return type(first.neck).__name__


def _entries_read(model: LocalModel) -> List[List[str]]:
    """Of the bank by each auxiliary network: without the image, where that is
    read for its size alone, or added to what is restored."""
    return [
        [name for name in aux.reads if name in model.taps]
        for aux in model.local_aux
    ]
