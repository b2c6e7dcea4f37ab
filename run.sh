#!/usr/bin/env bash
# From nothing to a prediction on a video file, in two commands:
#   bash run.sh        make the built-in data set, train MoViNet-A0 on it, test, export, predict
#   bash run.sh VIDEOS a model of your own videos: paddlevideo fit VIDEOS (docs/own_data.md)
#   bash run.sh test   the checks: lint, types, tests
# A second run goes on where the first one ended and does not redo finished work.
# PYTHON names another interpreter (3.10 or newer), VENV another place for the virtual environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
CONFIG=configs/recognition/movinet/movinet_a0_motion.yaml
DATA=data/motion/videos
RUN=output/MoViNetA0Motion
WEIGHTS=$RUN/MoViNetA0Motion_best.pdparams
BUNDLE=inference/MoViNetA0Motion

say() { printf '\n== %s\n' "$*"; }

# install FILE...: the virtual environment, and the requirements that are not in it yet
install() {
  if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    echo "error: $PYTHON is missing or older than Python 3.10; name another: PYTHON=... bash run.sh" >&2
    exit 1
  fi
  if [ ! -x "$VENV/bin/python" ]; then
    say "Making a virtual environment in $VENV"
    "$PYTHON" -m venv "$VENV" || {
      rm -rf "$VENV"
      echo "error: no virtual environment could be made (on Debian: apt install python3-venv)" >&2
      exit 1
    }
  fi
  local file stamp
  for file in "$@"; do
    stamp=$VENV/.installed-$(basename "$file")
    # All of them, as one may name another.
    if ! cat requirements*.txt | cmp -s - "$stamp"; then
      say "Installing $file (once; Paddle alone is about 200 MB)"
      "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r "$file"
      cat requirements*.txt >"$stamp"
    fi
  done
}

run_tests() {
  install requirements.txt requirements-dev.txt requirements-onnx.txt requirements-writers.txt \
    requirements-serve.txt requirements-litert.txt
  say "Lint, format, types"
  "$VENV/bin/ruff" check .
  "$VENV/bin/ruff" format --check .
  "$VENV/bin/mypy"
  say "Tests (long ones apart: $VENV/bin/python -m pytest -m slow)"
  # Two processes, each with whole files: most of a test's time is one core's.
  "$VENV/bin/python" -m pytest -m "not slow" -n 2 --dist loadfile "$@"
}

# train PYTHON: two processes, as Paddle's convolutions use one core each; the bar reads the metrics
train() {
  local python=$1 pid
  mkdir -p "$RUN"
  "$python" -m paddle.distributed.launch --nproc_per_node 2 --log_dir "$RUN/log" \
    main.py --validate -c "$CONFIG" -o resume_epoch=latest >"$RUN/launch.log" 2>&1 &
  pid=$!
  trap 'kill "$pid" 2>/dev/null || true' EXIT
  "$python" tools/follow_run.py "$RUN" --pid "$pid" --from_now
  if ! wait "$pid"; then
    tail -n 20 "$RUN/launch.log" >&2
    echo "error: training failed; the whole log is in $RUN/launch.log" >&2
    exit 1
  fi
  trap - EXIT
  grep -E "END epoch|training finished" "$RUN/launch.log" | tail -n 3 || true
}

newer() { [ -e "$1" ] && [ "$1" -nt "$2" ]; }

run_all() {
  install requirements.txt
  local python=$VENV/bin/python video
  say "1/5 The built-in data set: videos of moving shapes"
  "$python" data/motion/generate.py --output "$DATA"

  say "2/5 Training MoViNet-A0 (about 4 minutes on 2 cores)"
  train "$python"

  say "3/5 Test: every video of the validation list"
  if newer "$RUN/tested" "$WEIGHTS"; then
    echo "already done: $RUN/metrics.jsonl"
  else
    "$python" main.py --test -c "$CONFIG" -w "$WEIGHTS"
    touch "$RUN/tested"
  fi

  say "4/5 Export"
  if newer "$BUNDLE/inference.yml" "$WEIGHTS"; then
    echo "already done: $BUNDLE"
  else
    "$python" tools/export_model.py -c "$CONFIG" -p "$WEIGHTS" -o "$BUNDLE" --verify
  fi

  say "5/5 Prediction on a video file, with the exported model alone"
  video=$(ls "$DATA"/val/clockwise_*.mp4 | head -n 1)
  "$python" tools/predict.py --model_dir "$BUNDLE" --input_file "$video" --top_k 3

  say "Summary"
  "$python" tools/summarize_run.py "$RUN"
  "$python" tools/report.py "$RUN"
  cat <<EOF
bundle       $BUNDLE
next         $VENV/bin/python tools/predict.py --model_dir $BUNDLE --input_file $DATA/val
             your own videos, one folder a class: README.md, "Your own videos"
EOF
}

case "${1:-}" in
  "") run_all ;;
  test) shift; run_tests "$@" ;;
  *)
    if [ ! -e "$1" ]; then
      echo "usage: bash run.sh [VIDEOS [options of paddlevideo fit] | test [pytest options]]" >&2
      echo "error: $1: no such folder or CSV file" >&2
      exit 2
    fi
    install requirements.txt requirements-onnx.txt
    exec "$VENV/bin/python" -m paddlevideo fit "$@"
    ;;
esac
