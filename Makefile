# The commands that people type. docs/guide.md shows the plain ones, which work after `. .venv/bin/activate`.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-21s %s\n", $$1, $$2}'

install:  ## install the locked packages into .venv
	@$(MAKE) --no-print-directory .venv/installed
	@$(DEFINE_MERGE)

repro: .venv/installed  ## run what has changed; show scores, baselines, gate
	@python -m retrace check && python -m retrace repro

plots: .venv/installed  ## draw the plots in dvc_plots/index.html
	@python -m retrace plots $(PICTURES)

gate: .venv/installed  ## check the merge rules [BASE=main RESCORE=1]
	@python -m retrace gate $(if $(BASE),--base "$(BASE)") $(if $(RESCORE),--rescore)

report: .venv/installed  ## write the pull request report [BASE=main RESCORE=1]
	@python -m retrace report $(if $(BASE),--base "$(BASE)") $(if $(RESCORE),--rescore)

reproduce: .venv/installed  ## rerun the commit elsewhere; compare bytes [ONLY= ATTEST=]
	@python -m retrace reproduce $(if $(ONLY),--only "$(ONLY)") $(if $(ATTEST),--attest "$(ATTEST)")

verify: .venv/installed  ## is all data in the storage, and whole? [REMOTE=NAME]
	@python -m retrace verify $(if $(REMOTE),--remote "$(REMOTE)")

audit: .venv/installed  ## show what stages read that dvc.yaml doesn't declare
	@python -m retrace audit

refresh: .venv/installed  ## take a new snapshot of the table in a database
	@python -m retrace refresh

# Exit code 3: there is no new data.
retrain: .venv/installed  ## get new data, move the split's dates, run the pipeline
	@python -m retrace retrain || test $$? -eq 3

release: .venv/installed  ## test, pack and tag the model: VERSION=1.0.0 [PUSH=1]
	@python -m retrace release "$(VERSION)" $(if $(PUSH),--push)

deploy: .venv/installed  ## put a version into production: VERSION= [STAGE= MESSAGE=]
	@python -m retrace deploy "$(VERSION)" $(if $(STAGE),--stage "$(STAGE)") $(if $(MESSAGE),--message "$(MESSAGE)")

rollback: .venv/installed  ## put the version before into production [STAGE= MESSAGE=]
	@python -m retrace rollback $(if $(STAGE),--stage "$(STAGE)") $(if $(MESSAGE),--message "$(MESSAGE)")

history: .venv/installed  ## show what was released and deployed when
	@python -m retrace history

# exec: a shell between make and the server would let make report Ctrl-C as an error.
serve: .venv/installed  ## answer requests for predictions [MODEL=1.0.0 PORT=]
	@exec python -m retrace serve $(if $(MODEL),"$(MODEL)") $(if $(PORT),--port "$(PORT)")

watch: .venv/installed  ## compare what was served with the release [SINCE= UNTIL=]
	@python -m retrace watch $(if $(MODEL),--model "$(MODEL)") $(if $(SINCE),--since "$(SINCE)") \
	    $(if $(UNTIL),--until "$(UNTIL)") $(if $(BY),--by "$(BY)") $(if $(NOTIFY),--notify "$(NOTIFY)")

backtest: .venv/installed  ## would retraining each month have helped? [BY=week]
	@python -m retrace backtest $(if $(BY),--by "$(BY)")

search: .venv/installed  ## try other arguments of the model (search in params.yaml)
	@python -m retrace search

undo: .venv/installed  ## bring back the committed results; code and parameters stay
	@git reset --quiet -- dvc.lock metrics && git ls-files -z dvc.lock metrics | git checkout-index --force -z --stdin
	@git clean -dfxq -- dvc.lock metrics && dvc checkout --quiet --force --allow-missing dvc.yaml

test: .venv/installed  ## check format and types, run the quick tests (10 minutes)
	ruff check && ruff format --check && mypy && $(PYTEST) -m "not slow"

test-template: .venv/installed  ## test projects made from this one (20 minutes)
	$(PYTEST) tests/template

