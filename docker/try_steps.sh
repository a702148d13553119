#!/bin/sh
# Builds the Dockerfiles without a Docker engine, and tries what they make. `make docker-steps` calls it.
#
#   sh docker/try_steps.sh [label-studio] [cvat]      (default: both)
#
# buildah runs every instruction, in a chroot. The base image comes from a registry that may be out of reach; in
# its place stands Debian 12 made by debootstrap, with Debian's Python 3.11. Needs Debian or Ubuntu, root, the
# packages debootstrap and buildah, some 6 GB in STORE, and minutes. This machine's configuration of pip (indexes,
# certificates, folders of wheels) is lent to the steps and does not stay in the images.
#
#   STORE         folder for images and containers (default /var/tmp/fcfi-docker-steps); the base is kept there
set -eu
cd "$(dirname "$0")/.."
root=$PWD
store=${STORE:-/var/tmp/fcfi-docker-steps}
base=docker.io/library/python:3.11-slim-bookworm
work=$(mktemp -d)
container=

[ "$(id -u)" = 0 ] || { echo "run this as root: it makes a root file system" >&2; exit 2; }
for tool in debootstrap buildah python3; do
  command -v "$tool" > /dev/null || { echo "$tool is missing: apt-get install debootstrap buildah python3" >&2; exit 2; }
done

storage() { buildah --root "$store/images" --runroot "$store/run" --storage-driver vfs "$@"; }
in_container() { storage run --isolation chroot "$@"; }

descendants() { for child in $(pgrep -P "$1"); do echo "$child"; descendants "$child"; done; }

server=
stop_server() { # by the signal that Docker sends, to the process that Docker would send it to
  [ -z "$server" ] || kill "$(descendants "$server" | tail -n 1)" && wait "$server" || true
  server=
}

finish() {
  stop_server 2> /dev/null
  [ -z "$container" ] || storage rm "$container" > /dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT
mkdir -p "$store"

if ! storage images --quiet "$base" > /dev/null 2>&1; then
  echo "== Debian 12 in the place of $base"
  debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,python-is-python3,ca-certificates \
    bookworm "$work/root" > "$work/debootstrap.log" 2>&1 || { tail -n 5 "$work/debootstrap.log"; exit 1; }
  rm -f "$work"/root/usr/lib/python3*/EXTERNALLY-MANAGED # the official image lets pip install, too
  new=$(storage from scratch)
  storage add --quiet "$new" "$work/root" /
  storage commit --quiet "$new" "$base" > /dev/null
  storage rm "$new" > /dev/null
  rm -rf "$work/root"
fi

# pip's settings of this machine as one file, and the folders that it names, at the same places.
python3 - "$work/pip.conf" > "$work/volumes" <<'PYTHON'
import pathlib, subprocess, sys
listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
options = {}
for line in listed.splitlines():
    name, _, value = line.partition("=")
    section, _, option = name.rpartition(".")
    if section in ("global", "install", "download", ":env:"):
        options[option] = value.strip("'\"").replace("\\n", " ")
wanted = {name: options[name] for name in ("cert", "index-url", "extra-index-url", "find-links", "proxy") if name in options}
pathlib.Path(sys.argv[1]).write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in wanted.items()))
for word in " ".join(wanted.values()).split():
    path = pathlib.Path(word.removeprefix("file://"))
    if path.is_absolute() and path.exists():
        folder = path if path.is_dir() and path.name != "simple" else path.parent  # an index keeps files beside
        print(f"--volume={folder}:{folder}:ro")
PYTHON
lent="--volume=$work/pip.conf:/etc/pip.conf:ro $(sort -u "$work/volumes" | tr '\n' ' ')"

build() { # NAME TAG
  echo "== docker/$1.Dockerfile, target cpu"
  # shellcheck disable=SC2086  # several words are meant
  storage build --isolation chroot --pull-never --layers=false --format docker $lent \
    --target cpu --file "docker/$1.Dockerfile" --tag "$2" . \
    > "$work/build.log" 2>&1 || { tail -n 30 "$work/build.log"; exit 1; }
  grep -c '^\[' "$work/build.log" | sed 's/$/ instructions run/'
  container=$(storage from --pull-never "$2")
}

config() { # KEY...: of the image's configuration; lists as words
  python3 - "$work/image.json" "$@" <<'PYTHON'
import json, sys
value = json.load(open(sys.argv[1]))["Docker"]["config"]
for key in sys.argv[2:]:
    value = value[key]
print(*value) if isinstance(value, list) else print(value)
PYTHON
}

