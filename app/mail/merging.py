"""Merge tags: what marketers may write between braces, held to a short list so that no template can escape or hang."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from sqlalchemy.orm import Session

from app.leads import fields

Names = Mapping[str, Mapping[str, str]]  # object -> attribute -> label

URLS = {
    "unsubscribe_url": "Unsubscribe",
    "preferences_url": "Preferences",
    "view_url": "View in browser",
    "why_url": "Why am I getting this?",
}
FIXED: dict[str, dict[str, str]] = {
    "company": {
        "name": "Company name",
        "domain": "Company domain",
        "industry": "Industry",
        "country": "Company country",
        "employees_count": "Company size",
    },
    "owner": {"name": "Name of the lead's sales rep", "email": "Address of the lead's sales rep"},
    "sender": {"name": "Sender's name", "email": "Sender's address"},
    "organisation": {"name": "Our name", "postal_address": "Our postal address", "website": "Our website"},
}
LEAD_ONLY = {
    "full_name": "Full name",
    "score": "Score",
    "stage": "Stage",
    "source": "Source",
}
OWN = frozenset({"click_base", "open_url"})
LONGEST = 2_000  # characters of one tag
_BRACES = re.compile(r"\{[{%#]")


def known(session: Session) -> Names:
    """Every name a merge tag may use here, the declared lead fields among them."""
    lead = {name: label for name, (label, _) in fields.CORE.items()}
    custom = {f.name: f.label for f in fields.declared(session).values()}
    return {"lead": lead | LEAD_ONLY | custom, **FIXED}


# Filters: ours only; none takes a width or a count, so none can be made to run long.


def _default(value: Any, fallback: Any = "") -> Any:
    return fallback if value is None or value == "" or isinstance(value, jinja2.Undefined) else value


def _number(value: Any) -> str:
    try:
        return f"{float(value):,.10g}" if value != "" else ""
    except (TypeError, ValueError):
        return str(value)


def _date(value: Any) -> str:
    try:
        found = value if isinstance(value, date) else datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return f"{found.day} {found:%B %Y}"


FILTERS: dict[str, Any] = {
    "default": _default,
    "fallback": _default,
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "title": lambda value: str(value).title(),
    "capitalize": lambda value: str(value)[:1].upper() + str(value)[1:],
    "trim": lambda value: str(value).strip(),
    "number": _number,
    "date": _date,
}
_WITH_ARGUMENT = {"default", "fallback"}


class _Names(ImmutableSandboxedEnvironment):
    """A dot reads a value by its name and nothing else: a field called `items` is that field, never a method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return obj.get(attribute, "") if type(obj) is dict else self.undefined(name=attribute)


def environment(*, escapes: bool, finalize: Any = None) -> ImmutableSandboxedEnvironment:
    """Jinja with nothing in it but our filters."""
    made = _Names(
        autoescape=escapes,
        undefined=jinja2.ChainableUndefined,
        finalize=finalize,
        keep_trailing_newline=True,
        cache_size=0,
    )
    made.globals.clear()
    made.tests.clear()
    made.filters.clear()
    made.filters.update(FILTERS)
    return made


_PARSER = environment(escapes=True)


def complaints(text: str, names: Names, own: frozenset[str] = frozenset()) -> list[str]:
    """What is wrong with the merge tags of a text, as sentences; empty when all can be filled.

    `own` are the names that only a compiled mail may hold, never a marketer.
    """
    if not _BRACES.search(text):
        return []
    if len(text) > 200_000:
        return ["The text is longer than 200,000 characters; shorten it."]
    try:
        tree = _PARSER.parse(text)
        if any(kind in {"raw_begin", "comment_begin"} for _, kind, _ in _PARSER.lexer.tokeniter(text, None)):
            return ["A merge tag may not be a comment or raw text; remove {# #} and {% raw %}."]
    except jinja2.TemplateSyntaxError as error:
        return [f"A merge tag cannot be read ({_plain(error.message)}); write it like {{{{ lead.first_name }}}}."]
    except RecursionError:
        return ["A merge tag is nested too deeply; write it simpler."]
    return list(dict.fromkeys(_faults(tree, names, frozenset(URLS) | own)))


def _plain(message: str | None) -> str:
    return (message or "it is not closed").rstrip(".")


_ALLOWED = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.If, nodes.Not, nodes.And, nodes.Or)


def _faults(node: nodes.Node, names: Names, plain: frozenset[str]) -> Iterator[str]:
    """Everything outside the allowed few, each as a sentence. What is refused here can never be rendered."""
    if isinstance(node, nodes.Getattr):
        yield from _getattr_faults(node, names, plain)
        return
    if isinstance(node, nodes.Name):
        yield from _name_faults(node, names, plain)
        return
    if isinstance(node, nodes.Filter):
        yield from _filter_faults(node)
    elif isinstance(node, nodes.Compare):
        if any(operand.op not in {"eq", "ne"} for operand in node.ops):
            yield "A merge tag may compare with == and != only."
    elif isinstance(node, nodes.Const):
        if not isinstance(node.value, (str, int, float, bool)) or len(str(node.value)) > LONGEST:
            yield "A merge tag holds a value that is too long."
    elif not isinstance(node, (*_ALLOWED, nodes.Operand)):
        yield f"A merge tag may not use {_word(node)}; it may only name a field, with a fallback, or choose by if and else."
        return
    for child in node.iter_child_nodes():
        yield from _faults(child, names, plain)


