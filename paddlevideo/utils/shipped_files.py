"""Where the files are that the project ships beside its code."""

from pathlib import Path

from paddlevideo.utils.errors import ConfigError, nearest_hint

_PACKAGE = Path(__file__).resolve().parents[1]
_SHARED_PARTS = "_base_"  # of configs; none by itself


def configs_folder() -> Path:
    """The folder ``configs``: in the package where it was installed, else beside it."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def find_config(name: str | Path) -> Path:
    """Return the config file that ``name`` stands for.

    Args:
        name: a file; or a shipped config, by its name (``movinet_a0_folder``) or its path in the
            folder ``configs`` (``recognition/movinet/movinet_a0_folder.yaml``).

    Raises:
        ConfigError: there is neither.
    """
    path = Path(name)
    try:
        if path.is_file() or path.is_absolute():
            return path  # what is wrong with it is said by who reads it
    except (OSError, ValueError):
        return path
    folder = configs_folder()
    files = {file.relative_to(folder): file for file in folder.rglob("*.yaml")}
    shipped = {key.stem: file for key, file in files.items() if _SHARED_PARTS not in key.parts}
    parts = path.parts[1:] if path.parts[:1] == (folder.name,) else path.parts
    inside = files.get(Path(*parts)) or shipped.get(str(name).removesuffix(".yaml"))
    if inside is not None:
        return inside
    raise ConfigError(
        f"config {str(name)[:300]} cannot be read: No such file or directory, and none that comes "
        f"with the package has this name; {nearest_hint(path.stem, shipped)}"
    )
