"""The look, by calculation: six state colours that everybody can tell apart, a kit that is what it says it is, and
styles and templates that keep the rules of the house."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "static"
FAMILIES = ("waiting", "working", "ready", "done", "attention", "failed")

Rgb = tuple[float, float, float]

# Sight without one kind of cone, on linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.0
SIGHTS: dict[str, tuple[Rgb, Rgb, Rgb]] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def tokens(theme: str) -> dict[str, str]:
    text = (STATIC / "css/tokens.css").read_text(encoding="utf-8")
    block = re.search(rf"\[data-bs-theme={theme}\] {{\s*color-scheme: {theme};(.*?)}}", text, re.DOTALL)
    assert block is not None
    return dict(re.findall(r"--mf-([\w-]+):\s*(#[0-9a-f]{3,6})", block[1]))


def linear(colour: str) -> Rgb:
    digits = colour.lstrip("#")
    digits = "".join(one * 2 for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return red, green, blue


def luminance(rgb: Rgb) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    dark, light = sorted((luminance(linear(one)), luminance(linear(other))))
    return (light + 0.05) / (dark + 0.05)


def seen(rgb: Rgb, sight: str) -> Rgb:
    red, green, blue = (
        min(max(sum(share * part for share, part in zip(row, rgb, strict=True)), 0.0), 1.0) for row in SIGHTS[sight]
    )
    return red, green, blue


def lab(rgb: Rgb) -> Rgb:
    """CIE 1976 L*a*b* of linear sRGB, white D65."""
    red, green, blue = rgb
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (one ** (1 / 3) if one > 216 / 24389 else (841 / 108) * one + 4 / 29 for one in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(one: str, other: str, sight: str) -> float:
    """Colour difference CIE76."""
    pairs = zip(lab(seen(linear(one), sight)), lab(seen(linear(other), sight)), strict=True)
    return float(sum((left - right) ** 2 for left, right in pairs) ** 0.5)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_state_colour_stands_out_from_paper_and_surface(theme: str) -> None:
    known = tokens(theme)
    ratios = {
        (family, ground): contrast(known[family], known[ground])
        for family in FAMILIES
        for ground in ("paper", "surface")
    }
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < 3} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_are_read_with_ease(theme: str) -> None:
    known = tokens(theme)
    assert min(contrast(known[ink], known["paper"]) for ink in ("ink", "ink-2", "link")) >= 4.5


@pytest.mark.parametrize("sight", list(SIGHTS))
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_two_state_colours_are_taken_for_one_another(theme: str, sight: str) -> None:
    known = tokens(theme)
    distances = {pair: distance(known[pair[0]], known[pair[1]], sight) for pair in itertools.combinations(FAMILIES, 2)}
    assert {pair: round(far, 1) for pair, far in distances.items() if far < 22} == {}


def test_what_is_vendored_is_what_its_manifest_says() -> None:
    entries = json.loads((STATIC / "vendor/manifest.json").read_text(encoding="utf-8"))["files"]
    found = {str(path.relative_to(STATIC / "vendor")) for path in (STATIC / "vendor").rglob("*") if path.is_file()}
    assert {entry["file"] for entry in entries} == found - {"manifest.json"}
    for entry in entries:
        octets = (STATIC / "vendor" / entry["file"]).read_bytes()
        assert hashlib.sha256(octets).hexdigest() == entry["sha256"]
        assert b"sourceMappingURL" not in octets
        assert entry.keys() >= {"name", "version", "licence"}


def test_custom_properties_are_defined_in_one_file_and_nothing_is_important() -> None:
    for name in ("base", "components"):
        text = (STATIC / f"css/{name}.css").read_text(encoding="utf-8")
        assert "!important" not in text
        # --mf-c is the colour of whatever stands in a family; the kit's buttons are set by its own properties
        assert set(re.findall(r"(--[\w-]+)\s*:", text)) <= {"--mf-c"} | set(re.findall(r"(--tblr-[\w-]+)\s*:", text))


TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_a_template_holds_no_style_and_no_script_and_says_what_it_needs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"""<style|\sstyle=|\son[a-z]+=["']|<script(?![^>]*\ssrc=)""", text) == []
    if path.name != "500.html":
        assert re.search(r"{# ?context:", text), "its first lines say: {# context: ... #}"
