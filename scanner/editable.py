"""What the backends of editable installs write into an environment to run at every start: known forms, nothing else.

A ``.pth`` adds folders to the path, and its lines that begin with ``import`` are run; so is what a ``.start`` names.
That it is an editable install says a note that anybody can write, so the note accounts for no line: each must add
a folder of the install's own source, or import a finder that is, but for the project's names and folders, the one
that a released backend writes. Sources: :mod:`site`, PEP 829; setuptools (``_EditableFinder``, ``-nspkg.pth``), the
library ``editables`` (hatchling, pdm-backend), meson-python, scikit-build-core; the others write folders only.
"""

from __future__ import annotations

import ast
import hashlib
import posixpath
import re
import warnings
from collections.abc import Iterator
from typing import Final

from scanner.claimed import claimed
from scanner.distribution import Installed
from scanner.rootfs import RootFS

_KNOWN_FINDERS: Final = frozenset(
    {
        "8f50e46fe11af75fc26a2173f93f25c33186aceb0b797317561e302d5dc3ad80",  # setuptools 64.0.0 to 65.1.0
        "664d0618b60cb934609c3f1c45f550dde973cb5f9cd5e6041be4189b36b53ae2",  # setuptools 65.1.1 to 65.2.0
        "54445e7a09cf9edf079904436f6e0b1cbe98d02041e2663f7397bdcebab72fe2",  # setuptools 65.3.0 to 68.0.0
        "dc07ca36293b4c1fc2f2abb98e9da2002514aa129eb8d2d951c283ba4b65b12e",  # setuptools 68.1.0 to 68.1.0
        "895c8690c5863f9454815b8e8db7fede01a7c1ce56fd4f5d62960f764da58afb",  # setuptools 68.1.1 to 68.1.2
        "ed123573c8f61773e0b0de45c8be0b0f1145f942c15d844c84a6f60ff6ae4e28",  # setuptools 68.2.0 to 69.5.1
        "18016459dc9d77fdb8aac630e3f8fc9cb1675275c93c994c0c7103734ea6b87a",  # setuptools 70.0.0 to 70.3.0
        "64ed7a5269305f0bb504a033847149329017203b6d79f1f92d99701438a2cce5",  # setuptools 71.0.0 to 84.2.1
        "e5a663ca1e6e7e68f0947407a09a02bb0892a570a9c7d10a8e772ef5fe96cf7f",  # meson-python 0.13.0 to 0.13.2
        "c3b7e8e976ba45be387c5a5f4e839b52a7c2308cffd997805c613e1ba4209dae",  # meson-python 0.14.0 to 0.15.0
        "0cb25e4fe9aa1e8362d2a2590fa2ac8d3695906b3ed4c29dc4232551438cae55",  # meson-python 0.16.0 to 0.16.0
        "5ea305f153e8af2fe3934a2718ef213b708ff8e18dcee0d3c26251a3e2eccd0f",  # meson-python 0.17.0 to 0.18.0
        "e27774947151c1281fea3c9f5e99c183f4f302f36d9faab5c65a0e2798dbef2f",  # meson-python 0.19.0 to 0.20.0
        "9d2f4a3e43193acd46640943d4129f74943701a7b8f8d5724457fb20c1138c76",  # scikit-build-core 0.3.0 to 0.3.2
        "ab3339d1a7f0a10c568e0abeb97164f2b15cc5aadabc3bcd5999eafb1caa20b3",  # scikit-build-core 0.3.3 to 0.4.3
        "3aba0356c3d29dee3bbf1817de7b435b9267386896e12429c2a18dde7cd73ecb",  # scikit-build-core 0.4.4 to 0.5.0
        "488d5982ee22b6300d02a588226a86de9076fdecddbd379cdee469201a06bc22",  # scikit-build-core 0.5.1 to 0.5.1
        "89122095a00a98b9a7c5db2f841f7fb44e19eef2644a6ee651139f53ad2ae9f0",  # scikit-build-core 0.6.0 to 0.6.0
        "b34969d0313f6bf66f09116e99f51e915dfaeeac9dcf0e645c2e60d772146604",  # scikit-build-core 0.6.1 to 0.6.1
        "39c7c1279411faddbb30bc1028515ae21d7b51cf54bafa349ecd1955b4d8a6a6",  # scikit-build-core 0.7.0 to 0.10.3
        "88bc7e4acdb9583c350115e12619a902e0fa9f76e75d99adc66490a06ed1a374",  # scikit-build-core 0.10.4 to 0.10.5
        "a30f1e0a455c1be4b54e88e4018c3ce9432a983ebc57dae307787696b6538256",  # scikit-build-core 0.10.6 to 0.10.7
        "bce93cf3f3a6d6688e4e5d8f8c40c36bd7df420ed9ab9ff992a7a860f4750fd2",  # scikit-build-core 0.11.0 to 0.11.0
        "54d59a196d79b37923f5111c8a8780b04cc1624980e1ebb08fc4864fb097f455",  # scikit-build-core 0.11.1 to 0.11.6
        "dc8c9beeddb7c63f19d7567c7b4cc22e4866bfd1fbc0ff96183094f1b504fbd8",  # scikit-build-core 0.12.0 to 0.12.2
        "ac5bda04856a389d0b713d25d753d52dd4abc752e783ddf611dccc4150418a5e",  # scikit-build-core 1.0.0 to 1.0.0
        "1dac22cc9aff2a34ee3a36c3e780f446b826ceca9f5c840c1cf7aa036a5b10d9",  # scikit-build-core 1.0.1 to 1.0.1
        "d2a0fbf908fb1872a2545782b4e0f2b662617dc9162f3f57197661204c4a29db",  # scikit-build-core 1.0.2 to 1.0.3
        "84b62f6da3cabd458302ff633c96dabdf5b876ad293caf555afeafd62e763773",  # meson-python 0.21.0 to 0.21.1
        "3d1a8726bae417375bd0dedfaab170ac02080b0f96de7f9fbcb8aca72a44fc27",  # meson-python 0.22.0 to 0.22.1
        "9077f16d6af9d729e4266825df7454a84a7040a3dfff929ca89f5e04a2add19a",  # scikit-build-core 1.1.0 to 1.1.1
        "e0dce535aafc92275cc95d109abd3c2a4bc2bd17ccf7094721fcdf949fa623f0",  # scikit-build-core 1.1.2
    }
)
"""sha256 of finders without what :func:`_without_names` takes out, of all releases up to November 2026."""
_KNOWN_NAMESPACES: Final = frozenset(
    {
        "26511d4f2e818ed123f268a666e6aaac0f299a895c516bf6d8ca69df60970616",  # setuptools 20.6.0 to 28.1.0
        "9151327005490955552bfc0903abb8c64368c41d2662c5cd496a61eebd8ded45",  # setuptools 20.6.0 to 28.1.0
        "15ac22534f1e86c6bf4c5cbf5c0ec64a490629d3f1b2c9f406f29d9dc4644327",  # setuptools 28.3.0 to 30.4.0
        "02d6e6955cdf353c03fb6a5e4b13222dabe54e8f082e7bd4cc0ecdbbdd869d65",  # setuptools 28.3.0 to 30.4.0
        "dbda8706c5e9e5c1131d2dafc711f8d63a566af3e254aabc6cbe2e81332c736f",  # setuptools 31.0.0 to 34.2.0
        "4a878710d95a6ee62734cad7b7c3f85a9437573eae4cc7a86a2e259b28c10468",  # setuptools 31.0.0 to 34.2.0
        "71aa5bcec251cfecd08f337419bf35864f37955c4c4c6d52da0219f75fd9ceca",  # setuptools 34.3.0 to 69.0.3
        "59744be2b70d20f42f1986b4da4be0e4cac67715c1f9cdcd3aad5662d905eaad",  # setuptools 34.3.0 to 69.0.3
        "36871efda1ec9f45b7a62ce9e12bdf655e5134177b1c5f2f3cd4ca63bf08d3c1",  # setuptools 69.1.0 to 84.2.1
        "2c15fe4f4becab39cbb17747ff0127f55d0ad0ced5efdc3b310df39e7d408282",  # setuptools 69.1.0 to 84.2.1
    }
)
"""sha256 of lines that declare a namespace package (``NAME-nspkg.pth``), names taken out."""
_IMPORT: Final = re.compile(r"import (?P<module>\w+)(?:; (?P=module)\.(?:install|init)\(\))?")
_START: Final = re.compile(r"(?P<module>\w+):(?:entrypoint|init)")
_LITERAL: Final = re.compile(
    r"^(?P<name>MAPPING|NAMESPACES|PATH_PLACEHOLDER)(?P<hint>: [^=\n]+)? = "
    r"(?P<value>.+?)(?P<tail> \+ \"\.__path_hook__\")?$",
    re.MULTILINE,
)
_CALLS: Final = (
    re.compile(r"\ninstall(?:_inplace)?\((?P<arguments>.*)\)\s*\Z", re.DOTALL),
    re.compile(r"\ndef entrypoint\(\) -> None:\n    install(?:_inplace)?\((?P<arguments>.*)\)\s*\Z", re.DOTALL),
    re.compile(
        r"\ndef init\(\):\n    finder = MesonpyMetaFinder\((?P<arguments>.*)\n    \)\n"
        r"    sys\.meta_path\.insert\(0, finder\)\n    sys\.path_hooks\.insert\(0, finder\._path_hook\)\s*\Z",
        re.DOTALL,
    ),
)
"""What meson-python and scikit-build-core write behind a module of their own."""
_MAPPED: Final = re.compile(
    r"from editables\.redirector import RedirectingFinder as F\nF\.install\(\)"
    r"(?:\nF\.map_module\('[\w.]+', '[^'\\\n]*'\))*\n?"
)
STARTING: Final = (".pth", ".start")
"""Python runs what these files in an environment say, at every start (:mod:`site`; PEP 829 for ``.start``)."""
_FIXED_WORDS: Final = frozenset(
    {"'sitedir'", "'__init__.py'", "'__path__'", "'importlib.util'", "'importlib.machinery'"}
)
_AT_EVERY_START: Final = ("sitecustomize", "usercustomize")


