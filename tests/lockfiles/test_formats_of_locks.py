"""Every format: its entries, what they accept, and a text in which nothing but hashes is changed."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.acceptance import judge
from scanner.errors import CgscanError, LimitExceeded, UsageError
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.lockfile import Acceptance, Answer, Judged, Lock
from scanner.lockfiles import edited, edits, read_lock
from tests.lockfiles.samples import (
    INDEX,
    NEW,
    OLD,
    PYLOCK_PIP,
    PYLOCK_UV,
    SAMPLES,
    SDIST,
    UV,
    WHEEL,
    answer,
    built,
)

NAMES = sorted(SAMPLES)
OTHER = "demo-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
PYPIS = "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"


def read(text: str, name: str = "uv.lock") -> Lock:
    return read_lock(name, text.encode(), limits=DEFAULT_LIMITS)


def sample(name: str) -> Lock:
    return read(SAMPLES[name][1], SAMPLES[name][0])


def judged(lock: Lock, known: Answer) -> list[Judged]:
    return [judge(lock, entry, known) for entry in lock.entries]


def demo(lock: Lock, known: Answer) -> Judged:
    """The verdict on the one project that every sample has."""
    [found] = [one for one in judged(lock, known) if one.entry.project == "demo"]
    return found


def written(lock: Lock, known: Answer) -> str:
    return edited(lock.text, edits(lock, judged(lock, known)))


def changes(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_file_is_read(name: str) -> None:
    lock = sample(name)
    [entry] = [one for one in lock.entries if one.project == "demo"]
    assert str(entry.version) == "1.0"
    assert entry.apart is None
    assert "demo" in "".join(lock.text.splitlines()[entry.line - 1 : entry.line + 1]).lower(), "below its header"
    hexes = {one.hex for item in entry.items for one in item.hashes}
    assert OLD in hexes
    assert hexes <= {OLD, SDIST}
    assert "secret" not in str(entry.source)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_the_hash_is_added_and_nothing_else_changes(name: str, ends: str, mark: bytes) -> None:
    path, text = SAMPLES[name]
    data = mark + text.replace("\n", ends).encode()
    lock = read_lock(path, data, limits=DEFAULT_LIMITS)
    assert lock.data == data
    known = answer(built())
    assert demo(lock, known).acceptance is Acceptance.REFUSES
    after = replace(lock, text=written(lock, known))
    assert after.data.startswith(mark)
    changed = changes(lock.text, after.text)
    assert changed
    assert all(NEW in line or OLD in line or name == "pylock-pip" for line in changed)
    if not lock.format.one_hash_per_file:
        assert [line[0] for line in changed] == ["+"]
    again = read_lock(path, after.data, limits=DEFAULT_LIMITS)
    assert demo(again, known).acceptance is Acceptance.ACCEPTS
    assert demo(again, known).missing == ()
    assert edits(again, judged(again, known)) == ()


@pytest.mark.parametrize("name", NAMES)
def test_without_a_wheel_of_chainguards_nothing_changes(name: str) -> None:
    lock = sample(name)
    nothing = answer()
    assert demo(lock, nothing).acceptance is Acceptance.WAIT
    unasked = answer(failure="libraries.example: timed out")
    assert demo(lock, unasked).acceptance is Acceptance.UNCHECKED
    assert written(lock, nothing) == written(lock, unasked) == lock.text


@pytest.mark.parametrize("name", NAMES)
def test_what_is_there_is_accepted_whatever_else_failed(name: str) -> None:
    known = answer(built(sha256=OLD), failure="another index: timed out")
    assert demo(sample(name), known).acceptance is Acceptance.ACCEPTS


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_of_another_name_is_listed_too(name: str) -> None:
    lock = sample(name)
    known = answer(built(OTHER), listed=frozenset({OTHER, WHEEL}))
    after = read(written(lock, known), SAMPLES[name][0])
    verdict = demo(after, known)
    assert verdict.acceptance is Acceptance.ACCEPTS
    assert verdict.missing == ()
    assert OLD in after.text, "PyPI's stays, the index lists it"
    if name.startswith(("uv", "pylock")):
        assert f"{INDEX}demo/{OTHER}" in after.text


def test_fields_of_the_file_change_with_its_hash() -> None:
    """Size and URL are the new file's; its time, which the index did not tell, is left out."""
    lock = read(UV)
    moved = "https://libraries.example/files/0123/demo-1.0-py3-none-any.whl"
    after = tomllib.loads(written(lock, answer(built(url=moved, size=4321))))
    assert after["package"][1]["wheels"] == [{"url": moved, "hash": f"sha256:{NEW}", "size": 4321}]
    unsized = tomllib.loads(written(lock, answer(built(size=None))))
    assert "size" not in unsized["package"][1]["wheels"][0]
    pylock = tomllib.loads(written(read(PYLOCK_UV), answer(built(size=None))))
    assert pylock["packages"][0]["wheels"] == [{"url": f"{INDEX}demo/{WHEEL}", "hashes": {"sha256": NEW}}]


