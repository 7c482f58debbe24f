"""The frame of every mail: the sender's name above, the card of blocks, and the footer the law and good manners ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import escape

FONT = "-apple-system, BlinkMacSystemFont, 'Segoe UI', Helvetica, Arial, sans-serif"
PIXEL = '<img src="{{ open_url }}" width="1" height="1" alt="" style="display:block;border:0;width:1px;height:1px;overflow:hidden">'
# What every mail shows at its foot: (name of the address, words); marketing mail shows all.
FOOTER = (
    ("unsubscribe_url", "Unsubscribe"),
    ("preferences_url", "Choose what you get"),
    ("why_url", "Why am I getting this?"),
    ("view_url", "View in browser"),
)


@dataclass(frozen=True, slots=True)
class Look:
    """What the frame depends on: the organisation's colour, and whether people can unsubscribe from this mail."""

    accent: str = "#4f46e5"
    is_marketing: bool = True


def footer_links(look: Look) -> tuple[tuple[str, str], ...]:
    return FOOTER if look.is_marketing else FOOTER[2:]


def mjml(sections: str, look: Look, *, title: str, preheader: str) -> str:
    """The whole mail in MJML; `sections` are already MJML, title and preheader plain text with hidden merge tags."""
    accent = look.accent if re.fullmatch(r"#[0-9a-fA-F]{6}", look.accent) else "#4f46e5"
    links = " &nbsp;·&nbsp; ".join(
        f'<a class="quiet" href="xPAGE{name}x">{words}</a>' for name, words in footer_links(look)
    )
    return f"""<mjml lang="en"><mj-head>
<mj-title>{escape(title)}</mj-title>
<mj-preview>{escape(preheader)}</mj-preview>
<mj-raw><meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark"></mj-raw>
<mj-attributes>
<mj-all font-family="{FONT}" />
<mj-text font-size="16px" line-height="1.6" color="#1f2937" />
<mj-button background-color="{accent}" color="{_ink(accent)}" border-radius="8px" font-size="16px" font-weight="600" inner-padding="13px 24px" />
</mj-attributes>
<mj-style>{_STYLE.replace("ACCENT", accent)}</mj-style>
</mj-head>
<mj-body background-color="#f3f4f8" width="600px" css-class="paper">
<mj-section padding="28px 12px 14px"><mj-column><mj-text css-class="name" padding="0 20px" font-size="15px" font-weight="700" color="#374151">xNAMEx</mj-text></mj-column></mj-section>
<mj-wrapper css-class="card" background-color="#ffffff" border-radius="14px" padding="18px 0 22px">{sections}</mj-wrapper>
<mj-section padding="20px 12px 36px"><mj-column>
<mj-text css-class="foot" padding="0 20px" font-size="13px" line-height="1.7" color="#5b6474" align="center">{links}</mj-text>
<mj-text css-class="foot" padding="8px 20px 0" font-size="13px" line-height="1.6" color="#5b6474" align="center">xPOSTALx</mj-text>
</mj-column></mj-section>
</mj-body></mjml>"""


_STYLE = """
h1, h2, h3 { margin: 0; font-size: inherit; line-height: inherit; font-weight: inherit; }
p { margin: 0 0 14px; } ul, ol { margin: 0 0 14px; padding-left: 24px; } li { margin: 0 0 6px; }
a { color: ACCENT; } a.quiet { color: #5b6474; text-decoration: underline; }
.ink img { max-width: 100%; }
@media (prefers-color-scheme: dark) {
  body, .paper { background-color: #11141b !important; }
  .card, .card > table, .card > table > tbody > tr > td { background: #1b202b !important; background-color: #1b202b !important; }
  .ink div, .ink p, .ink li, .ink h1, .ink h2, .ink h3, .ink td { color: #e6e9f0 !important; }
  .ink a { color: #a5b4fc !important; }
  .name div { color: #cbd2de !important; } .foot div, a.quiet { color: #98a2b3 !important; }
  .line p { border-top-color: #323a49 !important; }
}
"""


def filled(html: str) -> str:
    """Put in the merge tags of the frame, after everything that could break them has run."""
    html = re.sub(r"xPAGE(\w+?_url)x", r"{{ \1 }}", html)
    return html.replace("xNAMEx", "{{ organisation.name }}").replace(
        "xPOSTALx", "{{ organisation.name }} · {{ organisation.postal_address }}"
    )


def text_footer(look: Look) -> str:
    links = "\n".join(f"{words}: {{{{ {name} }}}}" for name, words in footer_links(look))
    return f"--\n{{{{ organisation.name }}}} · {{{{ organisation.postal_address }}}}\n\n{links}\n"


def _ink(accent: str) -> str:
    """Black or white, whichever reads better on the accent."""
    parts = [int(accent[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    light = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) >= 4.5 else "#111827"
