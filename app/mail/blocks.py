"""The blocks a mail is built of: what each holds, read from untrusted data, with one sentence for everything wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

LONGEST_TEXT = 20_000
MOST_BLOCKS = 100


class Block(BaseModel):
    """What all blocks share: a name that stays while it is moved and edited."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default="", max_length=40, pattern=r"^[a-z0-9]*$")


Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Line = Annotated[str, Field(max_length=500)]
Url = Annotated[str, Field(max_length=2000)]
Align = Literal["left", "center", "right"]


class Heading(Block):
    kind: Literal["heading"] = "heading"
    text: Line = ""
    level: Annotated[int, Field(ge=1, le=3)] = 1
    align: Align = "left"


class Paragraphs(Block):
    kind: Literal["text"] = "text"
    text: Text = ""  # paragraphs, - lists, **bold**, *italic*, [label](url)
    align: Align = "left"


class Image(Block):
    kind: Literal["image"] = "image"
    src: Url = ""
    alt: Line = ""
    url: Url = ""
    width: Annotated[int, Field(ge=16, le=600)] = 600


class Button(Block):
    kind: Literal["button"] = "button"
    label: Line = ""
    url: Url = ""
    align: Align = "left"


class Divider(Block):
    kind: Literal["divider"] = "divider"


class Html(Block):
    kind: Literal["html"] = "html"
    html: Text = ""


Leaf = Annotated[Heading | Paragraphs | Image | Button | Divider | Html, Field(discriminator="kind")]


class Columns(Block):
    kind: Literal["columns"] = "columns"
    columns: Annotated[list[list[Leaf]], Field(min_length=2, max_length=3)] = [[], []]


AnyBlock = Annotated[Heading | Paragraphs | Image | Button | Divider | Html | Columns, Field(discriminator="kind")]
_BLOCKS: TypeAdapter[list[Any]] = TypeAdapter(list[AnyBlock])
_BLOCK: TypeAdapter[Any] = TypeAdapter(AnyBlock)

# kind -> (label, icon, what a new one holds)
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "heading": ("Heading", "heading", {"text": "A heading"}),
    "text": ("Text", "typography", {"text": "Write something worth reading."}),
    "button": ("Button", "hand-click", {"label": "Read more", "url": "https://"}),
    "image": ("Image", "photo", {}),
    "columns": ("Columns", "columns", {"columns": [[], []]}),
    "divider": ("Divider", "separator", {}),
    "html": ("HTML", "code", {"html": ""}),
}


class BadBlocks(ValueError):
    """What is wrong with the blocks, one sentence each."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = list(sentences)


def read(given: Any) -> list[Block]:
    """The blocks of a draft or a text file, each with an id. Raises BadBlocks."""
    try:
        blocks: list[Block] = _BLOCKS.validate_python(given)
    except ValidationError as error:
        raise BadBlocks([_sentence(dict(item)) for item in error.errors()[:10]]) from None
    every = list(walk(blocks))
    if len(every) > MOST_BLOCKS:
        raise BadBlocks([f"The mail has more than {MOST_BLOCKS} blocks; make it shorter."])
    _name(every)
    return blocks


def read_one(given: Any) -> Block:
    """One block of a form. Raises BadBlocks."""
    try:
        block: Block = _BLOCK.validate_python(given)
    except ValidationError as error:
        raise BadBlocks([_sentence(dict(item)) for item in error.errors()[:10]]) from None
    return block


def walk(blocks: Sequence[Any]) -> Iterator[Any]:
    """Every block, those inside columns too."""
    for block in blocks:
        yield block
        if isinstance(block, Columns):
            for column in block.columns:
                yield from column


def plain(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """As stored: what differs from the defaults, so that a text file stays short."""
    return [_plain(block) for block in blocks]


def _plain(block: Any) -> dict[str, Any]:
    kept: dict[str, Any] = {"id": block.id, "kind": block.kind}
    if isinstance(block, Columns):
        kept["columns"] = [plain(column) for column in block.columns]
        return kept
    kept |= block.model_dump(exclude_defaults=True, exclude={"id", "kind"})
    return kept


def _name(every: Sequence[Any]) -> None:
    """Give an id to blocks that have none, and another to a copy."""
    seen: set[str] = set()
    for place, block in enumerate(every):
        attempt = 0
        while not block.id or block.id in seen:
            block.id = hashlib.sha256(f"{place} {attempt} {block.kind}".encode()).hexdigest()[:8]
            attempt += 1
        seen.add(block.id)


def _sentence(item: dict[str, Any]) -> str:
    where = ", ".join(f"block {part + 1}" if isinstance(part, int) else str(part) for part in item["loc"])
    if item["type"] == "union_tag_invalid":
        return f"{where[:1].upper()}{where[1:]}: there is no such kind of block; there are {', '.join(KINDS)}."
    if item["type"] == "extra_forbidden":
        return f"{where[:1].upper()}{where[1:]} is not known; remove it."
    message = str(item["msg"])
    return f"{where[:1].upper()}{where[1:]}: {message[0].lower()}{message[1:]}."
