# Two commands: `make course` executes every notebook, `make test` proves every claim. Both set up .venv first.
PYTHON ?= python3
JOBS ?= 2
OUT := build/course
BIN := .venv/bin
comma := ,
# CPU-only PyTorch on Linux, which saves several GB of disk: make course TORCH=cpu
TORCH ?=

.DEFAULT_GOAL := help
.PHONY: help course test mutants bench lab notebooks book slides clean

help:
	@echo "make course    set up .venv and execute every notebook into $(OUT)"
	@echo "make test      the same, then every test"
	@echo "make mutants   make deliberate mistakes in a copy of the package, and see the tests fail"
	@echo "make bench     measure networks, loop and start against the usual ones"
	@echo "make lab       copy the notebooks to my_notebooks (never over your answers) and open them in JupyterLab"
	@echo "make book      build the notebooks as a website into build/book"
	@echo "make slides    build the slides of each lesson into build/slides, for any browser, without the network"
	@echo "make notebooks execute the notebooks in place, so that their stored outputs are true"

# What is installed is current until one of these files changes. uv is several times faster than pip; where a proxy or
# mirror is known to pip alone, pip does it.
define install
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python -c constraints.txt $(if $(TORCH),--torch-backend=$(TORCH)) -e '$(1)' \
		|| $(BIN)/python -m pip install -c constraints.txt -e '$(1)'
	touch $@
endef

.venv/student: pyproject.toml constraints.txt
	$(call install,.)

.venv/developer: pyproject.toml constraints.txt
	$(call install,.[dev$(comma)book$(comma)teach])
	touch .venv/student

# Make's own clock says whether the executed notebooks are those of these sources.
$(OUT)/complete: $(wildcard notebooks/*.ipynb cnncourse/*.py cnncourse/*/*.py cnncourse/*.js cnncourse/*/*.json) | .venv/student
	@rm -f $@
	$(BIN)/cnncourse run --profile tiny --jobs $(JOBS) --out $(OUT)
	@touch $@

course: .venv/student $(OUT)/complete
	@cat $(OUT)/report.md

# A failing notebook must not hide the other tests: they read the report, and fail with its words.
test: .venv/developer
	-@$(MAKE) --no-print-directory $(OUT)/complete
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope

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

slides: .venv/developer
	rm -rf build/slides
	$(BIN)/python book/slides.py

clean:
	rm -rf build
