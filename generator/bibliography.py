"""The bibliography: sources read from references.bib, cited by key, listed on their own page.

Reads one file of this package.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from pybtex.database import Entry, parse_file
from pybtex.richtext import Text

from generator.render import Markdown, escape

FILE = Path(__file__).parent / "references.bib"
THREAD = re.compile(r"GitHub (?:issue|pull request) (\S+#\d+).*")
OTHERS = "others"  # BibTeX's word for authors who are not named


@dataclass(frozen=True)
class Source:
    """A work that the site cites."""

    key: str
    authors: tuple[str, ...]
    title: str
    year: str
    venue: str
    url: str

    @property
    def short(self) -> str:
        """How it is cited in a sentence, like "Sun et al. 2024"; a thread by its number."""
        if thread := THREAD.fullmatch(self.venue):
            return thread[1]
        if len(self.authors) == 1:
            names = self.authors[0]
        elif len(self.authors) == 2:
            names = " and ".join(self.authors)
        else:
            names = f"{self.authors[0]} et al."
        return f"{names} {self.year}"

    @property
    def thread(self) -> bool:
        """Whether it is a thread of an issue tracker, which has no author but who goes by a user name."""
        return THREAD.fullmatch(self.venue) is not None

    @property
    def people(self) -> str:
        """Its authors as a list shows them: of more than eight the first six."""
        named = [author for author in self.authors if author != OTHERS]
        shown = named if len(named) <= 8 else named[:6]
        more = " et al." if len(shown) < len(self.authors) else ""
        return ", ".join(shown) + more


@cache
def sources() -> dict[str, Source]:
    """Every source by its key."""
    entries = parse_file(str(FILE)).entries
    return {key: _source(key, entry) for key, entry in entries.items()}


def _source(key: str, entry: Entry) -> Source:
    fields = entry.fields
    venue = next(
        (
            fields[name]
            for name in ("journal", "booktitle", "howpublished", "publisher")
            if name in fields
        ),
        "",
    )
    if "volume" in fields and "journal" in fields:
        venue += f" {fields['volume']}" + (f"({fields['number']})" if "number" in fields else "")
    if "pages" in fields:
        venue += f", {fields['pages']}"
    people = entry.persons.get("author", [])
    return Source(
        key=key,
        authors=tuple(_plain(" ".join(p.prelast_names + p.last_names)) for p in people),
        title=_plain(fields["title"]),
        year=fields["year"],
        venue=_plain(venue),
        url=_address(fields.get("doi", ""), fields["url"]),
    )


def _address(doi: str, url: str) -> str:
    """Where a work is for good: by its DOI where it has one.

    >>> _address("10.1/a<b>", "https://example.org/a"), _address("", "https://arxiv.org/abs/1.2")
    ('https://doi.org/10.1/a%3Cb%3E', 'https://arxiv.org/abs/1.2')
    """
    address = f"https://doi.org/{quote(doi, safe='/:;()')}" if doi else url
    return address.replace("\\", "")


def _plain(text: str) -> str:
    """LaTeX's escapes and braces as plain text.

    >>> _plain("{GPT} \\\\& {\\\\'e}--{\\\\o}")
    'GPT & é–ø'
    """
    return " ".join(str(Text.from_latex(text)).split())


class Citations:
    """Cites sources on one page and remembers which, so that only cited ones are listed."""

    def __init__(self) -> None:
        self.cited: set[str] = set()

    def __call__(self, *keys: str) -> Markdown:
        """One or more sources as links into the references page, in parentheses.

        Raises:
            KeyError: where a key is not in the bibliography.
        """
        self.cited |= set(keys)
        links = [f"[{escape(sources()[key].short)}](references.md#{key})" for key in keys]
        return Markdown(f"({'; '.join(links)})")

    def row(self, key: str) -> Markdown:
        """A source that a study names: a link where it is known, else its key as it stands."""
        return self(key) if key in sources() else escape(key)


def link(url: str, text: str) -> Markdown:
    """A link to an address, if it is one a browser may follow; else its text alone.

    >>> link("javascript:alert(1)", "x")
    'x'
    """
    if not re.fullmatch(r"https?://[^\s<>\"]+", url):
        return escape(text)
    address = url.replace("(", "%28").replace(")", "%29").replace("|", "%7C")
    return Markdown(f"[{escape(text)}]({address})")


def listing(keys: Sequence[str]) -> list[Source]:
    """The sources of those keys, by author and year; threads last, by their number."""
    listed = [sources()[key] for key in keys]
    return sorted(
        listed, key=lambda one: (one.thread, one.authors or (one.short,), one.year, one.title)
    )
