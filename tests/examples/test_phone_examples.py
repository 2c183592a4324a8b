"""The projects for phones: what can be checked without their compilers."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).parents[2]
ANDROID, IOS = ROOT / "examples" / "android", ROOT / "examples" / "ios"
MAIN = ANDROID / "app" / "src" / "main"
FIELDS = {"size", "resize", "crop_fraction", "fill"}


def test_the_manifest_names_a_class_that_is_there() -> None:
    name = "{http://schemas.android.com/apk/res/android}name"
    root = ElementTree.parse(MAIN / "AndroidManifest.xml").getroot()
    (activity,) = root.iter("activity")
    (space,) = re.findall(r'namespace = "([\w.]+)"', (ANDROID / "app" / "build.gradle.kts").read_text())
    (source,) = MAIN.rglob(f"{activity.attrib[name].removeprefix('.')}.kt")
    assert source.parent == MAIN / "java" / Path(*space.split("."))
    assert f"package {space}\n" in source.read_text()


def test_brackets_are_closed() -> None:
    """Not a compiler, but half a line left out is seen."""
    sources = [*ANDROID.rglob("*.kt"), *ANDROID.rglob("*.kts"), *IOS.rglob("*.swift")]
    assert len(sources) >= 7
    for source in sources:
        text = source.read_text()
        assert [text.count(kind) for kind in "({["] == [text.count(kind) for kind in ")}]"], source


def test_they_read_fields_that_preprocess_json_has() -> None:
    from imgrec.data.preprocess import Preprocess

    kotlin = (MAIN / "java" / "imgrec" / "example" / "Preprocess.kt").read_text()
    assert set(re.findall(r'json\.get\w+\("(\w+)"\)', kotlin)) == FIELDS
    swift = (IOS / "Recognise" / "Recogniser.swift").read_text()
    held = swift.partition("struct Preprocess")[2].partition("func")[0]
    names = {re.sub(r"([A-Z])", r"_\1", name).lower() for name in re.findall(r"let (\w+):", held)}
    assert names == FIELDS <= set(Preprocess.__dataclass_fields__)


def test_each_says_plainly_that_it_was_not_built() -> None:
    for folder in (ANDROID, IOS):
        assert "**Not built here.**" in (folder / "README.md").read_text()