def test_other_hashes_of_a_replaced_file_go() -> None:
    text = PYLOCK_PIP.replace(f'sha256 = "{OLD}"', f'blake2b = "{OLD}"\nsha256 = "{OLD}"\nsha512 = "{OLD}{OLD}"')
    after = tomllib.loads(written(read(text), answer(built())))
    assert after["packages"][0]["wheels"][0]["hashes"] == {"sha256": NEW}


@pytest.mark.parametrize("text", [UV, PYLOCK_UV])
def test_a_list_of_wheels_is_begun_below_the_source_archive(text: str) -> None:
    lines = text.splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith("wheels"))
    kept = "".join(lines[:start]) + "\n# the end\n"
    lock = read(kept)
    both = answer(built(), built(OTHER, "f" * 64))
    assert demo(lock, both).acceptance is Acceptance.REFUSES
    after = written(lock, both)
    assert after.replace(f"{after[after.index('wheels = [') :].partition(']')[0]}]\n", "", 1) == kept
    assert demo(read(after), both).missing == ()
    assert len(tomllib.loads(after)["package" if text is UV else "packages"][-1]["wheels"]) == 2
    assert "\r" not in after
    assert demo(read(written(read(kept.replace("\n", "\r\n")), both)), both).missing == ()


def test_what_the_index_has_no_more_goes_where_a_tool_might_prefer_it() -> None:
    """Of two wheels that fit, uv and pip take the one with the more special tags, and then find no file there."""
    pypis = UV.replace(WHEEL, PYPIS)
    mac = PYPIS.replace("manylinux_2_17_x86_64.manylinux2014_x86_64", "macosx_11_0_arm64")
    more = pypis.replace("wheels = [\n", f'wheels = [\n    {{ url = "{INDEX}demo/{mac}", hash = "sha256:{SDIST}" }},\n')
    lock = read(more)
    compiled = answer(built(OTHER))
    assert demo(lock, compiled).dropped == {PYPIS}
    found = tomllib.loads(written(lock, compiled))["package"][1]["wheels"]
    assert [one["url"].rpartition("/")[2] for one in found] == [OTHER, mac]
    pure = answer(built())
    found = tomllib.loads(written(lock, pure))["package"][1]["wheels"]
    assert [one["url"].rpartition("/")[2] for one in found] == [WHEEL]
    still_there = answer(built(), listed=frozenset({PYPIS, mac, WHEEL}))
    assert demo(lock, still_there).dropped == frozenset()
    assert len(tomllib.loads(written(lock, still_there))["package"][1]["wheels"]) == 3


def test_a_comment_in_a_list_stays_and_so_does_the_list() -> None:
    mac = PYPIS.replace("manylinux_2_17_x86_64.manylinux2014_x86_64", "macosx_11_0_arm64")
    first = f'    {{ url = "{INDEX}demo/{mac}", hash = "sha256:{SDIST}" }}, # mine\n'
    lock = read(UV.replace(WHEEL, PYPIS).replace("wheels = [\n", f"wheels = [\n{first}"))
    after = written(lock, answer(built()))
    assert "# mine" in after
    assert all(line.startswith("+") for line in changes(lock.text, after))


