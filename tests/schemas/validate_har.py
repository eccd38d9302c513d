"""Validates a file against the JSON schema of HAR 1.2; prints the number of entries.

usage: validate_har.py FILE
"""

import json
import pathlib
import sys

import jsonschema

FOLDER = pathlib.Path(__file__).parent / "har-1.2"
SCHEMAS = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}


def inlined(schema):
    """The schema without references; no schema of HAR refers to itself."""
    if isinstance(schema, list):
        return [inlined(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inlined(SCHEMAS[schema["$ref"].removesuffix("#")])
    return {name: inlined(member) for name, member in schema.items() if name not in ("$id", "$schema")}


har = json.loads(pathlib.Path(sys.argv[1]).read_text())
checker = jsonschema.Draft6Validator(inlined(SCHEMAS["har.json"]), format_checker=jsonschema.FormatChecker())
errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in checker.iter_errors(har)]
if errors:
    sys.exit("\n".join(errors[:10]))
print(len(har["log"]["entries"]))
