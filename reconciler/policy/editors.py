"""JSON Schema draft 7 for editors: one per kind, and one that goes by ``kind`` for mixed files."""

from __future__ import annotations

from reconciler.model.config import KIND as CONFIG
from reconciler.model.policy import API_VERSION, Kind
from reconciler.policy.configlanguage import ConfigDocument
from reconciler.policy.language import KINDS, BackupPolicySpec
from reconciler.policy.parts import Part
from reconciler.policy.runlanguage import RunDocument
from reconciler.policy.shapes import Dialect, Schema, View, completed, describe, text_of

RUN = "Run"
DRAFT = "http://json-schema.org/draft-07/schema#"
ALL: dict[str, type[Part]] = {**KINDS, CONFIG: ConfigDocument}
"""Kind → its language."""
VERSION = API_VERSION.rpartition("/")[2]
_PARTIAL = frozenset({Kind.BACKUP_POLICY, Kind.PROFILE})


def file_name(kind: str) -> str:
    """``backuppolicy.v1alpha1.json``."""
    return f"{kind.lower()}.{VERSION}.json"


def editor_schema(kind: str) -> Schema:
    """The schema of one kind's documents."""
    document = ALL[kind]
    view = View(dialect=Dialect.EDITOR, kind=kind, partial=kind in _PARTIAL)
    found = describe(document, view)
    properties = found["properties"]
    properties["apiVersion"] = {"const": API_VERSION}
    properties["kind"] = {"const": kind}
    if kind == Kind.BACKUP_POLICY:
        alone = {"not": {"required": ["profile"]}}
        properties["spec"] |= {"if": alone, "then": completed(BackupPolicySpec)}
    found["required"] = [
        str(info.alias) for info in document.model_fields.values() if info.is_required()
    ]
    return {"$schema": DRAFT, "title": kind, "description": text_of(document)} | found


def record_schema() -> Schema:
    """The schema of ``_run.yaml``."""
    found = describe(RunDocument, View(dialect=Dialect.RECORD))
    found["properties"]["apiVersion"] = {"const": API_VERSION}
    found["properties"]["kind"] = {"const": RUN}
    return {"$schema": DRAFT, "title": RUN, "description": text_of(RunDocument)} | found


def mixed_schema() -> Schema:
    """The schema of a policy file with documents of any kind."""
    return {
        "$schema": DRAFT,
        "title": "Backstay policies",
        "description": "A document of a policy file; its kind decides.",
        "type": "object",
        "properties": {"apiVersion": {"const": API_VERSION}, "kind": {"enum": [*KINDS]}},
        "required": ["apiVersion", "kind"],
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": file_name(kind)},
            }
            for kind in KINDS
        ],
    }


def editor_schemas() -> dict[str, Schema]:
    """File name → schema."""
    return {
        **{file_name(kind): editor_schema(kind) for kind in ALL},
        file_name(RUN): record_schema(),
        f"policies.{VERSION}.json": mixed_schema(),
    }
