"""Forward passes that stop before each block of a model, all before the same one.

A block can then be looked at, run on what reaches it and changed, before any pass goes on with it: what
later blocks read comes from the changed one. Each pass is an ordinary call of the model in a thread of
its own, of which only one runs at a time, so it works for whatever a model does between its blocks, and
from the encoder to the decoder.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Semaphore, Thread, get_ident
from typing import Any

import torch
from torch import Tensor, nn

from experiments.models.modules import stacks


class _StoppedError(BaseException):
    """Ends a pass that is not wanted any more; no model catches it."""


@dataclass(frozen=True)
class Call:
    """What a pass is about to call a block with."""

    block: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def run(self) -> None:
        """Call the block with copies of it, the result unused."""
        with torch.inference_mode():
            self.block(*map(_copied, self.args), **{k: _copied(v) for k, v in self.kwargs.items()})


class _Pass:
    """One forward pass in a thread, which runs while it is told to go on and else waits."""

    def __init__(self, model: nn.Module, inputs: Mapping[str, Tensor]) -> None:
        self.model, self.inputs = model, inputs
        self.call: Call | None = None
        self.error: BaseException | None = None
        self.wanted, self._over = True, False
        self._go, self._waits = Semaphore(0), Semaphore(0)
        self._threads = torch.get_num_threads()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int | None:
        """Its thread's."""
        return self._thread.ident

    def go_on(self) -> None:
        """Run up to the next block, or the end, where `call` is None.

        Raises:
            BaseException: what the model raised.
        """
        if self._over:
            return
        self._go.release()
        self._waits.acquire()
        if self.error is not None:
            raise self.error

    def wait(self, call: Call) -> None:
        """Wait before a block until told to go on; called in the pass's own thread."""
        self.call = call
        self._waits.release()
        self._go.acquire()
        self.call = None
        if not self.wanted:
            raise _StoppedError

    def end(self) -> None:
        """Have it end where it is."""
        self.wanted = False
        if not self._over:
            self._go.release()
        self._thread.join()

    def _run(self) -> None:
        self._go.acquire()
        try:
            if self.wanted:
                torch.set_num_threads(self._threads)  # a new thread has torch's own choice
                with torch.inference_mode():
                    self.model(**self.inputs, use_cache=False)
        except _StoppedError:
            pass
        except BaseException as error:  # handed to whoever waits
            self.error = error
        finally:
            self._over = True
            self._waits.release()


@contextmanager
def paused(
    model: nn.Module, batches: Sequence[Mapping[str, Tensor]]
) -> Iterator[Iterator[tuple[nn.Module, list[Call]]]]:
    """The blocks of a model in the order in which passes over the batches reach them, each with its calls.

    A block that a pass enters more than once comes up again. Hooks and threads are gone afterwards,
    whatever happens.
    """
    passes = [_Pass(model, batch) for batch in batches]
    by_thread = {one.ident: one for one in passes}

    def before(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if (mine := by_thread.get(get_ident())) is not None:
            mine.wait(Call(block, args, kwargs))

    hooks = [
        block.register_forward_pre_hook(before, with_kwargs=True)
        for block in dict.fromkeys(blocks(model))
    ]
    try:
        yield _in_step(passes)
    finally:
        for one in passes:
            one.end()
        for hook in hooks:
            hook.remove()


def _in_step(passes: Sequence[_Pass]) -> Iterator[tuple[nn.Module, list[Call]]]:
    while True:
        for one in passes:
            one.go_on()
        calls = [one.call for one in passes if one.call is not None]
        if not calls:
            return
        assert len(calls) == len(passes), "passes of one model take one path"
        assert len({id(call.block) for call in calls}) == 1, "passes of one model take one path"
        yield calls[0].block, calls


def blocks(model: nn.Module) -> list[nn.Module]:
    """The transformer blocks, stack by stack."""
    return [block for stack in stacks(model) for block in model.get_submodule(stack).children()]


def _copied(value: Any) -> Any:
    """A tensor's copy, so that a block that writes over what it is given harms no later call."""
    return value.clone() if isinstance(value, Tensor) else value
