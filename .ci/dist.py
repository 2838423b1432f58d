"""Build the wheel, install it in an empty environment, and start what it installs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def run(*command: str, cwd: Path) -> str:
    """Run a command, echo and return its output; a failure ends this script."""
    print("+", *command, flush=True)
    done = subprocess.run(
        command, cwd=cwd, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    print(done.stdout, flush=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def require(text: str, output: str, what: str) -> None:
    """End with an error unless the output contains the text."""
    if text not in output:
        sys.exit(f"{what}: {text!r} is not in the output")


def main() -> None:
    """Build, check, install and start."""
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        run(sys.executable, "-m", "build", "--outdir", str(tmp / "dist"), ".", cwd=REPOSITORY)
        built = sorted(str(path) for path in (tmp / "dist").iterdir())
        run(sys.executable, "-m", "twine", "check", "--strict", *built, cwd=tmp)
        venv.create(tmp / "venv", with_pip=True)
        python = str(tmp / "venv" / "bin" / "python")
        wheel = next(path for path in built if path.endswith(".whl"))
        run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp)
        plugins = run(str(tmp / "venv" / "bin" / "twistd"), "--help", cwd=tmp)
        for role in ("supernode", "dfdaemon"):
            require(role, plugins, "twistd --help")
        version = run(python, "-m", "dragonfly.dfget", "--version", cwd=tmp)
        script = run(str(tmp / "venv" / "bin" / "dfget"), "--version", cwd=tmp)
        if not version.strip() or version != script:
            sys.exit(f"dfget --version: {version!r} by module, {script!r} by script")
        number = version.split()[-1]
        daemon = run(str(tmp / "venv" / "bin" / "dfdaemon"), "version", cwd=tmp)
        require(f"dfdaemon {number}", daemon, "dfdaemon version")


if __name__ == "__main__":
    main()
