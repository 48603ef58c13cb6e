"""The package reads from top to bottom: a module imports only what stands below it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "mlflow_dvc_plugin"
# The parts, the top one first. A new module gets its place here.
ORDER = (
    "__init__", "context", "dataset", "answer", "cli", "hook", "lineage", "sync", "tagging",
    "tracking", "capture",
    "tags", "verdict", "provenance", "storage", "listing", "gitrepo", "gitdir", "dvcrepo", "config",
    "scratch", "errors",
)  # fmt: skip
# Who may import what is slow to import, or is wrapped in one place.
ONLY = {
    "git": {"gitrepo"},
    "dvc": {"dvcrepo"},
    "dvc_data": {"dvcrepo"},
    "dvc_objects": {"dvcrepo"},
    "boto3": {"storage"},
    "rich": {"cli"},
    "click": {"cli"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))
SLOW = {"boto3", "dvc", "dvc_data", "git", "mlflow", "pandas", "rich"}
CONTEXT = "mlflow.tracking.context.abstract_context"


def part(file: Path) -> str:
    """Return the part a file belongs to: its folder in the package, or its own name."""
    inside = file.relative_to(PACKAGE)
    return inside.parts[0].removesuffix(".py")


def imports(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield what is imported at run time below ``node``, and whether on import of the module."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, True) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"relative import of {child.module}"
            yield from ((f"{child.module}.{alias.name}", True) for alias in child.names)
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from ((name, top and not inside) for name, top in imports(child))


def all_imports(file: Path) -> list[tuple[str, bool]]:
    return list(imports(ast.parse(file.read_text(encoding="utf-8"))))


def test_a_module_imports_only_what_stands_below_it() -> None:
    assert {part(file) for file in MODULES} <= set(ORDER), "a new part needs its place in ORDER"
    wrong = []
    for file in MODULES:
        for name, _ in all_imports(file):
            imported = name.split(".")[1] if name.startswith("mlflow_dvc_plugin.") else part(file)
            if imported in ORDER and ORDER.index(imported) < ORDER.index(part(file)):
                wrong.append(f"{file} imports {name}, which stands above it")
    assert wrong == []


def test_a_library_is_imported_where_it_has_its_place() -> None:
    wrong = []
    for file in MODULES:
        for name, at_import in all_imports(file):
            library = name.split(".")[0]
            if part(file) not in ONLY.get(library, {part(file)}):
                wrong.append(f"{file} imports {name}, which belongs to {ONLY[library]}")
            if at_import and library in SLOW and not name.startswith(CONTEXT):
                wrong.append(f"{file} imports {name} at module level")
    assert wrong == []


def test_what_mlflow_loads_imports_only_the_standard_library() -> None:
    wrong = []
    for file in (PACKAGE / "__init__.py", PACKAGE / "context.py"):
        for name, at_import in all_imports(file):
            standard = name.split(".")[0] in sys.stdlib_module_names
            if at_import and not standard and not name.startswith(CONTEXT):
                wrong.append(f"{file} imports {name} at module level")
    assert wrong == []


def test_only_one_module_starts_programs_for_the_provider() -> None:
    """`cli` and `sync` start dvc and hooks, `lineage` what reads; the provider starts only Git."""
    starters = {
        part(file) for file in MODULES for name, _ in all_imports(file) if name == "subprocess"
    }
    assert starters <= {"gitrepo", "cli", "lineage", "sync"}


def test_nothing_in_the_package_depends_on_itself_in_a_circle() -> None:
    names = {
        ".".join((PACKAGE.name, *file.relative_to(PACKAGE).with_suffix("").parts)): file
        for file in MODULES
    }
    below = {
        name: {found for imported, _ in all_imports(file) if (found := module_of(imported, names))}
        for name, file in names.items()
    }
    while leaves := {name for name, needs in below.items() if not needs & below.keys()}:
        below = {name: needs for name, needs in below.items() if name not in leaves}
    assert sorted(below) == []


def module_of(imported: str, names: dict[str, Path]) -> str | None:
    """Return the module of ours that ``imported`` is, or is a member of."""
    package = imported.rpartition(".")[0]
    candidates = (imported, f"{imported}.__init__", package, f"{package}.__init__")
    return next((name for name in candidates if name in names), None)


def test_a_module_can_be_read_in_one_sitting() -> None:
    files = [*MODULES, *Path(__file__).parent.rglob("*.py")]
    lengths = {str(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {file: length for file, length in lengths.items() if length > 250} == {}
