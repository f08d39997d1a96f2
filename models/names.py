"""Names of people and firms made comparable across scripts, order of words and spelling.

A name is first brought to plain Latin letters (`normal_form`, by the library AnyAscii), then two of them are
compared by their edit distance (`similarity`, by RapidFuzz). A name that cannot be read as a whole matches
nothing, not even itself: an alarm must rest on what somebody can read, and half a name is another name.

Out of reach of any table of letters: vowels that Arabic and Hebrew do not write, Japanese readings of Chinese
characters, and different characters of one sound (张伟 and 章威 are both Zhang Wei).
"""

import re
import unicodedata
from functools import lru_cache
from itertools import permutations

from anyascii import anyascii
from rapidfuzz.distance import Indel

SHORT = 4  # letters; below it one slip makes another name
_TITLES = frozenset(("mr", "mrs", "ms", "dr", "prof"))
# What kind of firm it is: two firms are not alike because both are limited.
_FIRMS = frozenset(
    "ltd limited inc incorporated corp corporation company llc llp plc gmbh ag kg sas sarl srl spa bv nv oy ab ooo oao "
    "zao".split()
)
# Also people's names (José Sá, 萨顶顶, Wei Pao): part of a firm's form only next to one of the above.
_FIRMS_OR_NAMES = frozenset(("as", "co", "pao", "sa", "the"))
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_FIRM_ENDING = re.compile(r"(?:股份有限公司|有限责任公司|有限責任公司|有限公司|公司|株式会社|株式會社)\W*$")
# Read differently as a family name than elsewhere.
_FAMILY_NAMES = {
    "单": "shan", "單": "shan", "解": "xie", "仇": "qiu", "查": "zha", "区": "ou", "區": "ou", "曾": "zeng",
    "翟": "zhai", "缪": "miao", "繆": "miao", "朴": "piao",
    "尉迟": "yu chi", "尉遲": "yu chi", "万俟": "mo qi", "萬俟": "mo qi",
}  # fmt: skip
_FAMILY_NAME = re.compile(f"^({'|'.join(_FAMILY_NAMES)})(?=[{_HAN}]{{1,2}}$)")
# German and Nordic letters are written out in passports and payment messages; AnyAscii would drop the dots.
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "ß": "ss"})
# Letters that AnyAscii rightly leaves out, such as the alef and the mark of a long vowel in kana.
_SILENT = frozenset("اـۥۦๅອއཨੲੳー")


@lru_cache(maxsize=65_536)
def normal_form(name: str) -> str:
    """The name in lower-case Latin words without titles and legal forms; empty where it cannot be read.

    >>> normal_form("ZHANG, Wei"), normal_form("张伟"), normal_form("Иванов Игорь"), normal_form("Müller GmbH")
    ('zhang wei', 'zhang wei', 'ivanov igor', 'mueller')

    A name that is readable only in part is not read: `normal_form("Zhang \U0001f600")` is empty.
    """
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold()).strip()
    text = re.sub("[®©]", " ", text)
    text = re.sub("(.)々", r"\1\1", text)
    text = _FIRM_ENDING.sub("", text) or text
    if any(_unreadable(sign) for sign in text):
        return ""
    text = _FAMILY_NAME.sub(lambda found: f"{_FAMILY_NAMES[found[0]]} ", text)
    text = re.sub(f"([{_HAN}])", r" \1 ", text)  # each Chinese character is a word: 张伟 is Zhang Wei
    latin = re.sub("['`]", "", anyascii(text.translate(_WRITTEN_OUT)).casefold())
    latin = re.sub(r"\b([a-z])\.(?=[a-z]\b)", r"\1", latin)  # S.A. is SA
    return " ".join(_meaning(re.findall("[a-z0-9]+", latin)))


def _meaning(words: list[str]) -> list[str]:
    """The words without those that say only what kind of person or firm it is, unless there are no others."""
    empty = _TITLES | _FIRMS if _FIRMS.isdisjoint(words) else _TITLES | _FIRMS | _FIRMS_OR_NAMES
    return [word for word in words if word not in empty] or words


def _unreadable(sign: str) -> bool:
    """A picture, or a letter for which AnyAscii has no Latin spelling."""
    category = unicodedata.category(sign)
    if category[0] in "LN":
        return sign not in _SILENT and anyascii(sign) in ("", "?")
    return category in ("Co", "Cn", "Cs", "So")


def similarity(one: str, other: str) -> int:
    """How alike two names are, from 0 to 100, whatever the order of their words and where they are parted.

    >>> similarity("Zhang Wei", "WEI ZHANG"), similarity("Zhang Wei", "Zhangwei"), similarity("Zhang Wei", "Zhang Lei")
    (100, 100, 87)

    It is the share of letters that need no change, rounded down. Names under four letters are alike only when they
    are equal.
    """
    return form_similarity(normal_form(one), normal_form(other))


def form_similarity(one: str, other: str) -> int:
    """`similarity` of two normal forms."""
    if not one or not other:
        return 0
    mine, theirs = spellings(one), spellings(other)
    if not set(mine).isdisjoint(theirs):
        return 100
    letters, shortest = len(mine[0]) + len(theirs[0]), min(len(mine[0]), len(theirs[0]))
    if shortest < SHORT:
        return 0
    changes = min(Indel.distance(my, their) for my in mine for their in theirs)
    return 100 * (letters - changes) // letters


@lru_cache(maxsize=65_536)
def spellings(form: str) -> tuple[str, ...]:
    """The words of a normal form written as one: in every order up to three words, then as they stand, turned round
    (the family name from the end to the front), and sorted."""
    words = form.split()
    orders: set[tuple[str, ...]] = {tuple(words), tuple(sorted(words))}
    if len(words) <= 3:
        orders |= set(permutations(words))
    elif len(words) <= 8:  # beyond it is no person's name, and the work would grow with the square of its length
        orders |= {(*words[turn:], *words[:turn]) for turn in range(1, len(words))}
    return tuple(sorted({"".join(order) for order in orders}))
