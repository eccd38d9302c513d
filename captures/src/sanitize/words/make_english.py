"""Makes english.txt from SCOWL and the VADER lexicon; README.md says where they come from.

    python3 make_english.py SCOWL_DIR VADER_LEXICON > english.txt

SCOWL_DIR holds files such as `english-words.10`; the number is the size of the word list that a word belongs to first
(10: the commonest, 95: the rarest).
"""

import re
import sys
from pathlib import Path

WORDS = 50  # The dialects agree on these, and dictionaries for daily use have them.
COMMON = 20  # Words so common that they stay although they are names as well ("mark", "will").
NAMES = 60  # Capitalised words up to here count as names.
DIALECTS = "english", "american", "british", "british_z", "canadian", "australian"

# Written in daily messages, and not in a dictionary (or only with a capital).
MORE = """
    i i'd i'll i'm i've id im ive itll thatll theyre theyve theyll youre youve youll weve wouldve couldve shouldve
    aint arent cannot cant couldnt darent didnt doesnt dont hadnt hasnt havent isnt mightnt mustnt neednt oughtnt
    shant shouldnt uhuh wasnt werent wont wouldnt thats whats hes shes lets
    alot app apps aww awww bc blog blogs btw bye cd cds com cuz dm dunno dvd dvds dvr eh email emails etc fb fm gonna
    gotta gps haha hahaha hehe hey hmm html http https huh imo ish kinda ll lol mp net nope oh ok okay omg online org
    outta pc pcs pic pics pls plz ps rt selfie smartphone soo sooo sorta tbh tech tho til tv tvs ugh umm url ur usb
    vs wanna web website websites wifi www xx xxx xoxo ya yay yea yep yrs yup
""".split()


def lists(directory, kinds, size):
    for path in sorted(Path(directory).glob("*.*")):
        kind, _, level = path.name.partition(".")
        if kind in kinds and int(level) <= size:
            for line in path.read_text("utf-8").splitlines():
                yield line.strip().removesuffix("'s")


def speaks(token):
    """Whether a token of the lexicon says something by its letters; what has none is never replaced anyway, and what
    is digits for the most part would let numbers through."""
    digits = sum(c.isdigit() for c in token)
    if digits > 2 or digits * 2 > len(token) or " " in token:
        return False
    if re.search(r"\d\d", token) and not re.search(r"[a-z]\d\d[a-z]", token):
        return False
    return any(c.isalnum() for c in token)


def main(scowl, lexicon):
    words = {w for d in DIALECTS for w in lists(scowl, {f"{d}-words", f"{d}-contractions"}, WORDS)}
    words = {w.lower() for w in words if len(w) > 1 and w[0].islower()} | {"a"}
    common = {w for d in DIALECTS for w in lists(scowl, {f"{d}-words"}, COMMON)}
    names = {w.lower() for d in DIALECTS for w in lists(scowl, {f"{d}-proper-names", f"{d}-upper"}, NAMES)}
    sentiment = {line.split("\t")[0].lower() for line in Path(lexicon).read_text("utf-8").splitlines()}
    # A word of the lexicon that dictionaries know with a capital only is a name there.
    sentiment = {w for w in sentiment if speaks(w) and (w in words or w not in names)}
    words = {w for w in words if w in common or w not in names}
    previous = b""
    for word in sorted(w.encode() for w in words | sentiment | set(MORE)):
        same = 0
        while same < min(len(previous), len(word), 35) and previous[same] == word[same]:
            same += 1
        # Not within a character, so that each line is UTF-8.
        while same < len(word) and word[same] & 0xC0 == 0x80:
            same -= 1
        sys.stdout.buffer.write(b"0123456789abcdefghijklmnopqrstuvwxyz"[same : same + 1] + word[same:] + b"\n")
        previous = word


main(*sys.argv[1:])
