"""Writes labelled sentences with the personal data that Faker makes for eleven locales.

usage: make_sentences.py SEED > FILE     (needs Faker from PyPI)

Lines as those of labelled_sentences.jsonl; a label is a kind and a locale.
"""

import json
import random
import sys

from faker import Faker

LOCALES = "en_US en_GB de_DE fr_FR it_IT es_ES pl_PL nl_NL pt_BR ja_JP hi_IN".split()
EACH = 60
SENTENCES = {
    "card": ["My card is {} and it was charged twice.", "Please refund to {} today", "they kept {} on file, why?",
             "Zahlung mit {} ging nicht"],
    "iban": ["Send it to {} please.", "the account {} was wrong", "Überweisung an {} bis Freitag", "refund: {}"],
    "phone": ["Call me at {} after six.", "my number is {}, thanks", "Ruf mich an: {}",
              "Please call {} about the lamp", "Tel. {}"],
    "email": ["Write to {} about it.", "contact {} please", "ma mail: {} merci"],
    "ssn": ["My SSN is {}.", "social security number {} as asked", "national ID: {}",
            "the tax number {} is on the form"],
    "ip": ["it came from {} at night", "server {} is down"],
    "url": ["see {} for details", "I ordered at {} last week"],
    "address": ["Ship it to {}.", "I live at {}", "we moved to {} in May", "Adresse: {}"],
    "name": ["My name is {}.", "{} was very helpful", "I spoke with {} yesterday", "Dear {}, thank you"],
}
VALUES = {
    "card": lambda fake: fake.credit_card_number(),
    "iban": lambda fake: fake.iban(),
    "phone": lambda fake: fake.phone_number(),
    "email": lambda fake: random.choice([fake.email, fake.ascii_free_email])(),
    "ssn": lambda fake: fake.ssn(),
    "ip": lambda fake: random.choice([fake.ipv4, fake.ipv6])(),
    "url": lambda fake: fake.url(),
    "address": lambda fake: fake.address().replace("\n", random.choice([", ", "\n"])),
    "name": lambda fake: fake.name(),
}

random.seed(int(sys.argv[1]))
Faker.seed(int(sys.argv[1]))
for locale in LOCALES:
    fake = Faker(locale)
    for kind, sentences in SENTENCES.items():
        for _ in range(EACH):
            value, sentence = VALUES[kind](fake), random.choice(sentences)
            start = sentence.index("{}")
            span = {"type": f"{kind} {locale}", "start": start, "end": start + len(value)}
            print(json.dumps({"text": sentence.format(value), "spans": [span]}))