test-all: .venv/installed  ## run all checks and tests (90 minutes)
	ruff check && ruff format --check && mypy && $(PYTEST)

score: .venv/installed  ## run the evidence for the ML Test Score
	@python -m retrace score

bench: .venv/installed  ## measure what the pipeline and the server cost
	python -m tests.bench && OMP_NUM_THREADS=1 python -m tests.bench_serving && python -m tests.bench_growth

bench-scale: .venv/installed  ## measure the stages on 10 and 100 times the rows
	python -m tests.bench_scale

calibrate: .venv/installed  ## simulate whether verdicts and alarms are right
	python -m tests.calibrate && python -m tests.calibrate_several && python -m tests.calibrate_watch

lock: .venv/installed  ## pin the packages of the .in files; keep other versions
	uv pip compile $(COMPILE) requirements.in -o requirements.txt
	uv pip compile $(COMPILE) requirements-serve.in -o requirements-serve.txt
	uv pip compile $(COMPILE) requirements-scale.in -o requirements-scale.txt
	uv pip compile $(COMPILE) requirements-sql.in -o requirements-sql.txt
	uv pip compile $(COMPILE) requirements-dev.in -o requirements-dev.txt
	python -m tests.template.locks

upgrade:  ## pin the newest versions of all packages
	@$(MAKE) --no-print-directory lock UPGRADE=--upgrade

clean:  ## delete outputs and pictures; caches and .venv stay
	rm -rf data/raw data/prepared.parquet data/split models dvc_plots

COMPILE = --quiet $(UPGRADE) --universal --python-version 3.11 --generate-hashes --no-annotate
PYTEST = pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
PICTURES = "Target variance explained by each feature alone" "Learning curve" "ROC curve" "Precision and recall" "Calibration"

# Git's merge of dvc.lock and of metrics/ beside it (see .gitattributes): keep the current branch's file, say so once.
# For any other file with merge=binary, Git stops with a conflict, as it does without this driver. Git reads %% as %.
KEPT = results of the current branch are kept; next: dvc checkout --allow-missing, dvc repro, git add --all, git commit
DEFINE_MERGE = git config merge.binary.driver 'p=%P; case $$p in dvc.lock|*/dvc.lock) echo "$$p: $(KEPT)" >&2;; \
	metrics/*|*/metrics/*) test -e "$${p%%%%metrics/*}dvc.lock";; *) exit 1;; esac' 2>/dev/null || true

# .venv is created again if its Python isn't supported, is gone, or has another version after a system upgrade.
ifneq ($(wildcard .venv),)
SUPPORTED = import os, sys, sysconfig; \
	sys.exit(not ((3, 11) <= sys.version_info < (3, 14) and os.path.isdir(sysconfig.get_path("purelib"))))
UNFIT := $(shell .venv/bin/python -c '$(SUPPORTED)' 2>/dev/null || echo unfit)
endif
.PHONY: unfit

# The hashes hold for the packages that are built here, too: what builds them is installed first.
.venv/installed: requirements.txt requirements-dev.txt $(UNFIT)
	@$(if $(UNFIT),echo "Making .venv anew: its Python is not 3.11 to 3.13 or is gone" && rm -rf .venv)
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python '>=3.11,<3.14' .venv && \
		echo "Installing packages" && uv pip sync --quiet --python .venv --require-hashes --compile-bytecode --build-constraints requirements-dev.txt requirements.txt requirements-dev.txt; \
	else \
		$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12")' && \
		{ $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python lacks its venv module: on Debian, apt install python3-venv" >&2; exit 1; }; } && \
		$(PYTHON) -m venv .venv && echo "Installing packages; this takes a minute or two" && \
		.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt && \
		.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r requirements.txt; \
	fi
	@$(DEFINE_MERGE)
	@touch $@

.PHONY: help install repro plots gate report reproduce verify audit refresh retrain release deploy rollback history serve watch backtest search undo test test-template test-all score bench bench-scale calibrate lock upgrade clean
