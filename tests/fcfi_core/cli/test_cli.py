"""The command itself: verbs, help, version, exit codes."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import shlex
import subprocess
import sys

import pytest
from PIL import Image

import fcfi_core.cli
from fcfi_core.cli import build_parser, main, verbs


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fcfi {importlib.metadata.version('fcfi')}\n"


LONG, LOOP = "y" * 300, "loop/x.png"


@pytest.mark.parametrize("name", [LONG, LOOP])
@pytest.mark.parametrize(
    "words",
    [
        ["segment", "{}", "--click", "1,1"],
        ["segment", "p.png", "--click", "1,1", "--out", "{}.png"],
        ["segment", "p.png", "--click", "1,1", "--prior", "{}"],
        ["segment", "p.png", "--click", "1,1", "--model", "{}.safetensors"],
        ["annotate", "{}", "--out", "o"],
        ["annotate", "p.csv", "--out", "{}"],
        ["annotate", "p.csv", "--images", "{}", "--out", "o"],
        ["evaluate", "{}"],
        ["convert", "{}", "o.safetensors"],
        ["train", "--from", "default", "--data", "{}", "--out", "o"],
        ["pack", "{}", "--out", "o.zip"],
    ],
    ids=lambda words: " ".join(words[:-1] if "{" in words[-1] else words),
)
def test_a_name_that_the_system_refuses_is_one_sentence(words, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    Image.new("RGB", (8, 8)).save("p.png")
    (tmp_path / "p.csv").write_text("image,x,y\np.png,1,1\n")
    assert main([word.format(name) for word in words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("fcfi: ")
    assert not any("Traceback" in line for line in said)
    assert {path.name for path in tmp_path.iterdir()} <= {"loop", "p.png", "p.csv", "o"}


@pytest.mark.parametrize("words", [["segmnt"], ["segment"], [], ["segment", "x.png", "--clack", "3"]])
def test_a_wrong_command_is_one_sentence(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "--help" in captured.err


def test_every_verb_has_help(capsys):
    for name in verbs():
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
        assert f"fcfi {name}" in capsys.readouterr().out
    assert all(name in build_parser().format_help() for name in ("segment", "doctor", "bench"))


def test_a_verb_whose_extra_is_missing_says_so(monkeypatch, capsys):
    def missing():
        raise ModuleNotFoundError("No module named 'nuclio'", name="nuclio")

    monkeypatch.setattr(fcfi_core.cli, "verbs", lambda: {"cvat": missing})
    assert main(["cvat", "x"]) == 2
    assert "'nuclio'" in capsys.readouterr().err
    assert "not installed" in build_parser().format_help()


def test_interruption_ends_with_130(monkeypatch):
    class Verb:
        HELP = "wait"
        add_arguments = staticmethod(lambda parser: None)

        @staticmethod
        def run(arguments):
            raise KeyboardInterrupt

    monkeypatch.setattr(fcfi_core.cli, "verbs", lambda: {"wait": lambda: Verb})
    assert main(["wait"]) == 130


def test_help_does_not_wait_for_torch():
    code = "import sys, fcfi_core.cli as c; c.build_parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from fcfi_core.cli import main
sys.exit(main({words!r}))
"""


SERVING = [("starlette",), ("uvicorn", "h11"), ("prometheus_client",), ("msgspec",), ("python_multipart",)]


@pytest.mark.parametrize("names", SERVING)
def test_serving_without_its_extra_says_which_one(names):
    def run(*words):
        code = BLOCKED.format(names=names, words=list(words))
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    served = run("serve", "--port", "1")
    assert served.returncode == 2
    reason = (
        f"`fcfi serve` needs the package {names[0]!r}, which is not installed: pip install 'fcfi[serve]'."
    )
    assert served.stderr == f"fcfi: {reason}\n"
    told = run("doctor", "--json")
    assert "Traceback" not in told.stderr
    (line,) = [one for one in json.loads(told.stdout)["findings"] if one["topic"] == "fcfi serve"]
    assert "pip install 'fcfi[serve]'" in line["text"]
    assert line["absent"]
    assert "fcfi[serve]" in run("--help").stdout.replace("\n", " ")


def test_names_from_strangers_do_not_reach_the_terminal_raw(tmp_path, capsys):
    name = "a\x1b[31m\rb\n.png"
    (tmp_path / name).write_bytes(b"no picture")
    assert main(["segment", str(tmp_path / name), "--click", "1,1"]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\r" not in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", [b"a\x1b[31m\rb\n.png", b"\xff.png", "\u202e\u4e2d.png".encode()])
def test_any_name_of_a_photo_is_worked_with_and_said_in_one_line(name, tmp_path, monkeypatch, capfd):
    """Files and terminals get what they can show, in every verb that makes something of photos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    picture = tmp_path / "photos" / os.fsdecode(name)
    Image.effect_noise((32, 24), 80).convert("RGB").save(picture, "PNG")
    picture.with_name(f"broken{picture.name}").write_bytes(b"\x89PNG\r\n\x1a\n")
    names = [os.fsdecode(one) for one in (name, b"broken" + name)]
    lines = [{"image": one, "clicks": [[9, 9]], "label": "\x1b[2J"} for one in names]
    (tmp_path / "clicks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    few = ["--quiet", "--threads", "1"]
    assert main(["segment", str(picture), "--click", "9,9", "--threads", "1"]) == 0
    picture.with_suffix(".mask.png").unlink()
    assert main(["annotate", "clicks.jsonl", "--images", "photos", "--out", "out", *few, "--png"]) == 1
    assert main(["rank", "clicks.jsonl", "--images", "photos", "--out", "ranking.csv", *few]) == 1
    assert main(["rank", "photos", "--out", "ranking.csv", *few]) == 1
    click = f"{sorted(names).index(picture.name)}:9,9"
    assert main(["track", "photos", "--click", click, "--out", "track", "--no-overlay", *few]) == 1
    said = "".join(capfd.readouterr())
    assert not any(sign in said for sign in "\x1b\r\u202e")
    assert "Traceback" not in said
    assert len(json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]) == 1
    assert "broken" in (tmp_path / "out" / "review.html").read_text(encoding="utf-8")


def fcfi(*words, redirected="", **environment):
    """Run the command in a process of its own, started by a shell."""
    code = "import sys; from fcfi_core.cli import main; sys.exit(main())"
    command = f"exec {shlex.join([sys.executable, '-c', code, *words])} {redirected}"
    return subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, env={**os.environ, **environment}, check=False
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell of Unix")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_nobody_need_listen(closed):
    """Some schedulers start programs with their outputs closed."""
    run = fcfi("models", redirected=closed)
    assert (run.returncode, run.stderr) == (0, b"")


def test_an_output_of_few_letters_gets_what_it_can_show(tmp_path):
    photo = tmp_path / "\u4e2d.png"
    Image.effect_noise((32, 24), 80).convert("RGB").save(photo)
    run = fcfi("segment", str(photo), "--click", "9,9", PYTHONIOENCODING="ascii")
    assert (run.returncode, run.stderr) == (0, b"")
    assert rb"\u4e2d.mask.png" in run.stdout


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), ConnectionResetError("gone")])
def test_a_disk_that_fails_or_a_server_that_is_gone_is_one_sentence(monkeypatch, capsys, error):
    import fcfi_core.cli.models

    def fail(_):
        raise error

    monkeypatch.setattr(fcfi_core.cli.models, "_list", fail)
    assert main(["models"]) == 2
    assert capsys.readouterr().err == f"fcfi: {error.strerror or error}; try again.\n"
