# Everything happens in .venv. PYTHON may name an interpreter of version 3.10 to 3.12.
PYTHON ?= $(shell for v in 3.11 3.12 3.10; do command -v python$$v 2>/dev/null && break; done || echo python3)
BIN := .venv/bin
SYSTEM_PACKAGES := ffmpeg libusb-1.0-0 chromium
DEMO := demo

.PHONY: install system demo test check accuracy bench bench-memory clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo "error: $(PYTHON) is not Python 3.10 to 3.12; run make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "uv==$$(sed -n 's/^uv==//p' constraints.txt)"
	$(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt \
		torch torchvision --editable ".[sam,synthetic,spz,text,ray,test,dev]"
	touch $@

# What the tests need beside Python packages. Where it cannot be installed it is named, and those tests skip.
SPLAT_TRANSFORM := .venv/node/node_modules/.bin/splat-transform
system:
	@[ -x $(SPLAT_TRANSFORM) ] || { command -v npm >/dev/null && \
		npm install --prefix .venv/node --no-audit --no-fund --ignore-scripts --loglevel=error \
			@playcanvas/splat-transform@2.7.1 >/dev/null; } || \
		echo "note: splat-transform is missing (it needs npm); tests that read our exports with it will be skipped"
	@for package in $(SYSTEM_PACKAGES); do \
		dpkg -s $$package >/dev/null 2>&1 && continue; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			[ -n "$$updated" ] || { apt-get update -qq && updated=1; }; \
			DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$package >/dev/null && continue; \
		fi; \
		echo "note: system package $$package is missing; tests that need it will be skipped"; \
	done

demo: install
	$(BIN)/trase demo --output-dir $(DEMO)

test: install system
	$(BIN)/python -m pytest -m "not slow"
	$(BIN)/python -m pytest -m "slow"

check: install
	$(BIN)/ruff format --check trase_ns tests benchmarks
	$(BIN)/ruff check trase_ns tests benchmarks
	$(BIN)/pyright

# Trains for a while and rewrites docs/accuracy.md; ASSETS is the folder that holds the data set hand_books.
accuracy: install
	$(BIN)/python benchmarks/accuracy.py --assets "$(or $(ASSETS),$(TRASE_ASSETS))"

# Measures the speed of the parts and rewrites docs/performance.md; OPTIONS=--quick tries the program itself.
bench: install
	$(BIN)/python -m benchmarks.performance $(OPTIONS)

# Trains on 50 and on 1000 frames, for a quarter of an hour, and rewrites docs/memory.json.
bench-memory: install
	$(BIN)/python -m benchmarks.memory $(OPTIONS)

clean:
	rm -rf .venv $(DEMO) test-artifacts .pytest_cache .ruff_cache build *.egg-info
	find trase_ns tests -name __pycache__ -prune -exec rm -rf {} +
