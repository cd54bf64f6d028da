"""The command line: which commands there are, and how one ends. A command is imported when it is called."""

import atexit
import gc
import signal
import sys
import traceback
from importlib import import_module

import click

from experiments.errors import listen
from generator.terminal import explained, guarded, hang_up, say

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
COMMANDS = {  # where a command stands below generator/commands/, and the first line of its help
    "build": ("study:build", "Answer what the study asks and write the pages."),
    "evaluate": ("evaluation:evaluate", "Score a checkpoint on tasks, with intervals."),
    "finetune": ("finetuning:finetune", "Train a checkpoint on a task."),
    "footprint": ("cost:footprint", "Weigh a checkpoint on disk: dense, compressed, sparse."),
    "inspect": ("inspection:inspect", "Count a checkpoint's zeros and near-zeros, tensor by tensor."),
    "latency": ("cost:latency", "Time a forward pass, dense, masked and sparse, in turn."),
    "list": ("names:list_", "List what there is to name."),
    "prune": ("pruning:prune", "Write a pruned copy of a checkpoint."),
    "record": ("study:record", "Promote this machine's records to the published ones."),
    "status": ("study:status", "Say how much of a study has been measured."),
    "unpack": ("pruning:unpack", "Make a checkpoint of bit masks dense again, bit for bit."),
}  # fmt: skip


class LazyGroup(click.Group):
    """A group whose commands are known by COMMANDS until one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, its file imported."""
        return command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands as help lists them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with all names to choose the nearest from."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=COMMANDS, ctx=ctx
            ) from None


def command(name: str) -> click.Command:
    """A command by its name, its file imported."""
    file, _, function = COMMANDS[name][0].partition(":")
    found: click.Command = getattr(import_module(f"generator.commands.{file}"), function)
    return found


@click.group(cls=LazyGroup, context_settings=CONTEXT)
@click.version_option(package_name="sparsity-report", message="%(package)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def gen(debug: bool) -> None:
    """Measure how sparse language models are, prune them, and write the report.

    MODEL is a folder in the transformers layout, a weights file (safetensors, PyTorch's .bin or
    .pt, GGUF), mini/NAME (a bundled miniature, see `gen list models`), or a hub id
    org/name[@revision].
    """


def main() -> None:
    """Run a command; what a person can mend is told in one line, with the exit status it has."""
    listen(say)
    atexit.register(gc.freeze)  # else the interpreter looks through torch's objects for a second
    signal.signal(signal.SIGTERM, _interrupt)
    with guarded():
        sys.exit(_status(sys.argv[1:]))


def _status(words: list[str]) -> int:
    """Run the command that these words are; its exit status."""
    try:
        with gen.make_context("gen", list(words)) as context:
            gen.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        say(*error.format_message().split("\n"))
        return error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        say("interrupted; what was measured is kept")
        return 130
    except BrokenPipeError:
        hang_up()
    except Exception as error:
        if "--debug" in words and not isinstance(error, click.ClickException):
            say(*"".join(traceback.format_exception(error)).splitlines())
        else:
            first, *others = explained(error)
            say(f"error: {first}", *others)
        status: int = getattr(error, "exit_status", getattr(error, "exit_code", 1))
        return status
    return 0


def _interrupt(*_: object) -> None:
    """A request to end is an interrupt: workers are ended too, and what was measured is kept."""
    raise KeyboardInterrupt