@pytest.mark.parametrize("name", ["uv", "pylock-uv", "pylock-pip", "pdm-4.2"])
def test_files_at_another_place_are_told_and_left(name: str) -> None:
    path, text = SAMPLES[name]
    lock = read(text.replace("https://libraries.example", "https://pypi.example"), path)
    known = answer(built())
    assert demo(lock, known).acceptance is Acceptance.ELSEWHERE
    assert written(lock, known) == lock.text
    same = answer(built(sha256=OLD), built(OTHER))
    assert demo(lock, same).acceptance is Acceptance.ACCEPTS, "the bytes decide, wherever they are from"
    assert written(lock, same) == lock.text


def test_the_registry_is_the_same_with_another_spelling() -> None:
    lock = read(UV.replace(f'registry = "{INDEX}"', 'registry = "HTTPS://user:pw@Libraries.example/simple"'))
    assert demo(lock, answer(built())).acceptance is Acceptance.REFUSES


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("requirements", f"demo==1.0\n--hash=sha256:{OLD}\n"),
        ("requirements", f"demo==1.0 # --hash=sha256:{OLD}\n"),
        ("requirements", f"demo==1.0 # \\\n    --hash=sha256:{OLD}\n"),
        ("requirements", f"demo==1.0 \\\n# a comment ends it\n    --hash=sha256:{OLD}\n"),
        ("pipenv", '{"_meta": {}, "default": {"demo": {"version": "==1.0"}}}'),
        ("poetry", '[[package]]\nname = "demo"\nversion = "1.0"\nfiles = []\n[metadata]\nlock-version = "2.1"\n'),
    ],
)
def test_without_hashes_it_accepts_anything_and_stays(name: str, broken: str) -> None:
    lock = read(broken, SAMPLES[name][0])
    known = answer(built())
    assert demo(lock, known).acceptance is Acceptance.ANYTHING
    assert written(lock, known) == broken


@pytest.mark.parametrize(
    "text",
    [
        "demo==1.0 --hash=sha256:{0}",
        "demo==1.0 --hash=sha256:{0} --hash=sha256:{1}\n",
        "demo==1.0 --hash sha256:{0}\n",
        'demo==1.0 --hash="sha256:{0}" # why\n',
        "demo[x]===1.0 ; python_version >= '3' --hash=sha256:{0} --config-settings=a=b\n",
        "demo==1.0 \\\n\t--hash=sha256:{0} \\\n\t--hash=sha256:{1} # end\n",
        "  demo == 1.0 \\\r\n  --hash=sha512:{0}{0} \\\r\n  --hash=sha256:{1}\r\n",
        "other==2 --hash=sha256:{2}\ndemo==1.0 --global-option='-x' --hash=sha256:{0}\n-r more.txt\n",
    ],
)
def test_lines_of_requirements(text: str) -> None:
    text = text.format(OLD, SDIST, "9" * 64)
    lock = read(text, "requirements-dev.txt")
    known = answer(built())
    assert demo(lock, known).acceptance is Acceptance.REFUSES
    after = written(lock, known)
    assert demo(read(after, "requirements.txt"), known).acceptance is Acceptance.ACCEPTS
    assert after.replace(f"sha256:{NEW}", "") != text
    for line in changes(text, after):
        assert "sha" in line


@pytest.mark.parametrize(
    ("line", "project", "kind"),
    [
        ("-e git+https://user:secret@host/x.git#egg=Demo", "demo", "editable"),
        ("--editable=./src/demo", "demo", "editable"),
        ("demo @ https://user:secret@host/demo-1.0.zip", "demo", "url"),
        ("https://host/demo-1.0-py3-none-any.whl", "demo", "url"),
        ("./dist/demo-1.0-py3-none-any.whl", "demo", "path"),
        (".", "unnamed", "path"),
    ],
)
def test_what_is_from_no_index_says_so(line: str, project: str, kind: str) -> None:
    lock = read(line, "requirements.txt")
    [verdict] = judged(lock, answer(built()))
    assert (verdict.entry.project, verdict.entry.apart, verdict.acceptance) == (project, kind, Acceptance.NO_INDEX)
    assert "secret" not in f"{verdict.entry.project}{verdict.why}"


