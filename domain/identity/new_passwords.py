"""Which passwords are taken. Length counts; no rule asks for digits or symbols (NIST SP 800-63B)."""

from domain.faults import InvalidValue

SHORTEST, LONGEST = 8, 128

_FIRST_TRIED = """
    12345678 123456789 1234567890 12345678910 0123456789 87654321 987654321 11111111 00000000 88888888 12341234 11223344
    12121212 123123123 1q2w3e4r 1q2w3e4r5t 1qaz2wsx qwertyui qwertyuiop qwerty12 qwerty123 qwerty1234 asdfghjk asdfghjkl
    zxcvbnm1 zaq12wsx password password1 password12 password123 password1234 passw0rd p@ssw0rd p@ssword letmein1
    letmein123 welcome1 welcome123 iloveyou iloveyou1 sunshine sunshine1 princess princess1 football football1 baseball
    baseball1 basketball superman superman1 batman123 trustno1 starwars starwars1 dragon123 monkey123 master123 shadow123
    michael1 jennifer jordan23 computer internet whatever changeme changeme1 changeme123 admin123 admin1234 administrator
    test1234 testtest abcd1234 abc12345 abcdefgh a1b2c3d4 aa123456 asdf1234 qazwsxedc secret123 default1 guest123 hello123
    hellohello liverpool chelsea1 charlie1 samsung1 google123 mustang1 corvette mercedes maverick midnight metallica
    nothing1 pokemon1 killer123 lovelove loveyou1 ashley123 summer2024 summer2025 summer2026 winter2025 winter2026
    correcthorsebatterystaple
"""
COMMON = frozenset(_FIRST_TRIED.split())


def require_good(password: str, *, email: str) -> None:
    """Raise InvalidValue, which says why, unless it may be the password of this address."""
    if len(password) < SHORTEST:
        raise InvalidValue(f"The password must have at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise InvalidValue(f"The password may have {LONGEST} characters at the most.")
    plain = password.strip().lower()
    if plain in {email, email.partition("@")[0]}:
        raise InvalidValue("The password must not be your e-mail address.")
    if plain in COMMON or len(set(plain)) < 3:
        raise InvalidValue("This is one of the passwords that are tried first. Take another one.")
