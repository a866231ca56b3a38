# Copyright (c) mmfba authors.
"""Ways to train a config, those with exact gradients first, and their memory.

Each is measured on the meta device: no GPU, no data and no weights.
"""

import copy
from collections.abc import Callable
from typing import Any, Optional

from mmengine.config import Config

from mmfba.local_config import is_local, localise
from mmfba.type_name import type_name

from .benchmark import ArmRun
from .library_of import library_of
from .stretched_schedule import stretched_schedule
from .training_arms import LOCAL, Changes, arm_changes, focal_loss_key
from .way import Way
from .way_words import WORDS, way_words

NUM_MODULES = (4, 8)


class Ways:
    """Finds and measures ways to train.

    Args:
        cfg (Config): A plain config or one of a local model. It is not
            changed.
        batch_size (int): Images that are loaded at a time.
        shape (tuple[int, int]): Height and width of the network's input.
        budget (float): Bytes.
        watch (Callable): Called with the words of each way before it is
            measured. Defaults to one that does nothing.

    Attributes:
        images (int): Of one step of the optimizer.
        notes (List[str]): What is not possible, and why.

    Raises:
        ValueError: If the config trains no network, or several.
    """

    def __init__(
        self,
        cfg: Config,
        batch_size: int,
        shape: tuple[int, int],
        budget: float,
        watch: Callable[[str], Any] = lambda words: None,
    ) -> None:
        self.notes: list[str] = []
        self.cfg = self._measurable(cfg)
        self.batch_size, self.shape, self.budget = batch_size, shape, budget
        self.watch, self.measures = watch, True
        self.accumulated = cfg.optim_wrapper.get('accumulative_counts', 1)
        self.images = batch_size * self.accumulated
        self.ways: list[Way] = []
        self.is_local = is_local(cfg)
        self.local: Optional[Config] = self.cfg
        self.counts = NUM_MODULES
        if not self.is_local:
            try:
                self._localise()
            except Exception as error:  # of any library
                self._note('local learning', error)
                self.local = None

    def _localise(self) -> None:
        self.local = localise(self.cfg, 1)
        anatomy = self._build('local', self.local).model.anatomy
        trained = len(anatomy.units) - anatomy.first_trained()
        self.counts = sorted({min(count, trained) for count in NUM_MODULES})
        self.local = localise(self.cfg, self.counts[0])

    def _measurable(self, cfg: Config) -> Config:
        wrapper = cfg.get('optim_wrapper')
        if not wrapper or 'optimizer' not in wrapper:
            raise ValueError(
                'the config has no optim_wrapper.optimizer: it is not for '
                'training, or it trains several networks, as GANs do'
            )
        cfg = copy.deepcopy(cfg)
        kind = type_name(wrapper.get('type', 'OptimWrapper'))
        if 'Amp' in kind:  # it refuses devices without autocast
            cfg.optim_wrapper.type = kind.replace('Amp', '')
            for key in ('loss_scale', 'dtype', 'use_fsdp'):
                cfg.optim_wrapper.pop(key, None)
            self.notes.append(
                'mixed precision is not counted: peaks are those of single '
                'precision, and training needs less'
            )
        return cfg

    def find(self) -> list[Way]:
        """The ways by their rank.

        Combinations are tried only where nothing simpler fits.
        """
        plain = 'bp' if self.is_local else 'local'
        run = self._stock(plain)
        lean = ['lean'] if focal_loss_key(self.cfg.model) else []
        cp = ['cp'] if _can_checkpoint(run.model) else []
        parts = [] if run.trains_bn else self._parts()
        exact = 'nearly' if library_of(type(run.model)) == 'mmdet' else 'yes'
        del run
        for tokens in filter(None, (lean, cp)):
            self._add([plain, *tokens], self.cfg, 'yes')
        if parts:
            self._add([plain, *parts], self.cfg, exact)
        cheap = self._accepted('stem', 'chunk')
        fast = self._accepted('fast', quiet=True)
        tools = ['bp', *cheap, 'checkpoint']
        self._add(tools, self.local, 'yes')
        if fast:
            self._add(['bp', *fast], self.local, 'yes')
        if self.measures and not self._fits() and (lean or parts):
            exact = exact if parts else 'yes'
            if cp:
                self._add([plain, *lean, *cp, *parts], self.cfg, exact)
            if parts:
                tools = [token for token in tools if token != 'chunk']
            self._add([*tools, *lean, *parts], self.local, exact)
        tools = ['local']
        if self._fits() or not self.measures:  # to compare with
            self._add(tools, self.local, 'no')
        for count in self.counts:
            if self._fits() or not self.measures:
                break
            # Without recomputation it would need more than what was tried.
            tools = ['local', f'k{count}', *cheap, 'balanced', 'checkpoint']
            if count == self.counts[-1] or 'chunk' not in cheap:
                tools += [*lean, *parts]
            self._add(tools, self.local, 'no')
        if fast:
            self._add([*tools, *fast], self.local, 'no')
        return sorted(self.ways, key=lambda way: way.rank)

    def _fits(self) -> bool:
        return any(way.peak <= self.budget for way in self.ways)

    def _stock(self, arm: str) -> ArmRun:
        words = 'plain training'
        self.watch(words)
        run = self._build(arm, self.cfg)
        way = Way(words, 'yes', self._changes(arm, self.cfg))
        way.plain, way.stock = True, 'mmfba' not in str(self.cfg.model)
        try:
            way.profile = run.profile()
        except Exception as error:  # of any library
            self.measures = False
            self._note('memory', error)
        self.ways = [way]
        return run

    def _accepted(self, *tokens: str, quiet: bool = False) -> list[str]:
        """Those of the tokens that the model takes."""
        accepted = []
        for token in tokens if self.local is not None else ():
            try:
                self._build(f'local+{token}', self.local)
                accepted.append(token)
            except Exception as error:  # of any library
                if not quiet:
                    self._note(WORDS[token], error)
        return accepted

    def _parts(self) -> list[str]:
        """Accumulation of the largest parts that should fit."""
        size, profile = self.batch_size, self.ways[0].profile
        counts = [n for n in range(2, size + 1) if size % n == 0]
        if not counts:
            return []
        fitting = (
            n
            for n in counts
            if profile is None
            or profile.static_bytes + profile.activation_bytes / n
            <= self.budget
        )
        return [f'accum{next(fitting, size) * self.accumulated}']

    def _add(
        self, tokens: list[str], base: Optional[Config], exact: str
    ) -> None:
        """Measure a way, unless the model refuses it."""
        if base is None:
            return
        arm = '+'.join(tokens)
        options = base.model.local_learning if base is self.local else None
        words = way_words(arm, self.batch_size, self.accumulated, options)
        self.watch(words)
        way = Way(words, exact, self._changes(arm, base))
        way.stock = self.ways[0].stock and 'mmfba' not in str(way.changes)
        try:
            run = self._build(arm, base)
            way.profile = run.profile() if self.measures else None
        except Exception as error:  # of any library
            self._note(words, error)
            return
        if 'balanced' in tokens:
            way.changes[f'{LOCAL}.partition'] = list(run.model.cuts)
        self.ways.append(way)

    def _build(self, arm: str, base: Config) -> ArmRun:
        return ArmRun(base, arm, self.images, self.shape, 'meta')

    def _changes(self, arm: str, base: Config) -> Changes:
        changes = arm_changes(base, arm, self.images, self.shape)
        if base is self.local and not self.is_local:
            own = dict(num_modules=self.counts[0])
            options = changes.pop(LOCAL, own)
            options.pop('_delete_', None)  # the plain config has none
            number = changes.pop(f'{LOCAL}.num_modules', None)
            options['num_modules'] = number or options['num_modules']
            kind = {'model.type': base.model.type}
            changes = {**kind, LOCAL: options, **changes}
        key = 'optim_wrapper.accumulative_counts'
        if key in changes:
            count = changes[key] // self.accumulated
            size = self.batch_size // count
            changes['train_dataloader.batch_size'] = size
            changes.update(stretched_schedule(self.cfg, count))
        return changes

    def _note(self, subject: str, error: Exception) -> None:
        text = ' '.join(str(error).split()) or type(error).__name__
        if not isinstance(error, ValueError):
            text = f'{type(error).__name__}: {text}'
        self.notes.append(f'{subject}: {text}')


def _can_checkpoint(model: Any) -> bool:
    """Whether the backbone has upstream's ``with_cp``, not yet set."""
    backbone = getattr(model, 'backbone', None)
    parts = () if backbone is None else backbone.modules()
    return any(getattr(part, 'with_cp', None) is False for part in parts)