@pytest.mark.parametrize("line", ["demo", "demo>=1", "demo==1.*", "demo==1,!=2", "demo===one"])
def test_what_is_pinned_to_no_version_says_so(line: str) -> None:
    [verdict] = judged(read(f"{line} --hash=sha256:{OLD}", "requirements.txt"), answer(built()))
    assert verdict.acceptance is Acceptance.UNPINNED


@pytest.mark.parametrize(
    ("name", "old", "new", "kind"),
    [
        ("uv", f'registry = "{INDEX}"', 'git = "https://user:secret@host/x?rev=1#2"', "git"),
        ("poetry", "\n[package.extras]", '\n[package.source]\ntype = "git"\nurl = "x"\n\n[package.extras]', "git"),
        ("pdm", 'groups = ["default"]\nfiles', 'git = "https://host/x"\nfiles', "git"),
        ("pipenv", '"version": "==1.0"', '"git": "https://host/x", "ref": "1"', "git"),
        ("pylock-uv", f'index = "{INDEX}"', 'vcs = { type = "git", url = "x", commit-id = "1" }', "vcs"),
    ],
)
def test_repositories_and_folders_are_no_index(name: str, old: str, new: str, kind: str) -> None:
    path, text = SAMPLES[name]
    assert old in text
    verdict = demo(read(text.replace(old, new), path), answer(built()))
    assert verdict.acceptance is Acceptance.NO_INDEX
    assert verdict.entry.apart == kind


def test_wheels_of_pythons_that_the_lock_is_not_for_do_not_count() -> None:
    lock = read(UV.replace(">=3.11", "==3.11.*"))
    later = "demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
    both = answer(built(OTHER), built(later, "f" * 64))
    assert [one.filename for one in demo(lock, both).missing] == [OTHER]
    assert demo(lock, answer(built(later))).acceptance is Acceptance.WAIT
    for python, count in ((">=3.11.7", 2), ("==3.11.4", 1), ("<3.12", 1), (">=3.12", 1), ("~=3.11", 2)):
        assert len(demo(read(UV.replace(">=3.11", python)), both).missing) == count, python


def test_two_versions_of_one_project() -> None:
    """Poetry 1.1 lists the files of both under one name."""
    path, text = SAMPLES["poetry-1.1"]
    second = '[[package]]\nname = "Demo"\nversion = "2.0"\ncategory = "main"\n\n[metadata]\nlock-v'
    lock = read(text.replace("[metadata]\nlock-v", second), path)
    first, other = lock.entries
    assert [len(entry.items) for entry in lock.entries] == [2, 1]
    known = {first.version: answer(built()), other.version: answer(built("demo-2.0-py3-none-any.whl", "f" * 64))}
    verdicts = [judge(lock, entry, known[entry.version]) for entry in lock.entries]
    after = edited(lock.text, edits(lock, verdicts))
    assert len(changes(lock.text, after)) == 2
    assert [line[0] for line in changes(lock.text, after)] == ["+", "+"]


@pytest.mark.parametrize("folder", ["a b", '"', "\n[evil]\n", "é", "\\", "x', y = '"])
def test_a_url_that_needs_escapes_is_not_written(folder: str) -> None:
    assert written(read(UV), answer(built(url=f"https://x/{folder}/{WHEEL}"))) == UV
    assert written(read(UV), answer(built(url=f"https://x/plain/{WHEEL}"))) != UV


@pytest.mark.parametrize("url", [None, "https://x/another-1.0-py3-none-any.whl"])
def test_a_url_that_may_not_be_shown_or_names_another_file_is_not_written(url: str | None) -> None:
    assert written(read(UV), answer(built(url=url))) == UV


