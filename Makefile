# Everflame: a thin front to meson and the test runner. `make help` lists the targets.

BUILD := build
PORT ?= 4040

.PHONY: all run test test-quick test-long bench fmt lint docs install clean help packages packages-test

all: packages ## build build/everflame (gcc, release)
	@[ -f $(BUILD)/build.ninja ] || CC=gcc CXX=g++ meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD)

packages:
	@scripts/install-packages.sh build

packages-test:
	@scripts/install-packages.sh test

run: all ## build, start the server and its demo (data in ./data)
	@scripts/run.sh

test: packages-test ## build every configuration and run every test
	@python3 tests/run.py

test-quick: packages-test ## lint and unit tests of the release build only
	@python3 tests/run.py --quick

test-long: packages-test ## what takes hours: long fuzzing, 200 kills, large data
	@python3 tests/run.py --long

bench: all ## measure (bench/README.md)
	@python3 bench/bench.py

fmt: ## format all sources
	@clang-format -i $$(git ls-files 'src/*.[ch]' 'agents/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]')

lint: ## layers, formatting, banned functions, lengths
	@python3 scripts/lint.py

docs: all ## regenerate the reference pages from the tables in the source
	@scripts/docs.sh

install: all ## install below DESTDIR
	@meson install -C $(BUILD)

clean: ## remove all build directories
	@rm -rf build build-*

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
