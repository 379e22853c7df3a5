"""A file that did not change is read once, and nobody can tell from the answer."""

from __future__ import annotations

import random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from reconciler.policy import Rereader, parse_files
from tests.unit.policy.yamltexts import CONFIG, HEAD, MAIN, SHOP, config

PROFILE = f"{HEAD}kind: Profile\nmetadata: {{name: gold}}\nspec: {{retention: {{keepDaily: 3}}}}\n"
GOLD = SHOP.replace("name: shop", "name: gold").replace(
    "  retention: {keepDaily: 7}\n", "  profile: gold\n"
)
TEXTS = [
    *(MAIN, SHOP, GOLD, PROFILE, "", f"{MAIN}---\n{SHOP}", f"{SHOP}---\n{GOLD}"),
    SHOP.replace("keepDaily: 7", "keepDaily: 8"),
    SHOP.replace("keepDaily", "keepDaly"),
    PROFILE.replace("keepDaily", "keepDaly"),
    MAIN.replace("s3:", "s4:"),
    "a: [",
]
REVISION = st.dictionaries(st.sampled_from(["a.yaml", "b.yaml", "c.yml"]), st.sampled_from(TEXTS))


@settings(max_examples=60, derandomize=True, phases=(Phase.generate,))
@given(st.lists(REVISION, max_size=5), st.booleans())
def test_the_same_answer_as_from_reading_everything(
    revisions: list[dict[str, str]], with_config: bool
) -> None:
    reader = Rereader()
    setting = config(CONFIG) if with_config else None
    for revision in revisions:
        files = {name: text.encode() for name, text in revision.items()}
        assert reader.parse(files, setting) == parse_files(files, setting)
        assert reader.parse(files, setting) == parse_files(files, setting)


def many(count: int) -> dict[str, bytes]:
    """As many files with a policy each, and the Repository."""
    files = {
        f"p{number:03}.yaml": SHOP.replace("name: shop", f"name: p{number}").encode()
        for number in range(count)
    }
    return files | {"main.yaml": MAIN.encode()}


def test_only_what_changed_is_read() -> None:
    reader, files = Rereader(), many(30)
    reader.parse(files)
    assert reader.read == 31
    reader.parse(files)
    assert reader.read == 0
    reader.parse(files | {"p007.yaml": files["p007.yaml"] + b"# x\n"})
    assert reader.read == 1
    reader.parse(files)
    assert reader.read == 1
    shuffled = list(files)
    random.Random(1).shuffle(shuffled)  # noqa: S311 - the same order every time
    reader.parse({name: files[name] for name in shuffled})
    assert reader.read == 0


def test_a_file_that_moved_is_read_again() -> None:
    reader = Rereader()
    reader.parse({"a.yaml": SHOP.encode(), "m.yaml": MAIN.encode()})
    (found,) = (
        document
        for document in reader.parse({"b.yaml": SHOP.encode(), "m.yaml": MAIN.encode()}).documents
        if document.name == "shop"
    )
    assert (found.file, reader.read) == ("b.yaml", 1)


def test_neither_files_with_problems_nor_very_many_values_are_kept() -> None:
    reader, files = Rereader(most=200), many(30)
    reader.parse(files | {"x.yaml": b"a: no"})
    reader.parse(files | {"x.yaml": b"a: no"})
    assert 15 < reader.read < 32
    assert Rereader().parse(files).policies == reader.parse(files).policies
