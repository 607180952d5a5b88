"""The lab's cast: people nobody is, with a drawn face each, as mDL data elements (ISO 18013-5 clause 7.2).

Faces are drawn by code, so that no picture of a person is in this project.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from PIL import Image, ImageDraw

from mdoc_reader.lab.issuer import full_date

MDL_DOCTYPE = "org.iso.18013.5.1.mDL"
MDL_NAMESPACE = "org.iso.18013.5.1"
AGES = tuple(range(12, 26))

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """How a face is drawn."""

    skin: Colour = (236, 188, 150)
    hair: Colour = (82, 54, 38)
    shirt: Colour = (46, 98, 160)
    background: Colour = (214, 224, 232)
    long_hair: bool = False
    glasses: bool = False
    smile: float = 1.0


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invented. `sex` as ISO/IEC 5218 numbers it."""

    family_name: str
    given_name: str
    birth_date: date
    document_number: str
    sex: int = 9
    look: Look = field(default_factory=Look)

    def age_on(self, day: date) -> int:
        """Return the full years on `day`."""
        had_birthday = (day.month, day.day) >= (self.birth_date.month, self.birth_date.day)
        return day.year - self.birth_date.year - (not had_birthday)


def _years_before(day: date, years: int) -> date:
    # The day before in February's sake: every year has a 28th.
    return day.replace(year=day.year - years, day=min(day.day, 28))


def adult(today: date, years: int = 34) -> Person:
    """Return a grown-up who is `years` old on `today`."""
    return Person("Muster", "Erika", _years_before(today, years), "LAB000001", 2, Look(long_hair=True))


def minor(today: date, years: int = 16) -> Person:
    """Return a young person who is `years` old on `today`."""
    look = Look(hair=(190, 140, 60), shirt=(200, 70, 60), background=(226, 232, 214))
    return Person("Muster", "Max", _years_before(today, years), "LAB000002", 1, look)


def stranger(today: date, years: int = 51) -> Person:
    """Return somebody else: whose face an altered document shows."""
    look = Look((190, 138, 104), (40, 40, 44), (60, 120, 84), (232, 222, 208), glasses=True, smile=0.2)
    return Person("Beispiel", "Bo", _years_before(today, years), "LAB000003", 9, look)


def portrait(look: Look, *, width: int = 300, quality: int = 88, size: int | None = None) -> bytes:
    """Draw a face as a JPEG, four parts high to three wide.

    `size` fills the file up to so many bytes with a comment, for measurements; it is not reached from above.
    """
    high = 2  # drawn twice as large, then scaled: smooth edges
    w, h = width * high, width * 4 // 3 * high
    image = Image.new("RGB", (w, h), look.background)
    draw = ImageDraw.Draw(image)

    def oval(centre: tuple[float, float], radii: tuple[float, float], fill: Colour) -> None:
        (x, y), (rx, ry) = centre, radii
        draw.ellipse((w * (x - rx), h * (y - ry), w * (x + rx), h * (y + ry)), fill=fill)

    dark = (48, 36, 36)
    shade: Colour = (look.skin[0] * 9 // 10, look.skin[1] * 9 // 10, look.skin[2] * 9 // 10)
    if look.long_hair:
        oval((0.5, 0.50), (0.34, 0.34), look.hair)
    oval((0.5, 1.08), (0.46, 0.30), look.shirt)
    draw.rectangle((w * 0.42, h * 0.62, w * 0.58, h * 0.84), fill=shade)
    oval((0.5, 0.37), (0.29, 0.25), look.hair)
    oval((0.5, 0.46), (0.25, 0.25), look.skin)
    for side in (-1, 1):
        oval((0.5 + side * 0.25, 0.47), (0.035, 0.04), shade)
        oval((0.5 + side * 0.10, 0.44), (0.040, 0.022), (250, 250, 250))
        oval((0.5 + side * 0.10, 0.44), (0.020, 0.018), dark)
        arch = (w * (0.5 + side * 0.10 - 0.05), h * 0.385, w * (0.5 + side * 0.10 + 0.05), h * 0.43)
        draw.arc(arch, 200, 340, fill=look.hair, width=w // 60)
    if look.glasses:
        for side in (-1, 1):
            box = (w * (0.5 + side * 0.10 - 0.07), h * 0.40, w * (0.5 + side * 0.10 + 0.07), h * 0.48)
            draw.rounded_rectangle(box, radius=w // 40, outline=dark, width=w // 90)
        draw.line((w * 0.47, h * 0.44, w * 0.53, h * 0.44), fill=dark, width=w // 90)
    draw.arc((w * 0.47, h * 0.46, w * 0.53, h * 0.53), 20, 160, fill=shade, width=w // 70)
    depth = 0.02 + 0.05 * look.smile
    draw.arc((w * 0.40, h * (0.58 - depth), w * 0.60, h * (0.58 + depth)), 20, 160, fill=(150, 60, 60), width=w // 60)
    image = image.resize((width, width * 4 // 3), Image.Resampling.LANCZOS)
    encoded = _jpeg(image, quality)
    if size is not None and len(encoded) + 4 < size:
        encoded = _jpeg(image, quality, b"\0" * (size - len(encoded) - 4))
    return encoded


def _jpeg(image: Image.Image, quality: int, comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, comment=comment)
    return stream.getvalue()


def mdl_elements(
    person: Person,
    today: date,
    *,
    ages: Iterable[int] = AGES,
    country: str = "UT",
    portrait_jpeg: bytes | None = None,
) -> dict[str, dict[str, object]]:
    """Return the elements of an mDL by namespace: all mandatory ones, ages as of `today`, and a few optional ones."""
    issued, expires = today - timedelta(days=400), today + timedelta(days=1400)
    years = person.age_on(today)
    elements: dict[str, object] = {
        "family_name": person.family_name,
        "given_name": person.given_name,
        "birth_date": full_date(person.birth_date),
        "issue_date": full_date(issued),
        "expiry_date": full_date(expires),
        "issuing_country": country,
        "issuing_authority": "Utopia Lab Licensing",
        "document_number": person.document_number,
        "portrait": portrait(person.look) if portrait_jpeg is None else portrait_jpeg,
        "driving_privileges": [
            {"vehicle_category_code": code, "issue_date": full_date(issued), "expiry_date": full_date(expires)}
            for code in (("AM", "B") if years >= 18 else ("AM",))
        ],
        "un_distinguishing_sign": "UTO",
        "sex": person.sex,
        "nationality": country,
        "resident_city": "Sampleton",
        "age_in_years": years,
        "age_birth_year": person.birth_date.year,
    }
    elements |= {f"age_over_{age:02d}": years >= age for age in ages}
    return {MDL_NAMESPACE: elements}
