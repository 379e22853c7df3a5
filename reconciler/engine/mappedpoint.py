"""A recovery point as copies beside the originals: what a restore with renamed namespaces reads.

``stored`` and ``texts`` are then of the copies, in place of what was captured. Plans compare by
text, as always; `reconciler.engine.renaming` has the two exceptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconciler import ports
from reconciler.capture import emitter, paths
from reconciler.engine.copyprotection import tell_protection
from reconciler.engine.observe import read_all
from reconciler.engine.renaming import Renaming
from reconciler.engine.restoresource import PointContent
from reconciler.model.objects import ObjectRef, Resource
from reconciler.plan import mapping
from reconciler.plan.mappingtaken import ROUTES, Taken, find_taken
from reconciler.plan.restore import Stored


def rename_point(
    content: PointContent,
    names: Mapping[str, str],
    reader: ports.ClusterReader,
    served: Mapping[str, Resource],
    *,
    guarded: str,
) -> PointContent:
    """The content as copies; unchanged without ``names``, which fit (`check_mapping`).

    Reads all Services and routes of the cluster where there are copies of such, and Backstay's
    schedules. ``guarded`` is Backstay's own namespace.
    """
    if not names:
        return content
    taken = _observe_taken(reader, served, content.stored, names)
    stored = mapping.map_stored(content.stored, names, taken, path_of=_path_of)
    return replace(
        content,
        stored=stored,
        texts=dict(_texts(content, stored, names)),
        notes=(*content.notes, *tell_protection(reader, stored, namespace=guarded)),
        renaming=Renaming(names=names, captured=content.texts),
    )


def _path_of(ref: ObjectRef) -> str:
    return paths.path_of(ref.namespace, ref.group, ref.kind, ref.name)


def _observe_taken(
    reader: ports.ClusterReader,
    served: Mapping[str, Resource],
    stored: tuple[Stored, ...],
    names: Mapping[str, str],
) -> Taken:
    copied = {found.folder for found in stored if found.ref.namespace in names}
    raws = {
        folder: read_all(reader, served[folder], dict)
        for folder in ("service", *ROUTES)
        if folder in copied and folder in served
    }
    services = raws.pop("service", [])
    return find_taken(services, raws, copies=mapping.copied_places(stored, names))


def _texts(
    content: PointContent, stored: tuple[Stored, ...], names: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    for found in stored:
        manifest = found.manifest
        before = content.texts.get(found.path)
        if before is not None and not found.source and not found.changes:
            yield found.path, before
            continue
        if found.folder == "secret":
            old = next(old for old, new in names.items() if new == found.ref.namespace)
            metadata = {**manifest["metadata"], "namespace": old}
            manifest = {**manifest, "metadata": metadata}
        yield found.path, emitter.emit(manifest)