@pytest.mark.parametrize("name", ["poetry", "pdm"])
def test_a_hash_counts_under_the_name_of_its_file(name: str) -> None:
    """Poetry takes no other."""
    path, text = SAMPLES[name]
    lock = read(text.replace(SDIST, NEW), path)
    assert demo(lock, answer(built())).acceptance is Acceptance.REFUSES


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("uv.lock", b"\xff"),
        ("uv.lock", b"version = "),
        ("uv.lock", b"a = 1"),
        ("uv.lock", b"version = 1\nrequires-python = '>=3'\n[[package]]\nversion = '1'"),
        ("uv.lock", b"version = 1\nrequires-python = '>=3'\n[[package]]\nname = 'a\\nb'"),
        ("poetry.lock", b"[metadata]\ncontent-hash = 'x'\n[metadata.hashes]\na = ['1']"),
        ("Pipfile.lock", b"{}"),
        ("Pipfile.lock", b'{"_meta": {}, "default": {"\x1b[2J": {}}}'),
        ("requirements.txt", b"what is this\n"),
        ("requirements.txt", b"demo==1.0 ; " + b"(" * 5000),
        ("requirements.txt", b"demo==1.0" + b"," * 100_000),
        ("pdm.lock", b""),
        ("package-lock.json", b'{"lockfileVersion": 3}'),
    ],
)
def test_what_is_no_lock_file_is_one_line(name: str, data: bytes) -> None:
    with pytest.raises(CgscanError) as told:
        read_lock(name, data, limits=DEFAULT_LIMITS)
    assert str(told.value).startswith(f"{name}: ")
    assert "\n" not in str(told.value)


def test_sizes_are_bounded() -> None:
    with pytest.raises(LimitExceeded, match=r"limit lock\b"):
        read_lock("uv.lock", UV.encode(), limits=Limits(lock=100))
    with pytest.raises(LimitExceeded, match="lock_values"):
        read_lock("requirements.txt", b"a==1\n" * 20, limits=Limits(lock_values=10))


@pytest.mark.parametrize(
    "values", [{"name": 1}, {"version": []}, {"source": 1}, {"wheels": 1}, {"wheels": [1, {}]}, {"sdist": []}]
)
def test_values_of_other_types_are_no_traceback(values: Mapping[str, Any]) -> None:
    package = {"name": "demo", "version": "1.0", **values}
    inside = "\n".join(f"{key} = {json.dumps(value).replace(': ', ' = ')}" for key, value in package.items())
    text = f"version = 1\nrequires-python = '>=3'\n[[package]]\n{inside}\n"
    try:
        lock = read(text)
    except UsageError:
        return
    assert written(lock, answer(built())) == text


@given(st.sampled_from(NAMES), st.data())
def test_nothing_to_write_leaves_every_byte(name: str, data: st.DataObject) -> None:
    """Whatever is cut out of or put into a lock file: it is refused, or comes out as it went in."""
    path, text = SAMPLES[name]
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 40))
    put = data.draw(st.text(max_size=20) | st.sampled_from(["\r\n", "# x\n", '"', "[[package]]\n", "\\\n", " ", "\t"]))
    raw = (text[:start] + put + text[start + length :]).encode("utf-8", "surrogatepass")
    try:
        lock = read_lock(path, raw, limits=DEFAULT_LIMITS)
    except CgscanError:
        return
    assert lock.data == raw
    assert replace(lock, text=edited(lock.text, ())).data == raw
    assert written(lock, answer()) == lock.text


@given(st.sampled_from(NAMES), st.data())
def test_what_is_written_is_read_as_before_but_for_the_hash(name: str, data: st.DataObject) -> None:
    path, text = SAMPLES[name]
    start = data.draw(st.integers(0, len(text)))
    put = data.draw(st.sampled_from(["\n", "\r\n", "# x\n", " ", "\t", "  ", "x", "\\\n"]))
    try:
        lock = read(text[:start] + put + text[start:], path)
    except CgscanError:
        return
    known = answer(built())
    again = read(written(lock, known), path)
    assert [(one.project, one.version, one.apart) for one in again.entries] == [
        (one.project, one.version, one.apart) for one in lock.entries
    ]