def _word(node: nodes.Node) -> str:
    words = {"Call": "a call", "For": "a loop", "Getitem": "brackets", "Assign": "set", "Include": "include"}
    arithmetic = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Concat", "Neg", "Pos"}
    name = type(node).__name__
    return "arithmetic" if name in arithmetic else words.get(name, f"“{name.lower()}”")


def _getattr_faults(node: nodes.Getattr, names: Names, plain: frozenset[str]) -> Iterator[str]:
    if not isinstance(node.node, nodes.Name):
        yield f"A merge tag may go one level deep only; .{node.attr} is too deep."
    elif node.node.name not in names:
        yield from _name_faults(node.node, names, plain)
    elif node.attr not in names[node.node.name]:
        given = f"{node.node.name}.{node.attr}"
        yield f"There is no merge tag {{{{ {given} }}}}{_near(given, names)}"


def _name_faults(node: nodes.Name, names: Names, plain: frozenset[str]) -> Iterator[str]:
    if node.ctx != "load":
        yield "A merge tag may not set anything."
    elif node.name in names:
        near = ", ".join(f"{node.name}.{attribute}" for attribute in list(names[node.name])[:3])
        yield f"{{{{ {node.name} }}}} needs a field, such as {near}."
    elif node.name not in plain:
        yield f"There is no merge tag {{{{ {node.name} }}}}{_near(node.name, names)}"


def _near(given: str, names: Names) -> str:
    every = [f"{group}.{attribute}" for group, attributes in names.items() for attribute in attributes] + list(URLS)
    last = {tag.rpartition(".")[2]: tag for tag in reversed(every)}
    found = difflib.get_close_matches(given, every, n=2, cutoff=0.7)
    if not found:
        word = given.rpartition(".")[2]
        found = [last[name] for name in difflib.get_close_matches(word, last, n=2, cutoff=0.7)]
    near = list(dict.fromkeys(found))[:3]
    return f"; did you mean {' or '.join(near)}?" if near else "; choose one from the list of merge tags."


def _filter_faults(node: nodes.Filter) -> Iterator[str]:
    if node.name not in FILTERS:
        near = difflib.get_close_matches(node.name, FILTERS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FILTERS)}."
        yield f"There is no filter called {node.name}; {hint}"
    elif node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
        yield f'The filter {node.name} is not used as it should be; write it like | default("there").'
    elif len(node.args) != (1 if node.name in _WITH_ARGUMENT else 0):
        yield f"The filter {node.name} takes {'one text' if node.name in _WITH_ARGUMENT else 'nothing'} in its brackets."


@dataclass(slots=True)
class Hidden:
    """Tags taken out of a text while it is compiled, so that no compiler can break them; `shown` puts them back."""

    tags: list[str] = field(default_factory=list)

    def hide(self, text: str) -> str:
        return "".join(self._hide(part) if is_tag else part for is_tag, part in pieces(text))

    def _hide(self, tag: str) -> str:
        self.tags.append(tag)
        return f"xTAG{len(self.tags) - 1:05d}x"

    def show(self, text: str) -> str:
        return re.sub(
            r"xTAG(\d{5})x", lambda found: self.tags[int(found[1])] if int(found[1]) < len(self.tags) else "", text
        )


def pieces(text: str) -> list[tuple[bool, str]]:
    """The text cut into plain parts and tags, in order; joined they are the text again."""
    if not _BRACES.search(text):
        return [(False, text)]
    found: list[tuple[bool, str]] = []
    tag = ""
    for _, kind, value in _PARSER.lexer.tokeniter(text, None):
        if tag or kind in {"variable_begin", "block_begin"}:
            tag += value
            if kind in {"variable_end", "block_end"}:
                found.append((True, tag))
                tag = ""
        else:
            found.append((False, value))
    return found


def named(texts: Iterable[str]) -> dict[str, set[str]]:
    """What the merge tags of some texts name: object -> attributes; an address is named without any."""
    found: dict[str, set[str]] = {}
    for text in texts:
        tree = _PARSER.parse(text) if _BRACES.search(text) else nodes.Template([])
        for name in tree.find_all(nodes.Name):
            found.setdefault(name.name, set())
        for node in tree.find_all(nodes.Getattr):
            if isinstance(node.node, nodes.Name):
                found[node.node.name].add(node.attr)
    return found


@lru_cache(maxsize=512)
def compiled(text: str, *, escapes: bool) -> jinja2.Template:
    """The template of a text, compiled once."""
    return (_ESCAPING if escapes else _PLAIN).from_string(text)


_ESCAPING = environment(escapes=True)
_PLAIN = environment(escapes=False)
