"""How a kind of step, trigger, rule or transport declares itself: one module, found by scan, its settings drawn as a form."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

T = TypeVar("T")

# What a form can draw. A picker's value is the `key` of the thing picked, so that stored flows read as text.
WIDGETS = frozenset(
    [
        "text",
        "textarea",
        "number",
        "switch",
        "choice",
        "choices",
        "duration",
        "instant",
        "time",
        "weekdays",
        "rule",
        "arms",
        "shares",
        "awaited",
        "subject",
        "values",
        "bands",
        "mail",
        "form",
        "segment",
        "tag",
        "field",
        "topic",
        "stage",
        "user",
        "campaign",
        "step",
        "page",
        "event",
        "score",
        "zone",
        "definition",
    ]
)


@dataclass(frozen=True, slots=True)
class Widget:
    """How one setting is drawn: its label, the kind of input, its choices as (value, words), and when it matters."""

    label: str
    kind: str = "text"
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    unit: str = ""
    in_files: str = ""  # what a file says instead, where the choices are too many to list
    shown_if: tuple[str, str] | None = None  # (other setting, its value): drawn only then; “*” is any, “!x” all but x

    def __post_init__(self) -> None:
        if self.kind not in WIDGETS:
            raise ValueError(f"No widget is called {self.kind!r}.")


class Settings(BaseModel):
    """What a marketer chose for one step, trigger or rule: unknown names are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @classmethod
    def widgets(cls) -> dict[str, Widget]:
        """The widget of each setting, in declared order."""
        return {n: w for n, f in cls.model_fields.items() for w in f.metadata if isinstance(w, Widget)}


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing wrong with a setting, as a sentence; `at` names the setting."""

    at: str
    sentence: str


def parse(settings_type: type[S], given: Any) -> tuple[S | None, list[Complaint]]:
    """Read settings from untrusted data: the settings, or None and what to correct."""
    try:
        return settings_type.model_validate(given), []
    except ValidationError as error:
        return None, [_complaint(settings_type, dict(item)) for item in error.errors()]


def _complaint(settings_type: type[Settings], item: dict[str, Any]) -> Complaint:
    name = str(item["loc"][0]) if item["loc"] else ""
    widget = settings_type.widgets().get(name)
    label = widget.label if widget else name
    if item["type"] == "missing" or (item["type"] == "string_too_short" and not item.get("input")):
        return Complaint(name, f"{label} is missing.")
    if item["type"] == "extra_forbidden":
        return Complaint(name, f"{name} is not a setting here; remove it.")
    message = str(item["msg"]).removeprefix("Value error, ")
    return Complaint(name, f"{label}: {message[0].lower()}{message[1:].rstrip('.')}.")


@dataclass(slots=True)
class Catalog(Generic[T]):
    """All kinds of one sort, by name; the name is the module's, the stored text, the icon's and the CSS class."""

    package: str
    attribute: str
    kinds: dict[str, T] = field(default_factory=dict)

    def load(self) -> dict[str, T]:
        """Every kind in the package, found by scan once; a module that declares none is a mistake and stops the start."""
        if not self.kinds:
            for module in _modules(self.package):
                name = module.__name__.rpartition(".")[2]
                if not module.__doc__:
                    raise RuntimeError(f"{module.__name__} must open with one sentence about what it does.")
                self.kinds[name] = getattr(module, self.attribute)
        return self.kinds

    def get(self, kind: str) -> T | None:
        return self.load().get(kind)


def _modules(package: str) -> list[ModuleType]:
    home = importlib.import_module(package)
    names = sorted(info.name for info in pkgutil.iter_modules(home.__path__))
    return [importlib.import_module(f"{package}.{name}") for name in names]
