"""No answer changes under an old version: whoever changes what computes it raises that, or says why not."""

import pytest
import sources

from experiments.study.kinds import KINDS

LEDGER = "answer 2\nother 1\nexperiments.a 111\nexperiments.b 222 only its messages changed\n"
USES = {"answer": {"experiments.a", "experiments.b"}, "other": {"experiments.b"}}
SAME = {"experiments.a": "111", "experiments.b": "222"}


def test_the_ledger_is_of_the_code_as_it_is() -> None:
    ledger, silent = sources.now()
    assert silent == []
    assert ledger == sources.LEDGER.read_text(encoding="utf-8"), "run python tests/sources.py"


@pytest.mark.parametrize(
    ("versions", "changed", "why", "silent", "written"),
    [
        ((2, 1), {}, "", [], LEDGER),
        ((2, 1), {"experiments.a": "333"}, "",
         ["experiments.a changed: raise the version of answer, or say why their answers stay"], None),
        ((2, 1), {"experiments.b": "333"}, "",
         ["experiments.b changed: raise the version of answer, other, or say why their answers stay"], None),
        ((3, 1), {"experiments.b": "333"}, "",
         ["experiments.b changed: raise the version of other, or say why their answers stay"], None),
        ((3, 1), {"experiments.a": "333"}, "", [], LEDGER.replace("a 111", "a 333").replace("r 2", "r 3")),
        ((2, 1), {"experiments.a": "333"}, "a name", [], LEDGER.replace("a 111", "a 333 a name")),
        ((3, 2), {"experiments.b": "333"}, "", [],
         "answer 3\nother 2\nexperiments.a 111\nexperiments.b 333\n"),
    ],
)  # fmt: skip
def test_a_module_that_changes_raises_each_kind_that_uses_it_or_says_why_not(
    versions: tuple[int, int], changed: dict[str, str], why: str, silent: list[str], written: str | None
) -> None:  # fmt: skip
    now = dict(zip(("answer", "other"), versions))
    ledger, found = sources.compare(LEDGER, now, USES, SAME | changed, why)
    assert found == silent
    assert written is None or ledger == written


def test_a_kinds_answers_come_through_what_it_imports_and_no_other_kinds_modules() -> None:
    used = {name: sources.modules_of(kind.ask) for name, kind in KINDS.items()}
    through = {
        "experiments.quality.intervals": {
            "evaluation", "perplexity", "comparison", "perplexity_change", "latency",
        },
        "experiments.checkpoint.gguf_file": set(KINDS),
        "experiments.pruning.methods.magnitude": set(KINDS) - {"comparison", "perplexity_change"},
        "experiments.speed.sparse_kernel": {"latency"},
        "experiments.quality.answering": {"evaluation", "perplexity"},
        "experiments.pruning.inspection": {"inspection"},
        "experiments.quality.comparison": {"comparison", "perplexity_change"},
    }  # fmt: skip
    for module, kinds in through.items():
        assert {name for name, modules in used.items() if module in modules} == kinds, module


def test_a_digest_is_of_code_and_not_of_what_is_said_about_it(
    tmp_path: "sources.Path", monkeypatch: pytest.MonkeyPatch
) -> None:
    code = '"""Says."""\n\n# a remark\ndef f():\n    """Says."""\n    return "a # b"\n'
    digests = []
    for text in (
        code,
        code.replace("Says", "Tells\n\n    more").replace("a remark", "another"),
        code.replace("a # b", "a # c"),
    ):
        (tmp_path / "a.py").write_text(text)
        sources.tree_of.cache_clear()
        monkeypatch.setattr(sources, "path_of", lambda _: tmp_path / "a.py")
        digests.append(sources.digest("a"))
    sources.tree_of.cache_clear()
    assert digests[0] == digests[1] != digests[2]
