"""Built pages, as a browser would take them apart."""

import dataclasses
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Element:
    tag: str
    attributes: dict[str, str]


class Page(HTMLParser):
    """A page's elements, the text of each kind of element, and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.words: Counter[str] = Counter()
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {key: value or "" for key, value in attrs}))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            del self.open[len(self.open) - 1 - self.open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    @property
    def text(self) -> str:
        shown = [text for tag, texts in self.texts.items() if tag not in ("script", "style")
                 for text in texts]  # fmt: skip
        return " ".join(" ".join(shown).split())

    @property
    def ids(self) -> set[str]:
        return {element.attributes["id"] for element in self.elements if "id" in element.attributes}


def pages(folder: Path) -> dict[str, Page]:
    found = sorted(folder.rglob("*.html"))
    assert found
    return {str(path.relative_to(folder)): Page(path.read_text(encoding="utf-8")) for path in found}


def links(page: Page) -> list[tuple[str, str]]:
    found = []
    for element in page.elements:
        for key in ("href", "src", "poster", "data", "action"):
            if key in element.attributes and not (key == "data" and element.tag != "object"):
                found.append((element.tag, element.attributes[key]))
        for part in element.attributes.get("srcset", "").split(","):
            if part.strip():
                found.append((element.tag, part.split()[0]))
    return found
