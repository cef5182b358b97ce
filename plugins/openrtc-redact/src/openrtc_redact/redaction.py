"""Finds e-mail addresses and the numbers of phones, cards and bank accounts in what was said or typed.

It is called on the loop of all calls: each pattern looks at each character a bounded number of times.
"""

from __future__ import annotations

import re

EMAIL, PHONE, CARD, ACCOUNT, NUMBER = "[e-mail]", "[phone]", "[card]", "[iban]", "[number]"

_NAME, _HOST = r"[\w.+'-]{1,64}", r"(?:[\w-]{1,63}\.){1,8}\w{2,63}"
_SAID_HOST = r"(?:[\w-]{1,63}\s{1,3}(?:dot|point)\s{1,3}){1,4}\w{2,63}"
_EMAILS = re.compile(
    rf"{_NAME}\s?@\s?{_HOST}|\b[\w.+'-]{{1,64}}\s{{1,3}}at\s{{1,3}}(?:{_SAID_HOST}|{_HOST})", re.IGNORECASE
)
_ACCOUNTS = re.compile(r"(?<![a-z0-9])[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30}(?![a-z0-9])", re.IGNORECASE | re.ASCII)
_NUMBERS = re.compile(r"\+?\(?\d(?:[ \t\u00a0./()–-]{0,3}\d){6,}")
_DATES = re.compile(
    r"\d{4}([-./])\d{1,2}\1\d{1,2}|\d{1,2}([-./])\d{1,2}\2\d{4}|(?:1[89]|20)\d\d ?[-–/] ?(?:1[89]|20)\d\d"
)
_DIGIT = "(?:zero|oh|o|one|two|three|four|five|six|seven|eight|nine|double|triple)"
_SAID_NUMBERS = re.compile(rf"\b{_DIGIT}(?:[\s,.-]{{1,3}}{_DIGIT}){{5,}}\b", re.IGNORECASE)


def redact(text: str) -> str:
    """Return a text with a label in the place of each thing that is found."""
    text = _EMAILS.sub(EMAIL, text)
    text = _ACCOUNTS.sub(_label_account, text)
    text = _NUMBERS.sub(_label_number, text)
    return _SAID_NUMBERS.sub(NUMBER, text)


def _label_account(found: re.Match[str]) -> str:
    # A word after it may be part of the match: it is an account up to one of the gaps, or none.
    ends = [gap.start() for gap in re.finditer(r"[ -]|$", found[0])]
    for end in reversed(ends):
        if _is_account(re.sub(r"[ -]", "", found[0][:end])):
            return ACCOUNT + found[0][end:]
    return found[0]


def _is_account(number: str) -> bool:
    """Whether an IBAN's check digits are right: ISO 7064, modulo 97."""
    digits = "".join(str(int(one, 36)) for one in number[4:] + number[:4])
    return 15 <= len(number) <= 34 and int(digits) % 97 == 1


def _label_number(found: re.Match[str]) -> str:
    if _DATES.fullmatch(found[0]):
        return found[0]
    digits = [int(one) for one in found[0] if one.isdecimal()]
    if 13 <= len(digits) <= 19 and _is_card(digits):
        return CARD
    return PHONE if len(digits) <= 15 else NUMBER


def _is_card(digits: list[int]) -> bool:
    """Whether a card's check digit is right, by Luhn's rule."""
    doubled = (sum(divmod(2 * digit, 10)) if index % 2 else digit for index, digit in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0
