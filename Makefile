# make setup   installs everything into .venv; a second call takes seconds
# make test    setup, then lint, types and tests
# make chaos   kills, full disks, dead servers and nodes, damaged files; the wheel with each extra alone
# make browser the dashboard in a real browser, also during a sweep; pictures of every page in docs/screenshots
# make demo    setup, then a synthetic corpus, a sweep over it and the result table; a second call resumes
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.PHONY: setup system lint test browser chaos demo clean

PYTHON ?= $(shell command -v python3.11 || echo python3)
BIN := .venv/bin
READY := .venv/.ready
# aeneas: ffmpeg, espeak, libespeak-dev. mediapipe: libegl1, libgles2. OpenCV: libgl1. Tests: chromium.
DEBIAN := ffmpeg espeak libespeak-dev libegl1 libgles2 libgl1 chromium

setup: $(READY)

# One cv2: mediapipe requires opencv-contrib-python, lipkd requires opencv-python, and both install the folder cv2.
# constraints.txt gives both one version, and contrib, which has all files of the other, is installed last.
# tests/test_house.py compares every file with contrib's record.
# aeneas needs numpy while it builds, and numpy's build tools need the standard library's distutils.
$(READY): pyproject.toml constraints.txt Makefile
	@$(MAKE) --no-print-directory system
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	echo "lipkd: installing constraints.txt into .venv (minutes the first time)"
	install="$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt"
	$$install -e '.[tune,dashboard,prep,dev]'
	$$install --no-deps --force-reinstall opencv-contrib-python
	SETUPTOOLS_USE_DISTUTILS=stdlib $$install --no-build-isolation --use-pep517 aeneas > .venv/aeneas.log 2>&1 ||
	    echo "lipkd: aeneas did not build, so 'lipkd prepare' cannot align; the reason is in .venv/aeneas.log"
	touch $@

# Debian's packages: installed when root, else named.
system:
	@command -v dpkg-query > /dev/null || exit 0
	missing=""
	$(PYTHON) -c 'import ensurepip' 2> /dev/null || missing+=" $(notdir $(PYTHON))-venv"
	$(PYTHON) -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2> /dev/null ||
	    missing+=" $(notdir $(PYTHON))-dev"
	for package in $(DEBIAN); do
	    dpkg-query -W -f '$${Status}' $$package 2> /dev/null | grep -q 'ok installed' || missing+=" $$package"
	done
	if [ -z "$$missing" ]; then
	    exit 0
	elif [ $$(id -u) = 0 ]; then
	    echo "lipkd: installing Debian's$$missing"
	    export DEBIAN_FRONTEND=noninteractive
	    apt-get update -qq
	    apt-get install -qq -y --no-install-recommends $$missing > /dev/null
	else
	    echo "lipkd: please install as root: apt-get install$$missing"
	fi

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Two test files at a time: half of the time they wait for processes and pages.
test: lint
	$(BIN)/pytest -n 2 --dist loadfile

# Takes many minutes; the tests have a miniature of it.
chaos: setup
	@$(MAKE) --no-print-directory system DEBIAN=postgresql
	$(BIN)/pytest -m storm
	$(BIN)/python -m tests.chaos --runs $(or $(RUNS),20)
	$(BIN)/python -m tests.chaos.fuzz
	$(BIN)/python -m tests.chaos.extras

browser: setup
	@$(MAKE) --no-print-directory system DEBIAN=nginx-light
	$(BIN)/pytest tests/dashboard -m 'storm or not storm'
	$(BIN)/python -m tests.dashboard.live 20
	$(BIN)/python -m tests.dashboard.screenshots docs/screenshots

demo/corpus: | setup
	$(BIN)/lipkd synth $@

demo/store: | demo/corpus
	$(BIN)/lipkd prepare demo/corpus $@

demo: setup demo/store
	@$(BIN)/lipkd sweep tuning/sweeps/demo.yaml --resume
	echo "lipkd lies in .venv/bin: '. .venv/bin/activate' first, or write $(BIN)/lipkd"

clean:
	rm -rf .venv demo .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
