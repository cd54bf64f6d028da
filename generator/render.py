"""From values to Markdown: numbers rounded honestly, names made harmless.

Pure. Whatever comes from a checkpoint, a data set or a study is text to be shown, never markup: in a
template every value is escaped unless it is `Markdown`, which only this module and the pages make.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
# Whatever is markup anywhere, and whatever would begin a list, a rule, a heading or a block of code
# where a value begins a line.
SPECIAL = re.compile(r"[^A-Za-z0-9 .,%/=?;–—−…×·-]|^[ =?-]| $|^\d(?=\d*\.(?: |$))", re.ASCII)
NONE = "–"


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def escape(value: object) -> Markdown:
    """Any value as text that means nothing in Markdown or HTML, wherever it stands.

    >>> escape("a|b <i> `c`")
    'a&#124;b &#60;i&#62; &#96;c&#96;'
    """
    if isinstance(value, Markdown):
        return value
    text = escape_controls(value)
    return Markdown(SPECIAL.sub(lambda match: f"&#{ord(match[0])};", text))


def code(value: object) -> Markdown:
    """A name in a fixed-width face.

    >>> code("h.0.attn*")
    '<code>h.0.attn&#42;</code>'
    """
    return Markdown(f"<code>{escape(value)}</code>")


def plain(value: object) -> Markdown:
    """A command for a fenced block, where nothing is markup: one line that cannot end the fence."""
    return Markdown(escape_controls(value).replace("`", "'"))


def heading(value: object) -> Markdown:
    """A name for a heading, which themes repeat in titles, navigation and search: plain words only.

    >>> heading("</title> GPT-2 (small)")
    'title GPT-2 small'
    """
    words = re.sub(r"[^\w .,?!-]+|(?<!\w)_+|_+(?!\w)", " ", escape_controls(value)).split()
    return Markdown(" ".join(words) or NONE)


def escape_controls(value: object) -> str:
    """A value's text without surrogates and control characters."""
    text = str(value)
    if text.isprintable():
        return text
    text = text.encode("utf-8", "replace").decode()
    return "".join(char if char.isprintable() else " " for char in text)


def percent(fraction: float | None, digits: int = 1) -> Markdown:
    """A fraction as percent; 0 and 100 only when it is exactly that.

    >>> percent(0.9995), percent(0.99999), percent(1.0), percent(0.0004), percent(None)
    ('>99.9 %', '>99.9 %', '100 %', '<0.1 %', '–')
    """
    if fraction is None:
        return Markdown(NONE)
    if fraction in (0, 1):
        return Markdown("100 %" if fraction else "0 %")
    least = 10.0**-digits
    rounded = round(100 * fraction, digits)
    if 0 < fraction < 1 and rounded < least:
        return Markdown(f"<{least:.{digits}f} %")
    if 0 < fraction < 1 and rounded >= 100:
        return Markdown(f">{100 - least:.{digits}f} %")
    return Markdown(signless_zero(f"{100 * fraction:.{digits}f}") + " %")


def level_name(level: float) -> Markdown:
    """A level in percent with all the digits it was given; 0 is dense.

    >>> level_name(0.975), level_name(0.1), level_name(0)
    ('97.5 %', '10 %', 'dense')
    """
    return Markdown(f"{100 * level:.10g} %" if level else "dense")


def signless_zero(text: str) -> str:
    """A number's text with a true minus sign, and none before a zero.

    >>> signless_zero("-0.00"), signless_zero("-0.25")
    ('0.00', '−0.25')
    """
    return text.lstrip("-") if not float(text) else text.replace("-", "−")


def points(difference: float | None, digits: int = 1) -> Markdown:
    """A difference of fractions in percentage points, signed.

    >>> points(-0.0312), points(0.02), points(-0.0004)
    ('−3.1', '+2.0', '0.0')
    """
    if difference is None:
        return Markdown(NONE)
    text = signless_zero(f"{100 * difference:.{digits}f}")
    return Markdown(f"+{text}" if text[0] != "−" and float(text) else text)


def score(value: float | None, metric: str) -> Markdown:
    """A score in its metric's own unit: percent, or a correlation with three decimals.

    >>> score(0.791, "accuracy"), score(-0.03, "mcc")
    ('79.1 %', '−0.030')
    """
    if value is None:
        return Markdown(NONE)
    return correlation(value) if metric == "mcc" else percent(value)


def correlation(value: float) -> Markdown:
    """A correlation with three decimals; 1 and -1 only when it is exactly that.

    >>> correlation(0.9996), correlation(1.0), correlation(-0.0302)
    ('>0.999', '1.000', '−0.030')
    """
    if 0.9995 <= abs(value) < 1:
        return Markdown(">0.999" if value > 0 else "<−0.999")
    return Markdown(signless_zero(f"{value:.3f}"))


def perplexity(value: float | None) -> Markdown:
    """A perplexity to two decimals, from a thousand on whole, from a million on in powers of ten.

    >>> perplexity(12.345), perplexity(48419.2), perplexity(2.31e12), perplexity(1.04e6)
    ('12.35', '48\u202f419', '2.3e12', '1.0e6')
    """
    if value is None:
        return Markdown(NONE)
    if value >= 1e6:
        digits, _, power = f"{value:.1e}".partition("e")
        return Markdown(f"{digits}e{int(power)}")
    return whole(round(value)) if value >= 1000 else Markdown(f"{value:.2f}")


