"""YAML as people write it, without its surprises: no is a word, 09:00 a text, every fault has its line, nothing is executed."""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_BYTES = 2 * 1024 * 1024
MOST_DEEP = 60


class BadText(ValueError):
    """A file that cannot be read, in one sentence that begins with the place."""


class _Reading:
    """Only null, true, false and numbers are more than text; each name stands once."""

    lines: dict[int, int]
    construct_object: Any

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise BadText(f"Line {line}: a name must be a word.")
            if key in found:
                raise BadText(f"Line {line}: “{key}” stands here twice; keep one.")
            found[key] = self.construct_object(value_node, deep=True)
        self.lines[id(found)] = node.start_mark.line + 1
        return found


class _Loader(_Reading, yaml.SafeLoader):
    """Says where a text is wrong; nothing refers to something else."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.lines: dict[int, int] = {}
        self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise BadText(f"Line {self.here()}: *names are not used here; write it out.")
        self.depth += 1
        if self.depth > MOST_DEEP:
            raise BadText(f"Line {self.here()}: this is nested too deep for a campaign.")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def here(self) -> int:
        return int(self.peek_event().start_mark.line) + 1  # type: ignore[no-untyped-call]


class _Quick(_Reading, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads the same ten times as fast, for texts in which nothing is wrong."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.lines: dict[int, int] = {}


def _is_plain(text: str) -> bool:
    """Nothing in it refers to something else, and nothing is nested too deep. Raises YAMLError."""
    depth = 0
    for event in yaml.parse(text, Loader=_Quick):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth >= MOST_DEEP or isinstance(event, yaml.AliasEvent):
            return False
    return True


def _mapping(loader: _Loader | _Quick, node: Any) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


for _reader in (_Loader, _Quick):
    _reader.yaml_implicit_resolvers = {}
    _reader.add_constructor("tag:yaml.org,2002:map", _mapping)
for _tag, _pattern, _first in (
    ("null", r"^(null|~|)$", ["n", "~", ""]),
    ("bool", r"^(true|false)$", ["t", "f"]),
    ("int", r"^-?(0|[1-9][0-9]*)$", list("-0123456789")),
    ("float", r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$", list("-0123456789")),
):
    for _reader in (_Loader, _Quick):
        _reader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


class _Dumper(yaml.SafeDumper):
    """Block style with short rows kept on one line, and texts of several lines as they read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _text(dumper: _Dumper, text: str) -> Any:
    plain = all(c.isprintable() or c == "\n" for c in text)
    is_block = "\n" in text.strip("\n") and plain and not re.search(r"[ \t]\n|^[ \n]|\n\n$", text)
    # numbers of other YAML versions (1_000, 1e5, 0x1f) are quoted, so that every reader sees the same
    is_odd = re.match(r"^[-+.]?[0-9]", text) or not plain  # and line ends of other alphabets, written as \u2028
    quoted = '"' if is_odd and not is_block else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if is_block else quoted)


def _rows(dumper: _Dumper, data: dict[Any, Any]) -> Any:
    short = _is_short(data)
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=short)


def _items(dumper: _Dumper, data: list[Any]) -> Any:
    short = not data or (all(isinstance(item, str | int | float) for item in data) and len(str(data)) < 80)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=short)


def _is_short(data: dict[Any, Any]) -> bool:
    plain = all(value is None or isinstance(value, str | int | float) for value in data.values())
    return plain and "id" not in data and len(str(data)) < 100 and "\n" not in str(list(data.values()))


class Rows(list[Any]):
    """A list whose members stand on a line each, however short they are."""


_Dumper.add_representer(
    Rows, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=False)
)
_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _rows)
_Dumper.add_representer(list, _items)


def dump(data: dict[str, Any]) -> str:
    """Data as YAML that reads well; the members of the outermost part are set apart by empty lines where they are long."""
    parts: list[str] = []
    for name, value in data.items():
        inner = isinstance(value, dict | list) and bool(value) and not (isinstance(value, dict) and _is_short(value))
        text = yaml.dump(
            {name: value}, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110, default_flow_style=False
        )
        if text.startswith("{"):
            inside = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110).removesuffix(
                "...\n"
            )
            text = f"{name}: {inside}"
        parts.append(("\n" if inner and parts else "") + text)
    return "".join(parts)


class Places:
    """On which line of the file each part began."""

    def __init__(self, lines: dict[int, int]) -> None:
        self._lines = lines

    def of(self, part: Any) -> str:
        line = self._lines.get(id(part))
        return f"Line {line}: " if line else ""


def load(content: bytes | str) -> tuple[Any, Places]:
    """The data of a file and where it stood; raises BadText."""
    if len(content) > MOST_BYTES:
        raise BadText("The file is larger than 2 MB, which no campaign needs; is it the right one?")
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadText("The file is not UTF-8 text; save it as UTF-8 and try again.") from None
    quick = _quickly(text)
    if quick is not None:
        return quick
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_data(), Places(loader.lines)
    except yaml.MarkedYAMLError as error:
        raise BadText(_explained(error)) from None
    except yaml.YAMLError:
        raise BadText("The file holds characters that no text has; is it the right one?") from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, BadText):
            raise
        raise BadText("The file cannot be read; check numbers and nesting.") from None
    finally:
        if loader is not None:
            loader.dispose()


def _quickly(text: str) -> tuple[Any, Places] | None:
    """What `load` gives; None if anything at all is wrong, which the other reader then puts into words."""
    loader = None
    try:
        if not _is_plain(text):
            return None
        loader = _Quick(text)
        return loader.get_single_data(), Places(loader.lines)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    finally:
        if loader is not None:
            loader.dispose()


# what YAML says -> what to do about it, and whether the fault is where that part began
_WORDS = (
    ("expected ',' or '}'", "a comma or the closing “}” is missing", True),
    ("expected ',' or ']'", "a comma or the closing “]” is missing", True),
    ("found unexpected end of stream", "the closing quote is missing", True),
    ("expected the node content, but found '<stream end>'", "the end is missing", True),
    ("could not find expected ':'", "the “:” after the name is missing", True),
    ("mapping values are not allowed here", "a “:” cannot stand here; indent the line like those above, or put the text in quotes", False),
    ("found character '\\t'", "a tab stands here; indent with spaces", False),
    ("expected <block end>", "the line is not indented like those it belongs to", False),
    ("sequence entries are not allowed here", "a “- ” cannot stand here; put it on a line of its own", False),
)  # fmt: skip


def _explained(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "this cannot be read"
    words, is_begun = next(((w, begun) for says, w, begun in _WORDS if says in problem), (problem.rstrip("."), False))
    mark = (error.context_mark if is_begun else None) or error.problem_mark or error.context_mark
    place = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}this is not YAML: {words}."
