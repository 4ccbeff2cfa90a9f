# make setup   a .venv with everything in it; a second call takes seconds
# make test    setup, then lint, types and tests
# make chaos   sweeps whose processes and nodes are killed, whose tracking server is away, whose disk is full
# make browser the dashboard in a real browser, on a live sweep too, and pictures of every page in docs/screenshots
# make demo    setup, then a synthetic corpus, a sweep over it and the result table; a second call picks up where it was
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.PHONY: setup system lint test browser chaos demo clean

PYTHON ?= $(shell command -v python3.11 || echo python3)
BIN := .venv/bin
READY := .venv/.ready
# ffmpeg, espeak, libespeak-dev are for aeneas, libegl1 and libgles2 for mediapipe, libgl1 for OpenCV, chromium for tests.
DEBIAN := ffmpeg espeak libespeak-dev libegl1 libgles2 libgl1 chromium

setup: $(READY)

# One cv2. mediapipe requires opencv-contrib-python, lipkd asks for opencv-python: the same files, contrib has some more.
# constraints.txt gives both the same version, and contrib is written last, over the other, so its files are there whole
# and what the metadata of either says is true. tests/test_house.py compares every file with contrib's record.
# aeneas wants numpy there while it builds, and numpy's build tools want the standard library's distutils.
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

# Debian's packages: installed where this may be done, named where not; on other systems the reader knows their names.
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

# Two files of tests at a time: half of what they do is waiting, for processes to start and for pages to open.
test: lint
	$(BIN)/pytest -n 2 --dist loadfile

# Not part of the tests, which have a miniature of it; a run takes minutes.
chaos: setup
	@$(MAKE) --no-print-directory system DEBIAN=postgresql
	$(BIN)/pytest -m storm
	$(BIN)/python -m tests.chaos --runs $(or $(RUNS),20)

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
