#!/bin/sh
# Builds wheel and sdist, and tries the wheel as a stranger would: in an environment of its own, from an empty folder.
# Also writes the software bill of materials of that environment. Called by `make dist`.
#
#   BIN       folder of the Python that has the extra "release" (default .venv/bin)
#   EXTRAS    extras to install the wheel with (default serve)
set -eu
cd "$(dirname "$0")/.."
bin=$(cd "${BIN:-.venv/bin}" && pwd)
extras=${EXTRAS-serve}
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pin=$(sed -n 's/^torch==//p' constraints.txt)
grep -v '^torch==' constraints.txt > "$work/constraints.txt"

echo "== wheel and sdist"
rm -rf dist build/lib build/bdist.*
"$bin/python" -m build --no-isolation --outdir dist . > "$work/build.log" 2>&1 || { tail -n 20 "$work/build.log"; exit 1; }
"$bin/python" -m twine check --strict dist/*.whl dist/*.tar.gz
wheel=$(ls "$root"/dist/*.whl)

echo "== an environment of its own, with the extras: $extras"
"$bin/python" -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --disable-pip-version-check "$@"; }
case ",$extras," in *,torch,* | *,train,*) # the build for the CPU, where there is one
  pip install --quiet --constraint "$work/constraints.txt" "torch==$pin+cpu" 2> "$work/torch.log" ||
    pip install --quiet --constraint "$work/constraints.txt" "torch==$pin" --extra-index-url https://download.pytorch.org/whl/cpu
  ;;
esac
pip install --quiet --constraint "$work/constraints.txt" "$wheel${extras:+[$extras]}"
pip check
du -sm "$work/venv" | cut -f 1 | sed 's/$/ MB installed/'

echo "== from an empty folder"
mkdir "$work/empty"
cd "$work/empty"
fcfi="$work/venv/bin/fcfi"
"$fcfi" --version
"$fcfi" doctor > doctor.txt || { cat doctor.txt; exit 1; }
tail -n 1 doctor.txt
"$work/venv/bin/python" - <<'PYTHON'
import pathlib, shutil
import fcfi_core
samples = pathlib.Path(fcfi_core.__file__).parent / "serving/playground/assets/samples"
shutil.copy(samples / "coffee.jpg", "coffee.jpg")
PYTHON
"$fcfi" segment coffee.jpg --click 300,150 --out mask.png
"$work/venv/bin/python" - <<'PYTHON'
from PIL import Image
mask = Image.open("mask.png")
share = mask.convert("L").histogram()[255] / (mask.width * mask.height)
assert mask.size == (600, 400) and 0.02 < share < 0.9, (mask.size, share)
print(f"a click on coffee.jpg marks {share:.0%} of the photo")
PYTHON

case ",$extras," in *,serve,* | *,label-studio,*)
  FCFI_PORT=$("$bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  export FCFI_PORT
  "$fcfi" serve 2> serve.log &
  server=$!
  for _ in $(seq 60); do
    "$work/venv/bin/python" -m label_studio_backend.probe && break || sleep 1
  done
  "$work/venv/bin/python" -m label_studio_backend.probe && echo "fcfi serve answers" || { cat serve.log; kill "$server"; exit 1; }
  kill "$server"
  wait "$server" || true
  ;;
esac

echo "== software bill of materials"
cd "$root"
version=$("$work/venv/bin/python" -c 'import fcfi_core; print(fcfi_core.__version__)')
"$bin/python" -m cyclonedx_py environment --output-format JSON --output-reproducible \
  --output-file "dist/fcfi-$version.cdx.json" "$work/venv/bin/python" 2> "$work/sbom.log" || { cat "$work/sbom.log"; exit 1; }
(cd dist && sha256sum fcfi-* > SHA256SUMS)
ls -l dist