def accounts_for(one: Installed, rootfs: RootFS) -> Iterator[str]:
    """The files that a local install's metadata account for: what they claim, less what runs at every start unknown."""
    files = claimed(one).files
    home = one.environment.rstrip("/")
    starting: set[str] = set()
    for path in files:
        name = path.removeprefix(f"{home}/")
        if name.endswith(STARTING) and "/" not in name and not _is_harmless(path, one, rootfs):
            starting.add(path)
            starting.update(f"{home}/{module}.py" for module in _imported(rootfs.read(path) or b""))
        elif name.partition("/")[0].partition(".")[0] in _AT_EVERY_START:
            starting.add(path)
    yield from (path for path in files if path not in starting)


def is_namespace_declaration(data: bytes) -> bool:
    """Whether a ``.pth`` has only the lines that setuptools writes for namespace packages."""
    lines = _lines(data)
    return bool(lines) and all(_digest(_namespace(line)) in _KNOWN_NAMESPACES for line in lines)


def _is_harmless(path: str, one: Installed, rootfs: RootFS) -> bool:
    """Whether every line of a ``.pth`` or ``.start`` is one that a backend writes for this install."""
    data = rootfs.read(path)
    if data is None:
        return False
    if path.endswith(".start"):
        return all(_is_finder(_START.fullmatch(line), one, rootfs) for line in _lines(data))
    return is_namespace_declaration(data) or all(_is_known(line, one, rootfs) for line in _lines(data))


