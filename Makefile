# Two commands: `make course` executes every notebook, `make test` proves every claim. Both set up .venv first.
JOBS ?= 2
OUT := build/course
BIN := .venv/bin
comma := ,
# python3, or where that is too old the first of the others that is here. To take another: make course PYTHON=python3.13
PYTHONS := 3.11 3.12 3.13 3.14
new_enough = $(1) -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(or $(shell for p in python3 $(PYTHONS:%=python%); do \
	$(call new_enough,$$p) 2>/dev/null && echo $$p && break; done),python3)
# PyTorch's CPU builds on Linux without an NVIDIA GPU: they save several GB. To take the others: make course TORCH=
TORCH ?= $(shell test "$$(uname)" != Linux || command -v nvidia-smi >/dev/null || echo cpu)
# To install the newest versions in place of those that the course was tested with: make test CONSTRAINTS=/dev/null
CONSTRAINTS ?= constraints.txt

.DEFAULT_GOAL := help
.PHONY: help course test mutants bench lab notebooks book pdf slides clean

help:
	@echo "make course    set up .venv and execute every notebook into $(OUT)"
	@echo "make test      the same, then every test"
	@echo "make mutants   make deliberate mistakes in a copy of the package, and see the tests fail"
	@echo "make bench     measure networks, loop and start against the usual ones"
	@echo "make lab       copy the notebooks to my_notebooks (never over your answers) and open them in JupyterLab"
	@echo "make book      build the notebooks as a website into build/book"
	@echo "make pdf       print the book and a booklet of tasks into build/pdf, and the exam that lies in $(EXAM)/"
	@echo "make slides    build the slides of each lesson into build/slides, for any browser, and as PDF"
	@echo "make notebooks execute the notebooks in place, so that their stored outputs are true"

# What is installed is current until one of these files changes. uv is several times faster than pip; where a proxy or
# mirror is known to pip alone, pip does it. PyTorch's own source is asked once before, as not every network reaches it.
packages = --only-binary :all: -c $(CONSTRAINTS)
uv = $(BIN)/uv pip install --python $(BIN)/python $(packages)
ask = UV_HTTP_RETRIES=0 UV_HTTP_CONNECT_TIMEOUT=4 UV_HTTP_TIMEOUT=4 \
	$(uv) --torch-backend=$(TORCH) --dry-run --no-deps torch >/dev/null 2>&1 \
	|| ! echo "PyTorch's own source of $(TORCH) builds does not answer: those of the usual index are taken."
# An environment that cannot be used, half made or of another Python, is made anew.
ready = test -x $(BIN)/pip && $(call new_enough,$(BIN)/python) 2>/dev/null
too_old = { echo "The course needs Python 3.11 or newer, and $(PYTHON) is not: install one of Python $(PYTHONS), and name it \
	as in: make course PYTHON=python3.13"; exit 1; }
this = $$($(BIN)/python --version 2>/dev/null || $(PYTHON) --version)
failed = { echo "The course was not installed, for the reason above: it takes the internet, 7 GB of disk, a folder that can \
	be written, and one of Python $(PYTHONS) (this is $(this))."; exit 1; }
define install
	@$(ready) || $(call new_enough,$(PYTHON)) || $(too_old)
	@$(ready) || $(PYTHON) -m venv --clear .venv || $(failed)
	@$(BIN)/python -m pip install --quiet uv || $(failed)
	@$(if $(TORCH),{ $(ask); } && $(uv) --torch-backend=$(TORCH) -e '$(1)' ||) $(uv) -e '$(1)' \
		|| $(BIN)/python -m pip install $(packages) -e '$(1)' || $(failed)
	@touch $@
endef

.venv/student: pyproject.toml constraints.txt
	$(call install,.[lab])

.venv/developer: pyproject.toml constraints.txt
	$(call install,.[dev$(comma)book$(comma)teach])
	touch .venv/student

# Make's own clock says whether the executed notebooks, and what is printed, are those of these sources.
COURSE := $(wildcard notebooks/*.ipynb cnncourse/*.py cnncourse/*/*.py cnncourse/*/*/*.py \
	cnncourse/*/*.js cnncourse/*/*/*.json)
$(OUT)/complete: $(COURSE) | .venv/student
	@rm -f $@
	$(BIN)/cnncourse run --profile tiny --jobs $(JOBS) --out $(OUT)
	@touch $@

course: .venv/student $(OUT)/complete
	@cat $(OUT)/report.md

# A failing notebook must not hide the other tests: they read the report, and fail with its words.
test: .venv/developer
	-@$(MAKE) --no-print-directory $(OUT)/complete
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --max-worker-restart 0

mutants: .venv/developer
	$(BIN)/python tests/mutants.py $(JOBS)

bench: .venv/student
	$(BIN)/cnncourse bench

lab: .venv/student
	$(BIN)/cnncourse start my_notebooks
	$(BIN)/jupyter lab --notebook-dir=my_notebooks

NOTEBOOKS ?= notebooks/*.ipynb

# Execute in place; a progress bar is stored as its last state.
notebooks: .venv/student
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False --ExecutePreprocessor.store_widget_state=False $(NOTEBOOKS)
	$(BIN)/jupyter nbconvert --to notebook --inplace --coalesce-streams $(NOTEBOOKS)

book: .venv/developer
	rm -rf build/book
	$(BIN)/python -m sphinx -W -b html book build/book

# The sheet and the key that `cnncourse exam` wrote, and that you may have changed.
EXAM ?= exam

# Of the book's own files, without those that it writes itself.
PAGES = $(filter-out book/coverage.md book/_static/explorer.js $(patsubst %.py,%.md,$(wildcard book/*.py)),\
	$(wildcard book/*.* book/_static/*)) tests/coverage.toml
build/pdf/book.pdf: $(COURSE) $(PAGES) | .venv/developer
	rm -rf build/pdf/page
	$(BIN)/python -m sphinx -q -b singlehtml -D html_theme=basic book build/pdf/page
	$(BIN)/python book/paper.py book build/pdf

build/pdf/booklet.pdf: $(COURSE) book/paper.py | .venv/developer
	$(BIN)/python book/paper.py booklet build/pdf

pdf: build/pdf/book.pdf build/pdf/booklet.pdf
	$(if $(wildcard $(EXAM)/*.md),$(BIN)/python book/paper.py exam $(EXAM),@echo "no exam lies in $(EXAM)/: make one \
		with cnncourse exam --seed N --out $(EXAM), and say make pdf again")

# Without Chromium there are no PDFs, and the slides are whole.
slides: .venv/developer
	rm -rf build/slides
	$(BIN)/python book/slides.py
	-$(BIN)/python book/paper.py slides build/slides

clean:
	rm -rf build