def speedup(ratio: float) -> Markdown:
    """How many times as fast, or as much, in two digits; 1 only when it is that.

    >>> speedup(2.34), speedup(12.4), speedup(171.4), speedup(0.941), speedup(1.059)
    ('2.3', '12', '170', '0.94', '1.06')
    """
    if ratio < 1.095:
        return Markdown(f"{ratio:.2f}")
    return Markdown(f"{ratio:.1f}" if ratio < 9.95 else f"{float(f'{ratio:.2g}'):.0f}")


def quiet(
    bounds: tuple[float, float] | None, value: float, form: Callable[[float], str]
) -> Markdown:
    """An interval around a value as +a/−b, in a quieter tone; nothing where there is none.

    >>> quiet((0.25, 0.5), 0.375, lambda x: f"{x:.3f}")
    '<small>+0.125/−0.125</small>'
    """
    if bounds is None:
        return Markdown("")
    low, high = bounds
    up, down = (form(abs(bound - value)).removesuffix(" %") for bound in (high, low))
    return Markdown(f"<small>+{up}/−{down}</small>")


def change(value: float | None, metric: str) -> Markdown:
    """A difference of scores: in points, or as a signed correlation."""
    if value is None or metric != "mcc":
        return points(value)
    text = signless_zero(f"{value:.3f}")
    return Markdown(f"+{text}" if text[0] != "−" and float(text) else text)


def interval(bounds: tuple[float, float] | None, form: Callable[[float], str]) -> Markdown:
    """Both bounds of an interval, or why there is none.

    >>> interval((0.1, 0.25), lambda x: f"{x:.2f}")
    '[0.10, 0.25]'
    """
    if bounds is None:
        return Markdown(NONE)
    low, high = (form(bound).removesuffix(" %") for bound in bounds)
    return Markdown(f"[{low}, {high}]")


def size(count: float, digits: int = 3) -> Markdown:
    """Bytes in decimal units.

    >>> size(3_856_236), size(999), size(169_012_345, 2), size(2_996_000, 2)
    ('3.86 MB', '999 B', '170 MB', '3.0 MB')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        shown = float(f"{count / scale:.{digits}g}")
        if shown >= 1:
            return Markdown(f"{shown:.{decimals([shown], digits)}f} {unit}")
    return Markdown(f"{count:.0f} B")


def whole(count: int | None) -> Markdown:
    """A whole number with thin spaces between thousands.

    >>> whole(84934656)
    '84\u202f934\u202f656'
    """
    return Markdown(NONE if count is None else f"{count:,}".replace(",", "\u202f"))


def short_count(count: float) -> Markdown:
    """A count in three digits and words.

    >>> short_count(134_515_008), short_count(1_908_960), short_count(40_192), short_count(7)
    ('135 M', '1.91 M', '40.2 k', '7')
    """
    for unit, scale in ((" B", 1e9), (" M", 1e6), (" k", 1e3)):
        if count >= 0.9995 * scale:
            return Markdown(f"{count / scale:.3g}{unit}")
    return Markdown(f"{count:.0f}")


def number(value: float | None, digits: int = 3) -> Markdown:
    """A number to some significant digits.

    >>> number(0.02719), number(0.0)
    ('0.0272', '0')
    """
    if value is None or not math.isfinite(value):
        return Markdown(NONE)
    return Markdown(signless_zero(f"{value:.{digits}g}"))


def decimals(values: Iterable[float | None], digits: int = 2) -> int:
    """How many decimals a column needs so that the least of its numbers keeps its significant digits.

    >>> decimals([416.2, 27.3, 4.9]), decimals([416.2, 27.3]), decimals([0.0271, None])
    (1, 0, 3)
    """
    least = min((abs(one) for one in values if one), default=1.0)
    return max(0, digits - 1 - math.floor(math.log10(float(f"{least:.{digits}g}"))))


def indent(text: object, width: int) -> Markdown:
    """Markdown set deeper, as in a folded note; its first line stands where the template has it."""
    return Markdown(escape(text).replace("\n", "\n" + " " * width))


def environment(cite: Callable[..., Markdown]) -> "jinja2.Environment":
    """The templates' environment: undefined names are errors, values are escaped."""
    import jinja2  # who prints lines needs no templates

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters |= {
        "code": code,
        "bullets": bullets,
        "heading": heading,
        "indent": indent,
        "plain": plain,
        "level": level_name,
        "percent": percent,
        "points": points,
        "size": size,
        "whole": whole,
        "number": number,
    }
    made.globals |= {"cite": cite}
    return made


def bullets(items: Sequence[object]) -> Markdown:
    """Items as a list of its own, whatever stands before and after it.

    >>> bullets(["a", "b"])
    '\\n\\n- a\\n- b\\n\\n'
    """
    lines = "\n".join(f"- {escape(item)}" for item in items)
    return Markdown(f"\n\n{lines}\n\n" if lines else "")


def listed(words: Sequence[str]) -> Markdown:
    """Words as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    parts = [str(escape(word)) for word in words]
    if len(parts) < 2:
        return Markdown("".join(parts))
    return Markdown(f"{', '.join(parts[:-1])} and {parts[-1]}")