def _is_finder(found: re.Match[str] | None, one: Installed, rootfs: RootFS) -> bool:
    shim = rootfs.read(f"{one.environment.rstrip('/')}/{found['module']}.py") if found else None
    return shim is not None and is_known_finder(shim)


def _is_known(line: str, one: Installed, rootfs: RootFS) -> bool:
    if line.startswith(("import ", "import\t")):
        return _is_finder(_IMPORT.fullmatch(line), one, rootfs)
    folder = posixpath.normpath(posixpath.join(one.environment, line))
    return _is_below(folder, one.source or "/") or rootfs.node(folder) is None


def _is_below(folder: str, source: str) -> bool:
    """Whether a folder is the install's source or in it; the root is nobody's source."""
    return source.rstrip("/") != "" and f"{folder}/".startswith(f"{source.rstrip('/')}/")


def is_known_finder(data: bytes) -> bool:
    """Whether a module is a finder that a released backend writes, but for its project's names and folders."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return _MAPPED.fullmatch(text) is not None or _digest(_without_names(text).rstrip()) in _KNOWN_FINDERS


def _without_names(text: str) -> str:
    """The text without the literals that a backend fills in: assigned at the top, or arguments of the last call."""
    last = max(text.rfind(head) for head in ("\ninstall(", "\ninstall_inplace(", "\ndef init(", "\ndef entrypoint("))
    for form in _CALLS if last >= 0 else ():
        call = form.match(text, last)
        if call and _is_literal(f"({call['arguments']})"):
            return text[:last]
    return _LITERAL.sub(_blank, text)


def _blank(found: re.Match[str]) -> str:
    if not _is_literal(found["value"]):
        return found[0]
    return f"{found['name']}{found['hint'] or ''} = _{found['tail'] or ''}"


def _is_literal(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes are warned of on standard error
            ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return False
    return True


def _namespace(line: str) -> str:
    line = re.sub(r"\*\((?:'\w+',? ?)+\)", "*_", line)
    line = re.sub(r"os\.path\.join\('[^'\\]*', \*_\)", "os.path.join(sys._getframe(1).f_locals['sitedir'], *_)", line)
    return re.sub(r"'[\w.]+'", lambda found: found[0] if found[0] in _FIXED_WORDS else "_", line)


def _imported(data: bytes) -> Iterator[str]:
    for line in _lines(data):
        found = re.match(r"import\s+(\w+)|(\w+):", line)
        if found:
            yield found[1] or found[2]


def _lines(data: bytes) -> list[str]:
    """The lines that :mod:`site` looks at."""
    lines = (line.rstrip() for line in data.decode("utf-8-sig", "surrogateescape").split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