try_label_studio() {
  build label-studio fcfi-label-studio:steps
  storage inspect --type image fcfi-label-studio:steps > "$work/image.json"
  user=$(config User)
  health=$(config Healthcheck Test)
  command=$(config Cmd)
  echo "user $user, command $command, health check $health"
  case $user in '' | 0 | root) echo "the image runs as root" >&2; exit 1 ;; esac
  [ "$(in_container "$container" -- id -u)" = "$user" ] || { echo "it does not run as $user" >&2; exit 1; }
  in_container "$container" -- sh -c '! touch /here 2> /dev/null && ! touch "$(python -c "import fcfi_core; print(fcfi_core.__file__)")" 2> /dev/null'
  echo "it cannot write to its root file system"
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  # shellcheck disable=SC2086
  in_container --env FCFI_HOST=127.0.0.1 --env "FCFI_PORT=$port" "$container" -- $command 2> "$work/serve.log" &
  server=$!
  healthy=no
  for _ in $(seq 60); do
    # shellcheck disable=SC2086
    if in_container --env "FCFI_PORT=$port" "$container" -- ${health#CMD } 2> /dev/null; then healthy=yes; break; fi
    sleep 1
  done
  [ "$healthy" = yes ] || { cat "$work/serve.log"; exit 1; }
  echo "healthy"
  python3 - "$port" "$root/fcfi_core/serving/playground/assets/samples/coffee.jpg" <<'PYTHON'
import json, pathlib, sys, time, urllib.request
site = f"http://127.0.0.1:{sys.argv[1]}"
def post(path, body, kind):
    request = urllib.request.Request(site + path, body, {"Content-Type": kind})
    return json.load(urllib.request.urlopen(request, timeout=60))
image = post("/playground/images", pathlib.Path(sys.argv[2]).read_bytes(), "image/jpeg")["image"]
answer = post(f"/playground/images/{image}/mask", json.dumps({"clicks": [{"x": 300, "y": 150}]}).encode(), "application/json")
assert 0 < answer["confidence"] <= 1, answer
print(f"a click is answered with a confidence of {answer['confidence']:.2f}")
PYTHON
  stop_server
  # shellcheck disable=SC2086
  if in_container --env "FCFI_PORT=$port" "$container" -- ${health#CMD } 2> /dev/null; then
    echo "it still answers after the signal to stop" >&2
    exit 1
  fi
  echo "stopped by a signal; the health check says so"
  storage rm "$container" > /dev/null
  container=
}

try_cvat() {
  build cvat fcfi-cvat:steps
  # nuclio puts the function's folder into /opt/nuclio and imports main from there, as the user that its file names.
  user=$(sed -n 's/^ *runAsUser: *\([0-9]*\).*/\1/p' cvat_function/function.yaml)
  group=$(sed -n 's/^ *runAsGroup: *\([0-9]*\).*/\1/p' cvat_function/function.yaml)
  in_container --user "$user:$group" --workingdir /opt/nuclio --volume "$root/cvat_function:/opt/nuclio:ro" \
    --volume "$root/fcfi_core/serving/playground/assets/samples:/samples:ro" "$container" -- python - <<'PYTHON'
import base64, json, os, pathlib, types
assert os.getuid() != 0 and not os.access("/opt", os.W_OK), "it runs as root"
import main
quiet = types.SimpleNamespace(**{name: lambda *words, **fields: None for name in ("info_with", "warn_with", "error_with", "warn", "error", "info")})
context = types.SimpleNamespace(user_data=types.SimpleNamespace(), logger=quiet, Response=types.SimpleNamespace)  # nuclio brings its own
main.init_context(context)
photo = base64.b64encode(pathlib.Path("/samples/coffee.jpg").read_bytes()).decode()
body = json.dumps({"image": photo, "pos_points": [[300, 150]], "neg_points": []}).encode()
answer = main.handler(context, types.SimpleNamespace(body=body))
assert answer.status_code == 200, answer.body
print("the function answers a click with", len(answer.body), "bytes, as user", os.getuid())
PYTHON
  storage rm "$container" > /dev/null
  container=
}

[ $# -gt 0 ] || set -- label-studio cvat
for name in "$@"; do
  case $name in
    label-studio) try_label_studio ;;
    cvat) try_cvat ;;
    *) echo "there is no docker/$name.Dockerfile to try; give label-studio or cvat" >&2; exit 2 ;;
  esac
done
echo "== all passed"
